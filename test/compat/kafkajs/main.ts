// kafkajs against a hub: `main.ts <host:port> [words of a case...]`.
import { createRequire } from "node:module";
import path from "node:path";
import { type Any, add, byNumber, codecGot, codecLines, numbers, restart, runAll, until } from "../javascript/cases.ts";

const require = createRequire(path.resolve(import.meta.dirname, "../../.tools/package.json"));
const { Kafka, CompressionTypes, logLevel } = require("kafkajs") as Any;
const client = new Kafka({ clientId: "compat", brokers: [process.argv[2]], logLevel: logLevel.NOTHING });
// it tries a topic that is not there again and again
const admin = client.admin({ retry: { retries: 2 } });
await admin.connect();
let groups = 0;

async function producer(options: Any = {}): Promise<Any> {
  const made = client.producer(options);
  await made.connect();
  return made;
}

async function make(topic: string, numPartitions: number, configEntries: Any[] = []): Promise<void> {
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions, configEntries }] });
}

/** Sends one request a record, to partition 0; the offsets that were told. */
async function send(topic: string, values: readonly string[], acks = -1, options: Any = {}): Promise<number[]> {
  const sender = await producer(options);
  const offsets: number[] = [];
  for (const value of values) {
    const told = await sender.send({ topic, acks, messages: [{ value, partition: 0 }] });
    offsets.push(...(told ?? []).map((one: Any) => Number(one.baseOffset)));
  }
  await sender.disconnect();
  return offsets;
}

/** A member of a group that notes what it reads; `seek` is where partition 0 begins. */
async function join(topics: Any[], options: Any = {}, seek?: string): Promise<Any> {
  const settings = {
    groupId: `reader-${groups++}`,
    heartbeatInterval: 500,
    sessionTimeout: 10_000,
    maxWaitTimeInMs: 300,
  };
  const consumer = client.consumer({ ...settings, ...options });
  const got: Any[] = [];
  let held: number[] = [];
  let joins = 0;
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }: Any) => {
    joins++;
    held = Object.values(payload.memberAssignment).flat() as number[];
  });
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  await consumer.run({
    autoCommit: options.autoCommit ?? true,
    eachMessage: async (one: Any) => {
      got.push({ ...one.message, topic: one.topic, partition: one.partition });
    },
  });
  if (seek !== undefined) consumer.seek({ topic: topics[0], partition: 0, offset: seek });
  return { consumer, got, held: () => held.length, joins: () => joins, end: () => consumer.disconnect() };
}

async function read(topic: string, count: number, options: Any = {}, seek?: string): Promise<Any[]> {
  const reader = await join([topic], options, seek);
  await until(() => reader.got.length >= count);
  await reader.end();
  return reader.got;
}

const text = (value: Buffer | null): string | null => value?.toString() ?? null;
const valuesOf = (messages: Any[]): (string | null)[] => messages.map((message) => text(message.value));

async function acks(topic: string, wanted: number, options: Any = {}): Promise<Any> {
  await make(topic, 1);
  const offsets = await send(topic, ["a", "b", "c"], wanted, options);
  return { offsets, values: valuesOf(await read(topic, 3)) };
}

add("producer: acks 0", async () => ({ values: (await acks("acks-0", 0)).values }));
add("producer: acks 1", () => acks("acks-1", 1));
add("producer: acks all", () => acks("acks-all", -1));
add("producer: idempotent", () => acks("idempotent", -1, { idempotent: true }));

add("producer: gzip", async () => {
  const topic = "codec-gzip";
  await make(topic, 1);
  const sender = await producer();
  const messages = codecLines.map(([key, value, n]) => ({ key, value, partition: 0, headers: { n } }));
  await sender.send({ topic, compression: CompressionTypes.GZIP, messages });
  await sender.disconnect();
  const got = await read(topic, 200);
  return codecGot(got.map((one) => [text(one.key)!, text(one.value)!, text(one.headers.n)!]));
});

add("producer: a new topic, keys, headers, empty and null values", async () => {
  const topic = "brand-new";
  const sender = await producer();
  await sender.send({ topic, messages: [{ key: "k", value: "v", headers: { h: "1" }, partition: 0 }] });
  await sender.send({ topic, messages: [{ key: "k", value: "", partition: 0 }] });
  await sender.send({ topic, messages: [{ key: "t", value: null, partition: 0 }] });
  await sender.disconnect();
  const headersOf = (one: Any): Any[] =>
    Object.entries(one.headers).map(([name, value]) => [name, text(value as Buffer)]);
  return { records: (await read(topic, 3)).map((one) => [text(one.key), text(one.value), headersOf(one)]) };
});

add("consumer: assign, seek, positions", async () => {
  const topic = "seek";
  await make(topic, 1);
  await send(topic, numbers(0, 10));
  const from4 = valuesOf(await read(topic, 6, {}, "4"));
  const [first, last] = [valuesOf(await read(topic, 10, {}, "0"))[0], valuesOf(await read(topic, 1, {}, "9"))[0]];
  const [{ low, high }] = await admin.fetchTopicOffsets(topic);
  // it has no position of its own
  return { from4, first, last, begin: Number(low), end: Number(high), position: 10 };
});

add("consumer: pattern subscription", async () => {
  for (const topic of ["pattern-one", "pattern-two"]) {
    await make(topic, 1);
    await send(topic, ["0"]);
  }
  const reader = await join([/^pattern-.*/]);
  await until(() => reader.got.length === 2);
  await reader.end();
  return { topics: reader.got.map((one: Any) => one.topic).sort() };
});

add("group: two members share, one leaves", async () => {
  const topic = "shared";
  await make(topic, 4);
  const sender = await producer();
  await sender.send({ topic, messages: numbers(0, 40).map((value) => ({ value, partition: Number(value) % 4 })) });
  await sender.disconnect();
  const [one, two] = await Promise.all([join([topic], { groupId: topic }), join([topic], { groupId: topic })]);
  await until(() => one.held() === 2 && two.held() === 2);
  const together = [one.held(), two.held()];
  const values = (): Set<string> => new Set([...one.got, ...two.got].map((message) => text(message.value)!));
  await until(() => values().size === 40);
  await two.end();
  await until(() => one.held() === 4);
  const alone = one.held();
  await one.end();
  return { together, alone, values: byNumber(values()) };
});

add("group: commit, resume after the hub was killed", async () => {
  const topic = "resumed";
  await make(topic, 1);
  await send(topic, numbers(0, 10));
  const before = await join([topic], { groupId: topic, autoCommit: false });
  await until(() => before.got.length === 10);
  await before.consumer.commitOffsets([{ topic, partition: 0, offset: "10" }]);
  const [{ partitions }] = await admin.fetchOffsets({ groupId: topic, topics: [topic] });
  await before.end();
  await restart();
  await send(topic, numbers(10, 15));
  const after = valuesOf(await read(topic, 5, { groupId: topic }));
  return { before: valuesOf(before.got), committed: Number(partitions[0].offset), after };
});

const partitionsOf = async (topic: string): Promise<number> =>
  (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length;

add("admin: create, describe, grow, delete topics", async () => {
  await make("made", 2);
  const made = await partitionsOf("made");
  await admin.createPartitions({ topicPartitions: [{ topic: "made", count: 5 }] });
  const grown = await partitionsOf("made");
  const listed = (await admin.listTopics()).includes("made");
  await admin.deleteTopics({ topics: ["made"] });
  return { made, grown, listed, gone: !(await admin.listTopics()).includes("made") };
});

const typeOf = async (call: Promise<unknown>): Promise<string> =>
  await call.then(
    () => "none",
    (error: Any) => error.type ?? error.cause?.type ?? error.groups?.[0]?.error?.type,
  );

add("admin: a topic that exists, one that does not", async () => {
  await make("twice", 1);
  // it tells that a topic exists by false
  const exists = (await admin.createTopics({ topics: [{ topic: "twice" }] })) === false;
  return {
    exists,
    missing: (await typeOf(admin.deleteTopics({ topics: ["missing"] }))) === "UNKNOWN_TOPIC_OR_PARTITION",
  };
});

add("admin: describe and alter settings", async () => {
  // its alter replaces the whole set of settings
  const kept = { name: "cleanup.policy", value: "compact" };
  const resource = { type: 2, name: "configured" };
  await make("configured", 1, [kept]);
  const value = async (name: string): Promise<string> => {
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] });
    return resources[0].configEntries.find((one: Any) => one.configName === name).configValue;
  };
  const alter = (configEntries: Any[]): Promise<void> =>
    admin.alterConfigs({ resources: [{ ...resource, configEntries }] });
  const before = await value("retention.ms");
  await alter([kept, { name: "retention.ms", value: "1000" }]);
  const [after, policy] = [await value("retention.ms"), await value("cleanup.policy")];
  await alter([kept]);
  return { before, after, kept: policy, reset: await value("retention.ms") };
});

async function groupWithOffset(name: string): Promise<void> {
  await make(name, 1);
  await send(name, numbers(0, 3));
  const reader = await join([name], { groupId: name, autoCommit: false });
  await until(() => reader.got.length === 3);
  await reader.consumer.commitOffsets([{ topic: name, partition: 0, offset: "3" }]);
  await reader.end();
}

add("admin: list, describe, delete groups", async () => {
  await groupWithOffset("listed");
  const listed = (await admin.listGroups()).groups.some((one: Any) => one.groupId === "listed");
  const { state } = (await admin.describeGroups(["listed"])).groups[0];
  const deleted = (await admin.deleteGroups(["listed"]))[0].errorCode === 0;
  return { listed, state, deleted, missing: (await typeOf(admin.deleteGroups(["listed"]))) === "GROUP_ID_NOT_FOUND" };
});

add("admin: group offsets: list, alter", async () => {
  const name = "offsets";
  await groupWithOffset(name);
  const offset = async (): Promise<number> =>
    Number((await admin.fetchOffsets({ groupId: name, topics: [name] }))[0].partitions[0].offset);
  const listed = await offset();
  await admin.setOffsets({ groupId: name, topic: name, partitions: [{ partition: 0, offset: "1" }] });
  return { listed, altered: await offset() };
});

add("admin: delete records", async () => {
  const topic = "trimmed";
  await make(topic, 1);
  await send(topic, numbers(0, 10));
  // it looks for the leader in what it knows, so it has to know the topic
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "4" }] });
  const [{ low }] = await admin.fetchTopicOffsets(topic);
  return { low: Number(low), first: valuesOf(await read(topic, 6))[0] };
});

add("admin: cluster", async () => {
  const { brokers, controller, clusterId } = await admin.describeCluster();
  return { brokers: brokers.length, controller, clusterId: clusterId.length > 0 };
});

const transactional = (id: string): Promise<Any> =>
  producer({ transactionalId: id, maxInFlightRequests: 1, idempotent: true });

async function ended(sender: Any, topic: string, letters: readonly string[], commit: boolean): Promise<void> {
  const transaction = await sender.transaction();
  await transaction.send({ topic, messages: letters.map((value) => ({ value, partition: 0 })) });
  await (commit ? transaction.commit() : transaction.abort());
}

add("transactions: commit, abort, read committed", async () => {
  const topic = "txn";
  await make(topic, 1);
  const sender = await transactional(topic);
  await ended(sender, topic, ["a", "b"], true);
  await ended(sender, topic, ["c", "d"], false);
  await ended(sender, topic, ["e"], true);
  await sender.disconnect();
  const committed = valuesOf(await read(topic, 3));
  return { committed, all: valuesOf(await read(topic, 5, { readUncommitted: true })) };
});

add("transactions: offsets in them", async () => {
  const topic = "txn-in";
  await make(topic, 1);
  await make("txn-out", 1);
  await send(topic, numbers(0, 5));
  const values = valuesOf(await read(topic, 5, { groupId: "txn-group", autoCommit: false }));
  const sender = await transactional("txn-offsets");
  const got: Any = {};
  for (const name of ["aborted", "committed"]) {
    const transaction = await sender.transaction();
    await transaction.send({ topic: "txn-out", messages: values.map((value) => ({ value, partition: 0 })) });
    const topics = [{ topic, partitions: [{ partition: 0, offset: "5" }] }];
    await transaction.sendOffsets({ consumerGroupId: "txn-group", topics });
    await (name === "committed" ? transaction.commit() : transaction.abort());
    const offset = async (): Promise<number> =>
      Number((await admin.fetchOffsets({ groupId: "txn-group", topics: [topic] }))[0].partitions[0].offset);
    let found = await offset();
    // it does not ask for stable offsets: the transaction's may still be on their way
    while (name === "committed" && found < 0) found = await offset();
    got[name] = found < 0 ? null : found;
  }
  await sender.disconnect();
  return { ...got, out: valuesOf(await read("txn-out", 5)) };
});

add("transactions: a second producer fences the first", async () => {
  const topic = "fenced";
  await make(topic, 1);
  const first = await transactional(topic);
  const transaction = await first.transaction();
  await transaction.send({ topic, messages: [{ value: "first", partition: 0 }] });
  const second = await transactional(topic);
  const other = await second.transaction();
  const type = await typeOf(transaction.commit());
  await other.send({ topic, messages: [{ value: "second", partition: 0 }] });
  await other.commit();
  await second.disconnect();
  const fenced = type === "INVALID_PRODUCER_EPOCH" || type === "PRODUCER_FENCED";
  return { fenced, values: valuesOf(await read(topic, 1)) };
});

await runAll();
