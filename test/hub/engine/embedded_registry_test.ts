// The embedded registry: the conformance suite, and what a full disk does to it.
import assert from "node:assert/strict";
import test from "node:test";
import { openEmbeddedRegistry } from "../../../hub/engine/embedded_registry.ts";
import { limits } from "../../../hub/limits.ts";
import { registryConformance } from "../../conformance/registry_conformance.ts";
import { MemoryFacts } from "../../tools/facts.ts";

registryConformance("embedded", async () => {
  const facts = new MemoryFacts();
  return { open: async () => openEmbeddedRegistry(facts), close: async () => {} };
});

const topicId = "00000000-0000-4000-8000-00000000000a";
const offset = { topicId, topic: "t", partition: 0, offset: 1, leaderEpoch: 0, metadata: "", committedAt: 0 };
const fence = { group: "g", coordinatorEpoch: 1, generation: -1, sequence: 1 };

test("embedded registry: a commit is one put of one fact a partition", async () => {
  const facts = new MemoryFacts();
  const registry = openEmbeddedRegistry(facts);
  await registry.commitOffsets(fence, [offset, { ...offset, partition: 1 }]);
  assert.equal(facts.puts, 1);
  assert.equal([...facts.entries("groups/")].length, 2);
  const sizes = [...facts.entries("groups/")].map(([, value]) => value.length);
  assert.ok(Math.max(...sizes) < 100, `facts of ${sizes.join(", ")} bytes`);
});

test("embedded registry: what a full disk refused is not there, and the same commit works later", async () => {
  const facts = new MemoryFacts();
  const registry = openEmbeddedRegistry(facts);
  await registry.commitOffsets(fence, [offset]);
  facts.full = true;
  const refused = { code: 56 };
  await assert.rejects(registry.commitOffsets({ ...fence, sequence: 2 }, [{ ...offset, offset: 2 }]), refused);
  await assert.rejects(registry.deleteGroup({ ...fence, sequence: 3 }), refused);
  const record = new Uint8Array(3);
  await assert.rejects(
    registry.storeGroup({ group: "g", coordinatorEpoch: 1, sequence: 4, generation: 1, record }),
    refused,
  );
  facts.full = false;
  assert.deepEqual(
    (await registry.loadGroups())[0]?.offsets.map(({ value }) => value?.offset),
    [1],
  );
  assert.equal(await registry.commitOffsets({ ...fence, sequence: 2 }, [{ ...offset, offset: 2 }]), "stored");
  assert.deepEqual(
    (await registry.loadGroups())[0]?.offsets.map(({ value }) => value?.offset),
    [2],
  );
});

test("embedded registry: deletions are remembered up to their bounds, the oldest go first", async () => {
  const facts = new MemoryFacts();
  const forgotten: string[] = [];
  const registry = openEmbeddedRegistry(facts, (group) => forgotten.push(group));
  const max = limits.groupTombstonesMax;
  for (let i = 0; i < max + 2; i += 1) {
    await registry.deleteGroup({ ...fence, group: `g${i}`, sequence: i + 1 });
  }
  assert.deepEqual(forgotten, ["g0", "g1"]);
  assert.equal([...facts.entries("groups/")].length, max);
  const partitions = Array.from({ length: limits.offsetTombstonesMax }, (_, partition) => ({ topicId, partition }));
  await registry.deleteOffsets({ ...fence, sequence: 1 }, [{ topicId, partition: 99_999 }]);
  await registry.deleteOffsets({ ...fence, sequence: 2 }, partitions);
  const again = openEmbeddedRegistry(facts);
  const image = (await again.loadGroups()).find(({ group }) => group === "g");
  assert.equal(image?.offsets.length, limits.offsetTombstonesMax);
  assert.equal(
    image?.offsets.some(({ partition }) => partition === 99_999),
    false,
  );
});
