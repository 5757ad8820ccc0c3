// Sentinel and Cluster: registry and coordination go on after a failover, and every master must be fit for use.
import assert from "node:assert/strict";
import test from "node:test";
import { openClock } from "../../../hub/io/clock.ts";
import type { Coordination } from "../../../hub/io/coordination.ts";
import { openRedisRegistry } from "../../../hub/io/redis.ts";
import { openRedisCoordination } from "../../../hub/io/redis_coordination.ts";
import type { MergeableRegistry, RemoteRegistry } from "../../../hub/io/registry.ts";
import { silentTrace } from "../../../hub/trace.ts";
import { registryConformance } from "../../conformance/registry_conformance.ts";
import { type RedisClusterStage, startRedisCluster, startSentinel } from "../../tools/redis_many.ts";

const common = { clock: openClock(), trace: silentTrace };
const registryAt = (url: string, clusterId = "c"): Promise<RemoteRegistry> => {
  return openRedisRegistry({ ...common, url, clusterId });
};
const coordinationAt = (url: string): Promise<Coordination> => {
  return openRedisCoordination({ ...common, url, clusterName: "t" });
};

const topicId = "00000000-0000-4000-8000-00000000000a";
const offset = { topicId, topic: "t", partition: 0, offset: 1, leaderEpoch: 0, metadata: "", committedAt: 0 };
const fence = { group: "g", coordinatorEpoch: 1, generation: -1, sequence: 1 };
const hub = { hubId: 1, dirId: "d", bootSeq: 1, host: "h", port: 1, rack: null, version: "0" };

/** Repeats a call that is refused while nobody can take it. */
async function whenItCan<T>(call: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + 20_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    try {
      return await call();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
  }
}

/** A hub hears its own beat again within 20 s. */
async function hearsItself(one: Coordination): Promise<void> {
  const beat = `b${performance.now()}`;
  const heard = new Promise<void>((resolve) => one.onBeat((text) => text === beat && resolve()));
  const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error("not heard")), 20_000).unref());
  const beating = setInterval(() => void one.publish(beat).catch(() => {}), 50);
  try {
    await Promise.race([heard, late]);
  } finally {
    clearInterval(beating);
  }
}

test("Sentinel: the master is killed, the replica takes its place, and both go on with what was there", async () => {
  const stage = await startSentinel();
  const registry = await registryAt(stage.url);
  const one = await coordinationAt(stage.url);
  try {
    await one.createCluster("A", "op");
    await one.registerHub({ incarnation: 1, opId: "h" }, hub);
    await registry.commitOffsets(fence, [offset]);
    const before = await one.poll(0);
    await hearsItself(one);
    const { killed } = await stage.failover();
    const after = await whenItCan(() => one.poll(0));
    assert.deepEqual(after.changes!.hubs, [hub], "what the replica had got");
    assert.notEqual(after.runId, before.runId, "another server answers, and says so");
    assert.equal(await one.registerHub({ incarnation: 1, opId: "h2" }, hub), "stored");
    const next = { ...fence, sequence: 2 };
    assert.equal(await whenItCan(() => registry.commitOffsets(next, [{ ...offset, offset: 2 }])), "stored");
    await hearsItself(one);
    // The old master comes back as it was; the Sentinels make it a replica, and nobody writes to it.
    await killed.start();
    await stage.whole();
    const image = (await whenItCan(() => registry.loadGroups()))[0];
    assert.deepEqual(
      image?.offsets.map(({ value }) => value?.offset),
      [2],
    );
  } finally {
    await registry.close();
    await one.close();
    await stage.remove();
  }
});

test("Sentinel: a master that hangs keeps its connections, and is left for the new one all the same", async () => {
  const stage = await startSentinel();
  const one = await coordinationAt(stage.url);
  try {
    await one.createCluster("A", "op");
    const before = await one.poll(0);
    const hung = await stage.master();
    hung.pause();
    const after = await whenItCan(async () => {
      const poll = await one.poll(0);
      assert.notEqual(poll.runId, before.runId);
      return poll;
    });
    assert.equal(after.inc?.clusterId, "A");
    hung.resume();
  } finally {
    await one.close();
    await stage.remove();
  }
});

test("Sentinel: eviction on the actual master is refused, on a replica it is not asked", async () => {
  const stage = await startSentinel();
  try {
    const master = await stage.master();
    const replica = stage.servers.find((server) => server !== master)!;
    await replica.command("CONFIG SET maxmemory-policy allkeys-lru");
    await (await registryAt(stage.url)).close();
    await master.command("CONFIG SET maxmemory-policy allkeys-lru");
    for (const open of [registryAt, coordinationAt]) await assert.rejects(open(stage.url), /maxmemory-policy/);
  } finally {
    await stage.remove();
  }
});

/** One Cluster for the suite; each case has keys of its own, spread over the masters. */
let shared: Promise<RedisClusterStage> | null = null;
let clusters = 0;

registryConformance("redis cluster", async () => {
  shared ??= startRedisCluster();
  const { url } = await shared;
  clusters += 1;
  const clusterId = `c${clusters}`;
  const opened: MergeableRegistry[] = [];
  return {
    async open() {
      const registry = await registryAt(url, clusterId);
      opened.push(registry);
      return registry;
    },
    async close() {
      for (const registry of opened) await registry.close();
    },
  };
});

test("Cluster: coordination in one slot, groups spread; any master that may evict is refused", async () => {
  const stage = await (shared ??= startRedisCluster());
  const one = await coordinationAt(stage.url);
  const registry = await registryAt(stage.url, "spread");
  try {
    await one.createCluster("A", "op");
    await one.acquireController({ incarnation: 1, opId: "c" }, 1, 0);
    await one.putMeta({ incarnation: 1, opId: "m" }, 1, [{ key: "k", expectedVersion: 0, value: "v" }]);
    await hearsItself(one);
    assert.equal((await one.image()).meta[0]?.value, "v");
    for (let i = 0; i < 20; i++) await registry.commitOffsets({ ...fence, group: `g${i}` }, [offset]);
    assert.equal((await registry.loadGroups()).length, 20);
    for (const master of stage.masters) assert.notEqual(await master.command("DBSIZE"), ":0", "each holds some");
    for (const master of stage.masters) {
      await master.command("CONFIG SET maxmemory-policy volatile-ttl");
      for (const open of [registryAt, coordinationAt]) await assert.rejects(open(stage.url), /maxmemory-policy/);
      await master.command("CONFIG SET maxmemory-policy noeviction");
    }
  } finally {
    await one.close();
    await registry.close();
    await stage.remove();
  }
});

test("Cluster: each master is killed in turn and its replica takes the slots: down, then up as another one", async () => {
  const stage = await startRedisCluster({ replicas: true });
  const one = await coordinationAt(stage.url);
  const registry = await registryAt(stage.url);
  try {
    await one.createCluster("A", "op");
    for (const [i, master] of stage.masters.entries()) {
      const { runId } = await one.poll(0);
      const seen: boolean[] = [];
      registry.watch((up) => seen.push(up));
      await master.kill();
      await whenItCan(() => one.registerHub({ incarnation: 1, opId: `h${i}` }, hub));
      const groups = Array.from({ length: 12 }, (_, n) => `g${n}`);
      const next = { ...fence, sequence: i + 1 };
      for (const group of groups) await whenItCan(() => registry.commitOffsets({ ...next, group }, [offset]));
      assert.equal((await whenItCan(() => registry.loadGroups())).length, groups.length);
      assert.notEqual((await whenItCan(() => one.poll(0))).runId, runId);
      assert.ok(seen.includes(false) && seen.at(-1) === true, `told: ${seen.join()}`);
      await hearsItself(one);
      await master.start();
      await stage.whole();
    }
  } finally {
    await one.close();
    await registry.close();
    await stage.remove();
  }
});
