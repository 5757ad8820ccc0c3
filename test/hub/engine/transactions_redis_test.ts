// Transactions of a whole hub with a real Redis: decided offsets arrive while it is hung, killed, back, away at a start.
import assert from "node:assert/strict";
import test from "node:test";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { scratch } from "../../tools/hub_process.ts";
import { makeRedis } from "../../tools/redis.ts";
import { openTestHub, type TestHub } from "../../tools/test_hub.ts";
import { makeTopic } from "../../tools/wire_calls.ts";

/** One transaction under transaction.version 2: a record and an offset of the group; the codes of its calls. */
async function transact(opened: TestHub, offset: number, committed: boolean): Promise<number[]> {
  const { wire } = opened;
  const init = await wire.call("initProducerId", 5, { transactionalId: "x", transactionTimeoutMs: 60_000 });
  const { producerId, producerEpoch } = init;
  const who = { transactionalId: "x", producerId, producerEpoch };
  const records = encodeBatch([{ key: null, value: new Uint8Array([offset]), timestamp: 1 }], {
    producerId,
    producerEpoch,
    baseSequence: 0,
    transactional: true,
  });
  const topicData = [{ name: "t", partitionData: [{ index: 0, records }] }];
  const sent = await wire.call("produce", 12, { transactionalId: "x", acks: -1, timeoutMs: 10_000, topicData });
  const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: null }];
  const topics = [{ name: "t", partitions }];
  const kept = await wire.call("txnOffsetCommit", 5, { ...who, groupId: "g", topics });
  const ended = await wire.call("endTxn", 5, { ...who, committed });
  const codes = [init.errorCode, sent.responses[0]!.partitionResponses[0]!.errorCode];
  return [...codes, kept.topics[0]!.partitions[0]!.errorCode, ended.errorCode];
}

async function fetched(opened: TestHub): Promise<string> {
  const groups = [{ groupId: "g", topics: [{ name: "t", partitionIndexes: [0] }] }];
  const answer = (await opened.wire.call("offsetFetch", 8, { groups, requireStable: true })).groups[0]!;
  const one = answer.topics[0]?.partitions[0];
  return `${answer.errorCode} ${one?.errorCode} ${one?.committedOffset}`;
}

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const fine = [0, 0, 0, 0];
const complains = ({ hub }: TestHub): boolean => hub.health().why.some((why) => why.startsWith("redis"));

test("offsets that a transaction decided are applied whatever Redis does, and stay", async () => {
  const redis = await makeRedis();
  const { folder, remove } = scratch();
  await redis.start();
  let opened = await openTestHub({ folder, redis: redis.url });
  try {
    await makeTopic(opened.wire, "t");
    for (const keyType of [0, 1]) {
      await until("there is a coordinator", async () => {
        const found = await opened.wire.call("findCoordinator", 4, { keyType, coordinatorKeys: ["x"] });
        return found.coordinators[0]?.errorCode === 0;
      });
    }
    await until("groups are loaded", async () => (await fetched(opened)).startsWith("0"));
    assert.deepEqual(await transact(opened, 5, true), fine);
    assert.equal(await fetched(opened), "0 0 5");

    redis.pause();
    assert.deepEqual(await transact(opened, 6, true), fine);
    await until("the decision is applied while Redis hangs", async () => (await fetched(opened)) === "0 0 6");
    redis.resume();
    await redis.kill();
    assert.deepEqual(await transact(opened, 99, false), fine);
    assert.deepEqual(await transact(opened, 7, true), fine);
    await until("the decision is applied without Redis", async () => (await fetched(opened)) === "0 0 7");

    await opened.close();
    opened = await openTestHub({ folder, redis: redis.url });
    await until("it stands after a start without Redis", async () => (await fetched(opened)) === "0 0 7");
    assert.deepEqual(await transact(opened, 8, true), fine);
    await redis.start();
    await until("Redis is back", () => !complains(opened));
    await until("and nothing older is in its place", async () => (await fetched(opened)) === "0 0 8");
    assert.deepEqual(await transact(opened, 9, true), fine);
    await opened.close();
    opened = await openTestHub({ folder, redis: redis.url });
    await until("Redis and the journal agree", async () => (await fetched(opened)) === "0 0 9");
  } finally {
    await opened.close();
    remove();
    await redis.remove();
  }
});
