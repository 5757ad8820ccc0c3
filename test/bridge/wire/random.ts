// Random legal packets from a seed: every field, every property where it may stand, edges more often than chance.
import {
  type Acknowledgement,
  type Packet,
  PacketType,
  type Properties,
  type Qos,
  Reason,
  type RetainHandling,
  type Sender,
  type Version,
  type Will,
} from "../../../bridge/wire/packet.ts";
import { type CodePacket, isCodeOf } from "../../../bridge/wire/codes.ts";
import { inWill, type Place, propertyTable } from "../../../bridge/wire/properties.ts";

export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 to 1, without 1 (mulberry32). */
  float(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(count: number): number {
    return Math.floor(this.float() * count);
  }

  chance(share: number): boolean {
    return this.float() < share;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  /** Between the two, the ends more often. */
  between(least: number, most: number): number {
    if (this.chance(0.2)) return this.pick([least, most]);
    return least + Math.floor(this.float() * (this.chance(0.5) ? Math.min(most - least + 1, 200) : most - least + 1));
  }
}

const letters = ["a", "b", "z", "0", "-", " ", "é", "ß", "中", "😀", "\uffff", "\ufeff", "\u0001", "\u007f", "\ufffd"];

export function text(dice: Dice, most = 12): string {
  let made = "";
  for (let left = dice.below(most + 1); left > 0; left--) made += dice.pick(letters);
  // longer than one byte of length, now and then
  return dice.chance(0.03) ? made + "x".repeat(dice.below(700)) : made;
}

export function bytes(dice: Dice, most = 20): Uint8Array {
  const made = new Uint8Array(dice.chance(0.05) ? dice.below(20_000) : dice.below(most + 1));
  for (let at = 0; at < made.length; at++) made[at] = dice.below(256);
  return made;
}

export function topic(dice: Dice): string {
  const levels = Array.from({ length: 1 + dice.below(4) }, () => text(dice, 5));
  return levels.join("/") || "t";
}

export function filter(dice: Dice): string {
  const levels = Array.from({ length: 1 + dice.below(4) }, () => (dice.chance(0.3) ? "+" : text(dice, 4)));
  if (dice.chance(0.3)) levels.push("#");
  const plain = levels.join("/") || "f";
  return dice.chance(0.2) ? `$share/${dice.pick(["g", "grüpp", "😀"])}/${plain}` : plain;
}

/** Properties of a packet of 5, each with a chance of `share`. */
export function properties(dice: Dice, place: Place, sender: Sender, share: number): Properties {
  const made: Record<string, unknown> = {};
  for (const { name, type, places, least, most } of propertyTable) {
    if ((places & (1 << place)) === 0 || !dice.chance(share)) continue;
    if (name === "subscriptionIds" && sender === "client" && place === PacketType.publish) continue;
    if (name === "sessionExpiry" && sender === "server" && place === PacketType.disconnect) continue;
    if (name === "responseTopic") made[name] = topic(dice);
    else if (type === "string") made[name] = text(dice);
    else if (type === "binary") made[name] = bytes(dice);
    else if (type === "pair") made[name] = pairs(dice);
    else if (name === "subscriptionIds") {
      const count = place === PacketType.subscribe ? 1 : 1 + dice.below(3);
      made[name] = Array.from({ length: count }, () => dice.between(1, 268_435_455));
    } else {
      const largest = type === "byte" ? 1 : type === "two" ? 65_535 : 4_294_967_295;
      made[name] = dice.between(least, Math.min(most, largest));
    }
  }
  if (made["authenticationData"] !== undefined) made["authenticationMethod"] ??= text(dice);
  return made;
}

function pairs(dice: Dice): (readonly [string, string])[] {
  return Array.from({ length: 1 + dice.below(3) }, () => [text(dice, 6), text(dice, 6)] as const);
}

export const kindsOf: Readonly<Record<Sender, readonly Packet["kind"][]>> = {
  client: [
    "connect",
    "publish",
    "puback",
    "pubrec",
    "pubrel",
    "pubcomp",
    "subscribe",
    "unsubscribe",
    "pingreq",
    "disconnect",
    "auth",
  ],
  server: [
    "connack",
    "publish",
    "puback",
    "pubrec",
    "pubrel",
    "pubcomp",
    "suback",
    "unsuback",
    "pingresp",
    "disconnect",
    "auth",
  ],
};

function code(dice: Dice, kind: CodePacket, version: Version, sender: Sender): number {
  if (version === 4) {
    if (kind === "suback") return dice.pick([0, 1, 2, 0x80]);
    return kind === "connack" ? dice.below(6) : 0;
  }
  if (kind === "auth" && dice.chance(0.5)) return Reason.continueAuthentication;
  const legal = Object.values(Reason).filter((each) => isCodeOf(kind, each, sender));
  return dice.pick(legal);
}

function will(dice: Dice, version: Version, share: number): Will {
  const of = version === 5 ? properties(dice, inWill, "client", share) : {};
  const qos = dice.below(3) as Qos;
  return { topic: topic(dice), payload: bytes(dice), qos, retain: dice.chance(0.5), properties: of };
}

/** A legal packet of one of the kinds the sender may send. */
export function packet(dice: Dice, version: Version, sender: Sender): Packet {
  const kinds = kindsOf[sender].filter((each) => version === 5 || each !== "auth");
  const kind = dice.pick(version === 4 && sender === "server" ? kinds.filter((each) => each !== "disconnect") : kinds);
  const share = dice.pick([0, 0.2, 0.7]);
  const of = (place: Place): Properties => (version === 5 ? properties(dice, place, sender, share) : {});
  const packetId = dice.between(1, 65_535);
  switch (kind) {
    case "connect":
      return connect(dice, version, of, share);
    case "publish":
      return publish(dice, version, of(PacketType.publish), packetId);
    case "subscribe":
      return { kind, packetId, subscriptions: subscriptions(dice, version), properties: of(PacketType.subscribe) };
    case "unsubscribe": {
      const filters = Array.from({ length: 1 + dice.below(3) }, () => filter(dice));
      return { kind, packetId, filters, properties: of(PacketType.unsubscribe) };
    }
    case "suback":
    case "unsuback": {
      const none = version === 4 && kind === "unsuback";
      const codes = Array.from({ length: none ? 0 : 1 + dice.below(4) }, () => code(dice, kind, version, sender));
      return { kind, packetId, codes, properties: of(PacketType[kind]) };
    }
    case "connack": {
      const answer = code(dice, kind, version, sender);
      const sessionPresent = answer === 0 && dice.chance(0.5);
      return { kind, sessionPresent, code: answer, properties: of(PacketType.connack) };
    }
    case "disconnect":
      return { kind, code: code(dice, kind, version, sender), properties: of(PacketType.disconnect) };
    case "auth": {
      const properties = { ...of(PacketType.auth), authenticationMethod: text(dice) };
      return { kind, code: code(dice, kind, version, sender), properties };
    }
    case "pingreq":
    case "pingresp":
      return { kind };
    default: {
      const kindOf: Acknowledgement["kind"] = kind;
      return { kind: kindOf, packetId, code: code(dice, kind, version, sender), properties: of(PacketType[kind]) };
    }
  }
}

function connect(dice: Dice, version: Version, of: (place: Place) => Properties, share: number): Packet {
  const clean = dice.chance(0.5);
  const username = dice.chance(0.5) ? text(dice) : null;
  return {
    kind: "connect",
    version,
    clean,
    keepAlive: dice.between(0, 65_535),
    clientId: version === 4 && !clean ? `c${text(dice)}` : text(dice),
    will: dice.chance(0.4) ? will(dice, version, share) : null,
    username,
    password: (version === 5 || username !== null) && dice.chance(0.5) ? bytes(dice) : null,
    properties: of(PacketType.connect),
  };
}

function publish(dice: Dice, version: Version, properties: Properties, packetId: number): Packet {
  const qos = dice.below(3) as Qos;
  const name = version === 5 && properties.topicAlias !== undefined && dice.chance(0.5) ? "" : topic(dice);
  return {
    kind: "publish",
    topic: name,
    payload: bytes(dice, 40),
    qos,
    retain: dice.chance(0.3),
    dup: qos > 0 && dice.chance(0.3),
    packetId: qos > 0 ? packetId : 0,
    properties,
  };
}

function subscriptions(dice: Dice, version: Version): Extract<Packet, { kind: "subscribe" }>["subscriptions"] {
  return Array.from({ length: 1 + dice.below(4) }, () => {
    const of = filter(dice);
    const five = version === 5;
    return {
      filter: of,
      qos: dice.below(3) as Qos,
      noLocal: five && !of.startsWith("$share/") && dice.chance(0.3),
      retainAsPublished: five && dice.chance(0.3),
      retainHandling: (five ? dice.below(3) : 0) as RetainHandling,
    };
  });
}

/** Seed to start from (`MQTT_SEED` replays one), and how many. */
export function seedsOf(count: number): readonly number[] {
  const only = process.env["MQTT_SEED"];
  if (only !== undefined) return [Number(only)];
  return Array.from({ length: count }, (_, at) => 20_260 + at);
}
