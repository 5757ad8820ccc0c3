// Deliveries over a real hub: what is acknowledged after a SUBACK comes, once and in order; sessions catch up.
import assert from "node:assert/strict";
import test from "node:test";
import { At, batchCrc } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { Client, until, withWorld } from "./world.ts";

const many = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

test("what is acknowledged after the SUBACK comes, what was before does not", async () => {
  await withWorld(async (world) => {
    await world.publish("sensors/a/t", "before");
    const client = new Client(world, "c");
    client.connect();
    await client.subscribe("sensors/+/t");
    await world.publish("sensors/a/t", "1");
    await world.publish("sensors/a/other", "no");
    await world.publish("sensors/b/t", "2", 0);
    await client.until(2);
    assert.deepEqual(client.texts.toSorted(), ["sensors/a/t 1", "sensors/b/t 2"]);
    assert.deepEqual(client.got.map(({ qos }) => qos).toSorted(), [0, 1]);
  });
});

test("a topic that is made after the SUBACK is read from its beginning", async () => {
  await withWorld(async (world) => {
    const client = new Client(world, "c");
    client.connect();
    await client.subscribe("#");
    await world.publish("new/a/t", "1");
    await world.publish("new/b/t", "2");
    world.deliveries.stored("new");
    await client.until(2);
    await world.publish("later/a", "3");
    await client.until(3); // found without being told of
    assert.deepEqual(client.texts.toSorted(), ["later/a 3", "new/a/t 1", "new/b/t 2"]);
  });
});

test("partitions that are added are read from their beginning, also for a filter of one key", async () => {
  await withWorld(async (world) => {
    const admin = world.client.admin();
    await admin.createTopic("sensors", { partitions: 1 });
    const clients = many(20).map((n) => new Client(world, `c${n}`));
    for (const client of clients) client.connect();
    await Promise.all(clients.map((client, n) => client.subscribe(`sensors/dev-${n}/t`)));
    await admin.createPartitions("sensors", 7);
    await Promise.all(many(20).map((n) => world.publish(`sensors/dev-${n}/t`, "x")));
    await Promise.all(clients.map((client) => client.until(1)));
    for (const client of clients) assert.equal(client.got.length, 1);
    await admin.close();
  });
});

test("a session that was away gets what it missed, then what comes, in order; but not QoS 0 of the meantime", async () => {
  await withWorld(async (world) => {
    const client = new Client(world, "c");
    client.connect({ durable: true });
    await client.subscribe("sensors/#");
    await world.publish("sensors/a/t", "0");
    await client.until(1);
    await until(() => client.unacknowledged === 0, "acknowledged");
    client.lose();
    for (const n of many(50)) await world.publish("sensors/a/t", String(n + 1), n % 5 === 0 ? 0 : 2);
    client.connect({ durable: true });
    await world.publish("sensors/a/t", "51");
    await client.until(42);
    const wanted = many(52).filter((n) => n === 0 || n === 51 || (n - 1) % 5 !== 0);
    assert.deepEqual(
      client.got.map(({ payload }) => Number(payload)),
      wanted,
    );
    await world.publish("sensors/a/t", "52", 0);
    await client.until(43);
  });
});

test("what was missed at QoS 0 does not come because the subscription is raised before it was passed over", async () => {
  await withWorld(async (world) => {
    const client = new Client(world, "c");
    client.connect({ durable: true });
    await client.subscribe("sensors/#", 0);
    await world.publish("sensors/a/t", "here");
    await client.until(1);
    client.lose();
    await world.publish("sensors/a/t", "missed", 2);
    const missedAt = Date.now();
    await until(() => Date.now() > missedAt, "the clock goes on");
    client.connect({ durable: true });
    await client.subscribe("sensors/#", 2); // nothing was read for it by then
    await world.publish("sensors/a/t", "later", 2);
    await client.until(2);
    assert.deepEqual(client.texts, ["sensors/a/t here", "sensors/a/t later"]);
  });
});

test("so does one whose hub was restarted; what it had acknowledged does not come again", async () => {
  await withWorld(async (world) => {
    const before = new Client(world, "c");
    before.connect({ durable: true });
    await before.subscribe("sensors/#");
    for (const n of many(10)) await world.publish("sensors/a/t", String(n));
    await before.until(10);
    await until(() => before.unacknowledged === 0, "acknowledged");
    before.lose();
    await world.publish("sensors/a/t", "10");
    await world.publish("other/a/t", "no");
    await world.reopen();
    const after = new Client(world, "c", before.stored);
    after.restart();
    await world.publish("sensors/a/t", "11");
    after.connect({ durable: true });
    await after.until(2);
    assert.deepEqual(after.texts, ["sensors/a/t 10", "sensors/a/t 11"]);
  });
});

test("what was in flight is read again for its packet id, with DUP", async () => {
  await withWorld(async (world) => {
    const before = new Client(world, "c");
    before.connect({ durable: true, receiveMax: 5, holds: true });
    await before.subscribe("sensors/#");
    for (const n of many(8)) await world.publish("sensors/a/t", String(n));
    await before.until(5);
    before.lose();
    await world.reopen();
    const after = new Client(world, "c", before.stored);
    after.restart();
    after.connect({ durable: true, receiveMax: 5 });
    await after.until(8);
    assert.deepEqual(
      after.got.map(({ payload }) => Number(payload)),
      many(8),
    );
    assert.deepEqual(
      after.got.map(({ dup }) => dup),
      many(8).map((n) => n < 5),
    );
    assert.deepEqual(
      after.got.slice(0, 5).map(({ packetId }) => packetId),
      before.got.map(({ packetId }) => packetId),
    );
  });
});

test("a slow client holds back nobody, and gets all of it in order when it goes on", async () => {
  await withWorld(async (world) => {
    const slow = new Client(world, "slow");
    const quick = new Client(world, "quick");
    slow.connect({ holds: true, receiveMax: 10 });
    quick.connect();
    await Promise.all([slow.subscribe("sensors/#"), quick.subscribe("sensors/#")]);
    const count = 3_000;
    for (let from = 0; from < count; from += 100) {
      await Promise.all(many(100).map((n) => world.publish("sensors/a/t", String(from + n))));
    }
    await quick.until(count);
    assert.equal(slow.got.length, 10);
    slow.holds = false;
    slow.acknowledge();
    await slow.until(count);
    for (const client of [quick, slow]) {
      assert.deepEqual(
        client.got.map(({ payload }) => Number(payload)),
        many(count),
      );
    }
    const { performed } = quick;
    assert.ok(performed < count, `${performed} writes for ${count} messages`);
  });
});

test("unsubscribed it gets nothing more, and nobody reads the partition", async () => {
  await withWorld(async (world) => {
    const client = new Client(world, "c");
    client.connect();
    await client.subscribe("sensors/#");
    await client.subscribe("sensors/a/+");
    await world.publish("sensors/a/t", "1");
    await world.publish("sensors/b/t", "2");
    await client.until(2);
    client.unsubscribe("sensors/#");
    await world.publish("sensors/b/t", "no");
    await world.publish("sensors/a/t", "3");
    await client.until(3);
    assert.deepEqual(client.texts.toSorted(), ["sensors/a/t 1", "sensors/a/t 3", "sensors/b/t 2"]);
    client.unsubscribe("sensors/a/+");
    assert.deepEqual([...client.session.outbound.cursors.values()], []);
    assert.equal(world.deliveries.subscriptions, 0);
  });
});

test("what is in no log goes to those it matches; QoS 1 waits for who is away, QoS 0 does not", async () => {
  await withWorld(async (world) => {
    const [here, away, low] = [new Client(world, "here"), new Client(world, "away"), new Client(world, "low")];
    for (const client of [here, away, low]) client.connect({ durable: true });
    await Promise.all([here, away].map((client) => client.subscribe("$SYS/#")));
    await low.subscribe("$SYS/#", 0);
    away.lose();
    low.lose();
    const base = { topic: "$SYS/x", retain: false, properties: {}, publisher: "", expiresAt: null };
    const payload = new TextEncoder().encode("p");
    world.deliveries.publish({ ...base, payload, qos: 0 }, Date.now());
    world.deliveries.publish({ ...base, payload, qos: 1 }, Date.now());
    assert.deepEqual(
      here.got.map(({ qos }) => qos),
      [0, 1],
    );
    away.connect({ durable: true });
    low.connect({ durable: true });
    assert.deepEqual([away.got.length, low.got.length], [1, 0]);
  });
});

test("what no filter is for, what is broken and what is foreign does not stop the tail", async () => {
  await withWorld(async (world) => {
    const client = new Client(world, "c");
    client.connect();
    await client.subscribe("sensors/#");
    await world.record("sensors", "k", "foreign");
    await world.record("sensors", "k", "hostile", { "mqtt.topic": "sensors/+/#", "mqtt.qos": "7" });
    await world.record("sensors", "k", "$", { "mqtt.topic": "$SYS/x" });
    await world.record("sensors", "k", "low", { "mqtt.topic": "sensors/k/t" });
    await world.publish("sensors/a/t", "1");
    await client.until(2);
    assert.deepEqual(client.texts.toSorted(), ["sensors/a/t 1", "sensors/k/t low"]);
  });
});

const downlinks = [{ topic: "commands", publish: "devices/{key}/commands", qos: 1 }];

test("a downlink brings records of whatever client to the device, in order, also to one that was away", async () => {
  await withWorld(
    async (world) => {
      const device = new Client(world, "7");
      device.connect({ durable: true });
      await device.subscribe("devices/7/commands");
      await world.record("commands", "7", "1", { "mqtt.qos": "2" });
      await world.record("commands", "8", "no");
      await world.record("commands", "+", "illegal");
      await world.record("commands", null, "for nobody");
      await device.until(1);
      await until(() => device.unacknowledged === 0, "acknowledged");
      device.lose();
      for (const n of many(20)) await world.record("commands", "7", String(n + 2));
      await world.record("commands", "8", "elsewhere", { "mqtt.topic": "devices/7/commands" });
      await world.reopen();
      const back = new Client(world, "7", device.stored);
      back.restart();
      back.connect({ durable: true });
      await back.until(21);
      assert.deepEqual(
        [...device.got, ...back.got].map(({ payload }) => payload),
        [...many(21).map((n) => String(n + 1)), "elsewhere"],
      );
      assert.deepEqual([device.got[0]?.qos, back.got[0]?.qos], [1, 1]);
      await until(() => world.trace.counted("mqtt_downlink_unaddressed_total") >= 2, "counted");
    },
    { downlinks },
  );
});

test("what retention took is counted, and the session goes on behind it", async () => {
  await withWorld(async (world) => {
    const client = new Client(world, "c");
    client.connect({ durable: true, receiveMax: 3, holds: true });
    await client.subscribe("sensors/#");
    for (const n of many(20)) await world.publish("sensors/a/t", String(n));
    await client.until(3);
    client.lose();
    const partitions = [{ partitionIndex: 0, offset: 10 }];
    const reply = await world.hub.wire.call("deleteRecords", 2, {
      topics: [{ name: "sensors", partitions }],
      timeoutMs: 5_000,
    });
    assert.equal(reply.topics[0]!.partitions[0]!.errorCode, 0);
    await world.reopen();
    const back = new Client(world, "c", client.stored);
    back.restart();
    back.connect({ durable: true });
    await back.until(10);
    assert.deepEqual(
      back.got.map(({ payload }) => Number(payload)),
      many(10).map((n) => n + 10),
    );
    assert.equal(back.session.outbound.counts.lost, 3, "those that were in flight");
    assert.equal(world.trace.counted("mqtt_deliver_gone_total"), 7);
  });
});

test("where retention left nothing of what was missed, that is counted once, and the session goes on with the tail", async () => {
  await withWorld(async (world) => {
    const admin = world.client.admin();
    await admin.createTopic("sensors", { partitions: 1 });
    await admin.close();
    const client = new Client(world, "c");
    client.connect({ durable: true });
    await client.subscribe("sensors/#");
    client.lose();
    for (const n of many(20)) await world.publish("sensors/a/t", String(n));
    const partitions = [{ partitionIndex: 0, offset: 20 }];
    const reply = await world.hub.wire.call("deleteRecords", 2, {
      topics: [{ name: "sensors", partitions }],
      timeoutMs: 5_000,
    });
    assert.equal(reply.topics[0]!.partitions[0]!.errorCode, 0);
    client.connect({ durable: true });
    const cursor = client.session.outbound.cursors.get("sensors", 0)!;
    await until(() => cursor.attached, "it reads with the tail");
    assert.deepEqual([cursor.next, world.trace.counted("mqtt_deliver_gone_total")], [20, 20]);
    await world.publish("sensors/a/t", "20");
    await client.until(1);
    assert.deepEqual(client.texts, ["sensors/a/t 20"]);
  });
});

test("closing amid a look does not wait for it", async () => {
  await withWorld(async (world) => {
    const client = new Client(world, "c");
    client.connect();
    void client.subscribe("sensors/#").catch(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    const began = performance.now();
    await world.deliveries.close();
    assert.ok(performance.now() - began < 5_000, "retries of a closed client take 13 s");
  });
});

test("a batch that nobody can open stops neither the tail nor a session that is behind", async () => {
  await withWorld(async (world) => {
    const admin = world.client.admin();
    await admin.createTopic("sensors", { partitions: 1 });
    await admin.close();
    const [live, away] = [new Client(world, "live"), new Client(world, "away")];
    for (const client of [live, away]) client.connect({ durable: true });
    for (const client of [live, away]) await client.subscribe("sensors/#");
    away.lose();
    await world.publish("sensors/a/t", "1");
    const garbage = encodeBatch([{ key: null, value: new Uint8Array(50) }], { baseOffset: 0 }, 1_000);
    garbage.fill(0xee, 61);
    new DataView(garbage.buffer, garbage.byteOffset).setUint32(At.crc, batchCrc(garbage, 0, garbage.length));
    const partitionData = [{ index: 0, records: garbage }];
    const topicData = [{ name: "sensors", partitionData }];
    const reply = await world.hub.wire.call("produce", 9, { acks: -1, timeoutMs: 5_000, topicData });
    assert.equal(reply.responses[0]!.partitionResponses[0]!.errorCode, 0);
    await world.publish("sensors/a/t", "2");
    await live.until(2);
    assert.equal(world.trace.counted("mqtt_deliver_broken_batches_total"), 1);
    away.connect({ durable: true });
    await away.until(2);
    for (const { texts } of [live, away]) assert.deepEqual(texts, ["sensors/a/t 1", "sensors/a/t 2"]);
  });
});
