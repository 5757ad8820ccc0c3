// Sparse maps and sets do what maps and sets do.
import assert from "node:assert/strict";
import test from "node:test";
import { SparseMap, SparseSet } from "../../../bridge/session/sparse.ts";
import { seededRandom } from "../../../devices/sensors.ts";

test("SparseMap and SparseSet against Map and Set, step by step", () => {
  const random = seededRandom(5);
  const [map, set] = [new SparseMap<number, number>(), new SparseSet<number>()];
  const [plainMap, plainSet] = [new Map<number, number>(), new Set<number>()];
  for (let step = 0; step < 2_000; step++) {
    const key = Math.floor(random() * 8);
    const choice = random();
    if (choice < 0.02) for (const each of [map, set, plainMap, plainSet]) each.clear();
    else if (choice < 0.5) {
      assert.equal(map.delete(key), plainMap.delete(key));
      assert.equal(set.delete(key), plainSet.delete(key));
    } else {
      map.set(key, step);
      plainMap.set(key, step);
      set.add(key);
      plainSet.add(key);
    }
    assert.deepEqual([...map.keys()], [...plainMap.keys()]);
    assert.deepEqual([...map.values()], [...plainMap.values()]);
    assert.deepEqual([map.get(key), map.has(key), map.size], [plainMap.get(key), plainMap.has(key), plainMap.size]);
    assert.deepEqual([set.has(key), set.size], [plainSet.has(key), plainSet.size]);
  }
});
