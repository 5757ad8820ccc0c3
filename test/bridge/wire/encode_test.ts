// Encoding: what is encoded decodes to the same value, fits its receiver, and our own mistakes are errors.
import assert from "node:assert/strict";
import test from "node:test";
import { encodePacket, packetSize } from "../../../bridge/wire/encode.ts";
import { noProperties, type Packet, type Properties, Reason, type Version } from "../../../bridge/wire/packet.ts";
import { decodeFrame, hex, plain } from "./bytes.ts";
import { Dice, packet, seedsOf } from "./random.ts";

test("encodePacket and decodePacket are each other's inverse for random packets", () => {
  for (const seed of seedsOf(4000)) {
    const dice = new Dice(seed);
    const version: Version = dice.chance(0.7) ? 5 : 4;
    const sender = dice.chance(0.5) ? "client" : "server";
    const value = packet(dice, version, sender);
    try {
      const bytes = encodePacket(value, version);
      assert.ok(bytes !== null);
      assert.equal(packetSize(value, version), bytes.length);
      assert.deepEqual(plain(decodeFrame(bytes, version, sender)), plain(value));
    } catch (error) {
      throw new Error(`MQTT_SEED=${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});

const ack = (properties: Properties, code: number = Reason.success): Packet => ({
  kind: "puback",
  packetId: 10,
  code,
  properties,
});
const userProperties = [["name", "v".repeat(20)]] as const;
const reasonString = "because";

test("encodePacket leaves out user properties, then the reason string, where the receiver takes no more", () => {
  const kinds: readonly Packet[] = [
    { kind: "connack", sessionPresent: false, code: 0x87, properties: { reasonString, userProperties } },
    ...(["puback", "pubrec", "pubrel", "pubcomp"] as const).map(
      (kind): Packet => ({
        kind,
        packetId: 1,
        code: kind === "puback" || kind === "pubrec" ? 0x87 : 0x92,
        properties: { reasonString, userProperties },
      }),
    ),
    { kind: "suback", packetId: 1, codes: [0x87], properties: { reasonString, userProperties } },
    { kind: "unsuback", packetId: 1, codes: [0x87], properties: { reasonString, userProperties } },
    { kind: "disconnect", code: 0x8b, properties: { reasonString, userProperties } },
    {
      kind: "auth",
      code: Reason.continueAuthentication,
      properties: { authenticationMethod: "m", reasonString, userProperties },
    },
  ];
  for (const whole of kinds) {
    const size = encodePacket(whole, 5)!.length;
    const sender = "server";
    const seen: string[] = [];
    for (let maximumPacketSize = size; maximumPacketSize > 0; maximumPacketSize--) {
      const bytes = encodePacket(whole, 5, { maximumPacketSize });
      if (bytes === null) {
        seen.push("nothing");
        continue;
      }
      assert.ok(bytes.length <= maximumPacketSize);
      const { properties } = decodeFrame(bytes, 5, sender) as { properties: Properties };
      const { userProperties: users, reasonString: reason } = properties;
      seen.push(`${users === undefined ? "" : "users "}${reason === undefined ? "" : "reason"}`);
      if (whole.kind === "auth") assert.equal(properties.authenticationMethod, "m", "what is needed stays");
    }
    assert.deepEqual([...new Set(seen)], ["users reason", "reason", "", "nothing"], whole.kind);
  }
});

test("encodePacket keeps user properties of packets that are not explanations, and says that they do not fit", () => {
  const published: Packet = {
    kind: "publish",
    topic: "t",
    payload: Buffer.alloc(0),
    qos: 0,
    retain: false,
    dup: false,
    packetId: 0,
    properties: { userProperties },
  };
  const size = encodePacket(published, 5)!.length;
  assert.equal(encodePacket(published, 5, { maximumPacketSize: size })!.length, size);
  assert.equal(encodePacket(published, 5, { maximumPacketSize: size - 1 }), null);
  assert.equal(encodePacket(ack(noProperties), 4, { maximumPacketSize: 3 }), null);
});

test("encodePacket sends no explanation to a client that asked for none, but on CONNACK and DISCONNECT", () => {
  const limits = { problemInformation: false };
  const properties = { reasonString, userProperties };
  assert.deepEqual([...encodePacket(ack(properties, 0x87), 5, limits)!], [0x40, 3, 0, 10, 0x87]);
  for (const kept of [
    { kind: "connack", sessionPresent: false, code: 0, properties },
    { kind: "disconnect", code: 0x8e, properties },
  ] as const) {
    assert.deepEqual(encodePacket(kept, 5, limits), encodePacket(kept, 5));
  }
});

test("encodePacket says in 3.1.1 what 3.1.1 can say", () => {
  const four = (value: Packet): number[] => [...encodePacket(value, 4)!];
  assert.deepEqual(four(ack({ reasonString }, 0x87)), [0x40, 2, 0, 10]);
  const connack = (code: number): Packet => ({ kind: "connack", sessionPresent: false, code, properties: {} });
  assert.deepEqual(four(connack(Reason.notAuthorized)), [0x20, 2, 0, 5]);
  assert.deepEqual(four(connack(3)), [0x20, 2, 0, 3]);
  assert.throws(() => encodePacket(connack(Reason.packetTooLarge), 4), /close without CONNACK/);
  const suback: Packet = { kind: "suback", packetId: 1, codes: [1, 0x87, 0x8f], properties: {} };
  assert.deepEqual(four(suback), [0x90, 5, 0, 1, 1, 0x80, 0x80]);
  const unsuback: Packet = { kind: "unsuback", packetId: 1, codes: [0, 0x11], properties: {} };
  assert.deepEqual(four(unsuback), [0xb0, 2, 0, 1]);
  assert.deepEqual(four({ kind: "disconnect", code: 0x8e, properties: {} }), [0xe0, 0]);
  assert.throws(() => encodePacket({ kind: "auth", code: 0, properties: {} }, 4), RangeError);
});

test("encodePacket writes the shortest form of an acknowledgement, a DISCONNECT and an AUTH", () => {
  assert.deepEqual(encodePacket(ack({}), 5), hex("40 02 000a"));
  assert.deepEqual(encodePacket(ack({}, 0x10), 5), hex("40 03 000a 10"));
  assert.deepEqual(encodePacket(ack({ reasonString: "r" }), 5), hex("40 08 000a 00 04 1f 0001 'r'"));
  assert.deepEqual(encodePacket({ kind: "disconnect", code: 0, properties: {} }, 5), hex("e0 00"));
  assert.deepEqual(encodePacket({ kind: "disconnect", code: 4, properties: {} }, 5), hex("e0 01 04"));
  assert.deepEqual(encodePacket({ kind: "auth", code: 0, properties: {} }, 5), hex("f0 00"));
});

test("encodePacket throws RangeError for what no packet can say", () => {
  const publish: Packet & { kind: "publish" } = {
    kind: "publish",
    topic: "t",
    payload: Buffer.alloc(0),
    qos: 1,
    retain: false,
    dup: false,
    packetId: 1,
    properties: {},
  };
  const connect: Packet & { kind: "connect" } = {
    kind: "connect",
    version: 4,
    clean: true,
    keepAlive: 0,
    clientId: "c",
    will: null,
    username: null,
    password: null,
    properties: {},
  };
  const option = { filter: "f", qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  const subscribe: Packet & { kind: "subscribe" } = {
    kind: "subscribe",
    packetId: 1,
    subscriptions: [option],
    properties: {},
  };
  const wrong: readonly Packet[] = [
    { ...publish, topic: "" },
    { ...publish, topic: "a/+" },
    { ...publish, topic: "a\0" },
    { ...publish, topic: "a\ud800" },
    { ...publish, topic: "x".repeat(65_536) },
    { ...publish, packetId: 0 },
    { ...publish, packetId: 65_536 },
    { ...publish, qos: 0, packetId: 5 },
    { ...publish, qos: 0, packetId: 0, dup: true },
    { ...publish, properties: { topicAlias: 0 } },
    { ...publish, properties: { subscriptionIds: [0] } },
    { ...publish, properties: { receiveMaximum: 1 } },
    { ...publish, properties: { userProperties: [["a\0", "b"]] } },
    { ...publish, properties: { correlationData: new Uint8Array(65_536) } },
    ack({}, 0x01),
    ack({ receiveMaximum: 3 }),
    { ...connect, password: Buffer.from("p"), version: 4 },
    { ...connect, version: 4, clientId: "", clean: false },
    { ...connect, keepAlive: 65_536 },
    { ...connect, will: { topic: "#", payload: Buffer.alloc(0), qos: 0, retain: false, properties: {} } },
    { ...subscribe, subscriptions: [] },
    { ...subscribe, packetId: 0 },
    { ...subscribe, subscriptions: [{ ...option, filter: "a/#/b" }] },
    { ...subscribe, subscriptions: [{ ...option, filter: "$share/g/a", noLocal: true }] },
    { ...subscribe, properties: { subscriptionIds: [1, 2] } },
    { kind: "unsubscribe", packetId: 1, filters: [], properties: {} },
    { kind: "unsubscribe", packetId: 1, filters: ["b+"], properties: {} },
    { kind: "suback", packetId: 1, codes: [], properties: {} },
    { kind: "suback", packetId: 1, codes: [3], properties: {} },
    { kind: "connack", sessionPresent: true, code: 0x87, properties: {} },
    { kind: "connack", sessionPresent: false, code: 1, properties: {} },
    { kind: "disconnect", code: 1, properties: {} },
  ];
  for (const [at, value] of wrong.entries()) {
    assert.throws(() => encodePacket(value, value.kind === "connect" ? 4 : 5), RangeError, `case ${at}`);
  }
});
