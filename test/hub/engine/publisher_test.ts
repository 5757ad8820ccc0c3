// How a hub tells what its partitions became: again after a conflict, and not without end where nothing can come of it.
import assert from "node:assert/strict";
import test from "node:test";
import type { PublishedState } from "../../../hub/cluster/types.ts";
import { ClusterMemory } from "../../../hub/engine/cluster_memory.ts";
import { Mending } from "../../../hub/engine/mending.ts";
import { Publisher } from "../../../hub/engine/publisher.ts";
import type { Pulse } from "../../../hub/engine/pulse.ts";
import type { Coordination, PartitionEntry, Poll } from "../../../hub/io/coordination.ts";
import { limits } from "../../../hub/limits.ts";
import { silentTrace } from "../../../hub/trace.ts";
import { seeded, SimClock, simRandom } from "../../sim/clock.ts";
import { MemoryFacts } from "../../tools/facts.ts";

function stateOf(leader: number, leaderEpoch: number): PublishedState {
  const old = { members: ["1:a", "2:b"], m: 1 };
  return { leader, leaderEpoch, isr: [], config: { id: { epoch: 1, n: 0 }, old, next: null }, learners: [] };
}

function entry(ver: number, state: PublishedState): PartitionEntry {
  const { leaderEpoch } = state;
  return { topicId: "t", partition: 0, ver, leaderEpoch, state: JSON.stringify(state), seq: 1 };
}

/** A Redis that has one partition, and a hub that knows of it what it heard before. */
async function stage(heard: PartitionEntry, stands: PartitionEntry) {
  const there = { entry: stands, calls: 0, opId: "" };
  const inc = { clusterId: "c", incarnation: 1, runId: "r", formatVersion: 1, state: "normal" } as const;
  const poll = (partitions: PartitionEntry[]): Poll => {
    const changes = { hubs: [], meta: [], partitions };
    return { inc, seq: 9, ctl: { hubId: 1, ctlEpoch: 1 }, changes, runId: "r", mark: "", known: true };
  };
  const coordination = {
    state: () => "up",
    poll: () => Promise.resolve(poll([there.entry])),
    casPartitions: (
      { opId }: { opId: string },
      asked: readonly { expectedVer: number; state: string; leaderEpoch: number }[],
    ) => {
      there.calls += 1;
      there.opId = opId;
      const { expectedVer, state, leaderEpoch } = asked[0]!;
      if (expectedVer !== there.entry.ver) return Promise.resolve([{ kind: "conflict", entry: there.entry }]);
      there.entry = { ...there.entry, ver: expectedVer + 1, leaderEpoch, state };
      return Promise.resolve([{ kind: "stored", entry: there.entry }]);
    },
    assertPartitions: (_change: unknown, asked: readonly PartitionEntry[]) => {
      for (const one of asked) if (one.ver > there.entry.ver) there.entry = { ...there.entry, ...one };
      return Promise.resolve([there.entry]);
    },
  } as unknown as Coordination;
  const clock = new SimClock();
  const memory = new ClusterMemory(new MemoryFacts(), { meta() {}, partition() {}, changed() {} });
  await memory.apply(poll([heard]));
  const common = { coordination, memory, clock, random: simRandom(seeded(1)), trace: silentTrace };
  return { there, clock, memory, common, publisher: new Publisher(common) };
}

test("another version stands there: it is told on top of that at once", async () => {
  const { there, clock, memory, publisher } = await stage(entry(3, stateOf(1, 66)), entry(5, stateOf(-1, 66)));
  const state = stateOf(2, 67);
  publisher.publish("t", 0, { state, isClaim: false, revised: () => state, stored: () => {} });
  await clock.advance(1);
  assert.deepEqual([there.calls, there.entry.ver, there.entry.leaderEpoch], [2, 6, 67]);
  assert.equal(memory.mark, there.opId, "the next poll asks whether this change is remembered");
});

test("an older version stands there: it is asked again after a while, until Redis is mended", async () => {
  const { there, clock, common, publisher } = await stage(entry(5, stateOf(-1, 66)), entry(3, stateOf(1, 66)));
  const state = stateOf(2, 67);
  publisher.publish("t", 0, { state, isClaim: false, revised: () => state, stored: () => {} });
  await clock.advance(limits.publishRetryMs / 2);
  assert.equal(there.calls, 1, "not again and again without time passing");
  const me = { hubId: 1, dirId: "a", bootSeq: 1, host: "h", port: 1, rack: null, version: "0" };
  const mending = new Mending({ ...common, pulse: {} as Pulse, me, clusterId: () => "c", led: () => [] });
  await mending.reassert();
  assert.equal(there.entry.ver, 5, "what this hub heard last of another's partition stands there again");
  await clock.advance(limits.publishRetryMs);
  assert.deepEqual([there.entry.ver, there.entry.leaderEpoch], [6, 67]);
});
