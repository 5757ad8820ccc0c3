// Replay of a hub topic: `$stream/<topic>[/<filter>]`, and where it begins. Pure.
import { limits } from "../../hub/mod.ts";

const prefix = "$stream/";
/** User property of SUBSCRIBE that says where to begin. */
export const streamOffset = "stream-offset";
/** Numbers from here on are times; no partition has so many records, and no record is older than March 1973. */
const timeFrom = 100_000_000_000;

export interface StreamFilter {
  /** Hub topic. */
  readonly topic: string;
  /** Of the records those whose MQTT topic matches; null: all. */
  readonly filter: string | null;
}

/** `time`: milliseconds since the epoch. */
export type StreamStart =
  | { readonly kind: "earliest" | "latest" }
  | { readonly kind: "offset"; readonly offset: number }
  | { readonly kind: "time"; readonly time: number };

export function isStream(filter: string): boolean {
  return filter.startsWith(prefix);
}

/** Null: it names no hub topic that may be read. @param text a legal filter that begins with `$stream/` */
export function parseStream(text: string): StreamFilter | null {
  const end = text.indexOf("/", prefix.length);
  const topic = text.slice(prefix.length, end === -1 ? text.length : end);
  const isLegal = /^[a-zA-Z0-9._-]+$/.test(topic) && topic.length <= limits.topicNameLengthMax;
  if (!isLegal || topic.startsWith("__")) return null;
  const filter = end === -1 ? "" : text.slice(end + 1);
  return { topic, filter: filter === "" ? null : filter };
}

/** `earliest`, `latest`, an offset, milliseconds since the epoch or a time of RFC 3339; null: none of them. */
export function parseStart(text: string): StreamStart | null {
  if (text === "earliest" || text === "latest") return { kind: text };
  if (/^\d{1,15}$/.test(text)) {
    const number = Number(text);
    return number >= timeFrom ? { kind: "time", time: number } : { kind: "offset", offset: number };
  }
  if (!/^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(text)) return null;
  const time = Date.parse(text.replace(" ", "T").toUpperCase());
  return Number.isNaN(time) ? null : { kind: "time", time: Math.max(0, time) };
}
