// Where replicas go: spread evenly, each hub once a partition, racks apart.
import assert from "node:assert/strict";
import test from "node:test";
import { placeReplicas } from "../../../hub/cluster/placement.ts";

const hubs = (count: number, racks: readonly string[] = []) =>
  Array.from({ length: count }, (_, i) => ({ hubId: i + 1, rack: racks.length > 0 ? racks[i % racks.length]! : null }));

test("leaders and replicas are spread over all hubs, none twice in a partition", () => {
  for (const count of [1, 2, 3, 5]) {
    for (const factor of [1, 2, 3].filter((one) => one <= count)) {
      const placed = placeReplicas(hubs(count), 60, factor);
      const led = new Map<number, number>();
      const held = new Map<number, number>();
      for (const replicas of placed) {
        assert.equal(new Set(replicas).size, factor, `${count} hubs, ${factor} replicas: ${replicas}`);
        led.set(replicas[0]!, (led.get(replicas[0]!) ?? 0) + 1);
        for (const hub of replicas) held.set(hub, (held.get(hub) ?? 0) + 1);
      }
      assert.deepEqual(new Set(led.values()), new Set([60 / count]), `${count} hubs: leaders ${[...led]}`);
      const most = Math.max(...held.values()) - Math.min(...held.values());
      assert.ok(most <= 60 / count, `${count} hubs, ${factor} replicas: ${[...held]}`);
    }
  }
});

test("a growth goes on where the topic ended", () => {
  const all = placeReplicas(hubs(3), 6, 2);
  assert.deepEqual(placeReplicas(hubs(3), 2, 2, 4), all.slice(4));
});

test("replicas stand in different racks as far as there are racks", () => {
  for (const replicas of placeReplicas(hubs(4, ["a", "b"]), 8, 2)) {
    assert.notEqual(replicas[0]! % 2, replicas[1]! % 2, `${replicas}`);
  }
});
