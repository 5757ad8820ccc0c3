// Any packet as bytes, no larger than its receiver takes: reason string and user properties are left out first. Pure.
import type { Buffer } from "node:buffer";
import { type CodePacket, isCodeOf, returnCodeOf, subackCode } from "./codes.ts";
import {
  type Acknowledgement,
  type Auth,
  type Connack,
  type Connect,
  type Disconnect,
  noProperties,
  type Packet,
  PacketType as T,
  type Properties,
  type Publish,
  Reason,
  type Sender,
  type Suback,
  type Subscribe,
  type Unsubscribe,
  type Version,
} from "./packet.ts";
import { inWill, writeProperties } from "./properties.ts";
import { filterProblem, isShared, topicNameProblem } from "./topics.ts";
import { varintMax, varintSize, Writer } from "./writer.ts";

export interface SendLimits {
  /** Maximum Packet Size of the receiver, fixed header included. */
  readonly maximumPacketSize?: number;
  /** Request Problem Information of the CONNECT: false keeps reason string and user properties [MQTT-3.1.2-29]. */
  readonly problemInformation?: boolean;
}

const noLimits: SendLimits = {};

/** Packets whose reason string and user properties are there to explain, and may be left out. */
type Explained = Connack | Acknowledgement | Suback | Disconnect | Auth;

function isExplained(packet: Packet): packet is Explained {
  return "code" in packet || "codes" in packet;
}

/**
 * The packet's bytes; null if it is larger than the receiver takes, even without what explains it. Throws RangeError
 * for what no packet can say, which is a mistake of ours.
 */
export function encodePacket(packet: Packet, version: Version, limits: SendLimits = noLimits): Buffer | null {
  const maximum = limits.maximumPacketSize ?? varintMax;
  if (!isExplained(packet)) return fitting(encodeWhole(packet, version), maximum);
  if (version === 4) return fitting(encodeWhole(packet, 4), maximum);
  const silent = limits.problemInformation === false && packet.kind !== "connack" && packet.kind !== "disconnect";
  const { reasonString, userProperties, ...rest } = packet.properties;
  if (silent || (reasonString === undefined && userProperties === undefined)) {
    return fitting(encodeWhole(silent ? { ...packet, properties: rest } : packet, 5), maximum);
  }
  // [MQTT-3.2.2-19], [MQTT-3.4.2-2] and their like: the reason string, which people read, is kept the longest
  const shorter: Properties = reasonString === undefined ? rest : { ...rest, reasonString };
  return (
    fitting(encodeWhole(packet, 5), maximum) ??
    fitting(encodeWhole({ ...packet, properties: shorter }, 5), maximum) ??
    fitting(encodeWhole({ ...packet, properties: rest }, 5), maximum)
  );
}

const noPayload = new Uint8Array(0);

/** Bytes of the whole packet as `encodePacket` writes it without limits; a payload is not copied for it. */
export function packetSize(packet: Packet, version: Version): number {
  if (packet.kind !== "publish") return encodeWhole(packet, version).length;
  const writer = new Writer();
  encodePublish(writer, { ...packet, payload: noPayload }, version);
  const length = writer.length + packet.payload.length;
  return 1 + varintSize(length) + length;
}

function fitting(frame: Buffer, maximum: number): Buffer | null {
  return frame.length <= maximum ? frame : null;
}

function encodeWhole(packet: Packet, version: Version): Buffer {
  const writer = new Writer();
  const { kind } = packet;
  switch (kind) {
    case "connect":
      writeConnect(writer, packet);
      return writer.packet(T.connect << 4);
    case "connack":
      writeConnack(writer, packet, version);
      return writer.packet(T.connack << 4);
    case "publish":
      return encodePublish(writer, packet, version);
    case "puback":
    case "pubrec":
    case "pubrel":
    case "pubcomp":
      writeAcknowledgement(writer, packet, version);
      return writer.packet((T[kind] << 4) | (kind === "pubrel" ? 2 : 0));
    case "subscribe":
      writeSubscribe(writer, packet, version);
      return writer.packet((T.subscribe << 4) | 2);
    case "suback":
    case "unsuback":
      writeSuback(writer, packet, version);
      return writer.packet(T[kind] << 4);
    case "unsubscribe":
      writeUnsubscribe(writer, packet, version);
      return writer.packet((T.unsubscribe << 4) | 2);
    case "pingreq":
    case "pingresp":
      return writer.packet(T[kind] << 4);
    case "disconnect":
      if (version === 5) writeCode(writer, packet, "disconnect", T.disconnect);
      return writer.packet(T.disconnect << 4);
    case "auth":
      if (version === 4) throw new RangeError("3.1.1 has no AUTH");
      writeCode(writer, packet, "auth", T.auth);
      return writer.packet(T.auth << 4);
    default: {
      const never: never = kind;
      throw new Error(`unknown packet ${String(never)}`);
    }
  }
}

function insist(legal: boolean, detail: string): void {
  if (!legal) throw new RangeError(detail);
}

function writePacketId(writer: Writer, id: number): void {
  insist(id > 0, "the packet id is 0");
  writer.two(id, "the packet id");
}

function insistCode(kind: CodePacket, code: number): void {
  const sides: readonly Sender[] = ["client", "server"];
  const legal = sides.some((side) => isCodeOf(kind, code, side));
  insist(legal, `0x${code.toString(16)} is not a reason code of ${kind.toUpperCase()}`);
}

function writeConnect(writer: Writer, packet: Connect): void {
  const { version, will, username, password } = packet;
  insist(version === 5 || password === null || username !== null, "3.1.1 has no password without a user name");
  insist(version === 5 || packet.clean || packet.clientId !== "", "no client id without a clean session");
  let flags = packet.clean ? 2 : 0;
  if (will !== null) flags |= 4 | (will.qos << 3) | (will.retain ? 0x20 : 0);
  if (password !== null) flags |= 0x40;
  if (username !== null) flags |= 0x80;
  writer.string("MQTT", "the protocol name");
  writer.byte(version);
  writer.byte(flags);
  writer.two(packet.keepAlive, "the keep alive");
  if (version === 5) writeProperties(writer, packet.properties, T.connect);
  writer.string(packet.clientId, "the client id");
  if (will !== null) {
    insist(topicNameProblem(will.topic, version) === null, "the will topic is not legal");
    if (version === 5) writeProperties(writer, will.properties, inWill);
    writer.string(will.topic, "the will topic");
    writer.binary(will.payload, "the will payload");
  }
  if (username !== null) writer.string(username, "the user name");
  if (password !== null) writer.binary(password, "the password");
}

function writeConnack(writer: Writer, packet: Connack, version: Version): void {
  const { code, sessionPresent } = packet;
  insist(!(sessionPresent && code !== 0), "a session is present though the connection is refused");
  writer.byte(sessionPresent ? 1 : 0);
  if (version === 4) {
    const known = returnCodeOf(code);
    if (known === null)
      throw new RangeError(`3.1.1 has no return code for 0x${code.toString(16)}: close without CONNACK`);
    return writer.byte(known);
  }
  insistCode("connack", code);
  writer.byte(code);
  writeProperties(writer, packet.properties, T.connack);
}

function encodePublish(writer: Writer, packet: Publish, version: Version): Buffer {
  const { topic, qos, dup, packetId, properties } = packet;
  const aliased = version === 5 && topic === "" && properties.topicAlias !== undefined;
  insist(aliased || topicNameProblem(topic, version) === null, "the topic is not legal");
  insist(qos > 0 === packetId > 0, `QoS ${qos} with packet id ${packetId}`);
  insist(qos > 0 || !dup, "DUP on QoS 0");
  writer.string(topic, "the topic");
  if (qos > 0) writePacketId(writer, packetId);
  if (version === 5) writeProperties(writer, properties, T.publish);
  writer.raw(packet.payload);
  return writer.packet((T.publish << 4) | (dup ? 8 : 0) | (qos << 1) | (packet.retain ? 1 : 0));
}

/** Code and properties, each left out where the standard lets them be. */
function writeCode(writer: Writer, packet: Acknowledgement | Disconnect | Auth, kind: CodePacket, place: T): void {
  const { code, properties } = packet;
  insistCode(kind, code);
  const bare = isEmpty(properties);
  if (bare && code === Reason.success) return;
  writer.byte(code);
  // the emptiest AUTH with a code still has its property length (section 3.15.2.1)
  if (!bare || kind === "auth") writeProperties(writer, properties, place);
}

function isEmpty(properties: Properties): boolean {
  if (properties === noProperties) return true;
  for (const name in properties) if (properties[name as keyof Properties] !== undefined) return false;
  return true;
}

function writeAcknowledgement(writer: Writer, packet: Acknowledgement, version: Version): void {
  writePacketId(writer, packet.packetId);
  if (version === 5) writeCode(writer, packet, packet.kind, T[packet.kind]);
}

function writeSubscribe(writer: Writer, packet: Subscribe, version: Version): void {
  writePacketId(writer, packet.packetId);
  if (version === 5) writeProperties(writer, packet.properties, T.subscribe);
  insist((packet.properties.subscriptionIds?.length ?? 0) <= 1, "a SUBSCRIBE has one subscription id");
  insist(packet.subscriptions.length > 0, "a SUBSCRIBE names no filter");
  for (const { filter, qos, noLocal, retainAsPublished, retainHandling } of packet.subscriptions) {
    insist(filterProblem(filter, version) === null, "the filter is not legal");
    insist(!(noLocal && isShared(filter)), "no local on a shared subscription");
    writer.string(filter, "a filter");
    const options = (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0) | (retainHandling << 4);
    writer.byte(version === 5 ? qos | options : qos);
  }
}

function writeSuback(writer: Writer, packet: Suback, version: Version): void {
  writePacketId(writer, packet.packetId);
  if (version === 5) writeProperties(writer, packet.properties, T[packet.kind]);
  else if (packet.kind === "unsuback") return;
  insist(packet.codes.length > 0, "no reason code");
  for (const code of packet.codes) {
    insistCode(packet.kind, code);
    writer.byte(subackCode(code, version));
  }
}

function writeUnsubscribe(writer: Writer, packet: Unsubscribe, version: Version): void {
  writePacketId(writer, packet.packetId);
  if (version === 5) writeProperties(writer, packet.properties, T.unsubscribe);
  insist(packet.filters.length > 0, "an UNSUBSCRIBE names no filter");
  for (const filter of packet.filters) {
    insist(filterProblem(filter, version) === null, "the filter is not legal");
    writer.string(filter, "a filter");
  }
}
