// QoS 0 and 1 into the hub: what is stored, when the PUBACK leaves, in which order, and what happens on failure.
import assert from "node:assert/strict";
import test from "node:test";
import { HubError } from "../../hub/errors.ts";
import { withBridge } from "./harness.ts";
import { publishFrame, RawClient, subscribeFrame, Type } from "./raw_client.ts";

const many = (count: number, first = 1): number[] => Array.from({ length: count }, (_, at) => first + at);

test("a PUBLISH becomes a record with key, headers and the time of its arrival; its payload is untouched", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const client = await RawClient.open(bridge.port, "pub-1");
    const before = Date.now();
    client.send(publishFrame("sensors/dev-7/temp", "\x01\xff{", { qos: 1, id: 9 }));
    client.send(publishFrame("alarms", "", { retain: true }));
    await client.until(() => client.ids(Type.Puback).length === 1);
    await hub.arrived(2);
    assert.deepEqual(
      { ...hub.sent[0], timestamp: 0 },
      {
        topic: "sensors",
        key: "dev-7",
        value: "\x01\xff{",
        headers: { "mqtt.topic": "sensors/dev-7/temp", "mqtt.qos": "1", "mqtt.retain": "0", "mqtt.client": "pub-1" },
        acks: -1,
        timestamp: 0,
      },
    );
    assert.ok(hub.sent[0]!.timestamp >= before && hub.sent[0]!.timestamp <= Date.now());
    const headers = { "mqtt.topic": "alarms", "mqtt.qos": "0", "mqtt.retain": "1", "mqtt.client": "pub-1" };
    assert.deepEqual([hub.sent[1]!.key, hub.sent[1]!.headers], ["pub-1", headers]);
    client.destroy();
  });
});

test("a PUBACK never leaves before the record is committed, and PUBACKs leave in order", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    hub.hold = true;
    const client = await RawClient.open(bridge.port, "pub");
    const other = await RawClient.open(bridge.port, "other");
    client.send(...many(10).map((id) => publishFrame("s/d/m", `${id}`, { qos: 1, id })));
    await hub.arrived(10);
    await other.ping();
    assert.deepEqual(client.ids(Type.Puback), []);
    hub.release(3);
    await client.until(() => client.ids(Type.Puback).length === 3);
    // committed, but not the first of those that wait: MQTT 4.6 has PUBACKs in the order of the PUBLISHes
    for (let left = 0; left < 6; left++) hub.releaseNewest();
    await other.ping();
    assert.deepEqual(client.ids(Type.Puback), [1, 2, 3]);
    hub.release();
    await client.until(() => client.ids(Type.Puback).length === 10);
    assert.deepEqual(client.ids(Type.Puback), many(10));
    client.destroy();
    other.destroy();
  });
});

test("records of each device are in the order of its PUBLISHes under pipelining from many connections", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const clients = await Promise.all(many(20).map((n) => RawClient.open(bridge.port, `dev-${n}`)));
    for (let round = 0; round < 10; round++) {
      for (const [at, client] of clients.entries()) {
        const ids = many(20, round * 20 + 1);
        client.send(...ids.map((id) => publishFrame(`s/dev-${at}/m${id % 3}`, `${id}`, { qos: id % 2, id })));
      }
    }
    await hub.arrived(4_000);
    for (const client of clients) await client.until(() => client.ids(Type.Puback).length === 100);
    for (const at of clients.keys()) {
      const values = hub.sent.filter((record) => record.key === `dev-${at}`).map((record) => Number(record.value));
      assert.deepEqual(values, many(200));
      clients[at]!.destroy();
    }
  });
});

test("a record that the hub refuses is not acknowledged, and its client is closed after the ack timeout", async () => {
  await withBridge({ ackTimeoutMs: 300 }, async ({ bridge, hub, trace }) => {
    hub.failure = new HubError("KAFKA_STORAGE_ERROR", "the disk is full");
    const client = await RawClient.open(bridge.port, "unlucky");
    const other = await RawClient.open(bridge.port, "lucky");
    const began = performance.now();
    client.send(publishFrame("s/d/m", "x", { qos: 1, id: 1 }), publishFrame("s/d/m", "y", { qos: 0 }));
    await client.untilClosed();
    assert.ok(performance.now() - began >= 300);
    assert.deepEqual(client.ids(Type.Puback), []);
    assert.equal(trace.counted("mqtt_publish_failed_total"), 2);
    const event = trace.events.find((entry) => entry.event === "mqtt_publish_failed");
    assert.deepEqual(event?.fields, { client: "unlucky", reason: "the disk is full" });
    assert.ok(
      trace.events.some((entry) => entry.event === "mqtt_connection_ended" && entry.fields.client === "unlucky"),
    );
    hub.failure = null;
    other.send(publishFrame("s/d/m", "z", { qos: 1, id: 5 }));
    await other.until(() => other.ids(Type.Puback).length === 1);
    assert.equal(bridge.stats().inFlightBytes, 0);
    other.destroy();
  });
});

test("a hub that never answers costs the client its connection, not its later records", async () => {
  await withBridge({ ackTimeoutMs: 200 }, async ({ bridge, hub }) => {
    hub.hold = true;
    const client = await RawClient.open(bridge.port, "waiting");
    client.send(publishFrame("s/d/m", "x", { qos: 1, id: 1 }));
    await client.untilClosed();
    assert.deepEqual(client.ids(Type.Puback), []);
    hub.hold = false;
    hub.release();
    const again = await RawClient.open(bridge.port, "waiting");
    again.send(publishFrame("s/d/m", "x", { qos: 1, id: 1, dup: true }));
    await again.until(() => again.ids(Type.Puback).length === 1);
    again.destroy();
  });
});

test("a topic that cannot be stored is refused: withheld, counted, logged once with its client", async () => {
  await withBridge({ ackTimeoutMs: 200 }, async ({ bridge, hub, trace }) => {
    const client = await RawClient.open(bridge.port, "nosy");
    client.send(publishFrame("__consumer_offsets/d/m", "x", {}), publishFrame("__consumer_offsets/d/m", "y", {}));
    await client.ping();
    client.send(publishFrame("__consumer_offsets/d/m", "z", { qos: 1, id: 1 }));
    await client.untilClosed();
    assert.deepEqual([client.ids(Type.Puback), hub.sent], [[], []]);
    assert.equal(trace.counted("mqtt_publish_refused_total"), 3);
    const events = trace.events.filter((entry) => entry.event === "mqtt_publish_refused");
    assert.deepEqual(
      events.map((entry) => entry.fields.client),
      ["nosy"],
    );
  });
});

test("each route's ack level reaches the producer; what is not stored is acknowledged at once", async () => {
  const routes = [
    { match: "a/#", topic: "a", acks: "all" },
    { match: "l/#", topic: "l", acks: "leader" },
    { match: "n/#", topic: "n", acks: "none" },
    { match: "m/#", store: false },
  ] as const;
  await withBridge({ routes }, async ({ bridge, hub }) => {
    const client = await RawClient.open(bridge.port, "c");
    const topics = ["a/1", "l/1", "n/1", "m/1", "unrouted/1"];
    client.send(...topics.map((topic, at) => publishFrame(topic, "x", { qos: 1, id: at + 1 })));
    await client.until(() => client.ids(Type.Puback).length === 5);
    assert.deepEqual(
      hub.sent.map((record) => [record.topic, record.acks]),
      [
        ["a", -1],
        ["l", 1],
        ["n", 0],
      ],
    );
    assert.deepEqual(client.ids(Type.Puback), many(5));
    client.destroy();
  });
});

test("names that fall together in one hub topic are reported", async () => {
  await withBridge({}, async ({ bridge, trace }) => {
    const client = await RawClient.open(bridge.port, "c");
    client.send(publishFrame("a b/d", "x", { qos: 1, id: 1 }), publishFrame("a_b/d", "y", { qos: 1, id: 2 }));
    await client.until(() => client.ids(Type.Puback).length === 2);
    const event = trace.events.find((entry) => entry.event === "mqtt_topic_collision");
    assert.deepEqual(event?.fields, { topic: "a_b", name: "a_b", other: "a b", client: "c" });
    client.destroy();
  });
});

test("a blocked hub pauses sockets: what is taken in stays bounded, and all of it is acknowledged later", async () => {
  const bounds = { inFlightBytesMax: 512 * 1024, inFlightPerConnectionMax: 50 };
  await withBridge({ ...bounds, ackTimeoutMs: 20_000 }, async ({ bridge, hub }) => {
    hub.hold = true;
    hub.forget = true;
    const clients = await Promise.all(many(60).map((n) => RawClient.open(bridge.port, `dev-${n}`)));
    const payload = "x".repeat(1_000);
    for (const [at, client] of clients.entries()) {
      client.send(...many(500).map((id) => publishFrame(`s/dev-${at}/m`, payload, { qos: 1, id })));
    }
    while (bridge.stats().paused < 50) await new Promise((resolve) => setImmediate(resolve));
    const { inFlightBytes, paused } = bridge.stats();
    // 30 MB were sent; beyond the bound there is at most one read of each connection
    assert.ok(inFlightBytes >= 512 * 1024 && inFlightBytes <= 512 * 1024 + 2 * 65_536 * 1.6, `${inFlightBytes} bytes`);
    assert.ok(paused >= 50);
    hub.hold = false;
    hub.release();
    for (const client of clients) await client.until(() => client.ids(Type.Puback).length === 500);
    assert.equal(hub.count, 30_000);
    assert.deepEqual([bridge.stats().inFlightBytes, bridge.stats().paused], [0, 0]);
    for (const client of clients) client.destroy();
  });
});

test("one connection with too much in flight is paused alone", async () => {
  await withBridge({ inFlightPerConnectionMax: 10 }, async ({ bridge, hub }) => {
    hub.hold = true;
    const greedy = await RawClient.open(bridge.port, "greedy");
    const other = await RawClient.open(bridge.port, "other");
    for (let id = 1; id <= 30; id++) {
      greedy.send(publishFrame("s/greedy/m", "x", { qos: 1, id }));
      await other.ping();
    }
    assert.ok(hub.count <= 11, `${hub.count} taken`);
    hub.hold = false;
    hub.release();
    await greedy.until(() => greedy.ids(Type.Puback).length === 30);
    assert.deepEqual(greedy.ids(Type.Puback), many(30));
    greedy.destroy();
    other.destroy();
  });
});

test("MQTT subscribers get a message once it is committed, not before, and never what was refused", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const watcher = await RawClient.open(bridge.port, "watcher");
    watcher.send(subscribeFrame(1, "#", 0));
    await watcher.until(() => watcher.of(Type.Suback).length === 1);
    const client = await RawClient.open(bridge.port, "pub");
    hub.hold = true;
    client.send(publishFrame("s/d/m", "1", { qos: 1, id: 1 }), publishFrame("s/d/m", "2", {}));
    await hub.arrived(2);
    await watcher.ping();
    assert.deepEqual(watcher.published(), []);
    hub.hold = false;
    hub.release();
    await watcher.until(() => watcher.published().length === 2);
    hub.failure = new HubError("KAFKA_STORAGE_ERROR");
    client.send(publishFrame("s/d/m", "refused", {}));
    await hub.arrived(3);
    hub.failure = null;
    client.send(publishFrame("/not/stored", "3", {}));
    await watcher.until(() => watcher.published().length === 3);
    const got = watcher.published().toSorted();
    assert.deepEqual(got, [
      ["/not/stored", "3"],
      ["s/d/m", "1"],
      ["s/d/m", "2"],
    ]);
    client.destroy();
    watcher.destroy();
  });
});
