// The group engine over an embedded registry and a clock the test moves: parks, timers, restarts, expiry, refusals.
import assert from "node:assert/strict";
import test from "node:test";
import { Writer } from "../../../hub/bytes/writer.ts";
import { openEmbeddedRegistry } from "../../../hub/engine/embedded_registry.ts";
import { type GroupEngine, openGroupEngine } from "../../../hub/engine/groups.ts";
import type { JoinReply } from "../../../hub/groups/group.ts";
import { openRandom } from "../../../hub/io/crypto.ts";
import type { Registry } from "../../../hub/io/registry.ts";
import { limits } from "../../../hub/limits.ts";
import { silentTrace } from "../../../hub/trace.ts";
import { encode } from "../../../hub/wire/codec.ts";
import { consumerProtocolSubscription } from "../../../hub/wire/consumer_protocol.ts";
import { MemoryFacts } from "../../tools/facts.ts";
import { ManualClock, settle } from "../../tools/manual_clock.ts";

const topicIds = new Map([
  ["t", "00000000-0000-4000-8000-00000000000a"],
  ["u", "00000000-0000-4000-8000-00000000000b"],
]);
const day = 24 * 60 * 60 * 1000;

class World {
  readonly clock = new ManualClock();
  facts = new MemoryFacts();
  readonly topics = new Map(topicIds);
  registry: Registry = openEmbeddedRegistry(this.facts);

  async open(): Promise<GroupEngine> {
    const opening = openGroupEngine({
      registry: this.registry,
      clock: this.clock,
      random: openRandom(),
      trace: silentTrace,
      coordinatorEpoch: 0,
      settings: { initialRebalanceDelayMs: 3000, groupMaxSize: 100, offsetsRetentionMs: 7 * day },
      topics: {
        idOf: (topic) => this.topics.get(topic),
        nameOf: (topicId) => [...this.topics].find(([, id]) => id === topicId)?.[0],
        partitionCount: (topic) => (this.topics.has(topic) ? 4 : undefined),
        changes: () => this.topics.size,
        topic: (name) => this.all().find((topic) => topic.name === name),
        topics: () => this.all(),
      },
    });
    await this.clock.advance(0);
    return opening;
  }

  all() {
    return [...this.topics].map(([name, topicId]) => ({ name, topicId, partitions: 4, internal: false }));
  }

  /** kill -9 and start again. */
  async restart(): Promise<GroupEngine> {
    this.facts = this.facts.copy();
    this.registry = openEmbeddedRegistry(this.facts);
    return this.open();
  }
}

function subscription(...topics: string[]): Uint8Array {
  const writer = new Writer();
  writer.int16(1);
  encode(consumerProtocolSubscription, 1, { topics, userData: null, ownedPartitions: [] }, writer);
  return writer.join();
}

function join(engine: GroupEngine, memberId = "", instanceId: string | null = null): Promise<JoinReply> {
  return engine.join({
    group: "g",
    memberId,
    instanceId,
    clientId: "c",
    clientHost: "/h",
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: -1,
    protocolType: "consumer",
    protocols: [{ name: "range", metadata: subscription("t") }],
    needsMemberId: false,
    canSkipAssignment: false,
  });
}

function sync(engine: GroupEngine, joined: JoinReply, assignments: [string, string][] = []) {
  return engine.sync({
    group: "g",
    memberId: joined.memberId,
    instanceId: null,
    generation: joined.generation,
    protocolType: null,
    protocolName: null,
    assignments: new Map(assignments.map(([id, text]) => [id, new TextEncoder().encode(text)])),
  });
}

const claimOf = ({ memberId, generation }: JoinReply) => ({ memberId, generation, instanceId: null });
const nobody = { memberId: "", generation: -1, instanceId: null };

async function commit(engine: GroupEngine, claim: typeof nobody, offset: number, topic = "t", metadata = "") {
  const part = { partition: 0, offset, leaderEpoch: 5, metadata };
  const answer = await engine.commit("g", claim, [{ topic, partitions: [part] }]);
  return answer[0]?.partitions[0]?.error;
}

function offsetIn(engine: GroupEngine, topic = "t"): number | undefined {
  return engine.fetchOffsets("g", [{ topic, partitions: [0] }]).topics[0]?.partitions[0]?.offset;
}

/** Two members in a stable generation. */
async function stableGroup(world: World, engine: GroupEngine): Promise<[JoinReply, JoinReply]> {
  const joining = [join(engine), join(engine)] as const;
  await world.clock.advance(6000);
  const joined = await Promise.all(joining);
  const leader = joined.find(({ members }) => members.length > 0)!;
  const other = joined.find(({ members }) => members.length === 0)!;
  const parked = sync(engine, other);
  const synced = await sync(engine, leader, [
    [leader.memberId, "a"],
    [other.memberId, "b"],
  ]);
  assert.equal(synced.error, "NONE");
  assert.equal(new TextDecoder().decode((await parked).assignment), "b");
  return [leader, other];
}

test("group engine: members and offsets survive kill -9; nobody has to rejoin", async () => {
  const world = new World();
  const engine = await world.open();
  const [leader, other] = await stableGroup(world, engine);
  assert.match(leader.memberId, /^c-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);
  assert.equal(await commit(engine, claimOf(leader), 42, "t", "späte Zeit"), "NONE");
  const later = await world.restart();
  assert.equal(later.heartbeat("g", claimOf(leader)), "NONE");
  assert.equal(later.heartbeat("g", claimOf(other)), "NONE");
  assert.deepEqual(later.fetchOffsets("g", null), {
    error: "NONE",
    topics: [
      {
        topic: "t",
        partitions: [{ partition: 0, offset: 42, leaderEpoch: 5, metadata: "späte Zeit", error: "NONE" }],
      },
    ],
  });
  assert.equal(await commit(later, claimOf(other), 43), "NONE");
  assert.equal(offsetIn(await world.restart()), 43);
  // Silent members go by the monotonic clock.
  await world.clock.advance(10_000);
});

test("group engine: a session that ends rebalances the rest, by timer", async () => {
  const world = new World();
  const engine = await world.open();
  const [leader, other] = await stableGroup(world, engine);
  for (let i = 0; i < 3; i += 1) {
    await world.clock.advance(3500);
    engine.heartbeat("g", claimOf(leader));
  }
  assert.equal(engine.heartbeat("g", claimOf(leader)), "REBALANCE_IN_PROGRESS");
  assert.equal(engine.heartbeat("g", claimOf(other)), "UNKNOWN_MEMBER_ID");
  assert.equal(await commit(engine, claimOf(other), 1), "UNKNOWN_MEMBER_ID");
  assert.equal(await commit(engine, claimOf(leader), 1), "NONE");
  const again = await join(engine, leader.memberId);
  assert.deepEqual([again.generation, again.members.length], [leader.generation + 1, 1]);
  assert.equal(await commit(engine, claimOf(leader), 2), "ILLEGAL_GENERATION");
  assert.equal(await commit(engine, nobody, 2), "UNKNOWN_MEMBER_ID");
  assert.equal(offsetIn(engine), 1);
  await engine.close();
});

test("group engine: commits are refused partition by partition", async () => {
  const world = new World();
  const engine = await world.open();
  const part = (partition: number, offset: number, metadata = "") => ({ partition, offset, metadata, leaderEpoch: -1 });
  const answer = await engine.commit("g", nobody, [
    { topic: "t", partitions: [part(0, 1), part(4, 1), part(1, -5), part(2, 1, "ü".repeat(2049))] },
    { topic: "nope", partitions: [part(0, 1)] },
  ]);
  assert.deepEqual(
    answer.map(({ partitions }) => partitions.map(({ error }) => error)),
    [
      ["NONE", "UNKNOWN_TOPIC_OR_PARTITION", "INVALID_REQUEST", "OFFSET_METADATA_TOO_LARGE"],
      ["UNKNOWN_TOPIC_OR_PARTITION"],
    ],
  );
  assert.equal(await commit(engine, nobody, 7, "t", "ü".repeat(2048)), "NONE");
  const missing = engine.fetchOffsets("g", [
    { topic: "t", partitions: [3] },
    { topic: "nope", partitions: [0] },
  ]);
  assert.deepEqual(
    missing.topics.map(({ partitions }) => partitions[0]?.offset),
    [-1, -1],
  );
  assert.deepEqual(engine.fetchOffsets("unknown", null), { error: "NONE", topics: [] });
  await engine.close();
});

test("group engine: what the registry cannot store is not acknowledged and not visible", async () => {
  const world = new World();
  const engine = await world.open();
  assert.equal(await commit(engine, nobody, 1), "NONE");
  world.facts.full = true;
  assert.equal(await commit(engine, nobody, 2), "COORDINATOR_NOT_AVAILABLE");
  assert.equal(offsetIn(engine), 1);
  assert.equal(await engine.delete("g"), "COORDINATOR_NOT_AVAILABLE");
  const joining = join(engine);
  await world.clock.advance(3000);
  const joined = await joining;
  assert.equal((await sync(engine, joined)).error, "COORDINATOR_NOT_AVAILABLE");
  world.facts.full = false;
  const again = await join(engine, joined.memberId);
  assert.equal((await sync(engine, again)).error, "NONE");
  assert.equal(await commit(engine, claimOf(again), 3), "NONE");
  assert.equal(offsetIn(await world.restart()), 3);
});

test("group engine: a commit is visible when it is durable, and late answers do not undo newer ones", async () => {
  const world = new World();
  const engine = await world.open();
  let open = () => {};
  world.facts.gate = new Promise((resolve) => {
    open = resolve;
  });
  const first = commit(engine, nobody, 1);
  const second = commit(engine, nobody, 2);
  await settle();
  assert.equal(offsetIn(engine), -1);
  open();
  assert.deepEqual(await Promise.all([first, second]), ["NONE", "NONE"]);
  assert.equal(offsetIn(engine), 2);
  await engine.close();
});

test("group engine: until its groups are loaded it says so, and others are not kept waiting for long", async () => {
  const world = new World();
  let load = () => {};
  const gate = new Promise<void>((resolve) => {
    load = resolve;
  });
  const { registry } = world;
  const beginEpoch = (atLeast: number) => gate.then(() => registry.beginEpoch(atLeast));
  world.registry = new Proxy(registry, {
    get: (target, name) => {
      if (name === "beginEpoch") return beginEpoch;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const opening = world.open();
  await world.clock.advance(limits.groupLoadWaitMsMax);
  const engine = await opening;
  const loading = "COORDINATOR_LOAD_IN_PROGRESS";
  assert.equal((await join(engine)).error, loading);
  assert.equal(
    (
      await engine.sync({
        ...claimOf({ memberId: "", generation: 1 } as JoinReply),
        group: "g",
        protocolType: null,
        protocolName: null,
        assignments: new Map(),
      })
    ).error,
    loading,
  );
  assert.equal(engine.heartbeat("g", nobody), loading);
  assert.equal(engine.leave("g", [{ memberId: "x", instanceId: null }]).error, loading);
  assert.equal(await commit(engine, nobody, 1), loading);
  assert.equal(engine.fetchOffsets("g", null).error, loading);
  assert.equal(engine.list([]).error, loading);
  assert.equal(engine.describe("g").error, loading);
  assert.equal(await engine.delete("g"), loading);
  assert.equal((await engine.deleteOffsets("g", [])).error, loading);
  load();
  await engine.loaded;
  assert.equal(await commit(engine, nobody, 1), "NONE");
  await engine.close();
});

test("group engine: offsets expire after seven days of observed empty time, restarts included", async () => {
  const world = new World();
  let engine = await world.open();
  await commit(engine, nobody, 1);
  await world.clock.advance(6 * day);
  engine = await world.restart();
  assert.equal(offsetIn(engine), 1);
  // A commit is a sign of use; the count begins anew.
  assert.equal(await commit(engine, nobody, 2), "NONE");
  await world.clock.advance(6 * day);
  await engine.close();
  engine = await world.restart();
  await world.clock.advance(day - 2 * 60 * 60 * 1000);
  assert.equal(offsetIn(engine), 2);
  await world.clock.advance(3 * 60 * 60 * 1000);
  assert.equal(offsetIn(engine), -1);
  assert.equal(engine.list([]).groups.length, 0);
  assert.equal(offsetIn(await world.restart()), -1);
  assert.ok(world.facts.puts < 10, `${world.facts.puts} puts`);
});

test("group engine: a group with members expires nothing", async () => {
  const world = new World();
  const engine = await world.open();
  const [leader] = await stableGroup(world, engine);
  await commit(engine, claimOf(leader), 1, "u");
  for (let i = 0; i < 20; i += 1) {
    await world.clock.advance(9000);
    engine.heartbeat("g", claimOf(leader));
  }
  assert.equal(offsetIn(engine, "u"), 1);
  await engine.close();
});

test("group engine: groups are deleted when empty, offsets when nobody subscribes to their topic", async () => {
  const world = new World();
  const engine = await world.open();
  const [leader, other] = await stableGroup(world, engine);
  await commit(engine, claimOf(leader), 1, "t");
  await commit(engine, claimOf(leader), 2, "u");
  assert.equal(await engine.delete("g"), "NON_EMPTY_GROUP");
  assert.equal(await engine.delete("h"), "GROUP_ID_NOT_FOUND");
  assert.equal(await engine.delete(""), "INVALID_GROUP_ID");
  const asked = [
    { topic: "t", partitions: [0] },
    { topic: "u", partitions: [0] },
    { topic: "x", partitions: [0] },
  ];
  const deleted = await engine.deleteOffsets("g", asked);
  assert.deepEqual(
    deleted.topics.map(({ partitions }) => partitions[0]?.error),
    ["GROUP_SUBSCRIBED_TO_TOPIC", "NONE", "UNKNOWN_TOPIC_OR_PARTITION"],
  );
  assert.deepEqual([offsetIn(engine, "t"), offsetIn(engine, "u")], [1, -1]);
  assert.equal((await engine.deleteOffsets("h", asked)).error, "GROUP_ID_NOT_FOUND");
  const leaving = [leader, other].map(({ memberId }) => ({ memberId, instanceId: null }));
  assert.deepEqual(engine.leave("g", leaving).errors, ["NONE", "NONE"]);
  assert.equal(await engine.delete("g"), "NONE");
  assert.equal(offsetIn(await world.restart(), "t"), -1);
});

test("group engine: a deleted topic takes its offsets along; a new one of that name starts without", async () => {
  const world = new World();
  const engine = await world.open();
  await commit(engine, nobody, 9, "t");
  await commit(engine, nobody, 8, "u");
  const old = world.topics.get("t") ?? "";
  world.topics.set("t", "00000000-0000-4000-8000-00000000000c");
  assert.equal(offsetIn(engine, "t"), -1);
  await engine.topicDeleted(old);
  const later = await world.restart();
  assert.deepEqual([offsetIn(later, "t"), offsetIn(later, "u")], [-1, 8]);
  assert.equal(later.fetchOffsets("g", null).topics.length, 1);
  assert.equal([...world.facts.entries("groups/o/g/")].filter(([, value]) => value.length > 12).length, 1);
});

test("group engine: close answers what is parked, waits for what is stored, and leaves no timer", async () => {
  const world = new World();
  const engine = await world.open();
  const joining = join(engine);
  await settle();
  await engine.close();
  assert.equal((await joining).error, "COORDINATOR_NOT_AVAILABLE");
  assert.equal((await join(engine)).error, "COORDINATOR_NOT_AVAILABLE");
  assert.equal(world.clock.waiting, 0);
  await engine.close();
});

test("group engine: an unreadable record costs the members their places, not the group its offsets", async () => {
  const world = new World();
  const engine = await world.open();
  const [leader] = await stableGroup(world, engine);
  await commit(engine, claimOf(leader), 5);
  const stored = world.facts.get("groups/m/g")!;
  const damaged = stored.slice();
  damaged[damaged.indexOf(10) + 1] = 99;
  await world.facts.put([["groups/m/g", damaged]]);
  const later = await world.restart();
  assert.equal(later.heartbeat("g", claimOf(leader)), "UNKNOWN_MEMBER_ID");
  assert.equal(offsetIn(later), 5);
  const joining = join(later);
  await world.clock.advance(3000);
  assert.equal((await sync(later, await joining)).error, "NONE");
});

test("group engine: started on a full disk it says that it is loading, and serves once there is room", async () => {
  const world = new World();
  world.facts.full = true;
  const opening = world.open();
  await world.clock.advance(limits.groupLoadWaitMsMax);
  const engine = await opening;
  assert.equal(await commit(engine, nobody, 1), "COORDINATOR_LOAD_IN_PROGRESS");
  world.facts.full = false;
  await world.clock.advance(limits.diskRetryMs);
  await engine.loaded;
  assert.equal(await commit(engine, nobody, 1), "NONE");
  await engine.close();

  const never = new World();
  never.facts.full = true;
  const closing = never.open();
  await never.clock.advance(limits.groupLoadWaitMsMax);
  const closed = await closing;
  await closed.close();
  await closed.loaded;
  assert.equal(never.clock.waiting, 0);
});
