// What producers rely on when the disk is slow, a topic goes away, or more comes than the disk takes.
import assert from "node:assert/strict";
import test from "node:test";
import { limits } from "../../../hub/limits.ts";
import { silentTrace } from "../../../hub/mod.ts";
import { decodeResponse, encodeRequest } from "../../../hub/wire/apis.ts";
import { SlowDisk } from "../../tools/slow_disk.ts";
import { type TestHub, withHub } from "../../tools/test_hub.ts";
import { dialWire, type WireClient } from "../../tools/wire_client.ts";
import { batchOf, dropTopic, fetch, is, makeTopic, produce } from "../../tools/wire_calls.ts";

async function withSlowHub(use: (opened: TestHub, slow: SlowDisk) => Promise<void>): Promise<void> {
  const slow = new SlowDisk();
  await withHub({ between: { disk: (disk) => slow.around(disk) } }, async (opened) => {
    try {
      await use(opened, slow);
    } finally {
      slow.release();
    }
  });
}

test("a produce that is not committed in its time is REQUEST_TIMED_OUT; its retry gets the first offset", async () => {
  await withSlowHub(async ({ wire }, slow) => {
    await makeTopic(wire, "t");
    const { producerId } = await wire.call("initProducerId", 4, { transactionalId: null, transactionTimeoutMs: 1000 });
    const batch = () => batchOf(10, { producerId, producerEpoch: 0, baseSequence: 0 });
    slow.hold();
    for (const acks of [1, -1]) is(await produce(wire, "t", batch(), { acks, timeoutMs: 30 }), "REQUEST_TIMED_OUT");
    const unseen = await fetch(wire, { topic: "t" });
    assert.deepEqual([unseen.highWatermark, unseen.records!.length], [0, 0]);
    slow.release();
    const again = await produce(wire, "t", batch());
    assert.deepEqual([again.errorCode, again.baseOffset], [0, 0]);
    assert.equal((await fetch(wire, { topic: "t" })).highWatermark, 1);
  });
});

test("a parked fetch wakes when the watermark moves, not when something is appended", async () => {
  await withSlowHub(async ({ wire, kafka }, slow) => {
    await makeTopic(wire, "t");
    const reader = await dialWire(kafka);
    slow.hold();
    let woken = false;
    const parked = fetch(reader, { topic: "t", maxWaitMs: 20_000 }).finally(() => (woken = true));
    const written = produce(wire, "t", batchOf(10));
    await slow.waits();
    assert.equal(woken, false);
    slow.release();
    assert.equal((await written).errorCode, 0);
    assert.ok((await parked).records!.length > 0);
    reader.close();
  });
});

test("a topic deleted while a produce waits for its commit: the producer is told that it is unknown", async () => {
  await withSlowHub(async ({ wire, kafka }, slow) => {
    await makeTopic(wire, "t");
    const writer = await dialWire(kafka);
    slow.hold();
    const waiting = [1, -1].map((acks) => produce(writer, "t", batchOf(10), { acks }));
    await slow.waits();
    const dropped = dropTopic(wire, "t");
    for (const answer of await Promise.all(waiting)) is(answer, "UNKNOWN_TOPIC_OR_PARTITION");
    slow.release();
    is(await dropped, "NONE");
    writer.close();
  });
});

const big = 1_000_000;
const writersCount = 12;

/** As `withSlowHub`, with a writer and a partition each for a dozen, and the bytes that wait for the disk. */
async function withWriters(
  use: (opened: TestHub, slow: SlowDisk, writers: readonly Writer[], backlog: () => number) => Promise<void>,
): Promise<void> {
  const slow = new SlowDisk();
  const gauges = new Map<string, number>();
  const trace = { ...silentTrace, gauge: (name: string, value: number) => void gauges.set(name, value) };
  await withHub({ trace, between: { disk: (disk) => slow.around(disk) } }, async (opened) => {
    await makeTopic(opened.wire, "t", writersCount + 1);
    const writers = await Promise.all(Array.from({ length: writersCount }, (_, i) => openWriter(opened.kafka, i)));
    try {
      await use(opened, slow, writers, () => {
        opened.hub.measure();
        return gauges.get("journal_backlog_bytes")!;
      });
    } finally {
      slow.release();
      for (const { wire } of writers) wire.close();
    }
  });
}

/** An idempotent producer on a connection of its own: it sees it when its batches change their order. */
interface Writer {
  readonly wire: WireClient;
  sent: number;
  send(count: number): void;
}

async function openWriter(kafka: number, index: number): Promise<Writer> {
  const wire = await dialWire(kafka);
  const { producerId } = await wire.call("initProducerId", 4, { transactionalId: null, transactionTimeoutMs: 1000 });
  const writer: Writer = {
    wire,
    sent: 0,
    send(count) {
      for (let i = 0; i < count; i++) {
        const records = batchOf(big, { producerId, producerEpoch: 0, baseSequence: writer.sent });
        const topicData = [{ name: "t", partitionData: [{ index, records }] }];
        const request = { acks: -1, timeoutMs: 60_000, topicData };
        for (const part of encodeRequest("produce", 9, writer.sent++, "test", request)) wire.send(part);
      }
    },
  };
  return writer;
}

async function overloaded(backlog: () => number): Promise<void> {
  for (const end = performance.now() + 20_000; backlog() <= limits.journalBacklogBytesMax; ) {
    assert.ok(performance.now() < end, `${backlog()} bytes wait for the disk`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

test("more than the disk takes waits in line: pipelined batches keep their order while it drains", async () => {
  await withWriters(async (_opened, slow, writers, backlog) => {
    slow.hold();
    for (const writer of writers) writer.send(4);
    await overloaded(backlog);
    assert.ok(backlog() < limits.journalBacklogBytesMax + 2 * big, "each looks at what those before it left");
    for (let left = 3; left > 0; left--) {
      await slow.waits();
      slow.step();
      for (const writer of writers) writer.send(1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.ok(backlog() < limits.journalBacklogBytesMax + 2 * big);
    }
    slow.release();
    for (const { wire, sent } of writers) {
      for (let i = 0; i < sent; i++) {
        const answer = decodeResponse("produce", 9, await wire.frame()).responses[0]!.partitionResponses[0]!;
        assert.deepEqual([answer.errorCode, answer.baseOffset], [0, i]);
      }
    }
  });
});

test("a produce whose time ends in that line is REQUEST_TIMED_OUT and was not appended", async () => {
  await withWriters(async ({ wire }, slow, writers, backlog) => {
    slow.hold();
    for (const writer of writers) writer.send(4);
    await overloaded(backlog);
    const own = { topic: "t", partitions: [writersCount] };
    is(await produce(wire, "t", batchOf(10), { index: writersCount, timeoutMs: 30 }), "REQUEST_TIMED_OUT");
    slow.release();
    for (const { wire: writer, sent } of writers) {
      for (let i = 0; i < sent; i++)
        is(decodeResponse("produce", 9, await writer.frame()).responses[0]!.partitionResponses[0]!, "NONE");
    }
    assert.equal((await fetch(wire, own)).highWatermark, 0);
    assert.equal((await produce(wire, "t", batchOf(10), { index: writersCount })).baseOffset, 0);
  });
});

test("the last five batches of a producer are known by their sequence, an older one is out of order", async () => {
  await withHub({}, async ({ wire }) => {
    await makeTopic(wire, "t");
    const { producerId } = await wire.call("initProducerId", 4, { transactionalId: null, transactionTimeoutMs: 1000 });
    const send = (baseSequence: number) =>
      produce(wire, "t", batchOf(10, { producerId, producerEpoch: 0, baseSequence }));
    for (let i = 0; i < 7; i++) assert.equal((await send(i)).baseOffset, i);
    for (let i = 2; i < 7; i++) {
      const again = await send(i);
      assert.deepEqual([again.errorCode, again.baseOffset], [0, i]);
    }
    is(await send(0), "OUT_OF_ORDER_SEQUENCE_NUMBER");
    const stranger = { producerId: producerId + 1, producerEpoch: 0, baseSequence: 9 };
    const refused = await produce(wire, "t", batchOf(1, stranger));
    is(refused, "UNKNOWN_PRODUCER_ID");
    assert.equal(refused.logStartOffset, 0, "without it the Java client sends the batch again and again");
  });
});

test("two batches in one partition's records are refused whole", async () => {
  await withHub({}, async ({ wire }) => {
    await makeTopic(wire, "t");
    is(await produce(wire, "t", Buffer.concat([batchOf(5), batchOf(5)])), "INVALID_RECORD");
    assert.equal((await fetch(wire, { topic: "t" })).highWatermark, 0);
  });
});

test("acks=0 to a topic that is not there closes the connection, and no other", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    const client = await dialWire(kafka);
    const topicData = [{ name: "none", partitionData: [{ index: 0, records: batchOf(1) }] }];
    const request = { acks: 0, timeoutMs: 100, topicData };
    for (const part of encodeRequest("produce", 9, 1, "test", request)) client.send(part);
    await client.closed;
    assert.equal((await wire.call("apiVersions", 0, {})).errorCode, 0);
  });
});
