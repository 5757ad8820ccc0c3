// An application message on its way through the hub, and the lifetime it has. Pure.
import { Buffer } from "node:buffer";
import { OutgoingMessage } from "../wire/outgoing.ts";
import { noProperties, type Properties, type Publish, type Qos, type Will } from "../wire/packet.ts";

const second = 1_000;
/** Four bytes: the longest lifetime that can be told. */
const secondsMax = 0xffff_ffff;

export interface Message {
  readonly topic: string;
  /** Changed by `keepOwn` alone. */
  payload: Uint8Array;
  readonly qos: Qos;
  readonly retain: boolean;
  /** Those that go on to subscribers unaltered (MQTT5 section 3.3.2.3): never an alias, an identifier or an expiry. */
  readonly properties: Properties;
  /** Client id of the publisher; empty: not an MQTT client. For No Local. */
  readonly publisher: string;
  /** Milliseconds; null: never. */
  readonly expiresAt: number | null;
  /** Made by `outgoing` for the first subscriber. */
  encoded?: OutgoingMessage | undefined;
  /** The payload is a small part of much that was read. */
  isBorrowed?: boolean;
}

/** A message that waits keeps its own bytes, not those of all that was read with it. */
export function keepOwn(message: Message): void {
  if (message.isBorrowed !== true) return;
  message.payload = Buffer.from(message.payload);
  message.isBorrowed = false;
  message.encoded = undefined;
}

/** What is the same for all subscribers, encoded once. Whoever makes messages sees to it that the topic is legal. */
export function outgoing(message: Message): OutgoingMessage {
  const { topic, payload, properties } = message;
  message.encoded ??= new OutgoingMessage(topic, payload, properties);
  return message.encoded;
}

/** The message of a PUBLISH whose topic alias is resolved to `topic`. */
export function messageOf(packet: Publish, topic: string, publisher: string, now: number): Message {
  const { payload, qos, retain, properties } = packet;
  return { topic, payload, qos, retain, properties: kept(properties), publisher, expiresAt: expiryOf(properties, now) };
}

/** The will as a message; its lifetime begins when it is published (MQTT5 section 3.1.3.2.4). */
export function messageOfWill(will: Will, publisher: string, now: number): Message {
  const { topic, payload, qos, retain, properties } = will;
  return { topic, payload, qos, retain, properties: kept(properties), publisher, expiresAt: expiryOf(properties, now) };
}

function expiryOf({ messageExpiry }: Properties, now: number): number | null {
  return messageExpiry === undefined ? null : now + messageExpiry * second;
}

/** Properties without those of one hop. */
function kept(properties: Properties): Properties {
  if (properties === noProperties) return properties;
  const { topicAlias, messageExpiry, subscriptionIds, willDelay, ...rest } = properties;
  return rest;
}

/** [MQTT-3.3.2-5] */
export function hasExpired(message: Message, now: number): boolean {
  return message.expiresAt !== null && message.expiresAt <= now;
}

/** Seconds left, rounded up, so that a message which has not expired never says 0 ([MQTT-3.3.2-6]). */
export function secondsLeft(message: Message, now: number): number | undefined {
  if (message.expiresAt === null) return undefined;
  return Math.min(secondsMax, Math.max(0, Math.ceil((message.expiresAt - now) / second)));
}

/** Bytes a message is counted with in queues: its own and about those of its objects. */
export function weight(message: Message): number {
  return message.payload.length + 2 * message.topic.length + 200;
}
