// The memo against a map: never wrong, never over its bound, and what is used stays.
import assert from "node:assert/strict";
import test from "node:test";
import { Memo } from "../../../bridge/match/memo.ts";
import { seededRandom } from "../../../devices/sensors.ts";

test("Memo keeps its bound and never answers what was deleted or replaced", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = seededRandom(seed);
  const memo = new Memo<number>(40);
  const truth = new Map<string, number>();
  let hits = 0;
  for (let step = 0; step < 20_000; step++) {
    const key = `k${Math.floor(random() * 30)}`;
    const dice = random();
    if (dice < 0.3) {
      memo.set(key, step, 1 + Math.floor(random() * 8));
      truth.set(key, step);
    } else if (dice < 0.4) {
      memo.delete(key);
      truth.delete(key);
    } else if (dice < 0.402) {
      memo.clear();
      truth.clear();
    } else {
      const answer = memo.get(key);
      if (answer !== undefined) assert.equal(answer, truth.get(key), `seed ${seed}, step ${step}`);
      if (answer !== undefined) hits++;
    }
    assert.ok(memo.cost >= 0 && memo.cost <= 40, `seed ${seed}, cost ${memo.cost}`);
  }
  assert.ok(hits > 100, `seed ${seed}: ${hits} hits`);
});

test("Memo keeps what is asked for and drops the rest", () => {
  const memo = new Memo<number>(20);
  memo.set("used", 1, 1);
  for (let at = 0; at < 100; at++) {
    memo.set(`passing ${at}`, at, 1);
    assert.equal(memo.get("used"), 1);
  }
  assert.equal(memo.get("passing 0"), undefined);
});

test("Memo does not keep one answer that costs more than half its bound", () => {
  const memo = new Memo<number>(20);
  memo.set("large", 1, 11);
  assert.equal(memo.get("large"), undefined);
  assert.equal(memo.cost, 0);
});
