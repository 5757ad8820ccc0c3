// How `partidor consume` prints a record: value, full, json, hex, or a template. Pure.
import type { InRecord } from "../hub/mod.ts";
import { UsageError } from "./exit.ts";
import { safeText } from "./output.ts";

export type Format = (record: InRecord) => string;

/** For help texts. */
export const formatDoc =
  "value, full, json, hex, or a template: %t topic, %p partition, %o offset, %T time, %k key, %v value, %h headers";

const decoder = new TextDecoder();
const strict = new TextDecoder("utf-8", { fatal: true });

/** Text when the bytes are UTF-8, else `{"base64": ...}`: JSON that gives the same bytes back. */
function jsonBytes(bytes: Uint8Array | null): unknown {
  if (bytes === null) return null;
  try {
    return strict.decode(bytes);
  } catch {
    return { base64: Buffer.from(bytes).toString("base64") };
  }
}

/** One line of NDJSON. A value that is JSON stays text, so that what was sent can be told from what was meant. */
function json(record: InRecord): string {
  const { topic, partition, offset, timestamp, key, value, headers } = record;
  const named = headers.map((header) => [header.key, jsonBytes(header.value)]);
  return JSON.stringify({
    topic,
    partition,
    offset,
    timestamp,
    key: jsonBytes(key),
    value: jsonBytes(value),
    headers: named,
  });
}

function hex(record: InRecord): string {
  const hexOf = (bytes: Uint8Array | null): string => (bytes === null ? "null" : Buffer.from(bytes).toString("hex"));
  return `${record.topic}/${record.partition}/${record.offset}  ${hexOf(record.key)}  ${hexOf(record.value)}`;
}

/** @throws UsageError @param raw text goes out as it came; a terminal gets control characters shown, not obeyed. */
export function formatOf(name: string, raw: boolean): Format {
  const text = (bytes: Uint8Array | null, none: string): string => {
    if (bytes === null) return none;
    const decoded = decoder.decode(bytes);
    return raw ? decoded : safeText(decoded);
  };
  if (name === "json") return json;
  if (name === "hex") return hex;
  if (name === "value") return ({ value }) => text(value, "");
  if (name === "full") {
    return (record) => {
      const place = `${record.topic}/${record.partition}/${record.offset}`;
      return `${isoTime(record.timestamp)}  ${place}  ${text(record.key, "-")}  ${text(record.value, "(tombstone)")}`;
    };
  }
  if (!name.includes("%")) throw new UsageError(`--format takes ${formatDoc}; not ${JSON.stringify(name)}`);
  return templateOf(name, text);
}

function templateOf(template: string, text: (bytes: Uint8Array | null, none: string) => string): Format {
  const fields: Readonly<Record<string, Format>> = {
    t: ({ topic }) => topic,
    p: ({ partition }) => String(partition),
    o: ({ offset }) => String(offset),
    T: ({ timestamp }) => isoTime(timestamp),
    k: ({ key }) => text(key, ""),
    v: ({ value }) => text(value, ""),
    h: ({ headers }) => headers.map((header) => `${safeText(header.key)}=${text(header.value, "")}`).join(","),
    "%": () => "%",
  };
  for (const [, letter] of template.matchAll(/%(.?)/gs)) {
    if (!Object.hasOwn(fields, letter!)) throw new UsageError(`--format knows no %${letter}: ${formatDoc}`);
  }
  const spaced = template.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
  return (record) => spaced.replace(/%(.)/gs, (_, letter: string) => fields[letter]!(record));
}

/** ISO 8601 in UTC; a record without a time, or with one beyond the calendar, prints its number. */
function isoTime(timestamp: number): string {
  return Math.abs(timestamp) <= 8.64e15 && timestamp >= 0 ? new Date(timestamp).toISOString() : String(timestamp);
}
