// What a hub knows of its cluster, against what stands in Redis: who of the two knows more, and what comes of both.
import assert from "node:assert/strict";
import test from "node:test";
import { ClusterMemory } from "../../../hub/engine/cluster_memory.ts";
import type { MetaEntry, PartitionEntry, Poll } from "../../../hub/io/coordination.ts";
import { MemoryFacts } from "../../tools/facts.ts";

const inc = { clusterId: "c", incarnation: 1, runId: "r", formatVersion: 1, state: "normal" } as const;

function hub(hubId: number, bootSeq: number) {
  return { hubId, dirId: `d${hubId}`, bootSeq, host: "h", port: 1, rack: null, version: "0" };
}

function partition(leaderEpoch: number, ver: number, leader: number): PartitionEntry {
  const state = JSON.stringify({ leader, leaderEpoch, isr: [], learners: [] });
  return { topicId: "t", partition: 0, ver, leaderEpoch, state, seq: 1 };
}

function meta(version: number, committed: boolean): MetaEntry {
  return { key: "k", version, committed, value: "v", seq: 1 };
}

function poll(changes: Partial<NonNullable<Poll["changes"]>>, incarnation = 1): Poll {
  const all = { hubs: [hub(1, 5)], meta: [meta(2, true)], partitions: [partition(65, 4, 2)], ...changes };
  const ctl = { hubId: 1, ctlEpoch: 1 };
  return { inc: { ...inc, incarnation }, seq: 17, ctl, changes: all, runId: "r", mark: "op", known: true };
}

async function knowing(what: Poll): Promise<ClusterMemory> {
  const memory = new ClusterMemory(new MemoryFacts(), { meta() {}, partition() {}, changed() {} });
  await memory.apply(what);
  return memory;
}

test("a hub is ahead of a Redis that lost anything, though it counts as far", async () => {
  const memory = await knowing(poll({}));
  assert.equal(memory.mark, "op");
  const isAhead = (changes: Parameters<typeof poll>[0], incarnation = 1) =>
    memory.isAheadOf(poll(changes, incarnation));
  assert.equal(isAhead({}), false, "the same");
  const newer = { hubs: [hub(1, 6), hub(2, 1)], meta: [meta(3, false)], partitions: [partition(66, 1, 3)] };
  assert.equal(isAhead(newer), false, "Redis knows more");
  assert.equal(isAhead({ hubs: [] }), true, "a registration is lost");
  assert.equal(isAhead({ hubs: [hub(1, 4)] }), true, "a later start of a hub is lost");
  assert.equal(isAhead({ meta: [] }), true, "an entry is lost");
  assert.equal(isAhead({ meta: [meta(1, true)] }), true, "a change of an entry is lost");
  assert.equal(isAhead({ meta: [meta(2, false)] }), true, "that it is committed is lost");
  assert.equal(isAhead({ partitions: [] }), true, "a partition is lost");
  assert.equal(isAhead({ partitions: [partition(64, 9, 1)] }), true, "an election is lost");
  assert.equal(isAhead({ partitions: [partition(65, 3, 2)] }), true, "a change in an epoch is lost");
  assert.equal(isAhead({ hubs: [] }, 2), false, "somebody put it right meanwhile");
});

test("of one epoch the higher version stands in the merged image, whoever has it", async () => {
  const merged = async (mine: PartitionEntry, theirs: PartitionEntry) => {
    const memory = await knowing(poll({ partitions: [mine] }));
    const image = { ...poll({ partitions: [theirs] }).changes!, inc, seq: 17, ctl: { hubId: 1, ctlEpoch: 1 } };
    return memory.merged(image, "c").partitions.map(({ leaderEpoch, ver }) => [leaderEpoch, ver]);
  };
  // a leader that was started anew said in version 5 that it leads no more
  assert.deepEqual(await merged(partition(66, 4, 2), partition(66, 5, -1)), [[66, 5]]);
  assert.deepEqual(await merged(partition(66, 5, -1), partition(66, 4, 2)), [[66, 5]]);
  assert.deepEqual(await merged(partition(67, 1, 3), partition(66, 9, 2)), [[67, 1]]);
});
