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
  if (Object.isFrozen(headers)) return foundIn(headers).topic;
  for (const header of headers) if (header.key === Name.topic) return topicOf(header);
  return null;
}

/** The message of a record; null: it is not from MQTT, or its topic is not legal. */
export function messageOfRecord(record: InRecord): Message | null {
  const topic = topicOfRecord(record);
  return topic === null ? null : messageUnder(topic, record, 0);
}

/**
 * A record as a message of this topic, which is legal. Of what is not legal in its headers nothing is taken. The
 * payload stays the record's until the message has to wait (`keepOwn`).
 * @param qos when the record names none
 */
export function messageUnder(topic: string, { headers, value }: InRecord, qos: Qos): Message {
  const found = foundIn(headers);
  const payload = value ?? nothing;
  return {
    topic,
    payload,
    isBorrowed: payload.length * 4 < payload.buffer.byteLength,
    qos: found.qos ?? qos,
    retain: found.retain,
    properties: found.properties,
    publisher: found.publisher,
    expiresAt: found.expiresAt,
  };
}

type Mutable = { -readonly [name in keyof Properties]: Properties[name] };

/** What headers say. */
interface Found {
  topic: string | null;
  qos: Qos | null;
  retain: boolean;
  publisher: string;
  expiresAt: number | null;
  properties: Properties;
}

/** While they are taken one by one. */
interface Taken extends Found {
  own: Mutable | null;
  pairs: UserProperty[] | null;
}

/** Of headers that come again and again, which are one frozen array (hub/record/header_memo.ts). */
const known = new WeakMap<readonly Header[], Found>();

function foundIn(headers: readonly Header[]): Found {
  if (!Object.isFrozen(headers)) return find(headers);
  let found = known.get(headers);
  if (found === undefined) {
    found = find(headers);
    known.set(headers, found);
  }
  return found;
}

function find(headers: readonly Header[]): Found {
  const properties = noProperties;
  const none = { topic: null, qos: null, retain: false, publisher: "", expiresAt: null, properties };
  const taken: Taken = { ...none, own: null, pairs: null };
  // the first of several counts, so they are taken last to first, and user properties turned round
  for (let at = headers.length - 1; at >= 0; at--) take(headers[at]!, taken);
  const { own, pairs } = taken;
  if (pairs !== null) taken.properties = { ...own, userProperties: pairs.reverse() };
  else if (own !== null) taken.properties = own;
  return taken;
}

function topicOf({ value }: Header): string | null {
  return value === null ? null : topics.of(value);
}

const nothing = new Uint8Array();

function take(header: Header, taken: Taken): void {
  const { key, value } = header;
  switch (key) {
    case Name.topic:
      taken.topic = topicOf(header);
      return;
    case Name.qos:
      taken.qos = digitOf(value, 2) ?? taken.qos;
      return;
    case Name.retain:
      taken.retain = digitOf(value, 1) === 1;
      return;
    case Name.client:
      taken.publisher = value === null ? "" : (clients.of(value) ?? "");
      return;
    default:
      if (value !== null) takeProperty(key, value, taken);
  }
}

function takeProperty(key: string, value: Uint8Array, taken: Taken): void {
  if (!key.startsWith(ownPrefix) || key.startsWith(userPrefix)) return takePair(key, value, taken);
  if (key === Name.expiresAt) {
    taken.expiresAt = timeOf(value);
    return;
  }
  const properties = taken.own ?? {};
  const text = key === Name.correlationData ? null : textOf(value);
  if (key === Name.correlationData && value.length <= binaryBytesMax)
    properties.correlationData = new Uint8Array(value);
  else if (key === Name.contentType && text !== null) properties.contentType = text;
  else if (key === Name.responseTopic && text !== null && topicNameProblem(text, 5) === null) {
    properties.responseTopic = text; // [MQTT-3.3.2-14]
  } else if (key === Name.payloadFormat && (text === "0" || text === "1")) {
    properties.payloadFormat = text === "1" ? 1 : 0;
  } else return;
  taken.own = properties;
}

function takePair(key: string, value: Uint8Array, taken: Taken): void {
  const name = key.startsWith(userPrefix) ? key.slice(userPrefix.length) : key;
  const text = textOf(value);
  if (text === null || !isSendable(name) || Buffer.byteLength(name) > binaryBytesMax) return;
  (taken.pairs ??= []).push([name, text]);
}

/** One digit up to `most`. */
function digitOf(bytes: Uint8Array | null, most: number): Qos | null {
  const digit = bytes?.length === 1 ? bytes[0]! - zero : -1;
  return digit >= 0 && digit <= most ? (digit as Qos) : null;
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
