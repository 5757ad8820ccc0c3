// PUBLISH as it comes in: looked at in place, decoded only where it must be. Pure.
import { Buffer } from "node:buffer";
import { anyViolation, malformed, protocolError } from "./faults.ts";
import {
  noProperties,
  PacketType,
  type Properties,
  type Publish,
  type Qos,
  type Sender,
  type Version,
} from "./packet.ts";
import { readProperties } from "./properties.ts";
import { copyOf, decodeText, Reader } from "./reader.ts";
import { topicNameProblem } from "./topics.ts";

const nothing = Buffer.alloc(0);

/** Where the parts of one PUBLISH stand in its buffer. One view serves all; it is legal as long as the buffer. */
export class PublishView {
  bytes: Buffer = nothing;
  version: Version = 4;
  qos: Qos = 0;
  retain = false;
  dup = false;
  /** 0 for QoS 0. */
  packetId = 0;
  topicStart = 0;
  /** Equal to `topicStart` when a topic alias stands for the topic (5 only). */
  topicEnd = 0;
  /** Without the property length; equal to `propertiesEnd` when there are none. */
  propertiesStart = 0;
  propertiesEnd = 0;
  payloadStart = 0;
  payloadEnd = 0;

  get hasProperties(): boolean {
    return this.propertiesStart !== this.propertiesEnd;
  }

  /** Finds the parts. The bytes of topic and properties are checked where they are decoded. */
  look(bytes: Buffer, flags: number, start: number, end: number, version: Version): void {
    const qos = (flags >>> 1) & 3;
    if (qos === 3) throw malformed(version, "3.3.1-4", "both QoS bits of a PUBLISH are set");
    if (qos === 0 && flags >= 8) throw malformed(version, "3.3.1-2", "DUP is set on QoS 0");
    let at = start + 2;
    if (at > end) throw ends(version, "the topic");
    this.topicStart = at;
    at += (bytes[start]! << 8) | bytes[start + 1]!;
    this.topicEnd = at;
    if (qos > 0) at += 2;
    if (at > end) throw ends(version, qos > 0 ? "the topic or the packet id" : "the topic");
    this.packetId = 0;
    if (qos > 0) {
      this.packetId = (bytes[at - 2]! << 8) | bytes[at - 1]!;
      if (this.packetId === 0) throw protocolError(version, ["2.3.1-1", "2.2.1-3"], "the packet id is 0");
    }
    this.bytes = bytes;
    this.version = version;
    this.qos = qos as Qos;
    this.retain = (flags & 1) !== 0;
    this.dup = flags >= 8;
    this.payloadEnd = end;
    this.#findPayload(at, end);
    if (this.topicStart === this.topicEnd && !(version === 5 && this.hasProperties)) {
      throw protocolError(version, "4.7.3-1", "the topic is empty and no topic alias stands for it");
    }
  }

  #findPayload(at: number, end: number): void {
    const { bytes } = this;
    if (this.version === 4) {
      this.propertiesStart = at;
      this.propertiesEnd = at;
    } else if (at < end && bytes[at]! < 0x80) {
      this.propertiesStart = at + 1;
      this.propertiesEnd = at + 1 + bytes[at]!;
    } else {
      const reader = new Reader(bytes, at, end, this.version);
      const length = reader.varint("the property length");
      this.propertiesStart = reader.at;
      this.propertiesEnd = reader.at + length;
    }
    this.payloadStart = this.propertiesEnd;
    if (this.payloadStart > end) throw ends(this.version, "the properties");
  }

  /** The topic name, "" where an alias stands for it; throws if it is not legal. */
  topic(memo: TopicMemo): string {
    if (this.topicStart === this.topicEnd) return "";
    return memo.topic(this.bytes, this.topicStart, this.topicEnd, this.version);
  }

  /** The properties, checked; what they hold outlives the buffer. */
  properties(sender: Sender): Properties {
    if (!this.hasProperties) return noProperties;
    // from the property length on, which stands in front of the properties
    const length = this.propertiesEnd - this.propertiesStart;
    const before = length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : 4;
    const reader = new Reader(this.bytes, this.propertiesStart - before, this.propertiesEnd, this.version);
    const properties = readProperties(reader, PacketType.publish, sender);
    if (this.topicStart === this.topicEnd && properties.topicAlias === undefined) {
      throw protocolError(5, anyViolation, "the topic is empty and no topic alias stands for it");
    }
    return properties;
  }

  /** Whether its topic is the one of these bytes. */
  isTopic(known: Uint8Array): boolean {
    return isSame(known, this.bytes, this.topicStart, this.topicEnd);
  }

  /** The payload in place: legal as long as the buffer. */
  payload(): Uint8Array {
    return this.bytes.subarray(this.payloadStart, this.payloadEnd);
  }

  /** All of it as a value that outlives the buffer. */
  decode(sender: Sender, memo: TopicMemo): Publish {
    return {
      kind: "publish",
      topic: this.topic(memo),
      payload: copyOf(this.bytes, this.payloadStart, this.payloadEnd),
      qos: this.qos,
      retain: this.retain,
      dup: this.dup,
      packetId: this.packetId,
      properties: this.properties(sender),
    };
  }
}

function ends(version: Version, what: string): Error {
  return malformed(version, anyViolation, `the packet ends within ${what}`);
}

/** Longer topics are decoded each time. */
const memoTopicMax = 256;

/**
 * Topic names by their bytes: a hit costs no string, no UTF-8 check and no look for wildcards. A topic displaces
 * another of its slot, so it holds at most `slots` topics of 256 bytes.
 */
export class TopicMemo {
  readonly #mask: number;
  readonly #bytes: (Uint8Array | undefined)[];
  readonly #topics: string[];
  /** Slot of the last topic: what one read holds is mostly of one topic. */
  #last = 0;

  /** `slots` is a power of two. */
  constructor(slots: number) {
    if (slots < 1 || (slots & (slots - 1)) !== 0) throw new RangeError(`${slots} is not a power of two`);
    this.#mask = slots - 1;
    this.#bytes = new Array<Uint8Array | undefined>(slots).fill(undefined);
    this.#topics = new Array<string>(slots).fill("");
  }

  /** The legal topic name of these bytes; throws the problem of one that is not legal. */
  topic(bytes: Buffer, start: number, end: number, version: Version): string {
    const last = this.#bytes[this.#last];
    if (last !== undefined && isSame(last, bytes, start, end)) return this.#topics[this.#last]!;
    const slot = hashOf(bytes, start, end) & this.#mask;
    const known = this.#bytes[slot];
    if (known === undefined || !isSame(known, bytes, start, end)) return this.#learn(slot, bytes, start, end, version);
    this.#last = slot;
    return this.#topics[slot]!;
  }

  #learn(slot: number, bytes: Buffer, start: number, end: number, version: Version): string {
    const topic = decodeText(bytes, start, end, version, "the topic");
    const problem = topicNameProblem(topic, version);
    if (problem !== null) throw problem;
    if (end - start > memoTopicMax) return topic;
    this.#bytes[slot] = copyOf(bytes, start, end);
    this.#topics[slot] = topic;
    this.#last = slot;
    return topic;
  }
}

/** Spreads bytes over the slots of a memo. */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  let at = start;
  // four bytes a step: each multiplication waits for the one before
  for (; at + 4 <= end; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash = Math.imul(hash ^ word, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash ^ (hash >>> 13);
}

/** `known` is what stands between the two places. */
export function isSame(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  const { length } = known;
  if (length !== end - start) return false;
  // from the end: topics of a fleet begin alike
  for (let at = length - 1; at >= 0; at--) {
    if (known[at] !== bytes[start + at]) return false;
  }
  return true;
}
