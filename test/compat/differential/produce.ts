// Produce: what is refused and with which code; idempotence; timestamps; what is stored in the end.
import { At, batchCrc, Attribute } from "../../../hub/record/batch.ts";
import { batch, began, type Scenario, type Stage } from "./stage.ts";

/** A batch changed after it was made; the CRC is made good again unless `crc` is false. */
function changed(bytes: Uint8Array, change: (view: DataView) => void, crc = true): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  change(view);
  if (crc) view.setInt32(At.crc, batchCrc(copy, 0, copy.length));
  return copy;
}

const joined = (...all: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(all));
const good = batch(["a", "b"]);

const malformed: readonly (readonly [name: string, records: Uint8Array | null])[] = [
  ["empty records", new Uint8Array(0)],
  ["a byte", new Uint8Array(1)],
  ["a header cut short", good.slice(0, 40)],
  ["records cut short", good.slice(0, good.length - 3)],
  ["bytes behind the batch", joined(good, new Uint8Array(5))],
  ["two batches", joined(good, good)],
  ["bad crc", changed(good, (view) => view.setUint8(At.crc, view.getUint8(At.crc) ^ 1), false)],
  ["magic 0", changed(good, (view) => view.setUint8(At.magic, 0), false)],
  ["magic 1", changed(good, (view) => view.setUint8(At.magic, 1), false)],
  ["magic 3", changed(good, (view) => view.setUint8(At.magic, 3), false)],
  ["length too large", changed(good, (view) => view.setInt32(At.length, 10_000), false)],
  ["length negative", changed(good, (view) => view.setInt32(At.length, -1), false)],
  ["length below a header", changed(good, (view) => view.setInt32(At.length, 20), false)],
  ["count too high", changed(good, (view) => view.setInt32(At.count, 3))],
  ["count too low", changed(good, (view) => view.setInt32(At.count, 1))],
  ["count 0", changed(good, (view) => view.setInt32(At.count, 0))],
  ["count negative", changed(good, (view) => view.setInt32(At.count, -1))],
  ["last offset delta too high", changed(good, (view) => view.setInt32(At.lastOffsetDelta, 2))],
  ["last offset delta negative", changed(good, (view) => view.setInt32(At.lastOffsetDelta, -1))],
  ["unknown codec 5", changed(good, (view) => view.setInt16(At.attributes, 5))],
  ["gzip that is none", changed(good, (view) => view.setInt16(At.attributes, 1))],
  ["control bit", changed(good, (view) => view.setInt16(At.attributes, Attribute.control))],
  ["transactional without a producer id", changed(good, (view) => view.setInt16(At.attributes, 0x10))],
  ["producer id without a sequence", changed(good, (view) => view.setBigInt64(At.producerId, 9n))],
  ["base offset that is not 0", changed(good, (view) => view.setBigInt64(At.baseOffset, 77n))],
  ["leader epoch of the client", changed(good, (view) => view.setInt32(At.leaderEpoch, 77))],
];

async function producerOf(at: Stage): Promise<{ producerId: number; producerEpoch: number }> {
  return await at.ask("initProducerId", 4, { transactionalId: null, transactionTimeoutMs: 1000 });
}

interface Sent {
  readonly epoch?: number;
  readonly count?: number;
  readonly id?: number;
  readonly index?: number;
}

async function idempotence(at: Stage): Promise<void> {
  const topic = "produce-idempotent";
  await at.topic(topic, 8);
  const producer = await producerOf(at);
  const send = (name: string, baseSequence: number, more: Sent = {}) => {
    const values = Array.from({ length: more.count ?? 1 }, (_, i) => `v${baseSequence + i}`);
    const { id = producer.producerId, epoch = producer.producerEpoch, index = 0 } = more;
    return at.produce(name, topic, batch(values, { producerId: id, producerEpoch: epoch, baseSequence }), { index });
  };
  await send("first", 0, { count: 2 });
  for (const sequence of [2, 3, 4, 5, 6]) await send(`sequence ${sequence}`, sequence);
  await send("duplicate of the last", 6);
  await send("duplicate 5 back", 2);
  await send("duplicate 6 back", 0, { count: 2 });
  await send("a part of the last batches", 5, { count: 2 });
  await send("gap", 9);
  await send("sequence that went by, never sent so", 1);
  await send("after the refusals", 7);
  await send("newer epoch from the middle", 8, { epoch: 1 });
  await send("newer epoch from 0", 0, { epoch: 1 });
  await send("older epoch", 8, { epoch: 0 });
  await send("epoch two ahead", 0, { epoch: 3 });
  await send("duplicate of the first of an epoch", 0, { epoch: 3 });
  await send("negative epoch", 0, { epoch: -1 });
  const id = (await producerOf(at)).producerId;
  await send("unknown producer in the middle", 17, { id, index: 1 });
  await send("unknown producer goes on", 18, { id, index: 1 });
  await send("unknown producer jumps", 20, { id, index: 1 });
  await send("never handed out", 0, { id: 987_654_321, index: 2 });
  await send("last sequence there is", 2 ** 31 - 1, { id, index: 3 });
  await send("whose sequences reach the end", 0, { id, index: 4, count: 3 });
  await at.fetch("what is stored", topic);
}

async function acks(at: Stage): Promise<void> {
  const topic = "produce-acks";
  await at.topic(topic);
  for (const acks of [1, -1, 2, -2]) await at.produce(`acks ${acks}`, topic, good, { acks });
  for (const version of [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) {
    await at.produce(`version ${version}`, topic, good, { version });
    await at.produce(`unknown topic, version ${version}`, "produce-nowhere", good, { version });
  }
  await at.produce("unknown partition", topic, good, { index: 1 });
  await at.produce("negative partition", topic, good, { index: -1 });
  await at.produce("topic with a bad name", "a b", good);
  await at.step("no topics", "produce", 9, { acks: -1, timeoutMs: 100, topicData: [] });
  await at.step("a topic without partitions", "produce", 9, {
    acks: -1,
    timeoutMs: 100,
    topicData: [{ name: topic, partitionData: [] }],
  });
  const one = { index: 0, records: good };
  await at.step("one good, one bad", "produce", 9, {
    acks: 1,
    timeoutMs: 1000,
    topicData: [
      { name: topic, partitionData: [one, { index: 5, records: good }] },
      { name: "produce-nowhere", partitionData: [one] },
    ],
  });
  const zero = { acks: 0, timeoutMs: 1000, topicData: [{ name: "produce-nowhere", partitionData: [one] }] };
  await at.requestCloses("acks 0 to an unknown topic", "produce", 9, zero);
  await at.fetch("what is stored", topic);
}

async function byTopicId(at: Stage): Promise<void> {
  const topicId = await at.topic("produce-by-id");
  const ask = (id: string) => ({
    acks: -1,
    timeoutMs: 1000,
    topicData: [{ topicId: id, partitionData: [{ index: 0, records: good }] }],
  });
  await at.step("by topic id", "produce", 13, ask(topicId));
  await at.step("unknown topic id", "produce", 13, ask("11111111-2222-4333-8444-555555555555"));
  await at.step("zero topic id", "produce", 13, ask("00000000-0000-0000-0000-000000000000"));
}

async function settings(at: Stage): Promise<void> {
  await at.topic("produce-compacted", 1, { "cleanup.policy": "compact" });
  await at.produce("keyless on a compacted topic", "produce-compacted", batch(["a", "b"]));
  await at.produce("some keyless on a compacted topic", "produce-compacted", batch([["k", "a"], "b", "c"]));
  await at.produce("keys on a compacted topic", "produce-compacted", batch([["k", "a"]]));
  await at.produce("tombstone", "produce-compacted", batch([["k", null]]));
  await at.topic("produce-small", 1, { "max.message.bytes": "200" });
  await at.produce("too large", "produce-small", batch(["x".repeat(200)]));
  // 61 of the header, 7 of the record and what its length needs
  for (const size of [130, 131, 132])
    await at.produce(`at the bound: ${size}`, "produce-small", batch(["x".repeat(size)]));
  await at.topic("produce-replicas", 1, { "min.insync.replicas": "2" });
  for (const acks of [1, -1]) await at.produce(`two replicas wanted, acks ${acks}`, "produce-replicas", good, { acks });
  await at.topic("produce-append-time", 1, { "message.timestamp.type": "LogAppendTime" });
  await at.produce("log append time", "produce-append-time", good);
  await at.fetch("log append time, fetched", "produce-append-time");
  const bounds = { "message.timestamp.before.max.ms": "1000", "message.timestamp.after.max.ms": "1000" };
  await at.topic("produce-timestamps", 1, bounds);
  await at.produce("timestamps too old", "produce-timestamps", batch(["a", "b", "c"]));
  const future = (bytes: Uint8Array) =>
    changed(bytes, (view) => {
      view.setBigInt64(At.baseTimestamp, BigInt(began + 1_000_000_000));
      view.setBigInt64(At.maxTimestamp, BigInt(began + 1_000_000_001));
    });
  await at.produce("timestamps too new", "produce-timestamps", future(good));
  await at.topic("produce-default-times", 2);
  await at.produce("an hour ahead is too new by default", "produce-default-times", future(good), { index: 1 });
  const none = changed(good, (view) => {
    view.setBigInt64(At.baseTimestamp, -1n);
    view.setBigInt64(At.maxTimestamp, -1n);
  });
  await at.produce("no timestamp", "produce-default-times", none);
  await at.fetch("no timestamp, fetched", "produce-default-times");
  const wrongMax = changed(good, (view) => view.setBigInt64(At.maxTimestamp, BigInt(began + 500)));
  await at.produce("a max timestamp that no record has", "produce-default-times", wrongMax);
}

async function codecs(at: Stage): Promise<void> {
  for (const stored of ["producer", "gzip", "uncompressed"]) {
    const topic = `produce-codec-${stored}`;
    await at.topic(topic, 1, { "compression.type": stored });
    for (const codec of [0, 1, 2, 3] as const) {
      await at.produce(`${stored}, codec ${codec}`, topic, batch(["a", "b"], { codec }));
    }
    await at.fetch(`${stored}, fetched`, topic);
  }
  const topic = "produce-codec-old";
  await at.topic(topic);
  const zstd = changed(good, (view) => view.setInt16(At.attributes, 4));
  for (const version of [6, 7]) await at.produce(`zstd in version ${version}`, topic, zstd, { version });
}

export const produceScenarios: readonly Scenario[] = [
  {
    name: "produce, malformed",
    play: async (at) => {
      await at.topic("produce-malformed", malformed.length);
      // each on a partition of its own: what one side takes and the other refuses moves no later offset
      for (const [index, [name, records]] of malformed.entries()) {
        await at.produce(name, "produce-malformed", records, { index });
      }
    },
  },
  { name: "produce, idempotence", play: idempotence },
  { name: "produce, acks and versions", play: acks },
  { name: "produce, topic ids", play: byTopicId },
  { name: "produce, settings of topics", play: settings },
  { name: "produce, codecs", play: codecs },
];
