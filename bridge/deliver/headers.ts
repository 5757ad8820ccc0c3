// A message as the headers of its record, and back. What others write into a log is taken for what it is worth. Pure.
import { Buffer } from "node:buffer";
import { type Header, type InRecord, limits } from "../../hub/mod.ts";
import { isPlain, isTopic } from "../match/filter.ts";
import type { Message } from "../session/message.ts";
import { noProperties, type Properties, type Qos, type UserProperty } from "../wire/packet.ts";
import { topicNameProblem } from "../wire/topics.ts";
import { isSendable } from "../wire/utf8.ts";
import { TextMemo, textOf } from "./texts.ts";

/** The headers that each record of a message begins with, as text. */
export const Name = {
  topic: "mqtt.topic",
  qos: "mqtt.qos",
  retain: "mqtt.retain",
  client: "mqtt.client",
  contentType: "mqtt.content-type",
  responseTopic: "mqtt.response-topic",
  correlationData: "mqtt.correlation-data",
  payloadFormat: "mqtt.payload-format",
  /** Milliseconds since the epoch, decimal. */
  expiresAt: "mqtt.expires-at",
} as const;

/** Names that are ours; a user property named so has `userPrefix` in front. */
const ownPrefix = "mqtt.";
const userPrefix = "mqtt.user.";
/** The longest binary data of a packet. */
const binaryBytesMax = 65_535;
const zero = 0x30;
const encoder = new TextEncoder();
const none: readonly Header[] = Object.freeze([]);

/** What follows the four headers that each message has: its MQTT 5 properties and its end. Mostly nothing. */
export function propertyHeaders(message: Message): readonly Header[] {
  const { properties, expiresAt } = message;
  if (properties === noProperties && expiresAt === null) return none;
  const headers: Header[] = [];
  const put = (key: string, value: string | Uint8Array | undefined): void => {
    if (value !== undefined) headers.push({ key, value: typeof value === "string" ? encoder.encode(value) : value });
  };
  put(Name.contentType, properties.contentType);
  put(Name.responseTopic, properties.responseTopic);
  put(Name.correlationData, properties.correlationData);
  put(Name.payloadFormat, properties.payloadFormat?.toString());
  put(Name.expiresAt, expiresAt?.toFixed(0));
  for (const [name, value] of properties.userProperties ?? []) {
    put(name.startsWith(ownPrefix) ? userPrefix + name : name, value);
  }
  return headers;
}

const topics = new TextMemo(limits.mqttRecordTopicsMemoSlots, (topic) => isTopic(topic) && isPlain(topic));
const clients = new TextMemo(limits.mqttRecordTopicsMemoSlots, () => true);

/** The MQTT topic that a record names; null: none, or one that no record may have (`$`-topics are never stored). */
export function topicOfRecord({ headers, value }: InRecord): string | null {
  if (value === null) return null; // a tombstone is no message
  for (const header of headers) {
    if (header.key === Name.topic) return header.value === null ? null : topics.of(header.value);
  }
  return null;
}

/** The message of a record; null: it is not from MQTT, or its topic is not legal. */
export function messageOfRecord(record: InRecord): Message | null {
  const topic = topicOfRecord(record);
  return topic === null ? null : messageUnder(topic, record, 0);
}

/**
 * A record as a message of this topic, which is legal. Of what is not legal in its headers nothing is taken.
 * @param qos when the record names none
 */
export function messageUnder(topic: string, { headers, value }: InRecord, qos: Qos): Message {
  const found: Found = { qos, retain: false, publisher: "", expiresAt: null, properties: null, pairs: null };
  // the first of several counts, so they are taken last to first, and user properties turned round
  for (let at = headers.length - 1; at >= 0; at--) take(headers[at]!, found);
  const { properties, pairs } = found;
  if (pairs !== null) pairs.reverse();
  return {
    topic,
    payload: ofItsOwn(value ?? nothing),
    qos: found.qos,
    retain: found.retain,
    properties: pairs === null ? (properties ?? noProperties) : { ...properties, userProperties: pairs },
    publisher: found.publisher,
    expiresAt: found.expiresAt,
  };
}

type Mutable = { -readonly [name in keyof Properties]: Properties[name] };

interface Found {
  qos: Qos;
  retain: boolean;
  publisher: string;
  expiresAt: number | null;
  properties: Mutable | null;
  pairs: UserProperty[] | null;
}

const nothing = new Uint8Array();

function take({ key, value }: Header, found: Found): void {
  if (value === null) return;
  switch (key) {
    case Name.topic:
      return;
    case Name.qos:
      found.qos = digitOf(value, 2, found.qos) as Qos;
      return;
    case Name.retain:
      found.retain = digitOf(value, 1, 0) === 1;
      return;
    case Name.client:
      found.publisher = clients.of(value) ?? "";
      return;
    default:
      takeProperty(key, value, found);
  }
}

function takeProperty(key: string, value: Uint8Array, found: Found): void {
  if (!key.startsWith(ownPrefix) || key.startsWith(userPrefix)) return takePair(key, value, found);
  if (key === Name.expiresAt) {
    found.expiresAt = timeOf(value);
    return;
  }
  const properties = (found.properties ??= {});
  const text = key === Name.correlationData ? null : textOf(value);
  if (key === Name.correlationData) {
    if (value.length <= binaryBytesMax) properties.correlationData = new Uint8Array(value);
  } else if (key === Name.contentType) {
    if (text !== null) properties.contentType = text;
  } else if (key === Name.responseTopic) {
    if (text !== null && topicNameProblem(text, 5) === null) properties.responseTopic = text; // [MQTT-3.3.2-14]
  } else if (key === Name.payloadFormat && (text === "0" || text === "1")) {
    properties.payloadFormat = text === "1" ? 1 : 0;
  }
}

function takePair(key: string, value: Uint8Array, found: Found): void {
  const name = key.startsWith(userPrefix) ? key.slice(userPrefix.length) : key;
  const text = textOf(value);
  if (text === null || !isSendable(name) || Buffer.byteLength(name) > binaryBytesMax) return;
  (found.pairs ??= []).push([name, text]);
}

/** One digit up to `most`. */
function digitOf(bytes: Uint8Array, most: number, otherwise: number): number {
  const digit = bytes.length === 1 ? bytes[0]! - zero : -1;
  return digit >= 0 && digit <= most ? digit : otherwise;
}

/** What is no time never comes. */
function timeOf(bytes: Uint8Array): number | null {
  if (bytes.length === 0 || bytes.length > 15) return null;
  let time = 0;
  for (const byte of bytes) {
    if (byte < zero || byte > zero + 9) return null;
    time = time * 10 + byte - zero;
  }
  return time;
}

/** A message may wait long for a slow client: it keeps its own bytes then, not those of all that was read with it. */
function ofItsOwn(bytes: Uint8Array): Uint8Array {
  return bytes.length * 4 >= bytes.buffer.byteLength ? bytes : Buffer.from(bytes);
}
