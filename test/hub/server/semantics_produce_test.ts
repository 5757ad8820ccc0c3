// What producers rely on when the disk is slow, a topic goes away, or more comes than the disk takes.
import assert from "node:assert/strict";
import test from "node:test";
import { limits } from "../../../hub/limits.ts";
import { decodeResponse, encodeRequest } from "../../../hub/wire/apis.ts";
import { SlowDisk } from "../../tools/slow_disk.ts";
import { type TestHub, withHub } from "../../tools/test_hub.ts";
import { dialWire } from "../../tools/wire_client.ts";
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

test("more than the disk takes waits in line: pipelined batches keep their order, whoever comes while it drains", async () => {
  await withSlowHub(async ({ wire, kafka }, slow) => {
    await makeTopic(wire, "t");
    const { producerId } = await wire.call("initProducerId", 4, { transactionalId: null, transactionTimeoutMs: 1000 });
    const writer = await dialWire(kafka);
    slow.hold();
    let sent = 0;
    const send = (count: number): void => {
      for (let i = 0; i < count; i++, sent++) {
        const records = batchOf(big, { producerId, producerEpoch: 0, baseSequence: sent });
        const topicData = [{ name: "t", partitionData: [{ index: 0, records }] }];
        const request = { acks: -1, timeoutMs: 60_000, topicData };
        for (const part of encodeRequest("produce", 9, sent, "test", request)) writer.send(part);
      }
    };
    send(Math.ceil(limits.journalBacklogBytesMax / big) + 4);
    for (let left = 3; left > 0; left--) {
      await slow.waits();
      slow.step();
      send(2);
    }
    slow.release();
    for (let i = 0; i < sent; i++) {
      const answer = decodeResponse("produce", 9, await writer.frame()).responses[0]!.partitionResponses[0]!;
      assert.deepEqual([answer.errorCode, answer.baseOffset], [0, i]);
    }
    writer.close();
  });
});

test("a produce whose time ends in that line is REQUEST_TIMED_OUT and was not appended", async () => {
  await withSlowHub(async ({ wire, kafka }, slow) => {
    await makeTopic(wire, "t");
    const writer = await dialWire(kafka);
    slow.hold();
    const filling = Array.from({ length: Math.ceil(limits.journalBacklogBytesMax / big) + 1 }, () =>
      produce(writer, "t", batchOf(big)),
    );
    await slow.waits();
    // the line is one for all connections, and what is written on another socket arrives in its own time
    let late = await produce(wire, "t", batchOf(10), { timeoutMs: 20 });
    const before = late.errorCode;
    for (let i = 0; i < 20 && late.errorCode === before; i++)
      late = await produce(wire, "t", batchOf(10), { timeoutMs: 20 });
    is(late, "REQUEST_TIMED_OUT");
    slow.release();
    for (const answer of await Promise.all(filling)) assert.equal(answer.errorCode, 0);
    writer.close();
  });
});

test("the last five batches of a producer are known by their sequence, an older one only as written", async () => {
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
    is(await send(0), "DUPLICATE_SEQUENCE_NUMBER"); // clients take it as written, at an offset nobody knows any more
    const stranger = { producerId: producerId + 1, producerEpoch: 0, baseSequence: 9 };
    is(await produce(wire, "t", batchOf(1, stranger)), "UNKNOWN_PRODUCER_ID");
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
