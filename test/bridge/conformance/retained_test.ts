// Retained messages over real sockets: what is stored, replaced, removed, and who gets it (MQTT5 3.3.1.3).
import assert from "node:assert/strict";
import test from "node:test";
import type { Publish, Version } from "../../../bridge/wire/packet.ts";
import { type CodecClient, subscribePacket } from "../codec_client.ts";
import { fresh, payloadsOf, places, publish, subscriber, versions } from "./hub.ts";

/** Each version on each kind of topic; those with $ in front are retained like others. */
async function everywhere(body: (version: Version, topic: string) => Promise<void>): Promise<void> {
  for (const version of versions) {
    for (const place of [...places, "$plants"]) await body(version, `${place}/${fresh("kept")}`);
  }
}

async function subscribed(version: Version, filter: string): Promise<CodecClient> {
  const client = await subscriber(version);
  client.send(subscribePacket(1, [filter]));
  await client.nth("suback");
  return client;
}

/** What is retained for a filter: all that a new subscription gets before a message that is published then. */
async function retainedOn(version: Version, topic: string): Promise<readonly Publish[]> {
  const client = await subscribed(version, topic);
  await publish(client, topic, "end");
  await client.until(() => payloadsOf(client).includes("end"));
  client.destroy();
  return client.of("publish").filter((_, at, all) => at < all.length - 1);
}

const told = (messages: readonly Publish[]): readonly string[] =>
  messages.map(({ payload, qos, retain }) => `${new TextDecoder().decode(payload)} q${qos}${retain ? " retain" : ""}`);

test("a new subscription gets the last retained message, with RETAIN and its QoS [MQTT-3.3.1-5]", async () => {
  await everywhere(async (version, topic) => {
    const sender = await subscriber(version);
    for (const qos of [1, 0, 2, 1] as const) {
      await publish(sender, topic, `with ${qos}`, { qos, retain: true });
      // QoS 0 has no answer: what is retained after it is acknowledged when it is retained, too
      await publish(sender, "$plants/after", "after", { retain: true });
      assert.deepEqual(told(await retainedOn(version, topic)), [`with ${qos} q${qos} retain`]);
    }
    const other = await subscribed(version, topic.replace(/[^/]+$/, "+"));
    await other.until(() => payloadsOf(other).includes("with 1"));
  });
});

test("retained messages outlive the session that published them", async () => {
  await everywhere(async (version, topic) => {
    const sender = await subscriber(version);
    await publish(sender, topic, "left behind", { retain: true });
    sender.send({ kind: "disconnect", code: 0, properties: {} });
    await sender.untilClosed();
    assert.deepEqual(told(await retainedOn(version, topic)), ["left behind q1 retain"]);
  });
});

test("a subscription that was there gets a retained message without RETAIN [MQTT-3.3.1-9]", async () => {
  await everywhere(async (version, topic) => {
    const client = await subscribed(version, topic);
    await publish(await subscriber(version), topic, "fresh", { retain: true });
    assert.deepEqual(told([await client.nth("publish")]), ["fresh q1"]);
  });
});

test("an empty retained message is delivered, removes what is stored, and is not stored [MQTT-3.3.1-6]", async () => {
  await everywhere(async (version, topic) => {
    const sender = await subscriber(version);
    await publish(sender, topic, "stored", { retain: true });
    const client = await subscribed(version, topic);
    await publish(sender, topic, "", { retain: true });
    await client.nth("publish", 2);
    assert.deepEqual(told(client.of("publish")), ["stored q1 retain", " q1"]);
    assert.deepEqual(await retainedOn(version, topic), []);
  });
});

test("a message without RETAIN neither stores nor removes [MQTT-3.3.1-8]", async () => {
  await everywhere(async (version, topic) => {
    const sender = await subscriber(version);
    await publish(sender, topic, "passing");
    assert.deepEqual(await retainedOn(version, topic), []);
    await publish(sender, topic, "stored", { retain: true });
    await publish(sender, topic, "passing");
    await publish(sender, topic, "");
    assert.deepEqual(told(await retainedOn(version, topic)), ["stored q1 retain"]);
  });
});
