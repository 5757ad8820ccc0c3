// CONNECT as it comes in, and the CONNACK that answers one that cannot be taken (MQTT5 section 3.1). Pure.
import { Buffer } from "node:buffer";
import { returnCodeOf } from "./codes.ts";
import { fault, malformed, protocolError } from "./faults.ts";
import {
  type Connect,
  type MqttProblem,
  noProperties,
  PacketType,
  type Qos,
  Reason,
  type Version,
  type Will,
} from "./packet.ts";
import { inWill, readProperties } from "./properties.ts";
import { Reader } from "./reader.ts";
import { topicNameProblem } from "./topics.ts";

const reservedBit = 0x01;
const cleanBit = 0x02;
const willBit = 0x04;
const willRetainBit = 0x20;
const passwordBit = 0x40;
const usernameBit = 0x80;

/** The version is the packet's own. */
export function decodeConnect(bytes: Buffer, start: number, end: number): Connect {
  const version = versionOf(bytes, start, end);
  if (version === null) {
    const isMqtt = isNamedMqtt(bytes, start, end);
    const detail = isMqtt ? `protocol level ${bytes[start + 6]} is not served` : "the protocol is not MQTT";
    throw fault(5, Reason.unsupportedVersion, isMqtt ? "3.1.2-2" : "3.1.2-1", detail);
  }
  const reader = new Reader(bytes, start, end, version);
  reader.part(7, "the protocol name and level");
  const flags = reader.byte("the connect flags");
  checkFlags(flags, version);
  const keepAlive = reader.two("the keep alive");
  const properties = readProperties(reader, PacketType.connect, "client");
  const clientId = reader.string("the client id");
  const clean = (flags & cleanBit) !== 0;
  if (version === 4 && clientId === "" && !clean) {
    throw fault(4, Reason.clientIdNotValid, "3.1.3-8", "no client id without a clean session");
  }
  const will = (flags & willBit) !== 0 ? readWill(reader, flags) : null;
  const username = (flags & usernameBit) !== 0 ? reader.string("the user name") : null;
  const password = (flags & passwordBit) !== 0 ? reader.binary("the password") : null;
  reader.done("the CONNECT");
  return { kind: "connect", version, clean, keepAlive, clientId, will, username, password, properties };
}

/** The version a CONNECT asks for, if it is one that is served; throws if it ends before it says so. */
function versionOf(bytes: Buffer, start: number, end: number): Version | null {
  const reader = new Reader(bytes, start, end, 5);
  const length = reader.two("the protocol name");
  reader.part(length, "the protocol name");
  const level = reader.byte("the protocol level");
  if (!isNamedMqtt(bytes, start, end)) return null;
  return level === 4 || level === 5 ? level : null;
}

/** Compared as bytes: a name that is not UTF-8 is not MQTT either. */
function isNamedMqtt(bytes: Buffer, start: number, end: number): boolean {
  return end - start > 6 && bytes.toString("latin1", start, start + 6) === "\0\x04MQTT";
}

function checkFlags(flags: number, version: Version): void {
  if ((flags & reservedBit) !== 0) throw malformed(version, "3.1.2-3", "the reserved connect flag is set");
  const willQos = (flags >>> 3) & 3;
  if ((flags & willBit) === 0) {
    if (willQos !== 0) throw malformed(version, ["3.1.2-13", "3.1.2-11"], "a will QoS without a will");
    if ((flags & willRetainBit) !== 0) {
      throw malformed(version, ["3.1.2-15", "3.1.2-13"], "a will retain without a will");
    }
  } else if (willQos === 3) throw malformed(version, ["3.1.2-14", "3.1.2-12"], "the will QoS is 3");
  if (version === 4 && (flags & passwordBit) !== 0 && (flags & usernameBit) === 0) {
    throw protocolError(4, "3.1.2-22", "a password without a user name");
  }
}

function readWill(reader: Reader, flags: number): Will {
  const { version } = reader;
  const properties = version === 5 ? readProperties(reader, inWill, "client") : noProperties;
  const topic = reader.string("the will topic");
  const problem = topicNameProblem(topic, version);
  if (problem !== null) throw problem;
  const payload = reader.binary("the will payload");
  const qos = ((flags >>> 3) & 3) as Qos;
  return { topic, payload, qos, retain: (flags & willRetainBit) !== 0, properties };
}

/**
 * The CONNACK to send before closing when `decodeConnect` threw, or null: 3.1.1 is closed without one, unless a return
 * code says what is wrong [MQTT-3.1.4-1]. Other protocols get the 0x01 of 3.1.1, which 3.1 clients understand too.
 */
export function connectRefusal(bytes: Buffer, start: number, end: number, problem: MqttProblem): Buffer | null {
  const isMqtt = isNamedMqtt(bytes, start, end);
  const level = isMqtt ? bytes[start + 6] : undefined;
  if (level === 5) return Buffer.from([0x20, 3, 0, problem.code, 0]);
  if (problem.code === Reason.unsupportedVersion && (isMqtt || isOldMqtt(bytes, start, end))) {
    return Buffer.from([0x20, 2, 0, 1]);
  }
  const code = level === 4 ? returnCodeOf(problem.code) : null;
  return code === null ? null : Buffer.from([0x20, 2, 0, code]);
}

/** MQTT 3.1 calls itself MQIsdp. */
function isOldMqtt(bytes: Buffer, start: number, end: number): boolean {
  return end - start > 8 && bytes.toString("latin1", start, start + 8) === "\0\x06MQIsdp";
}
