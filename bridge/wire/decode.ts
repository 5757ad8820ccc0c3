// Any packet as a value, from the bytes of its body; what breaks the standard is refused. Pure.
import type { Buffer } from "node:buffer";
import { limits } from "../../hub/mod.ts";
import { type CodePacket, isCodeOf } from "./codes.ts";
import { decodeConnect } from "./connect.ts";
import { anyViolation, malformed, protocolError, type Statement } from "./faults.ts";
import {
  type Acknowledgement,
  type Auth,
  type Connack,
  type Disconnect,
  MqttProblem,
  noProperties,
  type Packet,
  PacketType as T,
  type Properties,
  type Publish,
  type Qos,
  Reason,
  type RetainHandling,
  type Sender,
  type Suback,
  type Subscribe,
  type SubscriptionRequest,
  type Unsubscribe,
  type Version,
} from "./packet.ts";
import { readProperties } from "./properties.ts";
import { PublishView, TopicMemo } from "./publish.ts";
import { Reader } from "./reader.ts";
import { filterProblem, isShared } from "./topics.ts";

const clientOnly = new Set<number>([T.connect, T.subscribe, T.unsubscribe, T.pingreq]);
const serverOnly = new Set<number>([T.connack, T.suback, T.unsuback, T.pingresp]);
/** Types whose flags are 0010. */
const flagsTwo = new Set<number>([T.pubrel, T.subscribe, T.unsubscribe]);
const flagStatements: Readonly<Record<number, Statement>> = {
  [T.pubrel]: "3.6.1-1",
  [T.subscribe]: "3.8.1-1",
  [T.unsubscribe]: "3.10.1-1",
  [T.disconnect]: "3.14.1-1",
  [T.auth]: ["2.2.2-2", "3.15.1-1"],
};

/**
 * The packet whose fixed header says `type` and `flags` and whose body stands from `start` to `end`. All it holds
 * outlives the buffer. Throws MqttProblem. A CONNECT says its own version.
 */
export function decodePacket(
  type: number,
  flags: number,
  bytes: Buffer,
  start: number,
  end: number,
  version: Version,
  sender: Sender,
): Packet {
  checkHeader(type, flags, version, sender);
  if (type === T.publish) return decodePublish(flags, bytes, start, end, version, sender);
  if (type === T.connect) return decodeConnect(bytes, start, end);
  const reader = new Reader(bytes, start, end, version);
  const packet = decodeBody(type, reader, sender);
  reader.done("the packet");
  return packet;
}

function checkHeader(type: number, flags: number, version: Version, sender: Sender): void {
  if (type < T.connect || type > (version === 4 ? T.disconnect : T.auth)) {
    throw malformed(version, anyViolation, `packet type ${type} is reserved`);
  }
  if ((sender === "client" ? serverOnly : clientOnly).has(type)) {
    throw protocolError(version, anyViolation, `a ${sender} sent packet type ${type}`);
  }
  if (type === T.disconnect && version === 4 && sender === "server") {
    throw protocolError(4, anyViolation, "a server sent a DISCONNECT");
  }
  if (type === T.publish || flags === (flagsTwo.has(type) ? 2 : 0)) return;
  throw malformed(version, flagStatements[type] ?? ["2.2.2-2", "2.1.3-1"], `packet type ${type} has flags ${flags}`);
}

function decodeBody(type: number, reader: Reader, sender: Sender): Packet {
  switch (type) {
    case T.connack:
      return decodeConnack(reader);
    case T.puback:
      return decodeAcknowledgement(reader, "puback", sender);
    case T.pubrec:
      return decodeAcknowledgement(reader, "pubrec", sender);
    case T.pubrel:
      return decodeAcknowledgement(reader, "pubrel", sender);
    case T.pubcomp:
      return decodeAcknowledgement(reader, "pubcomp", sender);
    case T.subscribe:
      return decodeSubscribe(reader);
    case T.suback:
      return decodeSuback(reader, "suback");
    case T.unsubscribe:
      return decodeUnsubscribe(reader);
    case T.unsuback:
      return decodeSuback(reader, "unsuback");
    case T.pingreq:
      return { kind: "pingreq" };
    case T.pingresp:
      return { kind: "pingresp" };
    case T.disconnect:
      return decodeDisconnect(reader, sender);
    default:
      return decodeAuth(reader, sender);
  }
}

function decodePublish(
  flags: number,
  bytes: Buffer,
  start: number,
  end: number,
  version: Version,
  sender: Sender,
): Publish {
  const view = new PublishView();
  view.look(bytes, flags, start, end, version);
  return view.decode(sender, new TopicMemo(1));
}

const codeStatements: Readonly<Record<CodePacket, Statement>> = {
  connack: ["3.2.2-6", "3.2.2-8"],
  puback: "3.4.2-1",
  pubrec: "3.5.2-1",
  pubrel: "3.6.2-1",
  pubcomp: "3.7.2-1",
  suback: "3.9.3-2",
  unsuback: "3.11.3-2",
  disconnect: "3.14.2-1",
  auth: "3.15.2-1",
};

function readCode(reader: Reader, packet: CodePacket, sender: Sender): number {
  const code = reader.byte("the reason code");
  if (isCodeOf(packet, code, sender)) return code;
  const detail = `0x${code.toString(16)} is not a reason code of a ${packet.toUpperCase()} from a ${sender}`;
  throw protocolError(reader.version, codeStatements[packet], detail);
}

function readPacketId(reader: Reader): number {
  const id = reader.two("the packet id");
  if (id === 0) throw protocolError(reader.version, ["2.3.1-1", "2.2.1-3"], "the packet id is 0");
  return id;
}

function decodeConnack(reader: Reader): Connack {
  const { version } = reader;
  const flags = reader.byte("the acknowledge flags");
  if (flags > 1) throw malformed(version, [anyViolation[0]!, "3.2.2-1"], "a reserved acknowledge flag is set");
  const code = version === 5 ? readCode(reader, "connack", "server") : reader.byte("the return code");
  if (version === 4 && code > 5) throw protocolError(4, anyViolation, `return code ${code} is reserved`);
  const sessionPresent = flags === 1;
  if (sessionPresent && code !== 0) {
    throw protocolError(version, ["3.2.2-4", "3.2.2-6"], "a session is present though the connection is refused");
  }
  return { kind: "connack", sessionPresent, code, properties: readProperties(reader, T.connack, "server") };
}

/** Properties that may be left out with their length: what is not there is empty. */
function readOptional(reader: Reader, place: T, sender: Sender): Properties {
  return reader.left === 0 ? noProperties : readProperties(reader, place, sender);
}

function decodeAcknowledgement(reader: Reader, kind: Acknowledgement["kind"], sender: Sender): Acknowledgement {
  const packetId = readPacketId(reader);
  const long = reader.version === 5 && reader.left > 0;
  const code = long ? readCode(reader, kind, sender) : 0;
  return { kind, packetId, code, properties: long ? readOptional(reader, T[kind], sender) : noProperties };
}

function decodeDisconnect(reader: Reader, sender: Sender): Disconnect {
  const long = reader.version === 5 && reader.left > 0;
  const code = long ? readCode(reader, "disconnect", sender) : 0;
  const properties = long ? readOptional(reader, T.disconnect, sender) : noProperties;
  return { kind: "disconnect", code, properties };
}

function decodeAuth(reader: Reader, sender: Sender): Auth {
  if (reader.left === 0) return { kind: "auth", code: 0, properties: noProperties };
  const code = readCode(reader, "auth", sender);
  const properties = readOptional(reader, T.auth, sender);
  if (code !== 0 && properties.authenticationMethod === undefined) {
    throw protocolError(5, "4.12.0-5", "an AUTH names no authentication method");
  }
  return { kind: "auth", code, properties };
}

function decodeSubscribe(reader: Reader): Subscribe {
  const packetId = readPacketId(reader);
  const properties = readProperties(reader, T.subscribe, "client");
  const subscriptions: SubscriptionRequest[] = [];
  while (reader.left > 0) {
    checkFilters(subscriptions.length);
    subscriptions.push(readSubscription(reader));
  }
  if (subscriptions.length === 0) {
    throw protocolError(reader.version, ["3.8.3-3", "3.8.3-2"], "a SUBSCRIBE names no filter");
  }
  return { kind: "subscribe", packetId, subscriptions, properties };
}

/** No statement of the standards: our own bound on the work of one packet. */
function checkFilters(sofar: number): void {
  const most = limits.mqttFiltersPerPacketMax;
  if (sofar >= most) throw new MqttProblem(Reason.quotaExceeded, `more than ${most} filters in one packet`);
}

function readFilter(reader: Reader): string {
  const filter = reader.string("a topic filter");
  const problem = filterProblem(filter, reader.version);
  if (problem !== null) throw problem;
  return filter;
}

function readSubscription(reader: Reader): SubscriptionRequest {
  const { version } = reader;
  const filter = readFilter(reader);
  const options = reader.byte("the subscription options");
  const reserved: Statement = ["3-8.3-4", "3.8.3-5"];
  if (options >= (version === 4 ? 4 : 0x40)) throw malformed(version, reserved, "a reserved option bit is set");
  const qos = options & 3;
  if (qos === 3) throw protocolError(version, ["3-8.3-4", anyViolation[1]!], "the requested QoS is 3");
  const noLocal = (options & 4) !== 0;
  if (noLocal && isShared(filter)) throw protocolError(5, "3.8.3-4", "no local on a shared subscription");
  const retainHandling = (options >>> 4) & 3;
  if (retainHandling === 3) throw protocolError(5, anyViolation, "the retain handling is 3");
  return {
    filter,
    qos: qos as Qos,
    noLocal,
    retainAsPublished: (options & 8) !== 0,
    retainHandling: retainHandling as RetainHandling,
  };
}

function decodeSuback(reader: Reader, kind: Suback["kind"]): Suback {
  const packetId = readPacketId(reader);
  const properties = readProperties(reader, T[kind], "server");
  const codes: number[] = [];
  if (reader.version === 4 && kind === "unsuback") return { kind, packetId, codes, properties };
  while (reader.left > 0) {
    const code = readCode(reader, kind, "server");
    if (reader.version === 4 && code > 2 && code !== 0x80) {
      throw protocolError(4, "3.9.3-2", `return code 0x${code.toString(16)} is reserved`);
    }
    codes.push(code);
  }
  if (codes.length === 0) throw protocolError(reader.version, ["3.8.4-5", "3.8.4-6"], "no reason code");
  return { kind, packetId, codes, properties };
}

function decodeUnsubscribe(reader: Reader): Unsubscribe {
  const packetId = readPacketId(reader);
  const properties = readProperties(reader, T.unsubscribe, "client");
  const filters: string[] = [];
  while (reader.left > 0) {
    checkFilters(filters.length);
    filters.push(readFilter(reader));
  }
  if (filters.length === 0) throw protocolError(reader.version, "3.10.3-2", "an UNSUBSCRIBE names no filter");
  return { kind: "unsubscribe", packetId, filters, properties };
}
