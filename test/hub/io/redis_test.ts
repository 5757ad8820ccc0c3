// The Redis registry over a real redis-server: the conformance suite, and what it does when Redis is not fit or there.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import test from "node:test";
import { openClock } from "../../../hub/io/clock.ts";
import { openRedisRegistry } from "../../../hub/io/redis.ts";
import type { MergeableRegistry, RemoteRegistry } from "../../../hub/io/registry.ts";
import { silentTrace } from "../../../hub/trace.ts";
import { registryConformance } from "../../conformance/registry_conformance.ts";
import { makeRedis, type RedisServer, startRedis } from "../../tools/redis.ts";

const clock = openClock();
let clusters = 0;

function open(url: string, clusterId: string): Promise<RemoteRegistry> {
  return openRedisRegistry({ url, clusterId, clock, trace: silentTrace });
}

/** One server for the whole suite; each case has keys of its own. */
let server: Promise<RedisServer> | null = null;
let cases = 0;

registryConformance("redis", async () => {
  server ??= startRedis({ settings: ["--appendfsync", "no"] });
  const redis = await server;
  clusters += 1;
  cases += 1;
  const clusterId = `c${clusters}`;
  const opened: MergeableRegistry[] = [];
  return {
    async open() {
      const registry = await open(redis.url, clusterId);
      opened.push(registry);
      return registry;
    },
    async close() {
      for (const registry of opened) await registry.close();
      cases -= 1;
    },
  };
});

test("redis registry: the server of the suite is stopped", async () => {
  assert.equal(cases, 0);
  await (await server)?.remove();
});

const topicId = "00000000-0000-4000-8000-00000000000a";
const offset = { topicId, topic: "t", partition: 0, offset: 1, leaderEpoch: 0, metadata: "", committedAt: 0 };
const fence = { group: "g", coordinatorEpoch: 1, generation: -1, sequence: 1 };

function nextChange(registry: RemoteRegistry): Promise<boolean> {
  return new Promise((resolve) => registry.watch(resolve));
}

test("redis registry: absent at the start it is down at once, refuses at once, and comes up by itself", async () => {
  const redis = await makeRedis();
  const begun = performance.now();
  const registry = await open(redis.url, "c");
  try {
    assert.equal(registry.state(), "down");
    await assert.rejects(registry.commitOffsets(fence, [offset]), { code: 15 });
    assert.ok(performance.now() - begun < 1000, "it waited");
    const up = nextChange(registry);
    await redis.start();
    assert.equal(await up, true);
    assert.equal(await registry.commitOffsets(fence, [offset]), "stored");
    const down = nextChange(registry);
    await redis.kill();
    assert.equal(await down, false);
    await assert.rejects(registry.commitOffsets({ ...fence, sequence: 2 }, [offset]), { code: 15 });
    const again = nextChange(registry);
    await redis.start();
    assert.equal(await again, true);
    // The scripts are gone from the new server: EVALSHA falls back to EVAL.
    assert.equal(await registry.commitOffsets({ ...fence, sequence: 3 }, [{ ...offset, offset: 3 }]), "stored");
    assert.deepEqual(
      (await registry.loadGroups())[0]?.offsets.map(({ value }) => value?.offset),
      [3],
    );
  } finally {
    await registry.close();
    await redis.remove();
  }
});

test("redis registry: an empty Redis in the old one's place is filled so that loading finds it", async () => {
  const redis = await startRedis();
  const registry = await open(redis.url, "c");
  const empty = redis.save();
  try {
    await registry.commitOffsets(fence, [offset]);
    const down = nextChange(registry);
    await redis.kill();
    await down;
    redis.restore(empty);
    const up = nextChange(registry);
    await redis.start();
    assert.equal(await up, true);
    assert.deepEqual(await registry.loadGroups(), []);
    await registry.commitOffsets({ ...fence, sequence: 2 }, [offset]);
    assert.equal((await registry.loadGroups()).length, 1);
  } finally {
    await registry.close();
    await redis.remove();
    rmSync(empty, { recursive: true, force: true });
  }
});

test("redis registry: a Redis that may evict keys is refused with a sentence", async () => {
  const redis = await startRedis({ settings: ["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"] });
  try {
    await assert.rejects(open(redis.url, "c"), {
      kind: "INVALID_CONFIG",
      message: /set its maxmemory-policy to noeviction \(it is allkeys-lru\)/,
    });
  } finally {
    await redis.remove();
  }
});

test("redis registry: a wrong password is one sentence that does not hold it", async () => {
  const guarded = await startRedis();
  try {
    await guarded.command("CONFIG SET requirepass geheim");
    for (const url of [guarded.url, guarded.url.replace("//", "//:falsch@")]) {
      await assert.rejects(open(url, "c"), (error: Error) => {
        assert.match(error.message, /^Redis refuses this hub: (NOAUTH|WRONGPASS)/);
        assert.doesNotMatch(error.message, /geheim|falsch/);
        return true;
      });
    }
    const registry = await open(guarded.url.replace("//", "//:geheim@"), "c");
    assert.equal(registry.state(), "up");
    await registry.close();
  } finally {
    await guarded.remove();
  }
});

test("redis registry: a stopped Redis is a timeout, not a hang", async () => {
  const redis = await startRedis();
  const registry = await open(redis.url, "c");
  try {
    await registry.commitOffsets(fence, [offset]);
    redis.pause();
    const begun = performance.now();
    await assert.rejects(registry.commitOffsets({ ...fence, sequence: 2 }, [{ ...offset, offset: 2 }]), { code: 15 });
    assert.ok(performance.now() - begun < 1200, "it hung");
    redis.resume();
  } finally {
    await registry.close();
    await redis.remove();
  }
});

test("redis registry: emptied or put back, the probe tells", async () => {
  const redis = await startRedis();
  const registry = await open(redis.url, "c");
  try {
    assert.equal(await registry.probe({ coordinatorEpoch: 1, sequence: 1 }), true);
    assert.equal(await registry.probe({ coordinatorEpoch: 1, sequence: 1 }), true);
    assert.equal(await registry.probe({ coordinatorEpoch: 1, sequence: 2 }), true);
    await redis.command("FLUSHALL");
    assert.equal(await registry.probe({ coordinatorEpoch: 1, sequence: 3 }), false);
    assert.equal(await registry.probe({ coordinatorEpoch: 1, sequence: 3 }), true);
  } finally {
    await registry.close();
    await redis.remove();
  }
});

test("redis registry: keys do not expire, lie in one slot a group, and user text reaches no command", async () => {
  const redis = await startRedis();
  const registry = await open(redis.url, "cluster");
  const group = "evil}{*\r\nFLUSHALL\r\n";
  try {
    await registry.commitOffsets({ ...fence, group }, [{ ...offset, metadata: "\r\nFLUSHALL\r\n" }]);
    const key = `hub:{cluster:g:${Buffer.from(group).toString("base64url")}}`;
    assert.equal(await redis.command(`TTL ${key}:o`), ":-1");
    assert.equal(await redis.command(`HLEN ${key}:m`), ":2");
    assert.equal(await redis.command("DBSIZE"), ":3");
    assert.equal((await registry.loadGroups())[0]?.group, group);
  } finally {
    await registry.close();
    await redis.remove();
  }
});
