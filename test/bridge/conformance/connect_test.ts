// What a hub does with a CONNECT that it refuses, and with wills: MQTT 3.1.1 and 5 over real sockets.
import assert from "node:assert/strict";
import test from "node:test";
import type { Properties, Version } from "../../../bridge/wire/packet.ts";
import type { Access } from "../../../bridge/mod.ts";
import { encodePacket } from "../../../bridge/wire/encode.ts";
import { CodecClient, connectPacket, publishPacket, subscribePacket } from "../codec_client.ts";
import { withBridge } from "../harness.ts";
import { connectTo, dialHub, fresh, hub, payloadOf, payloadsOf, places, publish, subscriber, versions } from "./hub.ts";

test("what does not begin with CONNECT is closed without an answer [MQTT-3.1.0-1]", async () => {
  for (const version of versions) {
    for (const packet of [{ kind: "pingreq" }, publishPacket("a", "b"), subscribePacket(1, ["a"])] as const) {
      const client = await dialHub(version);
      client.send(packet);
      await client.untilClosed();
      assert.deepEqual(client.packets, []);
    }
  }
});

/** The bytes of a CONNECT that is refused, and the code it gets. */
function refusedHello(version: Version): readonly [Buffer, number] {
  if (version === 5) {
    return [encodePacket(connectPacket("", { properties: { authenticationMethod: "none we know" } }), 5)!, 0x8c];
  }
  const bytes = encodePacket(connectPacket("", { version }), version)!;
  bytes[9]! &= ~2; // no client id, and no Clean Session
  return [bytes, 2];
}

test("after a CONNACK that refuses comes the end, and nothing else of the client is done [MQTT-3.1.4-6]", async () => {
  for (const version of versions) {
    const topic = `plants/${fresh("refused")}`;
    const watcher = await subscriber(5);
    watcher.send(subscribePacket(1, [topic]));
    await watcher.nth("suback");
    const [hello, code] = refusedHello(version);
    const client = await dialHub(version);
    client.socket.write(hello);
    client.send(publishPacket(topic, "refused"), { kind: "pingreq" });
    await client.untilClosed();
    assert.deepEqual(
      client.packets.map(({ kind }) => kind),
      ["connack"],
    );
    assert.equal(client.connack.code, code);
    await publish(watcher, topic, "after");
    await watcher.nth("publish");
    assert.deepEqual(payloadsOf(watcher), ["after"]);
  }
});

test("a client that may not connect is told and closed [MQTT-3.1.4-2]", async () => {
  const access: Access = {
    connect: ({ username }) =>
      username === "root"
        ? { admitted: true, principal: "root" }
        : { admitted: false, returnCode: 5, reason: "only root may connect" },
    publish: () => true,
    subscribe: () => true,
  };
  await withBridge({ access }, async ({ bridge }) => {
    for (const version of versions) {
      const client = await CodecClient.open(bridge.port, "a", { version });
      await client.untilClosed();
      assert.deepEqual(
        client.packets.map((packet) => packet.kind === "connack" && packet.code),
        [version === 4 ? 5 : 0x87],
      );
      const root = await connectTo(bridge.port, version, { username: "root" });
      assert.equal(root.connack.code, 0);
      root.destroy();
    }
  });
});

const will = (topic: string, retain: boolean, properties: Properties = {}) => {
  return { topic, payload: new TextEncoder().encode("gone"), qos: 1, retain, properties } as const;
};

test("a will is published with and without RETAIN, as its CONNECT says [MQTT-3.1.2-14]", async () => {
  for (const version of versions) {
    for (const place of places) {
      for (const retain of [true, false]) {
        const topic = `${place}/${fresh("will")}`;
        const watcher = await subscriber(5);
        watcher.send(subscribePacket(1, [{ filter: topic, retainAsPublished: true }]));
        await watcher.nth("suback");
        const dying = await subscriber(version, { will: will(topic, retain) });
        await dying.cut();
        assert.equal((await watcher.nth("publish")).retain, retain);
        // nobody is told when a will is kept as retained: whoever comes too early comes again
        let got: readonly string[] = [];
        while (got.length < (retain ? 2 : 1)) {
          const late = await subscriber(version);
          late.send(subscribePacket(1, [topic]));
          await late.nth("suback");
          await publish(watcher, topic, "later");
          await late.until(() => payloadsOf(late).includes("later"));
          got = payloadsOf(late);
        }
        assert.deepEqual(got, retain ? ["gone", "later"] : ["later"]);
      }
    }
  }
});

test("a will has its properties, the user properties in their order [MQTT-3.1.3-10]", async () => {
  for (const place of places) {
    const topic = `${place}/${fresh("will")}`;
    const watcher = await subscriber(5);
    watcher.send(subscribePacket(1, [topic]));
    await watcher.nth("suback");
    const userProperties = [
      ["b", "1"],
      ["a", "2"],
      ["b", "0"],
      ["", ""],
    ] as const;
    const properties = { userProperties, contentType: "text/plain", responseTopic: "x/y" };
    const dying = await subscriber(5, { will: will(topic, false, properties) });
    await dying.cut();
    const got = await watcher.nth("publish");
    assert.deepEqual(got.properties, properties);
    assert.equal(payloadOf(got), "gone");
  }
});

test("a will that matches a subscription of its own session reaches the connection that takes over", async () => {
  for (const place of places) {
    for (const expiry of [0, 1_000]) {
      const [clientId, topic] = [fresh("self"), `${place}/${fresh("will")}`];
      const hello = { clean: false, properties: { sessionExpiry: 1_000 } };
      const before = await subscriber(5, { ...hello, will: { ...will(topic, false), qos: 2 } }, clientId);
      before.send(subscribePacket(1, [topic]));
      await before.nth("suback");
      // with one message at a time, one that was sent to nobody would hold up all others
      const properties = { sessionExpiry: expiry, receiveMaximum: 1 };
      const after = await subscriber(5, { clean: false, properties }, clientId);
      assert.equal(after.connack.sessionPresent, true);
      await publish(after, topic, "next", { qos: 2 });
      await after.nth("publish", 2);
      assert.deepEqual([...payloadsOf(after)].sort(), ["gone", "next"]);
    }
  }
});

test("clients of both versions speak over TCP, and with each other [MQTT-4.2.0-1]", async () => {
  const { mqtt } = await hub();
  for (const from of versions) {
    for (const to of versions) {
      const topic = `plants/${fresh("tcp")}`;
      const receiver = await subscriber(to);
      receiver.send(subscribePacket(1, [topic]));
      await receiver.nth("suback");
      const sender = await connectTo(mqtt, from);
      await publish(sender, topic, `from ${from} to ${to}`);
      assert.equal(payloadOf(await receiver.nth("publish")), `from ${from} to ${to}`);
    }
  }
});
