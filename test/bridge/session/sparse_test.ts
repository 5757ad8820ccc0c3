// A sparse map does what a map does.
import assert from "node:assert/strict";
import test from "node:test";
import { SparseMap } from "../../../bridge/session/sparse.ts";
import { seededRandom } from "../../../devices/sensors.ts";

test("SparseMap against Map, step by step", () => {
  const random = seededRandom(5);
  const map = new SparseMap<number, number>();
  const plain = new Map<number, number>();
  for (let step = 0; step < 2_000; step++) {
    const key = Math.floor(random() * 8);
    const choice = random();
    if (choice < 0.02) for (const each of [map, plain]) each.clear();
    else if (choice < 0.5) assert.equal(map.delete(key), plain.delete(key));
    else {
      map.set(key, step);
      plain.set(key, step);
    }
    assert.deepEqual([...map.keys()], [...plain.keys()]);
    assert.deepEqual([...map.values()], [...plain.values()]);
    assert.deepEqual([map.get(key), map.has(key), map.size], [plain.get(key), plain.has(key), plain.size]);
  }
});
