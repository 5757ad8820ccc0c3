// Against mqtt-packet: what we encode it reads, what it encodes we read, and of broken bytes each difference has a name.
import assert from "node:assert/strict";
import test from "node:test";
import { encodePacket } from "../../../bridge/wire/encode.ts";
import { MqttProblem, type Packet, type Sender, type Version } from "../../../bridge/wire/packet.ts";
import { decodeFrame, plain } from "./bytes.ts";
import { comparable, theirFrame, theirVerdict, toTheirs } from "./oracle.ts";
import { Dice, packet, seedsOf } from "./random.ts";

function draw(dice: Dice): { readonly version: Version; readonly sender: Sender; readonly value: Packet } {
  const version: Version = dice.chance(0.7) ? 5 : 4;
  const sender = dice.chance(0.5) ? "client" : "server";
  return { version, sender, value: packet(dice, version, sender) };
}

test("mqtt-packet reads what encodePacket writes", () => {
  for (const seed of seedsOf(3000)) {
    const { version, value } = draw(new Dice(seed));
    // it has table 3-10 of MQTT5, which leaves 0x8C out, without table 2-6, which has it for a DISCONNECT
    if (value.kind === "disconnect" && value.code === 0x8c) continue;
    const verdict = theirVerdict(encodePacket(value, version)!, version);
    assert.deepEqual(verdict, { packet: comparable(toTheirs(value, version)) }, `MQTT_SEED=${seed} ${value.kind}`);
  }
});

/** Why it cannot write the packet, or null. */
function cannotWrite(value: Packet, version: Version): string | null {
  if (value.kind !== "connect" || version === 4) return null;
  if (value.password !== null && value.username === null) return "a password without a user name, legal in 5";
  if (value.clientId === "" && !value.clean) return "an empty client id without a clean start, legal in 5";
  return null;
}

/** They group user properties by name: the order over names is lost on their way, and is not compared. */
function ordered(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(plain(value), (name, each) =>
      name === "userProperties" ? [...each].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)) : each,
    ),
  );
}

/** A value that is empty is lost when another of its name follows. */
function losesUserProperties(value: Packet): boolean {
  const all = [value, ...(value.kind === "connect" && value.will !== null ? [value.will] : [])];
  return all.some((each) => {
    const pairs = "properties" in each ? (each.properties.userProperties ?? []) : [];
    return pairs.some(([name, text], at) => text === "" && pairs.slice(at + 1).some(([other]) => other === name));
  });
}

test("decodePacket reads what mqtt-packet writes", () => {
  let read = 0;
  for (const seed of seedsOf(3000)) {
    const { version, sender, value } = draw(new Dice(seed));
    if (cannotWrite(value, version) !== null || losesUserProperties(value)) continue;
    const decoded = decodeFrame(theirFrame(value, version), version, sender);
    assert.deepEqual(ordered(decoded), ordered(value), `MQTT_SEED=${seed} ${value.kind}`);
    read++;
  }
  if (process.env["MQTT_SEED"] === undefined) assert.ok(read > 2500, `${read}`);
});

/** Broken bytes that we take and mqtt-packet refuses, by its sentence. */
const takenByUs: readonly [why: string, refused: string, kind: Packet["kind"]][] = [
  [
    "an AUTH without a reason code is success (section 3.15.2.1); it wants the code",
    "Invalid auth reason code",
    "auth",
  ],
  ["0x8C in a DISCONNECT, see above", "Invalid disconnect reason code", "disconnect"],
];

/** Broken bytes that we refuse and mqtt-packet takes, by our sentence. */
const refusedByUs: readonly [why: string, sentence: RegExp][] = [
  ["it does not look whether text is UTF-8, and replaces what is not", /is not well-formed UTF-8|holds U\+0000/],
  ["it does not look at topic names and filters", /topic name|the topic is empty|[#+] does not|share name/],
  ["it takes a property anywhere, any number of times", /may not stand in|stands twice|from a client in|sent a se/],
  ["it takes any value of a property", /^[a-zA-Z]+ is \d+ \[/],
  ["it does not look at properties together", /without authenticationMethod|names no authentication method/],
  ["it takes a field that ends after its properties or its packet, as nothing", /the packet ends within/],
  ["it does not look at what is left over", /bytes stand after/],
  ["it takes variable byte integers that are padded", /takes more bytes than it needs/],
  ["it takes packet id 0", /the packet id is 0/],
  ["it does not know who sent a packet", /a (client|server) sent/],
  [
    "it has no table of the codes of CONNACK, and one for both sides",
    /is not a reason code|return code \d+ is reserved/,
  ],
  ["it takes a SUBACK without codes, and a session of a refused connection", /no reason code|a session is present/],
  ["it takes DUP on QoS 0", /DUP is set on QoS 0/],
  ["it takes no local on shared subscriptions, and lists without filters", /no local on|names no filter/],
  ["it passes over packets of type 0", /packet type \d+ is reserved/],
  ["it takes MQTT 3.1, and levels with the bit of mosquitto's bridges", /protocol level \d+ is not served|is not MQTT/],
  ["it takes an empty client id of a session that stays", /no client id without/],
  ["it takes a password without a user name in 3.1.1", /a password without/],
  ["it takes will QoS 3", /the will QoS is 3/],
  [
    "the frame's length was broken: there is a whole packet, and more bytes",
    /one packet|a whole packet|strictly equal/,
  ],
];

test("of mutated packets decodePacket and mqtt-packet say the same, or differ in a way that has a name", () => {
  const counts = { same: 0, bothRefuse: 0, weRefuse: 0, weTake: 0 };
  for (const seed of seedsOf(6000)) {
    const dice = new Dice(seed);
    const { version, sender, value } = draw(dice);
    const frame = Buffer.from(encodePacket(value, version)!);
    const at = dice.below(Math.min(frame.length, 40));
    frame[at] = dice.chance(0.5) ? dice.below(256) : frame[at]! ^ (1 << dice.below(8));
    const theirs = theirVerdict(frame, version);
    const ours = attempt(frame, version, sender);
    const context = `MQTT_SEED=${seed} ${value.kind} ${frame.toString("hex")}`;
    if ("problem" in ours) {
      counts["packet" in theirs ? "weRefuse" : "bothRefuse"]++;
      const known = refusedByUs.some(([, sentence]) => sentence.test(ours.problem));
      assert.ok(known || !("packet" in theirs), `${context}: we refuse what they take: ${ours.problem}`);
    } else if ("refused" in theirs) {
      const { kind } = ours.packet;
      const known = takenByUs.some(([, sentence, of]) => sentence === theirs.refused && of === kind);
      assert.ok(known, `${context}: we take what they refuse: ${theirs.refused}`);
      counts.weTake++;
    } else {
      assert.ok("packet" in theirs, `${context}: they wait for more`);
      assert.deepEqual(theirs.packet, comparable(toTheirs(ours.packet, ours.version)), context);
      counts.same++;
    }
  }
  if (process.env["MQTT_SEED"] === undefined) {
    assert.ok(counts.same > 1000 && counts.bothRefuse > 300 && counts.weRefuse > 300, JSON.stringify(counts));
  }
});

type Attempt = { readonly packet: Packet; readonly version: Version } | { readonly problem: string };

/** What we make of one frame. A CONNECT says its own version. */
function attempt(frame: Buffer, version: Version, sender: Sender): Attempt {
  try {
    const decoded = decodeFrame(frame, version, sender);
    return { packet: decoded, version: decoded.kind === "connect" ? decoded.version : version };
  } catch (error) {
    if (error instanceof MqttProblem) return { problem: error.message };
    // the frame's own length is broken: no packet, or more than one
    if (error instanceof assert.AssertionError) return { problem: error.message };
    throw error;
  }
}
