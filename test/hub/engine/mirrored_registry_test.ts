// The mirrored registry over a real redis-server that is killed, emptied and put back under a committing group.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import test from "node:test";
import { openEmbeddedRegistry } from "../../../hub/engine/embedded_registry.ts";
import { openMirroredRegistry } from "../../../hub/engine/mirrored_registry.ts";
import { openClock } from "../../../hub/io/clock.ts";
import { openRedisRegistry } from "../../../hub/io/redis.ts";
import type { MergeableRegistry, Registry } from "../../../hub/io/registry.ts";
import { limits } from "../../../hub/limits.ts";
import { silentTrace } from "../../../hub/trace.ts";
import { registryConformance } from "../../conformance/registry_conformance.ts";
import { MemoryFacts } from "../../tools/facts.ts";
import { makeRedis, type RedisServer, startRedis } from "../../tools/redis.ts";

const clock = openClock();
const topicId = "00000000-0000-4000-8000-00000000000a";

async function open(
  redis: RedisServer,
  facts: MemoryFacts,
  clusterId = "c",
  mirrorMs = 200,
): Promise<MergeableRegistry> {
  const remote = await openRedisRegistry({ url: redis.url, clusterId, clock, trace: silentTrace });
  const times = { patienceMs: 50, mirrorMs, probeMs: 100 };
  return openMirroredRegistry({ facts, remote, clock, trace: silentTrace, times });
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const isUp = (registry: Registry): Promise<void> => until("up", () => registry.state() === "up");
const isDown = (registry: Registry): Promise<void> => until("down", () => registry.state() === "down");

let server: Promise<RedisServer> | null = null;
let clusters = 0;

for (const reachable of [true, false]) {
  registryConformance(reachable ? "mirrored" : "mirrored, Redis away,", async () => {
    server ??= startRedis({ settings: ["--appendfsync", "no"] });
    const redis = reachable ? await server : await makeRedis();
    clusters += 1;
    const clusterId = `c${clusters}`;
    const facts = new MemoryFacts();
    // Away: only a journal that has met its Redis goes on without it.
    if (!reachable) await facts.put([["groups/redis", new Uint8Array([1])]]);
    const opened: MergeableRegistry[] = [];
    return {
      async open() {
        const registry = await open(redis, facts, clusterId);
        opened.push(registry);
        if (reachable) await isUp(registry);
        return registry;
      },
      async close() {
        for (const registry of opened) await registry.close();
        if (!reachable) await redis.remove();
      },
    };
  });
}

test("mirrored registry: the server of the suite is stopped", async () => {
  await (await server)?.remove();
});

/** A group of generation 1 that commits, one offset higher each time, and counts what was acknowledged. */
class Committer {
  readonly registry: Registry;
  readonly epoch: number;
  #sequence = 0;
  acknowledged = 0;

  constructor(registry: Registry, epoch: number) {
    this.registry = registry;
    this.epoch = epoch;
  }

  async begin(): Promise<void> {
    const { epoch: coordinatorEpoch } = this;
    const record = new Uint8Array([1]);
    this.#sequence += 1;
    const stored = { group: "g", coordinatorEpoch, sequence: this.#sequence, generation: 1, record };
    assert.equal(await this.registry.storeGroup(stored), "stored");
  }

  async commit(): Promise<void> {
    const offset = this.acknowledged + 1;
    this.#sequence += 1;
    const fence = { group: "g", coordinatorEpoch: this.epoch, generation: 1, sequence: this.#sequence };
    const committed = { topicId, topic: "t", partition: 0, offset, leaderEpoch: 0, metadata: "", committedAt: 0 };
    assert.equal(await this.registry.commitOffsets(fence, [committed]), "stored");
    this.acknowledged = offset;
  }

  async commitUntil(what: string, holds: () => boolean): Promise<void> {
    await until(what, async () => {
      await this.commit();
      return holds();
    });
  }
}

/** The offset of partition 0. */
async function offsetIn(registry: Registry): Promise<number> {
  const image = (await registry.loadGroups()).find(({ group }) => group === "g");
  return image?.offsets[0]?.value?.offset ?? -1;
}

/** What Redis itself holds. */
async function offsetInRedis(redis: RedisServer): Promise<number> {
  const remote = await openRedisRegistry({ url: redis.url, clusterId: "c", clock, trace: silentTrace });
  try {
    return await offsetIn(remote);
  } finally {
    await remote.close();
  }
}

test("mirrored registry: kill -9 of Redis and back under a committing group; no commit fails or is lost", async () => {
  const redis = await startRedis();
  const facts = new MemoryFacts();
  const registry = await open(redis, facts);
  try {
    await isUp(registry);
    const group = new Committer(registry, await registry.beginEpoch(0));
    await group.begin();
    for (let round = 0; round < 3; round += 1) {
      for (let i = 0; i < 50; i += 1) await group.commit();
      const killed = redis.kill();
      await group.commitUntil("down", () => registry.state() === "down");
      await killed;
      for (let i = 0; i < 20; i += 1) await group.commit();
      // Killed with Redis away: the journal alone has it all.
      assert.equal(await offsetIn(openEmbeddedRegistry(facts.copy())), group.acknowledged);
      await redis.start();
      await group.commitUntil("up", () => registry.state() === "up");
      await group.commit();
    }
    await until("Redis has it all", async () => (await offsetInRedis(redis)) === group.acknowledged);
  } finally {
    await registry.close();
    await redis.remove();
  }
});

test("mirrored registry: FLUSHALL is noticed, and Redis is filled again from the journal", async () => {
  const redis = await startRedis();
  const registry = await open(redis, new MemoryFacts());
  try {
    await isUp(registry);
    const group = new Committer(registry, await registry.beginEpoch(0));
    await group.begin();
    for (let i = 0; i < 10; i += 1) await group.commit();
    // By the next commit, which Redis refuses for want of the generation ...
    await redis.command("FLUSHALL");
    await group.commit();
    await until("Redis has it all", async () => (await offsetInRedis(redis)) === group.acknowledged);
    // ... and without one, by the probe.
    await redis.command("FLUSHALL");
    await until("Redis has it all", async () => (await offsetInRedis(redis)) === group.acknowledged);
    await group.commit();
    assert.equal(await offsetIn(registry), group.acknowledged);
  } finally {
    await registry.close();
    await redis.remove();
  }
});

test("mirrored registry: Redis put back to an older dump; nothing is lost, nothing jumps ahead", async () => {
  const redis = await startRedis();
  const facts = new MemoryFacts();
  const registry = await open(redis, facts);
  let copy = "";
  try {
    await isUp(registry);
    const group = new Committer(registry, await registry.beginEpoch(0));
    await group.begin();
    for (let i = 0; i < 10; i += 1) await group.commit();
    copy = redis.save();
    for (let i = 0; i < 10; i += 1) await group.commit();
    await redis.kill();
    await isDown(registry);
    redis.restore(copy);
    await redis.start();
    await isUp(registry);
    assert.equal(await offsetInRedis(redis), 20);
    assert.equal(await offsetIn(registry), 20);
    await group.commit();
    assert.equal(await offsetInRedis(redis), 21);

    // The hub restarts over the rolled back Redis: its journal is newer and wins.
    await registry.close();
    await redis.kill();
    redis.restore(copy);
    await redis.start();
    const later = await open(redis, facts);
    try {
      assert.ok((await later.beginEpoch(0)) > group.epoch, "the epoch did not grow");
      assert.equal(await offsetIn(later), 21);
      assert.equal(await offsetInRedis(redis), 21);
    } finally {
      await later.close();
    }
  } finally {
    await registry.close();
    await redis.remove();
    if (copy !== "") rmSync(copy, { recursive: true, force: true });
  }
});

test("mirrored registry: killed before the journal had the last commits, Redis has them", async () => {
  const redis = await startRedis();
  const facts = new MemoryFacts();
  const registry = await open(redis, facts, "c", 60_000);
  let later: MergeableRegistry | null = null;
  try {
    await isUp(registry);
    const group = new Committer(registry, await registry.beginEpoch(0));
    await group.begin();
    for (let i = 0; i < 10; i += 1) await group.commit();
    const left = facts.copy();
    assert.equal(await offsetIn(openEmbeddedRegistry(left)), -1);
    later = await open(redis, left);
    const epoch = await later.beginEpoch(0);
    assert.ok(epoch > group.epoch, "the epoch did not grow");
    assert.equal(await offsetIn(later), 10);
    // What the killed hub still had under way comes too late once its successor has written.
    const next = new Committer(later, epoch);
    next.acknowledged = 10;
    await next.begin();
    await next.commit();
    const late = { group: "g", coordinatorEpoch: group.epoch, generation: 1, sequence: 9_999 };
    const offset = { topicId, topic: "t", partition: 0, offset: 5, leaderEpoch: 0, metadata: "", committedAt: 0 };
    assert.equal(await registry.commitOffsets(late, [offset]), "stale-coordinator");
    assert.equal(await offsetInRedis(redis), 11);
  } finally {
    await registry.close();
    await later?.close();
    await redis.remove();
  }
});

test("mirrored registry: a new disk waits for its Redis, a known one goes on without", async () => {
  const redis = await makeRedis();
  const facts = new MemoryFacts();
  const registry = await open(redis, facts);
  try {
    let begun = -1;
    const beginning = registry.beginEpoch(0).then((epoch) => {
      begun = epoch;
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(begun, -1);
    await redis.start();
    await beginning;
    assert.equal(begun, 0);
    const group = new Committer(registry, begun);
    await group.begin();
    await group.commit();
    await registry.close();
    await redis.kill();

    const without = await open(redis, facts);
    try {
      const epoch = await without.beginEpoch(0);
      assert.ok(epoch > begun, "the epoch did not grow");
      assert.equal(await offsetIn(without), 1);
      const again = new Committer(without, epoch);
      await again.begin();
      for (let i = 0; i < 3; i += 1) await again.commit();
      await redis.start();
      await isUp(without);
      assert.equal(await offsetInRedis(redis), 3);
    } finally {
      await without.close();
    }
  } finally {
    await registry.close();
    await redis.remove();
  }
});

test("mirrored registry: with Redis away and the disk full nothing is acknowledged", async () => {
  const redis = await startRedis();
  const facts = new MemoryFacts();
  const registry = await open(redis, facts);
  try {
    await isUp(registry);
    const group = new Committer(registry, await registry.beginEpoch(0));
    await group.begin();
    await group.commit();
    facts.full = true;
    // Redis alone still takes it.
    await group.commit();
    await redis.kill();
    await isDown(registry);
    await assert.rejects(group.commit(), { kind: "KAFKA_STORAGE_ERROR" });
    facts.full = false;
    await group.commit();
    assert.equal(await offsetIn(openEmbeddedRegistry(facts.copy())), group.acknowledged);
  } finally {
    facts.full = false;
    await registry.close();
    await redis.remove();
  }
});

test("mirrored registry: a hanging Redis costs one time-out, not one a commit, and gets what it missed", async () => {
  const redis = await startRedis();
  const registry = await open(redis, new MemoryFacts());
  try {
    await isUp(registry);
    const group = new Committer(registry, await registry.beginEpoch(0));
    await group.begin();
    await group.commit();
    redis.pause();
    const begun = performance.now();
    for (let i = 0; i < 20; i += 1) await group.commit();
    const took = performance.now() - begun;
    assert.ok(took < 2 * limits.redisCommandMsMax, `20 commits took ${took} ms`);
    redis.resume();
    await until("Redis has it all", async () => (await offsetInRedis(redis)) === group.acknowledged);
    await isUp(registry);
  } finally {
    await registry.close();
    await redis.remove();
  }
});

test("mirrored registry: commits under Redis reach the journal in bundles, not one by one", async () => {
  const redis = await startRedis();
  const facts = new MemoryFacts();
  const registry = await open(redis, facts);
  try {
    await isUp(registry);
    const group = new Committer(registry, await registry.beginEpoch(0));
    await group.begin();
    const before = facts.puts;
    for (let i = 0; i < 200; i += 1) await group.commit();
    await until("mirrored", async () => (await offsetIn(openEmbeddedRegistry(facts.copy()))) === 200);
    assert.ok(facts.puts - before <= 5, `${facts.puts - before} puts`);
  } finally {
    await registry.close();
    await redis.remove();
  }
});
