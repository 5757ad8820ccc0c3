// The set of packet ids against the language's own, with seeds; ids that meet at one place.
import assert from "node:assert/strict";
import test from "node:test";
import { PacketIdSet } from "../../../bridge/session/packet_ids.ts";
import { seededRandom } from "../../../devices/sensors.ts";

test("holds what a Set would, whatever ids meet (seeds)", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const next = seededRandom(seed);
    const random = (below: number): number => Math.floor(next() * below);
    const [ids, model] = [new PacketIdSet(), new Set<number>()];
    // few places apart, all apart, or 256 apart: then they meet at one place until the set is large
    const stride = [1, 7, 256][random(3)]!;
    const most = 1 + random(200);
    for (let step = 0; step < 600; step++) {
      const id = 1 + ((random(most) * stride) % 65_535);
      if (random(2) === 0) {
        ids.add(id);
        model.add(id);
      } else assert.equal(ids.delete(id), model.delete(id), `SEED=${seed}, step ${step}`);
      assert.equal(ids.size, model.size, `SEED=${seed}, step ${step}`);
      if (random(200) === 0) {
        ids.clear();
        model.clear();
      }
      const asked = 1 + ((random(most) * stride) % 65_535);
      assert.equal(ids.has(asked), model.has(asked), `SEED=${seed}, step ${step}`);
    }
    for (const id of model) assert.ok(ids.has(id), `SEED=${seed}: ${id}`);
  }
});

test("all ids at once", () => {
  const ids = new PacketIdSet();
  for (let id = 1; id <= 65_535; id++) ids.add(id);
  assert.equal(ids.size, 65_535);
  for (let id = 65_535; id >= 1; id--) assert.ok(ids.delete(id));
  assert.equal(ids.size, 0);
  assert.equal(ids.has(1), false);
  assert.equal(ids.delete(1), false);
});
