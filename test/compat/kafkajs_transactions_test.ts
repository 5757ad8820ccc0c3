// kafkajs 2.2.4 transactions against a hub: commit, abort, offsets with the records, zombies, a kill in between.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import test from "node:test";
import { root, scratch, startHub } from "../tools/hub_process.ts";

// It is only here for the tests, so it lies with their tools, and comes without types.
const require = createRequire(path.join(root, "test/.tools/package.json"));
// biome-ignore lint/suspicious/noExplicitAny: an untyped foreign client
const { Kafka, logLevel } = require("kafkajs") as any;
type Client = InstanceType<typeof Kafka>;

const env = { PARTIDOR_SETTINGS__GROUP_INITIAL_REBALANCE_DELAY_MS: "0" };

function clientOf(port: number): Client {
  return new Kafka({ clientId: "compat", brokers: [`127.0.0.1:${port}`], logLevel: logLevel.NOTHING });
}

async function withClient(use: (kafka: Client) => Promise<void>): Promise<void> {
  const { folder, remove } = scratch();
  const hub = await startHub({ data: folder, env });
  try {
    await use(clientOf(hub.kafka));
  } finally {
    await hub.end("SIGKILL");
    remove();
  }
}

async function makeTopics(kafka: Client, ...names: string[]): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  const topics = names.map((topic) => ({ topic, numPartitions: 2 }));
  await admin.createTopics({ waitForLeaders: true, topics });
  await admin.disconnect();
}

async function producerOf(kafka: Client, transactionalId: string) {
  const producer = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  return producer;
}

const messagesOf = (...values: string[]) => values.map((value) => ({ partition: 0, value }));

/** What a reader sees until it has seen `last`, which is written after all else. */
async function read(kafka: Client, topic: string, last: string, readUncommitted: boolean): Promise<string[]> {
  const consumer = kafka.consumer({ groupId: `reader-${last}-${readUncommitted}`, readUncommitted });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const seen: string[] = [];
  await new Promise<void>((resolve) => {
    void consumer.run({
      eachMessage: async ({ message }: { message: { value: Buffer } }) => {
        const value = message.value.toString();
        if (value === last) resolve();
        else seen.push(value);
      },
    });
  });
  await consumer.disconnect();
  return seen.sort();
}

test("a reader of committed records sees what committed, and nothing of what aborted", async () => {
  await withClient(async (kafka) => {
    await makeTopics(kafka, "a");
    const producer = await producerOf(kafka, "tx");
    for (const [kind, ...values] of [
      ["commit", "1", "2", "3"],
      ["abort", "4", "5"],
      ["commit", "6"],
      ["abort", "7"],
    ] as const) {
      const transaction = await producer.transaction();
      await transaction.send({ topic: "a", messages: messagesOf(...values) });
      await transaction.send({ topic: "a", messages: messagesOf(...values.map((value) => `${value}b`)) });
      await transaction[kind]();
    }
    const plain = kafka.producer();
    await plain.connect();
    await plain.send({ topic: "a", messages: messagesOf("end") });
    const all = ["1", "2", "3", "4", "5", "6", "7"];
    const twice = (values: string[]): string[] => values.flatMap((value) => [value, `${value}b`]);
    assert.deepEqual(await read(kafka, "a", "end", true), twice(all));
    assert.deepEqual(await read(kafka, "a", "end", false), twice(["1", "2", "3", "6"]));
    await producer.disconnect();
    await plain.disconnect();
  });
});

test("offsets are committed with the records, or not at all", async () => {
  await withClient(async (kafka) => {
    await makeTopics(kafka, "in", "out");
    const admin = kafka.admin();
    await admin.connect();
    const offset = async (): Promise<string> => {
      const [topic] = await admin.fetchOffsets({ groupId: "worker", topics: ["in"] });
      return topic.partitions.find(({ partition }: { partition: number }) => partition === 0).offset;
    };
    const offsetsAt = (offset: string) => ({
      consumerGroupId: "worker",
      topics: [{ topic: "in", partitions: [{ partition: 0, offset }] }],
    });
    const producer = await producerOf(kafka, "worker-1");
    const first = await producer.transaction();
    await first.send({ topic: "out", messages: messagesOf("x") });
    await first.sendOffsets(offsetsAt("10"));
    await first.commit();
    const second = await producer.transaction();
    await second.sendOffsets(offsetsAt("20"));
    await second.send({ topic: "out", messages: messagesOf("y") });
    await second.abort();
    const third = await producer.transaction();
    assert.equal(await offset(), "10");
    await third.sendOffsets(offsetsAt("30"));
    await third.commit();
    // The next transaction begins when the one before is complete, offsets and all.
    const fourth = await producer.transaction();
    await fourth.send({ topic: "out", messages: messagesOf("z") });
    assert.equal(await offset(), "30");
    await fourth.commit();
    await producer.disconnect();
    await admin.disconnect();
  });
});

test("a second instance takes over: the first is fenced, and what it left open is aborted", async () => {
  await withClient(async (kafka) => {
    await makeTopics(kafka, "a");
    const zombie = await producerOf(kafka, "same");
    const open = await zombie.transaction();
    await open.send({ topic: "a", messages: messagesOf("lost") });
    const heir = await producerOf(kafka, "same");
    const transaction = await heir.transaction();
    await transaction.send({ topic: "a", messages: messagesOf("kept") });
    await assert.rejects(open.commit(), "a fenced producer commits nothing");
    await transaction.commit();
    const last = await heir.transaction();
    await last.send({ topic: "a", messages: messagesOf("last") });
    await last.commit();
    assert.deepEqual(await read(kafka, "a", "last", false), ["kept"]);
    await heir.disconnect();
  });
});

test("a hub that is killed goes on where its log says", async () => {
  const { folder, remove } = scratch();
  let hub = await startHub({ data: folder, env });
  try {
    const kafka = clientOf(hub.kafka);
    await makeTopics(kafka, "a");
    const producer = await producerOf(kafka, "tx");
    const committed = await producer.transaction();
    await committed.send({ topic: "a", messages: [{ partition: 0, value: "kept" }] });
    await committed.sendOffsets({
      consumerGroupId: "g",
      topics: [{ topic: "a", partitions: [{ partition: 0, offset: "5" }] }],
    });
    await committed.commit();
    const open = await producer.transaction();
    await open.send({ topic: "a", messages: [{ partition: 0, value: "open" }] });
    await hub.end("SIGKILL");
    hub = await startHub({ data: folder, env });
    const again = clientOf(hub.kafka);
    // The new instance aborts what the killed hub left open; then everything can be read.
    const heir = await producerOf(again, "tx");
    const last = await heir.transaction();
    await last.send({ topic: "a", messages: [{ partition: 0, value: "last" }] });
    await last.commit();
    assert.deepEqual(await read(again, "a", "last", false), ["kept"]);
    const admin = again.admin();
    await admin.connect();
    const [topic] = await admin.fetchOffsets({ groupId: "g", topics: ["a"] });
    assert.equal(topic.partitions.find(({ partition }: { partition: number }) => partition === 0).offset, "5");
    await admin.disconnect();
    await heir.disconnect();
    await producer.disconnect().catch(() => {});
  } finally {
    await hub.end("SIGKILL");
    remove();
  }
});
