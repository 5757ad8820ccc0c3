// Coordinators that share one Redis: each sees its own groups, leaves its own mark, and fences who was there before.
import assert from "node:assert/strict";
import test from "node:test";
import { SharedRemote } from "../../../hub/engine/scoped_remote.ts";
import { openClock } from "../../../hub/io/clock.ts";
import { openRedisRegistry } from "../../../hub/io/redis.ts";
import type { RemoteRegistry } from "../../../hub/io/registry.ts";
import { silentTrace } from "../../../hub/mod.ts";
import { startRedis } from "../../tools/redis.ts";

const record = new Uint8Array([1]);
const owns = (first: string) => (group: string) => group.startsWith(first);

async function withShared(use: (shared: SharedRemote, flush: () => Promise<unknown>) => Promise<void>): Promise<void> {
  const redis = await startRedis();
  const open = (): Promise<RemoteRegistry> =>
    openRedisRegistry({ url: redis.url, clusterId: "c", clock: openClock(), trace: silentTrace });
  const shared = new SharedRemote(await open());
  try {
    await use(shared, () => redis.command("FLUSHALL"));
  } finally {
    await shared.close();
    await redis.remove();
  }
}

test("a coordinator loads its own groups alone, and its mark is not another's", async () => {
  await withShared(async (shared, flush) => {
    const [a, b] = [shared.scope("0", owns("a")), shared.scope("1", owns("b"))];
    for (const group of ["a1", "b1", "b2"]) {
      await a.storeGroup({ group, coordinatorEpoch: 1, sequence: 1, generation: 1, record });
    }
    assert.deepEqual((await a.loadGroups()).map(({ group }) => group).sort(), ["a1"]);
    assert.deepEqual((await b.loadGroups()).map(({ group }) => group).sort(), ["b1", "b2"]);
    assert.equal(await a.probe({ coordinatorEpoch: 1, sequence: 5 }), true);
    assert.equal(await b.probe({ coordinatorEpoch: 2, sequence: 9 }), true);
    assert.equal(await a.probe({ coordinatorEpoch: 1, sequence: 6 }), true, "b's mark is beside it");
    await flush();
    assert.equal(await a.probe({ coordinatorEpoch: 1, sequence: 7 }), false);
    assert.equal(await b.probe({ coordinatorEpoch: 2, sequence: 9 }), false);
  });
});

test("whoever begins an epoch fences the coordinator before it, in groups it has not written to yet", async () => {
  await withShared(async (shared) => {
    const before = shared.scope("0", owns("a"));
    const old = await before.beginEpoch(64);
    await before.storeGroup({ group: "a1", coordinatorEpoch: old, sequence: 1, generation: -1, record });
    const after = shared.scope("0", owns("a"));
    const epoch = await after.beginEpoch(old + 64);
    const offset = { topicId: "t", topic: "t", partition: 0, offset: 5, leaderEpoch: 0, metadata: "", committedAt: 0 };
    const fence = { group: "a1", generation: -1 };
    const late = await before.commitOffsets({ ...fence, coordinatorEpoch: old, sequence: 2 }, [offset]);
    assert.equal(late, "stale-coordinator");
    const taken = await after.commitOffsets({ ...fence, coordinatorEpoch: epoch, sequence: 1 }, [offset]);
    assert.equal(taken, "stored");
  });
});
