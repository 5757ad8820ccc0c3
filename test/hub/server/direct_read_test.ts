// A consumer in the hub's process, which reads without a request: what it waits for wakes it, and what it leaves is let go.
import assert from "node:assert/strict";
import test from "node:test";
import type { Consumer, Producer } from "../../../hub/mod.ts";
import { FetchPlace, FetchRoom } from "../../../hub/engine/waiting_room.ts";
import { openClock } from "../../../hub/io/clock.ts";
import { limits } from "../../../hub/limits.ts";
import { openTestHub } from "../../tools/test_hub.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function write(producer: Producer, from: number, count: number): Promise<void> {
  const sent = Array.from({ length: count }, (_, n) =>
    producer.publish("t", { key: null, value: bytes(`${from + n}`) }),
  );
  await Promise.all(sent);
}

async function read(consumer: Consumer, count: number): Promise<number[]> {
  const values: number[] = [];
  while (values.length < count) {
    for (const { records } of await consumer.poll(1_000)) {
      for (const { value } of records) values.push(Number(new TextDecoder().decode(value!)));
    }
  }
  return values.sort((a, b) => a - b);
}

const upTo = (from: number, count: number): number[] => Array.from({ length: count }, (_, n) => from + n);

test("what waits is woken by commits, by what retention moves, and by a topic that goes and comes again", async () => {
  const { hub, close } = await openTestHub();
  try {
    const client = hub.client("test");
    const admin = client.admin();
    await admin.createTopic("t", { partitions: 3 });
    const producer = client.producer();
    const moved: number[] = [];
    const consumer = client.consumer({ from: "earliest", onMoved: (_, wanted, next) => moved.push(next - wanted) });
    consumer.add(upTo(0, 3).map((partition) => ({ topic: "t", partition, offset: 0 })));
    for (let round = 0; round < 5; round++) {
      const reading = read(consumer, 30); // it waits already
      await write(producer, round * 30, 30);
      assert.deepEqual(await reading, upTo(round * 30, 30));
    }
    assert.deepEqual(await consumer.poll(1), [], "nothing is told twice");
    consumer.remove([{ topic: "t", partition: 1 }]);
    consumer.add([{ topic: "t", partition: 1, offset: 10_000 }]);
    while (moved.length === 0) await consumer.poll(50);
    assert.ok(moved[0]! < 0, "an offset that is not there is a matter for a request");
    await admin.deleteTopic("t");
    await admin.createTopic("t", { partitions: 3 });
    const again = client.consumer({ from: "earliest" });
    again.add(upTo(0, 3).map((partition) => ({ topic: "t", partition, offset: 0 })));
    const reading = read(again, 10);
    await write(producer, 0, 10);
    assert.deepEqual(await reading, upTo(0, 10));
    for (const each of [consumer, again, producer, client]) await each.close();
  } finally {
    await close();
  }
});

test("more than one read takes is read on, and a paused partition keeps none of the others back", async () => {
  const { hub, close } = await openTestHub();
  try {
    const client = hub.client("test");
    await client.admin().createTopic("t", { partitions: 2 });
    const producer = client.producer();
    await write(producer, 0, 2_000);
    const consumer = client.consumer({ fetchBytesMax: 2_000 });
    await consumer.assign([{ topic: "t", from: "earliest" }]);
    assert.deepEqual(await read(consumer, 2_000), upTo(0, 2_000));
    consumer.pause([{ topic: "t", partition: 0 }]);
    await write(producer, 0, 2_000);
    const ofOne = await read(consumer, 1);
    assert.ok(ofOne.length > 0);
    for (const each of [consumer, producer, client]) await each.close();
  } finally {
    await close();
  }
});

test("partitions that are let go of make room for the others at once", async () => {
  const { hub, close } = await openTestHub();
  try {
    const client = hub.client("test");
    await client.admin().createTopic("t", { partitions: 8 });
    const producer = client.producer();
    await write(producer, 0, 2_000);
    const consumer = client.consumer({ from: "earliest", fetchBytesMax: 1_000 });
    for (let round = 0; round < 5; round++) {
      consumer.add(upTo(0, 8).map((partition) => ({ topic: "t", partition, offset: 0 })));
      for (const left = new Set(upTo(0, 8)); left.size > 0; ) {
        const batches = await consumer.poll(2_000);
        assert.ok(batches.length > 0, `nothing comes of ${[...left]}`);
        for (const batch of batches) {
          left.delete(batch.partition);
          consumer.remove([batch]);
        }
      }
    }
    for (const each of [consumer, producer, client]) await each.close();
  } finally {
    await close();
  }
});

test("who watches a place is woken once, and takes no room after he left", () => {
  const room = new FetchRoom(openClock());
  const place = new FetchPlace();
  let woken = 0;
  room.watch(place, () => woken++);
  room.advanced(place, 1);
  room.advanced(place, 1);
  assert.deepEqual([woken, room.count, place.waiting.size], [1, 0, 0]);
  for (let n = 0; n < limits.parkedRequestsMax + 10; n++) room.watch(place, () => woken++)!.leave();
  assert.deepEqual([woken, room.count, place.waiting.size], [1, 0, 0]);
  room.watch(place, () => woken++);
  room.disturbed(place);
  assert.equal(woken, 2);
  room.close();
  assert.equal(
    room.watch(place, () => woken++),
    null,
    "a hub that stops keeps nobody waiting",
  );
});
