// Shared subscriptions over real sockets (MQTT5 4.8.2).
import assert from "node:assert/strict";
import test from "node:test";
import { ackPacket, type CodecClient, subscribePacket } from "../codec_client.ts";
import { connectTo, fresh, hub, payloadOf, payloadsOf, publish, subscriber } from "./hub.ts";

async function member(group: string, filter: string, qos: 0 | 1 | 2): Promise<CodecClient> {
  const client = await subscriber(5);
  client.send(subscribePacket(1, [{ filter: `$share/${group}/${filter}`, qos }]));
  assert.deepEqual((await client.nth("suback")).codes, [qos]);
  return client;
}

test("a shared delivery has at most the QoS that its client was granted [MQTT-4.8.2-3]", async () => {
  for (const granted of [0, 1, 2] as const) {
    const topic = `plants/${fresh("shared")}`;
    const client = await member(fresh("group"), topic, granted);
    const sender = await subscriber(5);
    for (const qos of [0, 1, 2] as const) await publish(sender, topic, String(qos), { qos });
    await client.nth("publish", 3);
    for (const got of client.of("publish")) assert.equal(got.qos, Math.min(granted, Number(payloadOf(got))));
  }
});

test("a shared delivery that its client refuses goes to no other [MQTT-4.8.2-6]", async () => {
  const topic = `plants/${fresh("shared")}`;
  const group = fresh("group");
  const refusing = await connectTo((await hub()).mqtt, 5);
  refusing.send(subscribePacket(1, [{ filter: `$share/${group}/${topic}`, qos: 1 }]));
  await refusing.nth("suback");
  const sender = await subscriber(5);
  await publish(sender, topic, "refused");
  const got = await refusing.nth("publish");
  refusing.send(ackPacket("puback", got.packetId, 0x83));
  await refusing.ping();
  refusing.send({ kind: "disconnect", code: 0, properties: {} });
  await refusing.untilClosed();
  const other = await member(group, topic, 1);
  await publish(sender, topic, "for the other");
  await other.nth("publish");
  assert.deepEqual(payloadsOf(other), ["for the other"]);
});
