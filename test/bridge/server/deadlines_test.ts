// Deadlines against a plain list of times.
import assert from "node:assert/strict";
import test from "node:test";
import { Deadlines } from "../../../bridge/server/deadlines.ts";
import { seededRandom } from "../../../devices/sensors.ts";

test("an entry comes when its second has passed, once, and not after it was taken out", () => {
  const deadlines = new Deadlines<string>();
  deadlines.put("a", 1_500);
  deadlines.put("b", 2_000);
  deadlines.put("c", 9_000);
  deadlines.delete("b");
  deadlines.delete("nobody");
  assert.deepEqual([deadlines.size, deadlines.due(1_999)], [2, []]);
  assert.deepEqual([deadlines.due(2_000), deadlines.due(8_999), deadlines.due(60_000)], [["a"], [], ["c"]]);
  assert.equal(deadlines.size, 0);
});

test("put again, the earlier time counts", () => {
  const deadlines = new Deadlines<string>();
  deadlines.put("a", 5_000);
  deadlines.put("a", 9_000);
  assert.deepEqual(deadlines.due(5_000), ["a"]);
  deadlines.put("a", 9_000);
  deadlines.put("a", 7_000);
  assert.deepEqual([deadlines.due(7_000), deadlines.due(9_000)], [["a"], []]);
});

test("whatever is put, moved and taken out: what is due comes within its second", () => {
  const random = seededRandom(11);
  const int = (max: number): number => Math.floor(random() * max);
  const deadlines = new Deadlines<number>();
  const times = new Map<number, number>();
  let now = 0;
  for (let step = 0; step < 5_000; step++) {
    const entry = int(40);
    if (int(10) === 0) {
      deadlines.delete(entry);
      times.delete(entry);
    } else if (int(3) > 0) {
      const at = now + int(20_000);
      deadlines.put(entry, at);
      times.set(entry, Math.min(at, times.get(entry) ?? at));
    } else {
      now += int(3_000);
      const due = new Set(deadlines.due(now));
      for (const [other, at] of [...times]) {
        if (Math.ceil(at / 1_000) * 1_000 <= now) {
          assert.ok(due.delete(other), `${other} at ${at} is missing at ${now}`);
          times.delete(other);
        }
      }
      assert.deepEqual([...due], []);
    }
    assert.equal(deadlines.size, times.size);
  }
});
