// Groups of the server-side protocol in the engine: kill -9 and restart, sessions, expiry, refusals of the registry.
import assert from "node:assert/strict";
import test from "node:test";
import { openEmbeddedRegistry } from "../../../hub/engine/embedded_registry.ts";
import { type GroupEngine, openGroupEngine } from "../../../hub/engine/groups.ts";
import type { ConsumerPace } from "../../../hub/groups/consumer_group.ts";
import type { HeartbeatReply } from "../../../hub/groups/group.ts";
import type { HeartbeatEvent } from "../../../hub/groups/heartbeating.ts";
import { openRandom } from "../../../hub/io/crypto.ts";
import { limits } from "../../../hub/limits.ts";
import { silentTrace } from "../../../hub/trace.ts";
import { MemoryFacts } from "../../tools/facts.ts";
import { ManualClock } from "../../tools/manual_clock.ts";

const t = { name: "t", topicId: "00000000-0000-4000-8000-00000000000a", partitions: 4, internal: false };

const usual = { heartbeatMs: limits.consumerHeartbeatMs, sessionMs: limits.consumerSessionMs };

class World {
  readonly clock = new ManualClock();
  facts = new MemoryFacts();
  /** Settings of groups by themselves. */
  readonly paces = new Map<string, ConsumerPace>();

  async open(): Promise<GroupEngine> {
    const opening = openGroupEngine({
      registry: openEmbeddedRegistry(this.facts),
      clock: this.clock,
      random: openRandom(),
      trace: silentTrace,
      coordinatorEpoch: 0,
      settings: {
        initialRebalanceDelayMs: 0,
        groupMaxSize: 10,
        offsetsRetentionMs: 60_000,
        consumer: { ofGroup: (group) => this.paces.get(group) ?? usual },
      },
      topics: {
        idOf: (name) => (name === "t" ? t.topicId : undefined),
        nameOf: (id) => (id === t.topicId ? "t" : undefined),
        partitionCount: (name) => (name === "t" ? t.partitions : undefined),
        changes: () => 1,
        topic: (name) => (name === "t" ? t : undefined),
        topics: () => [t],
      },
    });
    await this.clock.advance(0);
    return opening;
  }

  /** kill -9 and start again. */
  restart(): Promise<GroupEngine> {
    this.facts = this.facts.copy();
    return this.open();
  }
}

async function beat(world: World, engine: GroupEngine, event: Partial<HeartbeatEvent>): Promise<HeartbeatReply> {
  const joins = (event.memberEpoch ?? 0) === 0;
  const answering = engine.consumerHeartbeat({
    group: "g",
    memberId: "m",
    memberEpoch: 0,
    instanceId: null,
    rackId: null,
    rebalanceTimeoutMs: joins ? 10_000 : -1,
    topics: joins ? ["t"] : null,
    regex: null,
    assignor: null,
    owned: joins ? new Map() : null,
    clientId: "c",
    clientHost: "/h",
    principal: "User:ann",
    version: 1,
    ...event,
  });
  await world.clock.advance(0);
  return answering;
}

async function commit(engine: GroupEngine, epoch: number): Promise<string | undefined> {
  const partitions = [{ partition: 0, offset: 9, leaderEpoch: -1, metadata: "" }];
  const claim = { memberId: "m", generation: epoch, instanceId: null };
  return (await engine.commit("g", claim, [{ topic: "t", partitions }]))[0]?.partitions[0]?.error;
}

test("group engine, consumer groups: members, epochs, assignments and offsets survive kill -9", async () => {
  const world = new World();
  const engine = await world.open();
  const joined = await beat(world, engine, {});
  assert.deepEqual([joined.error, joined.memberEpoch], ["NONE", 1]);
  assert.equal(await commit(engine, 1), "NONE");
  const other = await beat(world, engine, { memberId: "n" });
  assert.equal(other.memberEpoch, 2);
  const again = await world.restart();
  const told = await beat(world, again, { memberEpoch: 1 });
  assert.deepEqual([told.error, [...(told.assignment?.values() ?? [])].flat().length], ["NONE", 2]);
  const gave = await beat(world, again, { memberEpoch: 1, owned: told.assignment });
  assert.equal(gave.memberEpoch, 2);
  const third = await world.restart();
  assert.equal((await beat(world, third, { memberEpoch: 2 })).assignment, null, "nothing was missed");
  const taken = await beat(world, third, { memberId: "n", memberEpoch: 2 });
  assert.equal([...(taken.assignment?.values() ?? [])].flat().length, 2);
  assert.equal(await commit(third, 1), "STALE_MEMBER_EPOCH");
  assert.equal(await commit(third, 2), "NONE");
  assert.equal(third.describeConsumer("g").found?.state, "Stable");
  assert.equal(third.fetchOffsets("g", [{ topic: "t", partitions: [0] }]).topics[0]?.partitions[0]?.offset, 9);
});

test("group engine, consumer groups: a silent member's session ends; an empty group expires with its offsets", async () => {
  const world = new World();
  const engine = await world.open();
  await beat(world, engine, {});
  await commit(engine, 1);
  await world.clock.advance(limits.consumerSessionMs - 1_000);
  assert.equal((await beat(world, engine, { memberEpoch: 1 })).error, "NONE");
  await world.clock.advance(limits.consumerSessionMs - 1_000);
  assert.equal(engine.describeConsumer("g").found?.members.length, 1);
  await world.clock.advance(2_000);
  assert.equal(engine.describeConsumer("g").found?.state, "Empty");
  assert.equal((await beat(world, engine, { memberEpoch: 1 })).error, "UNKNOWN_MEMBER_ID");
  await world.clock.advance(2 * limits.groupSweepMs + 60_000);
  assert.deepEqual(engine.list([]).groups, []);
  const fresh = await world.restart();
  assert.deepEqual(fresh.list([]).groups, []);
});

test("group engine, consumer groups: a group's own session timeout ends a silent member, from its next heartbeat on", async () => {
  const world = new World();
  const engine = await world.open();
  assert.equal((await beat(world, engine, {})).heartbeatMs, limits.consumerHeartbeatMs);
  await beat(world, engine, { group: "other" });
  await world.clock.advance(1_000);
  world.paces.set("g", { heartbeatMs: 1_000, sessionMs: 3_000 });
  assert.equal((await beat(world, engine, { memberEpoch: 1 })).heartbeatMs, 1_000);
  await world.clock.advance(2_900);
  assert.equal(engine.describeConsumer("g").found?.members.length, 1);
  await world.clock.advance(200);
  assert.equal(engine.describeConsumer("g").found?.members.length, 0);
  assert.equal(engine.describeConsumer("other").found?.members.length, 1, "of other groups nothing changed");
  assert.equal((await beat(world, engine, { memberEpoch: 1 })).error, "UNKNOWN_MEMBER_ID");
});

test("group engine, consumer groups: a group with members never expires, however long it commits nothing", async () => {
  const world = new World();
  const engine = await world.open();
  await beat(world, engine, {});
  for (let i = 0; i < 80; i += 1) {
    await world.clock.advance(30_000);
    assert.equal((await beat(world, engine, { memberEpoch: 1 })).error, "NONE");
  }
  assert.equal(engine.list([]).groups.length, 1);
});

test("group engine, consumer groups: a registry that fails is COORDINATOR_NOT_AVAILABLE, later heartbeats mend it", async () => {
  const world = new World();
  const engine = await world.open();
  world.facts.full = true;
  assert.equal((await beat(world, engine, {})).error, "COORDINATOR_NOT_AVAILABLE");
  world.facts.full = false;
  assert.equal((await beat(world, engine, {})).error, "NONE");
  const again = await world.restart();
  assert.equal((await beat(world, again, { memberEpoch: 1 })).error, "NONE");
});

test("group engine, consumer groups: close answers what is parked", async () => {
  const world = new World();
  const engine = await world.open();
  await engine.close();
  assert.equal((await beat(world, engine, {})).error, "COORDINATOR_NOT_AVAILABLE");
  assert.deepEqual(engine.describeConsumer("g"), { error: "COORDINATOR_NOT_AVAILABLE", found: null });
  assert.equal(engine.checkFetch("g", "m", 1), "COORDINATOR_NOT_AVAILABLE");
});
