// A message survives its record, and no record makes an illegal message.
import assert from "node:assert/strict";
import test from "node:test";
import { messageOfRecord, messageUnder, propertyHeaders, topicOfRecord } from "../../../bridge/deliver/headers.ts";
import { isTopic } from "../../../bridge/match/filter.ts";
import { hasExpired, keepOwn, type Message, outgoing } from "../../../bridge/session/message.ts";
import { noProperties, PacketType, type Properties, type Qos } from "../../../bridge/wire/packet.ts";
import { plainDelivery, sizeOf } from "../../../bridge/wire/outgoing.ts";
import { type Header, type InRecord, limits } from "../../../hub/mod.ts";
import { bytes, Dice, properties, seedsOf, text, topic } from "../wire/random.ts";

const encoder = new TextEncoder();
const ascii = (value: string): Uint8Array => encoder.encode(value);

function recordOf(headers: readonly Header[], value: Uint8Array | null = ascii("x")): InRecord {
  return { topic: "t", partition: 0, offset: 5, timestamp: 1_000, key: null, value, headers };
}

/** As ingress writes it. */
function stored(message: Message): InRecord {
  const four = [
    { key: "mqtt.topic", value: ascii(message.topic) },
    { key: "mqtt.qos", value: ascii(String(message.qos)) },
    { key: "mqtt.retain", value: ascii(message.retain ? "1" : "0") },
    { key: "mqtt.client", value: ascii(message.publisher) },
  ];
  return recordOf([...four, ...propertyHeaders(message)], message.payload);
}

function randomMessage(dice: Dice): Message {
  const share = dice.pick([0, 0.3, 0.8]);
  const all = properties(dice, PacketType.publish, "client", share);
  const { topicAlias: _, messageExpiry: __, subscriptionIds: ___, ...kept } = all;
  const hasNone = Object.keys(kept).length === 0;
  return {
    topic: legalTopic(dice),
    payload: bytes(dice),
    qos: dice.below(3) as Qos,
    retain: dice.chance(0.3),
    properties: hasNone ? noProperties : renamed(kept, dice),
    publisher: text(dice),
    expiresAt: dice.chance(0.3) ? dice.below(2 ** 40) : null,
  };
}

/** Within our bounds. */
function legalTopic(dice: Dice): string {
  const name = topic(dice);
  return isTopic(name) ? name : legalTopic(dice);
}

/** Some user properties get names that are ours. */
function renamed(kept: Properties, dice: Dice): Properties {
  if (kept.userProperties === undefined) return kept;
  const names = ["mqtt.topic", "mqtt.qos", "mqtt.user.a", "mqtt.user.mqtt.user.", "mqtt.", "traceparent", "mqtt", ""];
  const userProperties = kept.userProperties.map(
    ([name, value]) => [dice.chance(0.5) ? dice.pick(names) : name, value] as const,
  );
  return { ...kept, userProperties };
}

for (const seed of seedsOf(3)) {
  test(`a message is what its record says (MQTT_SEED=${seed})`, () => {
    const dice = new Dice(seed);
    for (let round = 0; round < 2_000; round++) {
      const message = randomMessage(dice);
      const { isBorrowed, ...found } = messageOfRecord(stored(message))!;
      assert.equal(typeof isBorrowed, "boolean");
      assert.deepEqual({ ...found, payload: [...found.payload] }, { ...message, payload: [...message.payload] });
    }
  });

  test(`whatever a record holds, its message is legal or there is none (MQTT_SEED=${seed})`, () => {
    const dice = new Dice(seed);
    const keys = keysOfOurs.concat(["mqtt.user.x", "mqtt.other", "a", "\ud800", "nul\0"]);
    let legal = 0;
    for (let round = 0; round < 5_000; round++) {
      const headers = Array.from({ length: dice.below(8) }, () => ({ key: dice.pick(keys), value: hostile(dice) }));
      if (dice.chance(0.7)) headers.unshift({ key: "mqtt.topic", value: ascii(topic(dice)) });
      const message = messageOfRecord(recordOf(headers, dice.chance(0.1) ? null : bytes(dice)));
      if (message === null) continue;
      legal++;
      assert.ok(isTopic(message.topic) && !message.topic.startsWith("$"), message.topic);
      assert.ok(message.qos >= 0 && message.qos <= 2);
      assert.equal(typeof hasExpired(message, 0), "boolean");
      sizeOf(outgoing(message), 5, plainDelivery); // throws for what may not be sent
    }
    assert.ok(legal > 1_000, `${legal} messages`);
  });
}

const keysOfOurs = [
  "mqtt.topic",
  "mqtt.qos",
  "mqtt.retain",
  "mqtt.client",
  "mqtt.content-type",
  "mqtt.response-topic",
  "mqtt.correlation-data",
  "mqtt.payload-format",
  "mqtt.expires-at",
];

function hostile(dice: Dice): Uint8Array | null {
  return dice.pick<() => Uint8Array | null>([
    () => null,
    () => bytes(dice),
    () => ascii(text(dice)),
    () => ascii(dice.pick(["", "0", "1", "2", "3", "-1", "1e3", "999999999999999999", "a/+", "#", "\0", "$SYS/x"])),
    () => new Uint8Array([0xc0, 0x80]),
    () => new Uint8Array([0xed, 0xa0, 0x80]),
    () => new Uint8Array(70_000).fill(0x61),
  ])();
}

test("what is not from MQTT is no message", () => {
  const named = (value: string): InRecord => recordOf([{ key: "mqtt.topic", value: ascii(value) }]);
  assert.equal(messageOfRecord(recordOf([])), null);
  assert.equal(messageOfRecord(recordOf([{ key: "mqtt.topic", value: null }])), null);
  assert.equal(messageOfRecord({ ...named("a/b"), value: null }), null, "a tombstone");
  for (const illegal of ["", "a/+", "#", "a\0", "$SYS/broker/uptime", "x".repeat(limits.mqttTopicLengthMax + 1)]) {
    assert.equal(messageOfRecord(named(illegal)), null, illegal);
    assert.equal(messageOfRecord(named(illegal)), null, `${illegal}, remembered`);
  }
  assert.equal(messageOfRecord(named("a/b"))?.qos, 0);
  assert.equal(topicOfRecord(named("\ufeffa")), "\ufeffa", "[MQTT-1.5.4-3]");
});

test("the first of several headers of ours counts; user properties keep their order", () => {
  const message = messageOfRecord(
    recordOf([
      { key: "a", value: ascii("1") },
      { key: "mqtt.topic", value: ascii("t/1") },
      { key: "mqtt.qos", value: ascii("1") },
      { key: "mqtt.topic", value: ascii("t/2") },
      { key: "mqtt.qos", value: ascii("2") },
      { key: "traceparent", value: ascii("00-ab") },
      { key: "a", value: ascii("2") },
      { key: "b", value: null },
    ]),
  );
  assert.deepEqual([message?.topic, message?.qos], ["t/1", 1]);
  assert.deepEqual(message?.properties.userProperties, [
    ["a", "1"],
    ["traceparent", "00-ab"],
    ["a", "2"],
  ]);
});

test("a record that is no message of itself becomes one under a topic", () => {
  const message = messageUnder("devices/7/commands", recordOf([{ key: "kind", value: ascii("on") }]), 1);
  assert.deepEqual([message.topic, message.qos, message.publisher], ["devices/7/commands", 1, ""]);
  assert.deepEqual(message.properties, { userProperties: [["kind", "on"]] });
});

test("a message that waits keeps its own bytes alone, unless they are most of what was read", () => {
  const read = new Uint8Array(100_000).fill(7);
  const small = messageUnder("t", recordOf([], read.subarray(0, 200)), 0);
  assert.equal(outgoing(small).payload.buffer, read.buffer, "sent at once, it is not copied");
  keepOwn(small);
  read.fill(8);
  const { payload } = small;
  for (const kept of [payload, outgoing(small).payload]) assert.ok(kept.every((byte) => byte === 7));
  keepOwn(small);
  assert.equal(small.payload, payload, "once");
  const large = messageUnder("t", recordOf([], read.subarray(0, 90_000)), 0);
  keepOwn(large);
  assert.equal(large.payload.buffer, read.buffer);
});

test("most messages have no headers but the four, and those cost nothing", () => {
  const of = { topic: "t", payload: ascii(""), qos: 1, retain: false, publisher: "" } as const;
  const plain: Message = { ...of, properties: noProperties, expiresAt: null };
  assert.equal(propertyHeaders(plain), propertyHeaders({ ...plain, topic: "u" }));
});
