// Decoding: the bytes of the standards' figures, every refusal, and hostile bytes that must end in a refusal or a value.
import assert from "node:assert/strict";
import test from "node:test";
import { decodePacket } from "../../../bridge/wire/decode.ts";
import { encodePacket } from "../../../bridge/wire/encode.ts";
import { FrameScanner } from "../../../bridge/wire/frames.ts";
import { MqttProblem, type Packet, type Sender, type Version } from "../../../bridge/wire/packet.ts";
import { limits } from "../../../hub/mod.ts";
import { decodeFrame, frame, hex, plain, problemOf } from "./bytes.ts";
import { Dice, packet, seedsOf } from "./random.ts";
import { refusals, refusalTitle } from "./refusals.ts";

for (const title of new Set(refusals.map((each) => each.title))) {
  test(refusalTitle(title), () => {
    for (const { version, sender, bytes, code, statement } of refusals.filter((each) => each.title === title)) {
      const problem = problemOf(() => decodeFrame(hex(bytes), version, sender));
      assert.equal(`0x${problem.code.toString(16)}`, `0x${code.toString(16)}`, problem.message);
      assert.ok(problem.message.endsWith(`[MQTT-${statement}]`), `${problem.message}, wanted ${statement}`);
    }
  });
}

interface Golden {
  readonly what: string;
  readonly version: Version;
  readonly sender: Sender;
  readonly bytes: string;
  readonly packet: Packet;
}

const none = {};
const goldens: readonly Golden[] = [
  {
    what: "CONNECT of 3.1.1 figure 3.6: user name, password, will QoS 1, clean session, keep alive 10",
    version: 4,
    sender: "client",
    bytes: `10 26 0004 'MQTT' 04 ce 000a   // flags 11001110
            0003 'dev' 0004 'will' 0003 'bye' 0004 'user' 0004 'pass'`,
    packet: {
      kind: "connect",
      version: 4,
      clean: true,
      keepAlive: 10,
      clientId: "dev",
      will: { topic: "will", payload: Buffer.from("bye"), qos: 1, retain: false, properties: none },
      username: "user",
      password: Buffer.from("pass"),
      properties: none,
    },
  },
  {
    what: "CONNECT of 5 figure 3-6: the same flags, session expiry 10 as its one property",
    version: 5,
    sender: "client",
    bytes: `10 2d 0004 'MQTT' 05 ce 000a 05 11 0000000a
            0003 'dev' 00 0004 'will' 0003 'bye' 0004 'user' 0004 'pass'`,
    packet: {
      kind: "connect",
      version: 5,
      clean: true,
      keepAlive: 10,
      clientId: "dev",
      will: { topic: "will", payload: Buffer.from("bye"), qos: 1, retain: false, properties: none },
      username: "user",
      password: Buffer.from("pass"),
      properties: { sessionExpiry: 10 },
    },
  },
  {
    what: "CONNECT of 5 with a password alone",
    version: 5,
    sender: "client",
    bytes: "10 10 0004 'MQTT' 05 42 0000 00 0000 0001 'p'",
    packet: {
      kind: "connect",
      version: 5,
      clean: true,
      keepAlive: 0,
      clientId: "",
      will: null,
      username: null,
      password: Buffer.from("p"),
      properties: none,
    },
  },
  {
    what: "CONNACK of 3.1.1 with a session",
    version: 4,
    sender: "server",
    bytes: "20 02 01 00",
    packet: { kind: "connack", sessionPresent: true, code: 0, properties: none },
  },
  {
    what: "CONNACK of 5 with an assigned client id",
    version: 5,
    sender: "server",
    bytes: "20 08 00 00 05 12 0002 'id'",
    packet: { kind: "connack", sessionPresent: false, code: 0, properties: { assignedClientId: "id" } },
  },
  {
    what: "PUBLISH of 3.1.1 figure 3.11: topic a/b, packet id 10",
    version: 4,
    sender: "client",
    bytes: "32 08 0003 'a/b' 000a 'x'",
    packet: {
      kind: "publish",
      topic: "a/b",
      payload: Buffer.from("x"),
      qos: 1,
      retain: false,
      dup: false,
      packetId: 10,
      properties: none,
    },
  },
  {
    what: "PUBLISH of 5 figure 3-9: the same without properties, retained, again",
    version: 5,
    sender: "client",
    bytes: "3d 08 0003 'a/b' 000a 00",
    packet: {
      kind: "publish",
      topic: "a/b",
      payload: Buffer.alloc(0),
      qos: 2,
      retain: true,
      dup: true,
      packetId: 10,
      properties: none,
    },
  },
  {
    what: "PUBLISH of 5 with an alias for its topic",
    version: 5,
    sender: "client",
    bytes: "30 07 0000 03 230007 'x'",
    packet: {
      kind: "publish",
      topic: "",
      payload: Buffer.from("x"),
      qos: 0,
      retain: false,
      dup: false,
      packetId: 0,
      properties: { topicAlias: 7 },
    },
  },
  {
    what: "PUBREL of 3.1.1",
    version: 4,
    sender: "client",
    bytes: "62 02 1234",
    packet: { kind: "pubrel", packetId: 0x1234, code: 0, properties: none },
  },
  {
    what: "PUBACK of 5 with a code and no property length",
    version: 5,
    sender: "client",
    bytes: "40 03 0001 10",
    packet: { kind: "puback", packetId: 1, code: 0x10, properties: none },
  },
  {
    what: "SUBSCRIBE of 3.1.1 figure 3.23: a/b QoS 1, c/d QoS 2",
    version: 4,
    sender: "client",
    bytes: "82 0e 000a 0003 'a/b' 01 0003 'c/d' 02",
    packet: {
      kind: "subscribe",
      packetId: 10,
      subscriptions: [
        { filter: "a/b", qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 },
        { filter: "c/d", qos: 2, noLocal: false, retainAsPublished: false, retainHandling: 0 },
      ],
      properties: none,
    },
  },
  {
    what: "SUBSCRIBE of 5: no local, retain as published, retain handling 2, subscription id 200",
    version: 5,
    sender: "client",
    bytes: "82 0d 000a 03 0bc801 0004 'a/+/' 2e",
    packet: {
      kind: "subscribe",
      packetId: 10,
      subscriptions: [{ filter: "a/+/", qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 }],
      properties: { subscriptionIds: [200] },
    },
  },
  {
    what: "SUBACK of 3.1.1 figure 3.26: QoS 0, QoS 2, failure",
    version: 4,
    sender: "server",
    bytes: "90 05 000a 00 02 80",
    packet: { kind: "suback", packetId: 10, codes: [0, 2, 0x80], properties: none },
  },
  {
    what: "UNSUBSCRIBE of 3.1.1 figure 3.30: a/b, c/d",
    version: 4,
    sender: "client",
    bytes: "a2 0c 000a 0003 'a/b' 0003 'c/d'",
    packet: { kind: "unsubscribe", packetId: 10, filters: ["a/b", "c/d"], properties: none },
  },
  {
    what: "UNSUBACK of 5",
    version: 5,
    sender: "server",
    bytes: "b0 05 000a 00 00 11",
    packet: { kind: "unsuback", packetId: 10, codes: [0, 0x11], properties: none },
  },
  {
    what: "DISCONNECT of 5 with a session expiry",
    version: 5,
    sender: "client",
    bytes: "e0 07 04 05 11 ffffffff",
    packet: { kind: "disconnect", code: 4, properties: { sessionExpiry: 0xffff_ffff } },
  },
  {
    what: "AUTH of 5",
    version: 5,
    sender: "client",
    bytes: "f0 09 18 07 15 0001 'm' 16 0000",
    packet: {
      kind: "auth",
      code: 0x18,
      properties: { authenticationMethod: "m", authenticationData: Buffer.alloc(0) },
    },
  },
  { what: "PINGREQ", version: 4, sender: "client", bytes: "c0 00", packet: { kind: "pingreq" } },
  { what: "PINGRESP", version: 5, sender: "server", bytes: "d0 00", packet: { kind: "pingresp" } },
];

test("decodePacket and encodePacket know the bytes of the standards' figures", () => {
  for (const { what, version, sender, bytes, packet } of goldens) {
    assert.deepEqual(plain(decodeFrame(hex(bytes), version, sender)), plain(packet), what);
    assert.equal(encodePacket(packet, version)?.toString("hex"), hex(bytes).toString("hex"), what);
  }
});

test("decodePacket takes the properties of 5 in any order, a user property as often as it comes", () => {
  const connect = decodeFrame(
    hex("10 21 0004 'MQTT' 05 02 003c 14 22 0005 26 0001 'a' 0001 'b' 21 0009 26 0001 'a' 0001 'c' 0000"),
    5,
    "client",
  );
  assert.deepEqual((connect as { properties: unknown }).properties, {
    topicAliasMaximum: 5,
    receiveMaximum: 9,
    userProperties: [
      ["a", "b"],
      ["a", "c"],
    ],
  });
});

test("decodePacket keeps a byte order mark and characters that are no ASCII", () => {
  const publish = decodeFrame(hex("30 0a 0008 efbbbf 'a' 'é' 'ß' // 8 bytes of topic"), 4, "client");
  assert.equal((publish as { topic: string }).topic, "\ufeffaéß");
});

test("what decodePacket returns outlives the buffer it was read from", () => {
  const source = hex("10 1b 0004 'MQTT' 04 c6 000a 0001 'd' 0001 't' 0001 'w' 0001 'u' 0001 'p'");
  const connect = decodePacket(1, 0, source, 2, source.length, 4, "client");
  const before = plain(connect);
  source.fill(0);
  assert.deepEqual(plain(connect), before);
});

test("decodePacket bounds the filters and the properties of one packet", () => {
  const list = (count: number, each: string): string => hex(each).toString("hex").repeat(count);
  const { mqttFiltersPerPacketMax: filters, mqttPropertiesPerPacketMax: properties } = limits;
  const cases: readonly [most: number, first: number, body: (count: number) => string][] = [
    [filters, 0x82, (count) => `0001 00 ${list(count, "0001 'f' 00")}`],
    [filters, 0xa2, (count) => `0001 00 ${list(count, "0001 'f'")}`],
    [
      properties,
      0x30,
      (count) =>
        `0001 't' ${(((count * 5) & 127) | 128).toString(16)}${((count * 5) >> 7).toString(16)} ${list(count, "26 0000 0000")}`,
    ],
  ];
  for (const [most, first, body] of cases) {
    assert.equal(problemOf(() => decodeFrame(frame(first, hex(body(most + 1))), 5, "client")).code, 0x97);
    assert.ok(decodeFrame(frame(first, hex(body(most))), 5, "client"));
  }
});

/** Decodes all that a stream holds; what stops it must be an MqttProblem. Returns whether something was refused. */
function survive(stream: Buffer, version: Version, sender: Sender): boolean {
  const scanner = new FrameScanner(1_000_000);
  scanner.push(stream);
  try {
    while (scanner.next()) {
      const { type, flags, start, end } = scanner;
      decodePacket(type, flags, scanner.bytes, start, end, version, sender);
    }
    return false;
  } catch (error) {
    if (!(error instanceof MqttProblem)) throw error;
    assert.match(error.message, /\[MQTT-\d-?\.?\d+\.\d+-\d+\]$/, "the sentence names its statement");
    return true;
  }
}

test("decodePacket takes or refuses mutated packets, and does nothing else", () => {
  let refused = 0;
  let taken = 0;
  for (const seed of seedsOf(6000)) {
    const dice = new Dice(seed);
    const version: Version = dice.chance(0.7) ? 5 : 4;
    const sender = dice.chance(0.6) ? "client" : "server";
    const bytes = Buffer.from(encodePacket(packet(dice, version, sender), version)!);
    for (let left = 1 + dice.below(3); left > 0; left--) {
      const at = dice.below(Math.min(bytes.length, 60));
      bytes[at] = dice.chance(0.5) ? dice.below(256) : bytes[at]! ^ (1 << dice.below(8));
    }
    const cut = dice.chance(0.3) ? bytes.subarray(0, dice.below(bytes.length + 1)) : bytes;
    try {
      if (survive(cut, version, sender)) refused++;
      else taken++;
    } catch (error) {
      throw new Error(`MQTT_SEED=${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  if (process.env["MQTT_SEED"] === undefined) assert.ok(refused > 1000 && taken > 1000, `${refused}, ${taken}`);
});

test("decodePacket takes or refuses noise", () => {
  for (const seed of seedsOf(3000)) {
    const dice = new Dice(seed);
    const body = Buffer.from(Array.from({ length: dice.below(40) }, () => dice.below(dice.pick([4, 40, 256]))));
    for (const version of [4, 5] as const) {
      const stream = Buffer.concat([Buffer.from([dice.below(256), body.length]), body]);
      survive(stream, version, dice.pick(["client", "server"] as const));
    }
  }
});
