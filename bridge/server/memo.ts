// What is decided once for a topic of a connection: where it goes, whether it may, and its headers.
import type { Access } from "../auth.ts";
import type { Header, OutRecord, Prepared } from "../../hub/mod.ts";
import type { Message } from "../session/message.ts";
import type { SparseMap } from "../session/sparse.ts";
import type { ReasonCode } from "../wire/packet.ts";
import type { Routed, TopicMap } from "../topic_map.ts";

/** Who publishes. */
export interface Author {
  readonly clientId: string;
  readonly clientBytes: Uint8Array;
  readonly principal: string;
  /** At most `mqttRouteMemoMax`. */
  readonly memos: SparseMap<string, Memo>;
  /** The one that was used last. */
  lastMemo: Memo | null;
  /** Messages accepted and not yet committed. */
  inFlight: number;
  /** Called once for each message of the fast lane with QoS 1, when its slot has its code. */
  settled(): void;
  /** Called once for each append with a ticket above 0. */
  committed(ticket: number, code: ReasonCode): void;
  /** Reading may go on: called after `mayRead` answered false. */
  resume(): void;
}

/** A remembered decision for one topic of one connection. */
export interface Memo {
  readonly topic: string;
  readonly routed: Routed;
  readonly isAllowed: boolean;
  readonly topicBytes: Uint8Array;
  readonly key: Uint8Array | null;
  /** By qos * 2 + retain; made when first needed. */
  readonly headers: (readonly Header[] | undefined)[];
  /** By QoS 0 and 1, not retained; made when first needed. */
  readonly prepared: (Prepared | undefined)[];
  isReported: boolean;
  /** The one that was used after it the last time: a device publishes its topics in turn. */
  next: Memo | null;
  /** A record went to its hub topic. */
  isUsed: boolean;
}

const encoder = new TextEncoder();
const digits = ["0", "1", "2"].map((digit) => encoder.encode(digit));

export function memoOf(map: TopicMap, access: Access, author: Author, topic: string): Memo {
  const isOwn = topic.startsWith("$SYS/");
  const isAllowed = !isOwn && access.publish(author.principal, topic);
  const reason = isOwn ? "topics below $SYS are the hub's own" : "publishing to this topic is not authorised";
  const routed: Routed = isAllowed ? map.route(topic, author.clientId) : { kind: "refused", match: null, reason };
  const key = routed.kind === "store" ? encoder.encode(routed.key) : null;
  const made = { headers: [], prepared: [], isReported: false, next: null, isUsed: false };
  return { topic, routed, isAllowed, topicBytes: encoder.encode(topic), key, ...made };
}

/** @param more headers behind those that every record has. @param timestamp milliseconds since the epoch. */
export function recordOf(
  memo: Memo,
  author: Author,
  { payload, qos, retain }: Pick<Message, "payload" | "qos" | "retain">,
  more: readonly Header[],
  timestamp: number,
): OutRecord {
  const same = headersOf(memo, author, qos * 2 + (retain ? 1 : 0));
  return { key: memo.key, value: payload, headers: more.length === 0 ? same : [...same, ...more], timestamp };
}

/** Those that every record has. */
export function headersOf(memo: Memo, author: Author, slot: number): readonly Header[] {
  const known = memo.headers[slot];
  if (known !== undefined) return known;
  const headers: readonly Header[] = [
    { key: "mqtt.topic", value: memo.topicBytes },
    { key: "mqtt.qos", value: digits[slot >> 1]! },
    { key: "mqtt.retain", value: digits[slot & 1]! },
    { key: "mqtt.client", value: author.clientBytes },
  ];
  memo.headers[slot] = Object.freeze(headers); // encoded once
  return headers;
}
