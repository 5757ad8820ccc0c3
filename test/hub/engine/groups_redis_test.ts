// A cluster of one hub with a real Redis: groups commit while Redis is killed, and the hub restarts without it.
import assert from "node:assert/strict";
import test from "node:test";
import { scratch } from "../../tools/hub_process.ts";
import { makeRedis } from "../../tools/redis.ts";
import { openTestHub, type TestHub } from "../../tools/test_hub.ts";

async function commit(opened: TestHub, committedOffset: number): Promise<number | undefined> {
  const partitions = [{ partitionIndex: 0, committedOffset, committedMetadata: "" }];
  const { topics } = await opened.wire.call("offsetCommit", 8, {
    groupId: "g",
    generationIdOrMemberEpoch: -1,
    memberId: "",
    topics: [{ name: "t", partitions }],
  });
  return topics[0]?.partitions[0]?.errorCode;
}

async function fetched(opened: TestHub): Promise<readonly (number | undefined)[]> {
  const groups = [{ groupId: "g", topics: [{ name: "t", partitionIndexes: [0] }] }];
  const answer = (await opened.wire.call("offsetFetch", 8, { groups })).groups[0];
  return [answer?.errorCode, answer?.topics[0]?.partitions[0]?.committedOffset];
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await holds())) if (performance.now() > end) throw new Error(`never: ${what}`);
}

test("a hub by itself with Redis: killed, back, absent at a restart; no commit fails or is lost", async () => {
  const redis = await makeRedis();
  const { folder, remove } = scratch();
  await redis.start();
  let opened = await openTestHub({ folder, redis: redis.url });
  try {
    const topics = [{ name: "t", numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }];
    const made = await opened.wire.call("createTopics", 7, { topics, timeoutMs: 5000, validateOnly: false });
    assert.equal(made.topics[0]?.errorCode, 0);
    await until("the group has a coordinator", async () => {
      const found = await opened.wire.call("findCoordinator", 4, { keyType: 0, coordinatorKeys: ["g"] });
      return found.coordinators[0]?.errorCode === 0;
    });
    await until("groups are loaded", async () => (await commit(opened, 1)) === 0);

    let offset = 1;
    const commitNext = async () => {
      assert.equal(await commit(opened, offset + 1), 0);
      offset += 1;
    };
    for (let i = 0; i < 20; i += 1) await commitNext();
    const killed = redis.kill();
    await until("the hub noticed", async () => {
      await commitNext();
      return opened.hub.health().why.some((why) => why.startsWith("redis"));
    });
    await killed;
    for (let i = 0; i < 20; i += 1) await commitNext();
    await redis.start();
    await until("the hub noticed", async () => {
      await commitNext();
      return !opened.hub.health().why.some((why) => why.startsWith("redis"));
    });
    await redis.kill();
    await opened.close();
    opened = await openTestHub({ folder, redis: redis.url });
    await until("groups are loaded", async () => (await fetched(opened))[0] === 0);
    assert.deepEqual(await fetched(opened), [0, offset]);
    await commitNext();
    assert.deepEqual(await fetched(opened), [0, offset]);
  } finally {
    await opened.close();
    remove();
    await redis.remove();
  }
});

test("a hub that never met its cluster does not start without Redis, and says so", async () => {
  const redis = await makeRedis();
  try {
    await assert.rejects(
      openTestHub({ redis: redis.url }),
      /Redis cannot be reached, and this hub never met its cluster/,
    );
  } finally {
    await redis.remove();
  }
});

test("a hub with a wrong Redis URL does not start, and says why in a sentence", async () => {
  await assert.rejects(
    openTestHub({ redis: "http://pi:6379" }),
    /The Redis URL "http:\/\/pi:6379" cannot be used: .*\./,
  );
});
