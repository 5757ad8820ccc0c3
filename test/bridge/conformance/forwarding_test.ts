// What a message is when it arrives, in which order, how often, and what happens to one that is not allowed.
import assert from "node:assert/strict";
import test from "node:test";
import type { Access } from "../../../bridge/mod.ts";
import type { Properties } from "../../../bridge/wire/packet.ts";
import { publishPacket, subscribePacket } from "../codec_client.ts";
import { withBridge } from "../harness.ts";
import { answer, connectTo, fresh, payloadsOf, places, publish, subscriber, versions } from "./hub.ts";

test("properties of a message are forwarded as they are [MQTT-3.3.2-17]", async () => {
  const properties: Properties = {
    payloadFormat: 1,
    contentType: "text/plain",
    responseTopic: "answers/here",
    correlationData: Uint8Array.of(0, 255, 1),
    userProperties: [
      ["b", "1"],
      ["a", "2"],
      ["b", "1"],
    ],
  };
  for (const place of places) {
    const topic = `${place}/${fresh("told")}`;
    const live = await subscriber(5);
    live.send(subscribePacket(1, [topic]));
    await live.nth("suback");
    const sender = await subscriber(5);
    for (const qos of [0, 1, 2] as const) await publish(sender, topic, "told", { qos, retain: true, properties });
    await live.nth("publish", 3);
    const late = await subscriber(5);
    late.send(subscribePacket(1, [topic]));
    await late.nth("publish");
    for (const got of [...live.of("publish"), ...late.of("publish")]) {
      const { correlationData, ...rest } = got.properties;
      assert.deepEqual({ ...rest, correlationData: Uint8Array.from(correlationData!) }, properties);
    }
  }
});

test("every subscription gets a topic's messages in their order [MQTT-4.6.0-6]", async () => {
  const many = 200;
  for (const place of places) {
    for (const qos of [0, 1, 2] as const) {
      const topic = `${place}/${fresh("ordered")}`;
      const receivers = await Promise.all(
        [topic, `${topic}/#`].map(async (filter) => {
          const client = await subscriber(5);
          client.send(subscribePacket(1, [filter]));
          await client.nth("suback");
          return client;
        }),
      );
      const sender = await subscriber(5);
      for (let at = 0; at < many; at++) {
        sender.send(publishPacket(topic, String(at), { qos, packetId: qos === 0 ? 0 : at + 1 }));
      }
      for (const client of receivers) {
        const mine = (): readonly string[] => payloadsOf(client);
        await client.until(() => mine().length >= many);
        assert.deepEqual(
          mine(),
          Array.from({ length: many }, (_, at) => String(at)),
        );
      }
    }
  }
});

test("overlapping subscriptions get one copy, which has all their identifiers [MQTT-3.3.4-5]", async () => {
  for (const place of places) {
    const name = `${place}/${fresh("copies")}`;
    const topic = `${name}/a`;
    const client = await subscriber(5);
    client.send(subscribePacket(1, [topic], { subscriptionIds: [7] }));
    client.send(subscribePacket(2, [{ filter: `${name}/+`, qos: 1 }], { subscriptionIds: [9] }));
    client.send(subscribePacket(3, [{ filter: `${topic}/#`, qos: 0 }]));
    await client.nth("suback", 3);
    await publish(client, topic, "once", { qos: 2 });
    await publish(client, topic, "twice", { qos: 2 });
    await client.until(() => payloadsOf(client).includes("twice"));
    const ids = client.of("publish").map(({ qos, properties }) => [qos, [...properties.subscriptionIds!].sort()]);
    assert.deepEqual(ids, [
      [2, [7, 9]],
      [2, [7, 9]],
    ]);
  }
});

test("filters with wildcards are granted [MQTT-3.8.3-2]", async () => {
  for (const version of versions) {
    const client = await subscriber(version);
    client.send(subscribePacket(1, ["+", "#", "plants/+/wet", "/#", "$SYS/#"]));
    assert.deepEqual((await client.nth("suback")).codes, [2, 2, 2, 2, 2]);
  }
});

test("a PUBLISH that is not allowed is told in 5, and ends the connection in 3.1.1 [MQTT-3.3.5-2]", async () => {
  const access: Access = {
    connect: () => ({ admitted: true, principal: "guest" }),
    publish: (_, topic) => !topic.startsWith("secret/"),
    subscribe: () => true,
  };
  await withBridge({ access, ackTimeoutMs: 100 }, async ({ bridge, hub }) => {
    for (const qos of [1, 2] as const) {
      const five = await connectTo(bridge.port, 5);
      answer(five);
      five.send(publishPacket("secret/a", "no", { qos, packetId: 1 }));
      assert.equal((await five.nth(qos === 1 ? "puback" : "pubrec")).code, 0x87);
      await five.ping();
      const four = await connectTo(bridge.port, 4);
      four.send(publishPacket("secret/a", "no", { qos, packetId: 1 }));
      await four.untilClosed();
      assert.deepEqual(
        four.packets.map(({ kind }) => kind),
        ["connack"],
      );
      five.destroy();
    }
    assert.deepEqual(hub.sent, []);
  });
});
