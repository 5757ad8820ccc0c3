// What a client publishes, packet by packet, against the statements of the standard.
import assert from "node:assert/strict";
import test from "node:test";
import { Inbound, type InboundEffect } from "../../../bridge/session/inbound.ts";
import { MqttProblem, noProperties, type Publish, Reason, type Version } from "../../../bridge/wire/packet.ts";
import { limits } from "../../../hub/mod.ts";

const publish = (packetId: number, qos: 0 | 1 | 2, more: Partial<Publish> = {}): Publish => {
  const payload = new Uint8Array(1);
  const dup = false;
  return { kind: "publish", topic: "a", payload, qos, retain: false, dup, packetId, properties: noProperties, ...more };
};

/** Inbound with the effects as text. */
function open(version: Version = 5, receiveMax = 10, ids: readonly number[] = [], durable = true) {
  const inbound = new Inbound("c", ids);
  inbound.onConnected(version, durable, 4, receiveMax);
  const shown = (effects: InboundEffect[]): string[] =>
    effects.map((effect) => {
      if (effect.kind === "append") return `append ${effect.ticket} ${effect.message.topic} id ${effect.packetId}`;
      if (effect.kind === "release") return `release ${effect.packetId}`;
      return `${effect.packet.kind} ${effect.packet.packetId} ${effect.packet.code.toString(16)}`;
    });
  const run = (call: (effects: InboundEffect[]) => void): string[] => {
    const effects: InboundEffect[] = [];
    call(effects);
    return shown(effects);
  };
  return {
    inbound,
    publish: (packet: Publish) => run((effects) => inbound.onPublish(packet, 1_000, effects)),
    commit: (...results: [number, number][]) =>
      run((effects) =>
        inbound.onCommitted(
          results.map(([ticket, code]) => ({ ticket, code: code as 0 })),
          2_000,
          effects,
        ),
      ),
    pubrel: (id: number) => run((effects) => inbound.onPubrel(id, effects)),
    released: (id: number) => run((effects) => inbound.onReleased(id, effects)),
    reconnect: () => inbound.onConnected(version, durable, 4, receiveMax),
  };
}

const problem = (code: number) => (error: unknown) => error instanceof MqttProblem && error.code === code;

test("acknowledgements leave in the order of their PUBLISHes though commits end in any order [MQTT-4.6.0-2]", () => {
  const client = open();
  assert.deepEqual(client.publish(publish(7, 1)), ["append 1 a id 0"]);
  assert.deepEqual(client.publish(publish(8, 2)), ["append 2 a id 8"]);
  assert.deepEqual(client.publish(publish(0, 0)), ["append 0 a id 0"]);
  assert.deepEqual(client.publish(publish(9, 1)), ["append 3 a id 0"]);
  assert.deepEqual(client.commit([3, 0]), []);
  assert.deepEqual(client.commit([2, 0]), []);
  assert.equal(client.inbound.uncommitted, 1);
  assert.deepEqual(client.commit([1, 0]), ["puback 7 0", "pubrec 8 0", "puback 9 0"]);
  assert.deepEqual(client.commit([1, 0]), [], "a ticket counts once");
});

test("a refused commit is told in 5 and withheld in 3.1.1, and others go on", () => {
  const five = open(5);
  five.publish(publish(1, 1));
  five.publish(publish(2, 2));
  assert.deepEqual(five.commit([1, 0x87], [2, 0x97]), ["puback 1 87", "pubrec 2 97"]);
  assert.deepEqual(five.inbound.openIds, [], "[MQTT-4.3.3-9]");
  assert.equal(five.inbound.oldestAt, null);
  assert.deepEqual(five.publish(publish(2, 2)), ["append 3 a id 2"]);

  const four = open(4);
  four.publish(publish(1, 1));
  four.publish(publish(2, 1));
  assert.deepEqual(four.commit([1, 0x80], [2, 0]), ["puback 2 0"]);
  assert.equal(four.inbound.oldestAt, 2_000);
});

test("QoS 2 whose fate nobody knows is neither acknowledged nor refused: it comes again, and is that message", () => {
  for (const version of [4, 5] as const) {
    const client = open(version);
    client.publish(publish(7, 2));
    assert.deepEqual(client.commit([1, Reason.unspecified]), []);
    assert.notEqual(client.inbound.oldestAt, null, "its connection ends");
    client.reconnect();
    assert.equal(client.inbound.oldestAt, null);
    assert.deepEqual(client.publish(publish(7, 2, { dup: true })), ["append 2 a id 7"]);
    assert.deepEqual(client.commit([2, 0]), ["pubrec 7 0"]);
  }
  const brief = open(5, 10, [], false);
  brief.publish(publish(7, 2));
  assert.deepEqual(brief.commit([1, Reason.unspecified]), ["pubrec 7 80"], "no session, nothing to come again");
});

test("QoS 2: stored once, acknowledged as often as it comes, free after PUBREL [MQTT-4.3.3-10]", () => {
  const client = open();
  assert.deepEqual(client.publish(publish(5, 2)), ["append 1 a id 5"]);
  assert.deepEqual(client.publish(publish(5, 2, { dup: true })), [], "its PUBREC is on its way");
  assert.deepEqual(client.commit([1, 0]), ["pubrec 5 0"]);
  assert.deepEqual(client.publish(publish(5, 2, { dup: true })), ["pubrec 5 0"]);
  assert.deepEqual(client.pubrel(5), ["release 5"]);
  assert.deepEqual(client.pubrel(5), []);
  assert.throws(() => client.publish(publish(5, 2)), problem(Reason.protocolError));
  assert.deepEqual(client.released(5), ["pubcomp 5 0"]);
  assert.deepEqual(client.released(5), []);
  assert.deepEqual(client.publish(publish(5, 2)), ["append 2 a id 5"], "[MQTT-4.3.3-12]");
});

test("PUBREL of an id that is not known is answered 0x92 in 5 and plainly in 3.1.1", () => {
  assert.deepEqual(open(5).pubrel(9), ["pubcomp 9 92"]);
  assert.deepEqual(open(4).pubrel(9), ["pubcomp 9 0"]);
});

test("PUBREL before PUBREC breaks the exchange", () => {
  const client = open();
  client.publish(publish(1, 2));
  assert.throws(() => client.pubrel(1), problem(Reason.protocolError));
});

test("QoS 2 ids survive a reconnect: stored, being stored, and being released", () => {
  const client = open();
  for (const id of [1, 2, 3]) client.publish(publish(id, 2));
  client.commit([1, 0], [3, 0]); // 3 is stored; its PUBREC waits for that of 2
  client.pubrel(1);
  client.reconnect();
  assert.deepEqual(client.inbound.openIds, [1, 2, 3]);
  assert.deepEqual(client.publish(publish(2, 2, { dup: true })), [], "still being stored");
  assert.deepEqual(client.publish(publish(3, 2, { dup: true })), [], "waits behind 2");
  assert.deepEqual(client.commit([2, 0]), ["pubrec 2 0", "pubrec 3 0"]);
  assert.deepEqual(client.pubrel(1), []);
  assert.deepEqual(client.released(1), ["pubcomp 1 0"]);
});

test("an old connection's QoS 1 commit acknowledges nothing on the new one", () => {
  const client = open();
  client.publish(publish(1, 1));
  client.reconnect();
  assert.deepEqual(client.commit([1, 0]), []);
  assert.deepEqual(client.publish(publish(1, 1, { dup: true })), ["append 2 a id 0"]);
  assert.deepEqual(client.commit([2, 0]), ["puback 1 0"]);
});

test("ids of a stored session are known; one that failed while the client was away is free", () => {
  const client = open(5, 10, [4]);
  assert.deepEqual(client.publish(publish(4, 2, { dup: true })), ["pubrec 4 0"]);
  client.publish(publish(6, 2));
  client.reconnect();
  client.commit([1, 0x80]);
  assert.deepEqual(client.inbound.openIds, [4]);
  assert.deepEqual(client.publish(publish(6, 2, { dup: true })), ["append 2 a id 6"]);
});

test("a session that ends with its connection stores no ids", () => {
  const client = open(5, 10, [], false);
  assert.deepEqual(client.publish(publish(1, 2)), ["append 1 a id 0"]);
  client.commit([1, 0]);
  assert.deepEqual(client.pubrel(1), ["pubcomp 1 0"]);
});

test("receive maximum: one more is 0x93; PUBACK, PUBCOMP and a failing PUBREC make room [MQTT-3.3.4-7]", () => {
  const client = open(5, 2);
  client.publish(publish(1, 1));
  client.publish(publish(2, 2));
  client.commit([1, 0], [2, 0]);
  client.publish(publish(3, 1));
  assert.throws(() => client.publish(publish(4, 1)), problem(Reason.receiveMaximumExceeded));
  client.pubrel(2);
  client.released(2);
  client.publish(publish(4, 2));
  client.commit([3, 0], [4, 0x80]);
  client.publish(publish(5, 2));
  client.publish(publish(6, 2));
  assert.throws(() => client.publish(publish(7, 1)), problem(Reason.receiveMaximumExceeded));
  const old = open(4, 2);
  for (let id = 1; id <= limits.mqttInFlightPerConnectionMax; id++) {
    assert.equal(old.inbound.isFull, false);
    old.publish(publish(id, 1));
  }
  assert.equal(old.inbound.isFull, true, "3.1.1 is paused instead");
});

test("a packet id in use: 3.1.1 clients that repeat on a timer are borne, a new message is not", () => {
  const client = open(4);
  client.publish(publish(1, 1));
  assert.deepEqual(client.publish(publish(1, 1, { dup: true })), []);
  assert.equal(client.inbound.repeated, 1);
  assert.throws(() => client.publish(publish(1, 1)), problem(Reason.protocolError));
  assert.throws(() => client.publish(publish(1, 2, { dup: true })), problem(Reason.protocolError));
});

test("a client that lost its memory may use an id for QoS 1 that is open for QoS 2", () => {
  const client = open(5, 10, [1]);
  assert.deepEqual(client.publish(publish(1, 1)), ["append 1 a id 0"]);
  assert.deepEqual(client.commit([1, 0]), ["puback 1 0"]);
  assert.deepEqual(client.inbound.openIds, [1]);
});

test("topic aliases: set, used, set anew, forgotten with the connection [MQTT-3.3.2-7]", () => {
  const client = open();
  const alias = (topicAlias: number, topic: string) => publish(0, 0, { topic, properties: { topicAlias } });
  assert.deepEqual(client.publish(alias(1, "x")), ["append 0 x id 0"]);
  assert.deepEqual(client.publish(alias(1, "")), ["append 0 x id 0"]);
  client.publish(alias(1, "y"));
  assert.deepEqual(client.publish(alias(1, "")), ["append 0 y id 0"]);
  assert.throws(() => client.publish(alias(2, "")), problem(Reason.protocolError));
  assert.throws(() => client.publish(alias(5, "x")), problem(Reason.topicAliasInvalid));
  assert.throws(() => client.publish(alias(0, "x")), problem(Reason.topicAliasInvalid));
  client.reconnect();
  assert.throws(() => client.publish(alias(1, "")), problem(Reason.protocolError));
});

test("topics and properties that a client may not send", () => {
  const client = open();
  assert.throws(() => client.publish(publish(1, 1, { topic: "a/#" })), problem(Reason.topicNameInvalid));
  assert.throws(() => client.publish(publish(1, 1, { topic: "" })), problem(Reason.protocolError));
  const ids = { properties: { subscriptionIds: [1] } };
  assert.throws(() => client.publish(publish(1, 1, ids)), problem(Reason.protocolError));
  const wild = { properties: { responseTopic: "a/+" } };
  assert.throws(() => client.publish(publish(1, 1, wild)), problem(Reason.protocolError));
});

test("a topic beyond our bounds is refused for itself, in its turn", () => {
  const client = open();
  const topic = Array(limits.mqttTopicLevelsMax + 1)
    .fill("a")
    .join("/");
  client.publish(publish(1, 1));
  assert.deepEqual(client.publish(publish(2, 2, { topic })), []);
  assert.deepEqual(client.commit([1, 0]), ["puback 1 0", "pubrec 2 90"]);
  assert.deepEqual(client.inbound.openIds, []);
  assert.deepEqual(client.publish(publish(0, 0, { topic })), []);
});

test("open QoS 2 ids of one client are bounded, those of earlier connections included", () => {
  const ids = Array.from({ length: limits.mqttQos2PerClientMax }, (_, at) => at + 1);
  const client = open(5, 10, ids);
  assert.deepEqual(client.publish(publish(60_000, 2)), ["pubrec 60000 97"]);
  assert.deepEqual(client.publish(publish(1, 2, { dup: true })), ["pubrec 1 0"]);
});

test("a message carries its lifetime and the properties that go on, not those of the hop", () => {
  const inbound = new Inbound("me");
  inbound.onConnected(5, true, 4, 10);
  const effects: InboundEffect[] = [];
  const properties = { messageExpiry: 3, topicAlias: 1, contentType: "x", userProperties: [["a", "b"]] as const };
  inbound.onPublish(publish(1, 1, { retain: true, properties }), 1_000, effects);
  const [effect] = effects;
  assert.ok(effect?.kind === "append");
  assert.equal(effect.message.expiresAt, 4_000);
  assert.equal(effect.message.publisher, "me");
  assert.deepEqual(effect.message.properties, { contentType: "x", userProperties: [["a", "b"]] });
});

test("a message whose lifetime is over when it comes is acknowledged like any other [MQTT-4.3.3-13]", () => {
  const client = open();
  client.publish(publish(1, 2, { properties: { messageExpiry: 0 } }));
  assert.deepEqual(client.commit([1, 0]), ["pubrec 1 0"]);
  client.pubrel(1);
  assert.deepEqual(client.released(1), ["pubcomp 1 0"]);
});
