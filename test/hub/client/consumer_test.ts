// The consumer on a real hub: places to begin, order, seek, pause, retention under it, and how it ends.
import assert from "node:assert/strict";
import test from "node:test";
import type { Consumer, StartAt } from "../../../hub/client/faces.ts";
import { HubError } from "../../../hub/errors.ts";
import type { ErrorName } from "../../../hub/errors.ts";
import { bothWays, fill, names, pollUntil, take, text, withClient } from "./ways.ts";

const kind =
  (expected: ErrorName) =>
  (error: unknown): boolean =>
    error instanceof HubError && error.kind === expected;
const numbered = (count: number, from = 0): string[] => Array.from({ length: count }, (_, index) => `v${from + index}`);

bothWays("everything from the earliest on, in order per partition, with keys, headers and times", async (ground) => {
  const { client } = ground;
  const topic = await ground.topic(2);
  const producer = client.producer();
  const headers = [
    { key: "h", value: Buffer.from("1") },
    { key: "h", value: null },
  ];
  const sent = await Promise.all(
    numbered(200).map((value, index) =>
      producer.publish(topic, {
        key: Buffer.from(`k${index % 7}`),
        value: index === 50 ? null : Buffer.from(value),
        headers,
        timestamp: 1_700_000_000_000 + index,
      }),
    ),
  );
  const consumer = client.consumer({ from: "earliest" });
  await consumer.assign([{ topic }]);
  assert.deepEqual(names(consumer.assignment()), [`${topic}-0`, `${topic}-1`]);
  const records = await take(consumer, 200);
  assert.equal(records.length, 200);
  for (const partition of [0, 1]) {
    const mine = records.filter((record) => record.partition === partition);
    assert.deepEqual(
      mine.map(({ offset }) => offset),
      mine.map((_, index) => index),
    );
  }
  const at50 = records.find(({ timestamp }) => timestamp === 1_700_000_000_050)!;
  assert.deepEqual([at50.value, text(at50.key)], [null, "k1"]);
  assert.deepEqual([at50.partition, at50.offset], [sent[50]!.partition, sent[50]!.offset]);
  assert.deepEqual(
    at50.headers.map(({ key, value }) => [key, text(value)]),
    [
      ["h", "1"],
      ["h", "null"],
    ],
  );
  assert.deepEqual(await consumer.poll(10), []);
});

bothWays("latest, an offset, a time, and a time later than all", async (ground) => {
  const { client } = ground;
  const topic = await ground.topic();
  const producer = client.producer();
  for (let index = 0; index < 10; index += 1) {
    await producer.publish(topic, { key: null, value: Buffer.from(`v${index}`), timestamp: 1000 * (index + 1) });
  }
  const begin = async (from?: StartAt): Promise<Consumer> => {
    const consumer = client.consumer(from === undefined ? {} : { from });
    await consumer.assign([{ topic, partition: 0 }]);
    return consumer;
  };
  const latest = await begin();
  const late = await begin({ time: 99_000_000 });
  assert.deepEqual(
    (await take(await begin({ offset: 7 }), 3)).map(({ value }) => text(value)),
    ["v7", "v8", "v9"],
  );
  assert.deepEqual(
    (await take(await begin({ time: 5_500 }), 5)).map(({ offset }) => offset),
    [5, 6, 7, 8, 9],
  );
  await producer.publish(topic, { key: null, value: Buffer.from("new") });
  for (const consumer of [latest, late])
    assert.deepEqual(
      (await take(consumer, 1)).map(({ offset }) => offset),
      [10],
    );
});

bothWays("seek goes back and forth, and what was read ahead for the old place is dropped", async (ground) => {
  const { client } = ground;
  const topic = await ground.topic();
  await fill(client, topic, numbered(20));
  const consumer = client.consumer({ from: "earliest" });
  await consumer.assign([{ topic }]);
  await take(consumer, 20);
  await consumer.seek({ topic, partition: 0 }, { offset: 15 });
  assert.deepEqual(
    (await take(consumer, 5)).map(({ offset }) => offset),
    [15, 16, 17, 18, 19],
  );
  await consumer.seek({ topic, partition: 0 }, "earliest");
  await consumer.seek({ topic, partition: 0 }, { offset: 18 });
  assert.deepEqual(
    (await take(consumer, 2)).map(({ offset }) => offset),
    [18, 19],
  );
  await assert.rejects(consumer.seek({ topic, partition: 9 }, { offset: 0 }), kind("UNKNOWN_TOPIC_OR_PARTITION"));
});

bothWays("a paused partition gives nothing until it is resumed, and loses nothing", async (ground) => {
  const { client } = ground;
  const topic = await ground.topic(2);
  const consumer = client.consumer({ from: "earliest" });
  await consumer.assign([{ topic }]);
  consumer.pause([{ topic, partition: 1 }]);
  await fill(client, topic, numbered(20), 2);
  const first = await take(consumer, 10);
  assert.ok(first.every(({ partition }) => partition === 0));
  assert.deepEqual(await consumer.poll(20), []);
  consumer.resume([{ topic, partition: 1 }]);
  const second = await take(consumer, 10);
  assert.deepEqual(
    second.map(({ value }) => text(value)),
    numbered(20).filter((_, index) => index % 2 === 1),
  );
});

bothWays("an offset that is not in the log resets to where the consumer was told to begin", async (ground) => {
  const { client } = ground;
  const topic = await ground.topic();
  await fill(client, topic, numbered(5));
  const consumer = client.consumer({ from: "earliest" });
  await consumer.assign([{ topic, partition: 0, from: { offset: 1000 } }]);
  assert.deepEqual(
    (await take(consumer, 5)).map(({ offset }) => offset),
    [0, 1, 2, 3, 4],
  );
});

bothWays("with onMoved it goes on at the nearest offset there is, and says so", async (ground) => {
  const { client } = ground;
  const topic = await ground.topic();
  await fill(client, topic, numbered(5));
  const moved: unknown[] = [];
  const onMoved = (...told: unknown[]): void => void moved.push(told);
  const consumer = client.consumer({ from: "earliest", onMoved });
  consumer.add([{ topic, partition: 0, offset: 1000 }]);
  await pollUntil([consumer], () => moved.length > 0);
  await fill(client, topic, ["new"]);
  assert.deepEqual(
    (await take(consumer, 1)).map(({ offset }) => offset),
    [5],
  );
  assert.deepEqual(moved, [[{ topic, partition: 0 }, 1000, 5]]);
});

bothWays("partitions are added and removed while others are read", async (ground) => {
  const { client } = ground;
  const topic = await ground.topic(3);
  await fill(client, topic, numbered(30), 3);
  const consumer = client.consumer();
  consumer.add([{ topic, partition: 0, offset: 8 }]);
  assert.deepEqual(
    (await take(consumer, 2)).map(({ partition, offset }) => [partition, offset]),
    [
      [0, 8],
      [0, 9],
    ],
  );
  const waiting = consumer.poll(15_000);
  consumer.add([{ topic, partition: 2, offset: 9 }]);
  assert.deepEqual(
    (await waiting).flatMap(({ records }) => records.map(({ value }) => text(value))),
    ["v29"],
  );
  consumer.remove([{ topic, partition: 0 }]);
  assert.deepEqual(names(consumer.assignment()), [`${topic}-2`]);
  await fill(client, topic, ["gone", "gone", "there"], 3);
  assert.deepEqual(
    (await take(consumer, 1)).map(({ value }) => text(value)),
    ["there"],
  );
  consumer.add([{ topic, partition: 2, offset: 10 }]);
  assert.deepEqual(
    (await take(consumer, 1)).map(({ value }) => text(value)),
    ["there"],
    "read anew",
  );
});

bothWays("large records and many, through small fetches", async (ground) => {
  const { client } = ground;
  const topic = await ground.topic();
  const producer = client.producer();
  const sizes = Array.from({ length: 30 }, (_, index) => (index % 3 === 0 ? 300_000 : 10));
  await Promise.all(
    sizes.map((size, index) => producer.publish(topic, { key: null, value: Buffer.alloc(size, index), partition: 0 })),
  );
  const consumer = client.consumer({ from: "earliest", fetchBytesMax: 1000 });
  await consumer.assign([{ topic }]);
  const records = await take(consumer, 30);
  assert.deepEqual(
    records.map(({ value }) => value!.length),
    sizes,
  );
  assert.ok(records.every(({ value, offset }) => value!.every((byte) => byte === offset)));
});

bothWays("a poll that waits is woken by the record, not by the end of its wait", async (ground) => {
  const { client } = ground;
  const topic = await ground.topic();
  const consumer = client.consumer({ from: "earliest" });
  await consumer.assign([{ topic }]);
  await consumer.poll(0);
  const began = performance.now();
  const waiting = consumer.poll(15_000);
  await fill(client, topic, ["now"]);
  assert.equal((await waiting).length, 1);
  assert.ok(performance.now() - began < 5_000);
});

bothWays("close ends the poll that waits; afterwards everything is refused", async (ground) => {
  const { client } = ground;
  const topic = await ground.topic();
  const consumer = client.consumer();
  await consumer.assign([{ topic }]);
  const waiting = consumer.poll(15_000);
  await consumer.close();
  assert.deepEqual(await waiting, []);
  await assert.rejects(consumer.poll(1), kind("NETWORK_EXCEPTION"));
  await assert.rejects(consumer.assign([{ topic }]), kind("NETWORK_EXCEPTION"));
  await consumer.close();
});

test("what cannot be is refused: no topic, no partition, no group", async () => {
  await withClient("without a socket", async (ground) => {
    const { client } = ground;
    const topic = await ground.topic();
    const consumer = client.consumer();
    await assert.rejects(consumer.assign([{ topic: "missing" }]), kind("UNKNOWN_TOPIC_OR_PARTITION"));
    await assert.rejects(consumer.assign([{ topic, partition: 1 }]), kind("UNKNOWN_TOPIC_OR_PARTITION"));
    await assert.rejects(consumer.subscribe([topic]), kind("INVALID_GROUP_ID"));
    await assert.rejects(consumer.commit([{ topic, partition: 0, offset: 1 }]), kind("INVALID_GROUP_ID"));
    await assert.rejects(client.consumer({ group: "g" }).subscribe([]), kind("INVALID_REQUEST"));
  });
});

test("a topic that is deleted under its reader and made anew is read from its beginning", async () => {
  await withClient("without a socket", async (ground) => {
    const { client } = ground;
    const topic = await ground.topic();
    await fill(client, topic, numbered(5));
    const consumer = client.consumer({ from: "earliest" });
    await consumer.assign([{ topic }]);
    await take(consumer, 5);
    const admin = client.admin();
    await admin.deleteTopic(topic);
    await consumer.poll(50);
    await admin.createTopic(topic, { partitions: 1 });
    await fill(client, topic, ["again", "and again"]);
    const records = await take(consumer, 2);
    assert.deepEqual(
      records.map(({ value }) => text(value)),
      ["again", "and again"],
    );
  });
});

test("compressed batches of every codec are opened", async () => {
  await withClient("over a socket", async (ground) => {
    const { client, wire } = ground;
    const { encodeBatch } = await import("../../../hub/record/builder.ts");
    const { Codec, loadCodec } = await import("../../../hub/io/compression.ts");
    const topic = await ground.topic();
    for (const codec of Object.values(Codec)) {
      await loadCodec(codec);
      const records = encodeBatch(
        numbered(50).map((value) => ({ key: null, value: Buffer.from(value) })),
        { codec },
      );
      const partitionData = [{ index: 0, records }];
      const reply = await wire.call("produce", 9, {
        acks: -1,
        timeoutMs: 5000,
        topicData: [{ name: topic, partitionData }],
      });
      assert.equal(reply.responses[0]!.partitionResponses[0]!.errorCode, 0);
    }
    const consumer = client.consumer({ from: { offset: 25 } });
    await consumer.assign([{ topic }]);
    const records = await take(consumer, 225);
    assert.deepEqual(
      records.map(({ offset }) => offset),
      Array.from({ length: 225 }, (_, index) => 25 + index),
    );
    assert.equal(text(records.at(-1)!.value), "v49");
  });
});

test("batches of a poll say where to go on and how far the log reaches", async () => {
  await withClient("without a socket", async (ground) => {
    const topic = await ground.topic();
    await fill(ground.client, topic, numbered(12));
    const consumer = ground.client.consumer({ from: { offset: 3 } });
    await consumer.assign([{ topic }]);
    let next = 0;
    await pollUntil(
      [consumer],
      () => next === 12,
      ({ records, nextOffset, highWatermark }) => {
        assert.equal(nextOffset, records.at(-1)!.offset + 1);
        assert.equal(highWatermark, 12);
        next = nextOffset;
      },
    );
  });
});
