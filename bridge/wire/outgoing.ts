// PUBLISH as it goes out: a message encoded once for many subscribers, frames gathered for one write. Pure.
import { Buffer } from "node:buffer";
import type { CodePacket } from "./codes.ts";
import { PacketType, type Properties, type Qos, type Version } from "./packet.ts";
import { writeEach } from "./properties.ts";
import { topicNameProblem } from "./topics.ts";
import { isSendable } from "./utf8.ts";
import { putVarint, varintMax, varintSize, Writer } from "./writer.ts";

/** What a delivery has of its own. */
export interface Delivery {
  readonly qos: Qos;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 1-65,535 for QoS 1 and 2. */
  readonly packetId: number;
  /** 0: none (5 only). */
  readonly topicAlias: number;
  /** The receiver knows the alias: the topic is left out. */
  readonly topicKnown: boolean;
  readonly subscriptionIds: readonly number[];
  /** Seconds left (5 only); undefined: it does not expire. */
  readonly messageExpiry: number | undefined;
}

const noIds: readonly number[] = [];
/** QoS 0 with nothing of its own: such frames are the same bytes for all subscribers. */
export const plainDelivery: Delivery = {
  qos: 0,
  retain: false,
  dup: false,
  packetId: 0,
  topicAlias: 0,
  topicKnown: false,
  subscriptionIds: noIds,
  messageExpiry: undefined,
};

/** As `plainDelivery`, with RETAIN. */
export const plainRetained: Delivery = { ...plainDelivery, retain: true };

const nothing = Buffer.alloc(0);

/**
 * A message for many subscribers: topic, payload and the properties that are the same for all, encoded once. Alias,
 * subscription ids and expiry are of the delivery, whatever `properties` says of them.
 */
export class OutgoingMessage {
  /** With its two bytes of length. */
  readonly topic: Buffer;
  readonly payload: Uint8Array;
  readonly #source: Properties;
  /** It was written for somebody already: from the second subscriber on a plain frame is worth keeping. */
  #isKnown = false;
  /** Properties without alias, subscription ids and expiry; encoded when the first subscriber speaks 5. */
  #properties: Buffer | null = null;
  #plain: (Buffer | undefined)[] | null = null;

  constructor(topic: string, payload: Uint8Array, properties: Properties) {
    this.topic = topicBytes(topic);
    this.payload = payload;
    this.#source = properties;
  }

  get properties(): Buffer {
    this.#properties ??= this.#encodeProperties();
    return this.#properties;
  }

  #encodeProperties(): Buffer {
    const { topicAlias: _, subscriptionIds: __, messageExpiry: ___, ...same } = this.#source;
    if (Object.keys(same).length === 0) return nothing;
    const writer = new Writer();
    writeEach(writer, same, PacketType.publish);
    return writer.body();
  }

  /** The frame of a QoS 0 delivery with nothing of its own, made once; null for the first subscriber. */
  plain(version: Version, retain: boolean): Buffer | null {
    if (!this.#isKnown) {
      this.#isKnown = true;
      return null;
    }
    const slot = version * 2 + (retain ? 1 : 0);
    this.#plain ??= [];
    return (this.#plain[slot] ??= this.#encodePlain(version, retain));
  }

  #encodePlain(version: Version, retain: boolean): Buffer {
    const frame = Buffer.allocUnsafe(sizeOf(this, version, plainDelivery));
    const at = putFront(frame, 0, this, version, retain ? plainRetained : plainDelivery);
    frame.set(this.payload, at);
    return frame;
  }
}

const topicsMax = 1_024;
/** Topics that were sent lately. */
const topics = new Map<string, Buffer>();

function topicBytes(topic: string): Buffer {
  const known = topics.get(topic);
  if (known !== undefined) return known;
  const bytes = encodeTopic(topic);
  if (topics.size >= topicsMax) topics.clear();
  topics.set(topic, bytes);
  return bytes;
}

function encodeTopic(topic: string): Buffer {
  const problem = topicNameProblem(topic, 5);
  if (problem !== null || !isSendable(topic)) throw new RangeError(`the topic is not legal: ${topic}`);
  const length = Buffer.byteLength(topic);
  if (length > 0xffff) throw new RangeError(`the topic is longer than 65535 bytes: ${length}`);
  const bytes = Buffer.allocUnsafe(2 + length);
  bytes.writeUInt16BE(length, 0);
  bytes.write(topic, 2, "utf8");
  return bytes;
}

/** Bytes of the whole packet. */
export function sizeOf(message: OutgoingMessage, version: Version, delivery: Delivery): number {
  const length = bodyLength(message, version, delivery);
  if (length > varintMax) throw new RangeError(`the packet is too long: ${length}`);
  return 1 + varintSize(length) + length;
}

function bodyLength(message: OutgoingMessage, version: Version, delivery: Delivery): number {
  const topic = version === 5 && delivery.topicKnown ? 2 : message.topic.length;
  const length = topic + (delivery.qos > 0 ? 2 : 0) + message.payload.length;
  if (version === 4) return length;
  const properties = propertiesLength(message, delivery);
  return length + varintSize(properties) + properties;
}

function propertiesLength(message: OutgoingMessage, delivery: Delivery): number {
  let length = message.properties.length;
  if (delivery.topicAlias > 0) length += 3;
  if (delivery.messageExpiry !== undefined) length += 5;
  for (const id of delivery.subscriptionIds) length += 1 + varintSize(id);
  return length;
}

/** Writes everything up to the payload; returns where that begins. */
function putFront(bytes: Buffer, from: number, message: OutgoingMessage, version: Version, delivery: Delivery): number {
  const { qos } = delivery;
  bytes[from] = (PacketType.publish << 4) | (delivery.dup ? 8 : 0) | (qos << 1) | (delivery.retain ? 1 : 0);
  let at = putVarint(bytes, from + 1, bodyLength(message, version, delivery));
  if (version === 5 && delivery.topicKnown) {
    bytes[at++] = 0;
    bytes[at++] = 0;
  } else {
    bytes.set(message.topic, at);
    at += message.topic.length;
  }
  if (qos > 0) {
    bytes[at++] = delivery.packetId >>> 8;
    bytes[at++] = delivery.packetId & 0xff;
  }
  return version === 4 ? at : putProperties(bytes, at, message, delivery);
}

function putProperties(bytes: Buffer, from: number, message: OutgoingMessage, delivery: Delivery): number {
  let at = putVarint(bytes, from, propertiesLength(message, delivery));
  const { topicAlias, messageExpiry } = delivery;
  if (topicAlias > 0) {
    bytes[at++] = 0x23;
    bytes[at++] = topicAlias >>> 8;
    bytes[at++] = topicAlias & 0xff;
  }
  if (messageExpiry !== undefined) {
    bytes[at++] = 0x02;
    at = bytes.writeUInt32BE(messageExpiry, at);
  }
  for (const id of delivery.subscriptionIds) {
    bytes[at++] = 0x0b;
    at = putVarint(bytes, at, id);
  }
  bytes.set(message.properties, at);
  return at + message.properties.length;
}

const firstBlock = 1024;
const largestBlock = 65_536;
const copiedMax = 16_384;
/** From here on a payload is not copied: the batch refers to it. */
const sharedFrom = 8192;

/** Frames for one connection, in order, for one write of its socket. */
export class FrameBatch {
  #block: Buffer = nothing;
  /** What of the block is in no chunk yet: from `#from` to `#at`. */
  #from = 0;
  #at = 0;
  #chunks: Buffer[] = [];
  #length = 0;

  /** Bytes gathered. */
  get length(): number {
    return this.#length;
  }

  /** A frame encoded elsewhere, copied. */
  frame(frame: Uint8Array): void {
    this.#reserve(frame.length);
    this.#block.set(frame, this.#at);
    this.#at += frame.length;
  }

  /** An acknowledgement of success: the same four bytes in both versions. */
  acknowledge(kind: Extract<CodePacket, "puback" | "pubrec" | "pubrel" | "pubcomp">, packetId: number): void {
    this.#reserve(4);
    const block = this.#block;
    const at = this.#at;
    block[at] = kind === "pubrel" ? 0x62 : PacketType[kind] << 4;
    block[at + 1] = 2;
    block[at + 2] = packetId >>> 8;
    block[at + 3] = packetId & 0xff;
    this.#at = at + 4;
  }

  /** False: the packet would be larger than the receiver takes, and nothing was added [MQTT-3.1.2-25]. */
  publish(message: OutgoingMessage, version: Version, delivery: Delivery, maximum = varintMax): boolean {
    check(version, delivery);
    const { payload } = message;
    const shared = payload.length >= sharedFrom;
    const frame = !shared && isPlain(delivery) ? message.plain(version, delivery.retain) : null;
    if (frame !== null) {
      if (frame.length > maximum) return false;
      this.frame(frame);
      return true;
    }
    const size = sizeOf(message, version, delivery);
    if (size > maximum) return false;
    this.#reserve(shared ? size - payload.length : size);
    this.#at = putFront(this.#block, this.#at, message, version, delivery);
    if (shared) {
      this.#cut();
      this.#chunks.push(Buffer.from(payload.buffer, payload.byteOffset, payload.length));
      this.#length += payload.length;
    } else {
      this.#block.set(payload, this.#at);
      this.#at += payload.length;
    }
    return true;
  }

  /** All that was gathered, mostly one chunk; the batch is empty then and keeps no memory. */
  take(): Buffer[] {
    this.#cut();
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#block = nothing;
    this.#from = 0;
    this.#at = 0;
    this.#length = 0;
    return chunks;
  }

  #cut(): void {
    if (this.#at > this.#from) this.#chunks.push(this.#block.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }

  #reserve(more: number): void {
    this.#length += more;
    if (this.#at + more <= this.#block.length) return;
    const before = this.#at - this.#from;
    const next = this.#block.length === 0 ? firstBlock : Math.min(this.#block.length * 2, largestBlock);
    const block = Buffer.allocUnsafe(Math.max(next, before + more));
    // one chunk costs one plain write: copying some kilobytes is cheaper than a second one
    if (before <= copiedMax) this.#block.copy(block, 0, this.#from, this.#at);
    else this.#cut();
    this.#at = before <= copiedMax ? before : 0;
    this.#from = 0;
    this.#block = block;
  }
}

function isPlain(delivery: Delivery): boolean {
  return (
    delivery.qos === 0 &&
    delivery.topicAlias === 0 &&
    delivery.messageExpiry === undefined &&
    delivery.subscriptionIds.length === 0
  );
}

/** What only a mistake of ours could ask for. */
function check(version: Version, delivery: Delivery): void {
  const { qos, packetId, topicAlias, topicKnown } = delivery;
  if (qos > 0 !== packetId > 0 || packetId > 0xffff) throw new RangeError(`QoS ${qos} with packet id ${packetId}`);
  if (qos === 0 && delivery.dup) throw new RangeError("DUP on QoS 0 [MQTT-3.3.1-2]");
  if (topicKnown && (version === 4 || topicAlias === 0)) throw new RangeError("no alias stands for the topic");
  if (topicAlias > 0xffff) throw new RangeError(`topic alias ${topicAlias}`);
}
