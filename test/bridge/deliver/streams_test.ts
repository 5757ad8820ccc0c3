// Replays over a real hub: from each kind of place, with place and time of each record, on into what comes.
import assert from "node:assert/strict";
import test from "node:test";
import { Client, until, withWorld } from "./world.ts";

const many = (count: number): number[] => Array.from({ length: count }, (_, at) => at);
const payloads = ({ got }: Client): number[] => got.map(({ payload }) => Number(payload));

test("a replay begins where it is told, and goes on with what comes", async () => {
  await withWorld(async (world) => {
    for (const n of many(10)) await world.publish("sensors/a/t", String(n), n % 2 === 0 ? 0 : 1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    const time = String(Date.now());
    await new Promise((resolve) => setTimeout(resolve, 30));
    for (const n of many(5)) await world.publish("sensors/a/t", String(n + 10));
    const starts = ["earliest", "latest", "12", time, new Date(Number(time)).toISOString(), "1000"];
    const clients = starts.map((start, at) => new Client(world, `c${at}-${start}`));
    for (const [at, client] of clients.entries()) {
      client.connect();
      await client.subscribe("$stream/sensors/sensors/#", 1, {}, starts[at]);
    }
    for (const n of many(3)) await world.publish("sensors/a/t", String(n + 15), 0);
    const firsts = [0, 15, 12, 10, 10, 15];
    for (const [at, client] of clients.entries()) {
      await client.until(18 - firsts[at]!);
      assert.deepEqual(
        payloads(client),
        many(18 - firsts[at]!).map((n) => n + firsts[at]!),
        starts[at],
      );
    }
    const [{ qos, message }] = clients[0]!.got as [(typeof clients)[0]["got"][0]];
    assert.equal(qos, 1, "as granted");
    const told = new Map(message.properties.userProperties);
    assert.deepEqual([told.get("stream-partition"), told.get("stream-offset")], ["0", "0"]);
    assert.ok(Math.abs(Number(told.get("stream-ts")) - Date.now()) < 60_000);
  });
});

test("records of no MQTT client come under the name of the replay, unless it is narrowed", async () => {
  await withWorld(async (world) => {
    await world.record("orders", "k", "1", { trace: "x" });
    await world.publish("orders/a/t", "2");
    const [all, some] = [new Client(world, "all"), new Client(world, "some")];
    for (const client of [all, some]) client.connect();
    await all.subscribe("$stream/orders", 1, {}, "earliest");
    await some.subscribe("$stream/orders/+/a/#", 1, {}, "earliest");
    await all.until(2);
    await some.until(1);
    assert.deepEqual(all.texts.toSorted(), ["$stream/orders 1", "orders/a/t 2"]);
    assert.deepEqual(some.texts, ["orders/a/t 2"]);
    const foreign = all.got.find(({ payload }) => payload === "1");
    assert.deepEqual(foreign?.message.properties.userProperties?.[0], ["trace", "x"]);
  });
});

test("a replay and a subscription are two; a named place begins it anew; unsubscribed it ends", async () => {
  await withWorld(async (world) => {
    await world.publish("sensors/a/t", "0");
    const client = new Client(world, "c");
    client.connect();
    await client.subscribe("sensors/#");
    await client.subscribe("$stream/sensors", 1, {}, "earliest");
    await client.until(1);
    await world.publish("sensors/a/t", "1");
    await client.until(3);
    assert.deepEqual(payloads(client).toSorted(), [0, 1, 1]);
    await client.subscribe("$stream/sensors");
    await client.subscribe("$stream/sensors", 1, {}, "1");
    await client.until(4);
    client.unsubscribe("$stream/sensors");
    await world.publish("sensors/a/t", "2");
    await client.until(5);
    assert.deepEqual(payloads(client), [0, 1, 1, 1, 2]);
    assert.ok([...client.session.outbound.cursors.values()].every(({ group }) => group === ""));
  });
});

test("a session that was away, and one whose hub was restarted, go on with their replay", async () => {
  await withWorld(async (world) => {
    for (const n of many(600)) void world.publish("sensors/a/t", String(n));
    await world.publish("sensors/a/t", "600");
    const client = new Client(world, "c");
    client.connect({ durable: true, receiveMax: 50, holds: true });
    await client.subscribe("$stream/sensors", 1, {}, "earliest");
    await client.until(50);
    client.acknowledge();
    await client.until(100);
    client.lose();
    await world.publish("sensors/a/t", "601");
    client.connect({ durable: true, receiveMax: 50, holds: true });
    await client.until(150);
    assert.deepEqual(payloads(client).slice(100), payloads(client).slice(50, 100), "what was in flight comes again");
    client.lose();
    await world.reopen();
    const back = new Client(world, "c", client.stored);
    back.restart();
    back.connect({ durable: true });
    await back.until(552);
    assert.deepEqual(
      payloads(back),
      many(552).map((n) => n + 50),
    );
    await until(() => back.unacknowledged === 0, "acknowledged");
  });
});
