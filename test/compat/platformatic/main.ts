// @platformatic/kafka against a hub, under Node 24: `main.ts <host:port> [words of a case...]`.
import { createRequire } from "node:module";
import path from "node:path";
import { type Any, add, byNumber, codecGot, codecLines, numbers, restart, runAll, until } from "../javascript/cases.ts";

const require = createRequire(path.resolve(import.meta.dirname, "../../.tools/package.json"));
const kafka = require("@platformatic/kafka") as Any;
const { stringSerializers: serializers, stringDeserializers: deserializers } = kafka;
const base = { clientId: "compat", bootstrapBrokers: [process.argv[2]] };
const admin = new kafka.Admin(base);
const producer = (options: Any = {}): Any => new kafka.Producer({ ...base, serializers, ...options });
let groups = 0;

/** Settings of a classic member; the new protocol is told these by the coordinator. */
const classic = { sessionTimeout: 10_000, heartbeatInterval: 500 };

function consumer(options: Any = {}): Any {
  const shared = { ...base, deserializers, groupId: `reader-${groups++}`, maxWaitTime: 300 };
  return new kafka.Consumer({ ...shared, ...(options.groupProtocol === undefined ? classic : {}), ...options });
}

async function make(topic: string, partitions: number, configs: Any[] = []): Promise<void> {
  await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs });
}

async function send(topic: string, values: readonly string[], options: Any = {}): Promise<number[]> {
  const sender = producer(options);
  const offsets: number[] = [];
  for (const value of values) {
    const { offsets: got } = await sender.send({ messages: [{ topic, value, partition: 0 }], ...options.send });
    if (got !== undefined) offsets.push(...got.map((one: Any) => Number(one.offset)));
  }
  await sender.close();
  return offsets;
}

/** Fills a topic over all its partitions. */
async function fill(topic: string, from: number, to: number): Promise<void> {
  const sender = producer();
  const messages = numbers(from, to).map((value) => ({ topic, value, key: value }));
  await sender.send({ messages });
  await sender.close();
}

async function take(stream: Any, count: number): Promise<Any[]> {
  const got: Any[] = [];
  for await (const message of stream) {
    got.push(message);
    if (got.length === count) break;
  }
  return got;
}

async function read(topic: string, count: number, options: Any = {}): Promise<Any[]> {
  const reader = consumer(options);
  const stream = await reader.consume({ topics: [topic], mode: "earliest", autocommit: false, ...options });
  const got = await take(stream, count);
  await reader.close(true);
  return got;
}

const valuesOf = (messages: Any[]): string[] => messages.map((message) => message.value);

async function acks(topic: string, options: Any): Promise<Any> {
  await make(topic, 1);
  const offsets = await send(topic, ["a", "b", "c"], options);
  return { offsets, values: valuesOf(await read(topic, 3)) };
}

add("producer: acks 0", async () => ({ values: (await acks("acks-0", { acks: 0 })).values }));
add("producer: acks 1", () => acks("acks-1", { acks: 1 }));
add("producer: acks all", () => acks("acks-all", { acks: -1 }));
add("producer: idempotent", () => acks("idempotent", { idempotent: true }));

for (const codec of ["gzip", "snappy", "lz4", "zstd"]) {
  add(`producer: ${codec}`, async () => {
    const topic = `codec-${codec}`;
    await make(topic, 1);
    const sender = producer({ compression: codec });
    const messages = codecLines.map(([key, value, n]) => ({ topic, key, value, partition: 0, headers: { n } }));
    await sender.send({ messages });
    await sender.close();
    const got = await read(topic, 200);
    return codecGot(got.map((one) => [one.key, one.value, one.headers.get("n")]));
  });
}

add("producer: a new topic, keys, headers, empty and null values", async () => {
  const topic = "brand-new";
  const sender = producer({ autocreateTopics: true, serializers: undefined });
  const bytes = (text: string): Buffer => Buffer.from(text);
  const headers = new Map([[bytes("h"), bytes("1")]]);
  await sender.send({ messages: [{ topic, key: bytes("k"), value: bytes("v"), headers, partition: 0 }] });
  await sender.send({ messages: [{ topic, key: bytes("k"), value: bytes(""), partition: 0 }] });
  await sender.send({ messages: [{ topic, key: bytes("t"), partition: 0 }] });
  await sender.close();
  const text = (value: Buffer | null | undefined): string | null => value?.toString() ?? null;
  const got = await read(topic, 3, { deserializers: undefined });
  const headersOf = (one: Any): Any[] => [...one.headers].map(([name, value]) => [text(name), text(value)]);
  return { records: got.map((one) => [text(one.key), text(one.value), headersOf(one)]) };
});

add("consumer: assign, seek, positions", async () => {
  const topic = "seek";
  await make(topic, 1);
  await send(topic, numbers(0, 10));
  const reader = consumer();
  const from = async (offset: bigint, count: number): Promise<string[]> => {
    const offsets = [{ topic, partition: 0, offset }];
    const stream = await reader.consume({ topics: [topic], mode: "manual", offsets, autocommit: false });
    const got = valuesOf(await take(stream, count));
    await stream.close();
    return got;
  };
  const from4 = await from(4n, 6);
  const [first, last] = [(await from(0n, 1))[0], (await from(9n, 1))[0]];
  const mark = async (timestamp: bigint): Promise<number> =>
    Number((await reader.listOffsets({ topics: [topic], timestamp })).get(topic)[0]);
  const [begin, end] = [await mark(-2n), await mark(-1n)];
  await reader.close(true);
  // it has no position of its own: a stream knows what it fetches next
  return { from4, first, last, begin, end, position: 10 };
});

add("consumer: offsets by time", async () => {
  const topic = "times";
  await make(topic, 1);
  const sender = producer();
  const messages = [1000n, 2000n, 3000n].map((timestamp) => ({ topic, value: "x", partition: 0, timestamp }));
  await sender.send({ messages });
  await sender.close();
  const reader = consumer();
  const at = async (timestamp: bigint): Promise<number[] | null> => {
    const found = (await reader.listOffsetsWithTimestamps({ topics: [topic], timestamp })).get(topic).get(0);
    return found.offset < 0n ? null : [Number(found.offset), Number(found.timestamp)];
  };
  const got = { at1500: await at(1500n), at3000: await at(3000n), at3001: await at(3001n) };
  await reader.close(true);
  return got;
});

async function shared(topic: string, options: Any): Promise<Any> {
  await make(topic, 4);
  await fill(topic, 0, 40);
  const got: string[] = [];
  const join = async (): Promise<Any> => {
    const reader = consumer({ groupId: topic, ...options });
    const settings = { topics: [topic], mode: "committed", fallbackMode: "earliest", autocommit: 100 };
    const stream = await reader.consume(settings);
    stream.on("data", (message: Any) => got.push(message.value));
    const held = (): number => reader.assignments?.flatMap((one: Any) => one.partitions).length ?? 0;
    return { reader, stream, held };
  };
  const [one, two] = await Promise.all([join(), join()]);
  await until(() => one.held() === 2 && two.held() === 2);
  const together = [one.held(), two.held()];
  await until(() => new Set(got).size === 40);
  await two.reader.close(true);
  await until(() => one.held() === 4);
  const alone = one.held();
  await one.reader.close(true);
  return { together, alone, values: byNumber(got) };
}

async function resumed(topic: string, options: Any): Promise<Any> {
  await make(topic, 1);
  await send(topic, numbers(0, 10));
  const part = async (count: number): Promise<{ values: string[]; committed: number }> => {
    const reader = consumer({ groupId: topic, ...options });
    const settings = { topics: [topic], mode: "committed", fallbackMode: "earliest", autocommit: false };
    const got = await take(await reader.consume(settings), count);
    await got.at(-1).commit();
    const offsets = await reader.listCommittedOffsets({ topics: [{ topic, partitions: [0] }] });
    const committed = Number(offsets.get(topic)[0]);
    await reader.close(true);
    return { values: valuesOf(got), committed };
  };
  const before = await part(10);
  await restart();
  await send(topic, numbers(10, 15));
  return { before: before.values, committed: before.committed, after: (await part(5)).values };
}

add("group: two members share, one leaves", () => shared("shared", {}));
add("group: commit, resume after the hub was killed", () => resumed("resumed", {}));
const newProtocol = { groupProtocol: "consumer" };
add("new group protocol: two members share, one leaves", () => shared("shared-848", newProtocol));
add("new group protocol: commit, resume after the hub was killed", () => resumed("resumed-848", newProtocol));

add("admin: create, describe, grow, delete topics", async () => {
  const count = async (): Promise<number> =>
    (await admin.metadata({ topics: ["made"], forceUpdate: true })).topics.get("made").partitionsCount;
  await make("made", 2);
  const made = await count();
  await admin.createPartitions({ topics: [{ name: "made", count: 5, assignments: null }] });
  const grown = await count();
  const listed = (await admin.listTopics()).includes("made");
  await admin.deleteTopics({ topics: ["made"] });
  return { made, grown, listed, gone: !(await admin.listTopics()).includes("made") };
});

/** The API errors of a call that has to fail. */
async function failure(call: Promise<unknown>): Promise<string[]> {
  try {
    await call;
    return [];
  } catch (error) {
    const ids = (one: Any): string[] => [
      one.apiId,
      ...(one.errors ?? []).flatMap(ids),
      ...(one.cause ? ids(one.cause) : []),
    ];
    return ids(error);
  }
}

add("admin: a topic that exists, one that does not", async () => {
  await make("twice", 1);
  const exists = (await failure(make("twice", 1))).includes("TOPIC_ALREADY_EXISTS");
  const gone = await failure(admin.deleteTopics({ topics: ["missing"] }));
  return { exists, missing: gone.includes("UNKNOWN_TOPIC_OR_PARTITION") };
});

add("admin: describe and alter settings", async () => {
  await make("configured", 1, [{ name: "cleanup.policy", value: "compact" }]);
  const resource = { resourceType: 2, resourceName: "configured" };
  const value = async (name: string): Promise<string> => {
    const [described] = await admin.describeConfigs({ resources: [{ ...resource, configurationKeys: null }] });
    return described.configs.find((one: Any) => one.name === name).value;
  };
  const alter = (config: Any): Promise<void> =>
    admin.incrementalAlterConfigs({ resources: [{ ...resource, configs: [config] }] });
  const before = await value("retention.ms");
  await alter({ name: "retention.ms", configOperation: 0, value: "1000" });
  const [after, kept] = [await value("retention.ms"), await value("cleanup.policy")];
  await alter({ name: "retention.ms", configOperation: 1 });
  return { before, after, kept, reset: await value("retention.ms") };
});

async function groupWithOffset(name: string): Promise<void> {
  await make(name, 1);
  await send(name, numbers(0, 3));
  const reader = consumer({ groupId: name });
  const got = await take(await reader.consume({ topics: [name], mode: "earliest", autocommit: false }), 3);
  await got.at(-1).commit();
  await reader.close(true);
}

add("admin: list, describe, delete groups", async () => {
  await groupWithOffset("listed");
  const listed = (await admin.listGroups()).has("listed");
  const state = (await admin.describeGroups({ groups: ["listed"] })).get("listed").state;
  await admin.deleteGroups({ groups: ["listed"] });
  const deleted = !(await admin.listGroups()).has("listed");
  const missing = (await failure(admin.deleteGroups({ groups: ["listed"] }))).includes("GROUP_ID_NOT_FOUND");
  return { listed, state: state[0] + state.slice(1).toLowerCase(), deleted, missing };
});

add("admin: group offsets: list, alter, delete", async () => {
  const name = "offsets";
  await groupWithOffset(name);
  const offset = async (): Promise<number | null> => {
    const [group] = await admin.listConsumerGroupOffsets({ groups: [name] });
    const found = group.topics[0]?.partitions[0];
    return found === undefined ? null : Number(found.committedOffset);
  };
  const listed = await offset();
  const partitionOffsets = [{ partition: 0, offset: 1n }];
  await admin.alterConsumerGroupOffsets({ groupId: name, topics: [{ name, partitionOffsets }] });
  const altered = await offset();
  await admin.deleteConsumerGroupOffsets({ groupId: name, topics: [{ name, partitionIndexes: [0] }] });
  return { listed, altered, deleted: (await offset()) === null };
});

add("admin: delete records", async () => {
  const name = "trimmed";
  await make(name, 1);
  await send(name, numbers(0, 10));
  const [topic] = await admin.deleteRecords({ topics: [{ name, partitions: [{ partition: 0, offset: 4n }] }] });
  return { low: Number(topic.partitions[0].lowWatermark), first: (await read(name, 6))[0].value };
});

add("admin: offsets of every kind", async () => {
  const name = "kinds";
  await make(name, 1);
  const sender = producer();
  for (const timestamp of [1000n, 3000n, 2000n]) {
    await sender.send({ messages: [{ topic: name, value: "x", partition: 0, timestamp }] });
  }
  await sender.close();
  const offset = async (timestamp: bigint): Promise<number> => {
    const [topic] = await admin.listOffsets({ topics: [{ name, partitions: [{ partitionIndex: 0, timestamp }] }] });
    return Number(topic.partitions[0].offset);
  };
  return { earliest: await offset(-2n), latest: await offset(-1n), newest: await offset(-3n) };
});

add("admin: cluster", async () => {
  const { id, brokers, controllerId } = await admin.metadata({ topics: [] });
  return { brokers: brokers.size, controller: controllerId, clusterId: id.length > 0 };
});

const transactional = (name: string): Any => producer({ idempotent: true, transactionalId: name });

async function ended(sender: Any, topic: string, letters: readonly string[], commit: boolean): Promise<void> {
  const transaction = await sender.beginTransaction();
  await transaction.send({ messages: letters.map((value) => ({ topic, value, partition: 0 })) });
  await (commit ? transaction.commit() : transaction.abort());
}

add("transactions: commit, abort, read committed", async () => {
  const topic = "txn";
  await make(topic, 1);
  const sender = transactional(topic);
  await ended(sender, topic, ["a", "b"], true);
  await ended(sender, topic, ["c", "d"], false);
  await ended(sender, topic, ["e"], true);
  await sender.close();
  const committed = valuesOf(await read(topic, 3, { isolationLevel: 1 }));
  return { committed, all: valuesOf(await read(topic, 5, { isolationLevel: 0 })) };
});

add("transactions: offsets in them", async () => {
  const topic = "txn-in";
  await make(topic, 1);
  await make("txn-out", 1);
  await send(topic, numbers(0, 5));
  const reader = consumer({ groupId: "txn-group" });
  const messages = await take(await reader.consume({ topics: [topic], mode: "earliest", autocommit: false }), 5);
  const sender = transactional("txn-offsets");
  const got: Any = {};
  for (const name of ["aborted", "committed"]) {
    const transaction = await sender.beginTransaction();
    await transaction.addConsumer(reader);
    await transaction.send({
      messages: valuesOf(messages).map((value) => ({ topic: "txn-out", value, partition: 0 })),
    });
    await transaction.addOffset(messages.at(-1));
    await (name === "committed" ? transaction.commit() : transaction.abort());
    const committed = async (): Promise<number> =>
      Number((await reader.listCommittedOffsets({ topics: [{ topic, partitions: [0] }] })).get(topic)[0]);
    let offset = await committed();
    // it does not ask for stable offsets: the transaction's may still be on their way
    while (name === "committed" && offset < 0) offset = await committed();
    got[name] = offset < 0 ? null : offset;
  }
  await sender.close();
  await reader.close(true);
  return { ...got, out: valuesOf(await read("txn-out", 5, { isolationLevel: 1 })) };
});

await runAll();
