// Coordination on a real Redis: the first wins, fences hold, repeated calls change nothing, changes are told.
import assert from "node:assert/strict";
import test from "node:test";
import { openClock } from "../../../hub/io/clock.ts";
import type { Coordination } from "../../../hub/io/coordination.ts";
import { openRedisCoordination } from "../../../hub/io/redis_coordination.ts";
import { silentTrace } from "../../../hub/trace.ts";
import { type RedisServer, startRedis } from "../../tools/redis.ts";

const topicId = "6f1b0d2e-0a3c-4c55-9d7e-1f2a3b4c5d6e";

async function withRedis(run: (redis: RedisServer, open: () => Promise<Coordination>) => Promise<void>): Promise<void> {
  const redis = await startRedis();
  const opened: Coordination[] = [];
  try {
    await run(redis, async () => {
      const one = await openRedisCoordination({
        url: redis.url,
        clusterName: "t",
        clock: openClock(),
        trace: silentTrace,
      });
      opened.push(one);
      return one;
    });
  } finally {
    for (const one of opened) await one.close();
    await redis.remove();
  }
}

const hub = (hubId: number) => ({ hubId, dirId: "d", bootSeq: 1, host: "h", port: 1, rack: null, version: "0" });

test("the first creates the cluster, a second finds it; a repeated call answers as the first did", async () => {
  await withRedis(async (_redis, open) => {
    const [one, other] = [await open(), await open()];
    assert.equal((await one.poll(0)).inc, null);
    const made = await one.createCluster("A", "op-1");
    assert.equal(made.clusterId, "A");
    assert.equal((await other.createCluster("B", "op-2")).clusterId, "A");
    const seat = await one.acquireController({ incarnation: 1, opId: "c1" }, 1, 0);
    assert.deepEqual(seat, { hubId: 1, ctlEpoch: 1 });
    assert.deepEqual(await one.acquireController({ incarnation: 1, opId: "c1" }, 1, 0), seat, "repeated");
    const late = await other.acquireController({ incarnation: 1, opId: "c2" }, 2, 0);
    assert.deepEqual(late, { hubId: 1, ctlEpoch: 1 }, "who is late learns who sits there");
  });
});

test("changes are fenced by incarnation, controller and version, and told by polls", async () => {
  await withRedis(async (_redis, open) => {
    const one = await open();
    await one.createCluster("A", "op");
    await one.acquireController({ incarnation: 1, opId: "c" }, 1, 0);
    assert.equal(await one.registerHub({ incarnation: 7, opId: "h0" }, hub(1)), "wrong-incarnation");
    assert.equal(await one.registerHub({ incarnation: 1, opId: "h1" }, hub(1)), "stored");
    const { seq } = await one.poll(0);
    const put = (opId: string, ctlEpoch: number, expectedVersion: number, value: string | null) =>
      one.putMeta({ incarnation: 1, opId }, ctlEpoch, [{ key: "topic/a b{}", expectedVersion, value }]);
    assert.equal((await put("m0", 9, 0, "x")).kind, "stale-controller");
    assert.equal((await put("m1", 1, 3, "x")).kind, "conflict");
    const stored = await put("m2", 1, 0, "x");
    assert.equal(stored.kind, "stored");
    assert.deepEqual(await put("m2", 1, 0, "x"), stored, "a lost answer is asked for again");
    const { changes } = await one.poll(seq);
    assert.deepEqual(changes!.hubs, []);
    const { seq: changedAt, ...entry } = changes!.meta[0]!;
    assert.deepEqual(entry, { key: "topic/a b{}", version: 1, value: "x", committed: false });
    assert.ok(changedAt > seq, "above what was polled before");
    await one.commitMeta({ incarnation: 1, opId: "k" }, 1, [{ key: "topic/a b{}", version: 1 }]);
    assert.equal((await one.image()).meta[0]!.committed, true);
    await put("m3", 1, 1, null);
    assert.equal((await one.image()).meta[0]!.value, null, "a deletion is an entry that says so");
  });
});

test("a partition's state moves by version, and by the higher epoch when it is asserted", async () => {
  await withRedis(async (_redis, open) => {
    const one = await open();
    await one.createCluster("A", "op");
    const cas = (opId: string, expectedVer: number, leaderEpoch: number, state: string) =>
      one.casPartitions({ incarnation: 1, opId }, [{ topicId, partition: 0, expectedVer, leaderEpoch, state }]);
    const first = await cas("p1", 0, 65, '{"a":1}');
    assert.ok(typeof first !== "string" && first[0]!.kind === "stored" && first[0]!.entry.ver === 1, "stored");
    assert.deepEqual(await cas("p1", 0, 65, '{"a":1}'), first, "repeated");
    const stale = await cas("p2", 0, 70, "{}");
    assert.ok(typeof stale !== "string" && stale[0]!.kind === "conflict" && stale[0]!.entry!.ver === 1, "conflict");
    const older = await cas("p3", 1, 64, "{}");
    assert.ok(typeof older !== "string" && older[0]!.kind === "conflict", "an older epoch is refused");
    const told = { topicId, partition: 0, ver: 9, leaderEpoch: 130, state: "{}" };
    const after = await one.assertPartitions({ incarnation: 1, opId: "a1" }, [told]);
    assert.ok(typeof after !== "string" && after[0]!.leaderEpoch === 130, "the higher stays");
    const lower = await one.assertPartitions({ incarnation: 1, opId: "a2" }, [{ ...told, leaderEpoch: 65 }]);
    assert.ok(typeof lower !== "string" && lower[0]!.leaderEpoch === 130, "whatever comes later");
  });
});

test("beats and hints are heard, by the one that sends them too", async () => {
  await withRedis(async (_redis, open) => {
    const [one, other] = [await open(), await open()];
    const heard = new Promise<string[]>((resolve) => {
      const beats: string[] = [];
      const note = (who: string) => (beat: string) => {
        beats.push(`${who} ${beat}`);
        if (beats.length === 2) resolve(beats.sort());
      };
      one.onBeat(note("one"));
      other.onBeat(note("other"));
    });
    const hinted = new Promise<void>((resolve) => other.onHint(resolve));
    const beating = setInterval(() => void one.publish("b").catch(() => {}), 50);
    try {
      assert.deepEqual([...new Set(await heard)].length >= 1, true);
      await one.createCluster("A", "op");
      await one.registerHub({ incarnation: 1, opId: "h" }, hub(1));
      await hinted;
    } finally {
      clearInterval(beating);
    }
  });
});

test("emptied, the image of a hub brings everything back under a higher incarnation", async () => {
  await withRedis(async (redis, open) => {
    const one = await open();
    await one.createCluster("A", "op");
    await one.acquireController({ incarnation: 1, opId: "c" }, 1, 0);
    await one.registerHub({ incarnation: 1, opId: "h" }, hub(1));
    await one.putMeta({ incarnation: 1, opId: "m" }, 1, [{ key: "k", expectedVersion: 0, value: "v" }]);
    const image = await one.image();
    await redis.command("FLUSHALL");
    assert.equal((await one.poll(0)).inc, null);
    const back = { ...image, inc: { ...image.inc!, incarnation: 2 } };
    assert.equal(await one.restore(back, 7, "r0"), "conflict", "it is not what was looked at");
    const restored = await one.restore(back, 0, "r");
    assert.ok(restored !== "conflict" && restored.incarnation === 2, "restored");
    assert.equal(
      await one.restore(back, (await one.poll(-1)).seq, "r2"),
      "conflict",
      "once: the incarnation is not higher any more",
    );
    const after = await one.image();
    assert.deepEqual([after.hubs, after.meta[0]!.value], [image.hubs, "v"]);
    assert.ok(after.seq >= image.seq, "polls of before are told of all of it");
    const raised = await one.raiseIncarnation(2, 1, "i");
    assert.ok(raised !== "conflict" && raised.incarnation === 3, "raised");
    assert.equal(await one.raiseIncarnation(2, 1, "i2"), "conflict");
  });
});

test("a Redis that was put back is found out by the last change, though it counts as far again", async () => {
  await withRedis(async (redis, open) => {
    const one = await open();
    const make = async (opId: string): Promise<void> => {
      await one.createCluster("A", "op");
      await one.registerHub({ incarnation: 1, opId }, hub(1));
    };
    await make("h1");
    const before = await one.poll(-1);
    assert.deepEqual([before.known, before.mark], [true, "h1"]);
    assert.equal((await one.poll(before.seq, before.mark)).known, true);
    await redis.command("FLUSHALL");
    await make("h2");
    const after = await one.poll(before.seq, before.mark);
    assert.deepEqual([after.seq, after.known, after.mark], [before.seq, false, "h2"]);
  });
});

test("a Redis that is away refuses at once, and is told when it is back", async () => {
  await withRedis(async (redis, open) => {
    const one = await open();
    const down = new Promise<void>((resolve) => one.watch((up) => !up && resolve()));
    await redis.kill();
    await down;
    await assert.rejects(one.poll(0), /COORDINATOR_NOT_AVAILABLE|not reachable/);
    const back = new Promise<void>((resolve) => one.watch((up) => up && resolve()));
    await redis.start();
    await back;
    assert.equal((await one.poll(0)).inc, null);
  });
});
