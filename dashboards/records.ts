// How a record looks to a browser: its key and value as text, its series, its line in a frame. Pure.
import { type InRecord, limits } from "../hub/mod.ts";

/** What the element after the value says about it. */
export const ValueKind = {
  /** The value is the payload's JSON, as it was written. */
  Json: 0,
  Text: 1,
  Base64: 2,
  /** The value is `[beginning, bytes of the whole]`. */
  CutText: 3,
  CutBase64: 4,
  /** The record has no value; null stands in its place. */
  Tombstone: 5,
} as const;

/** Headers a subscription asks for: names in the order wanted, or true for all as pairs. */
export type HeaderChoice = true | readonly string[];

/** A record on its way to browsers; the text is made only for those that get there. */
export interface Shown {
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string | null;
  /** What "newest wins" compares: the key, and the MQTT topic where there is one (a device has many metrics). */
  readonly series: string;
  /** About what the record takes in memory and in a frame. */
  readonly bytes: number;
  readonly record: InRecord;
}

/** One finished line of a frame; it holds no reference to the fetched bytes. */
export interface Line {
  readonly offset: number;
  readonly timestamp: number;
  readonly series: string;
  readonly bytes: number;
  /** `[offset,timestamp,key,value,kind,...headers]` as JSON. */
  readonly text: string;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8");
const keyBytesMax = 1024;
const headerBytesMax = 1024;
/** What a line costs beside its payload. */
const lineOverhead = 96;

export function show(record: InRecord): Shown {
  const key = record.key === null ? null : keyText(record.key);
  const name = mqttTopic(record);
  return {
    partition: record.partition,
    offset: record.offset,
    timestamp: record.timestamp,
    key,
    series: name === "" ? (key ?? "") : `${key ?? ""}\n${name}`,
    bytes: Math.min(record.value?.length ?? 0, limits.browserValueBytesMax) + (key?.length ?? 0) + lineOverhead,
    record,
  };
}

/** Text of a key; bytes that are no UTF-8 are shown as base64. */
export function keyText(key: Uint8Array): string {
  const part = key.length > keyBytesMax ? key.subarray(0, keyBytesMax) : key;
  try {
    return strict.decode(part);
  } catch {
    return `base64:${base64(part)}`;
  }
}

function mqttTopic(record: InRecord): string {
  for (const header of record.headers) {
    if (header.key === "mqtt.topic" && header.value !== null) return lenient.decode(header.value);
  }
  return "";
}

/** The line of a record with the headers asked for. */
export function lineOf(shown: Shown, headers: HeaderChoice): Line {
  const { record, offset, timestamp, series } = shown;
  const head = `[${offset},${timestamp},${shown.key === null ? "null" : JSON.stringify(shown.key)},`;
  const text = `${head}${valueText(record.value)}${headersText(record, headers)}]`;
  return { offset, timestamp, series, bytes: text.length + 64, text };
}

/** `value,kind` of a payload. JSON is passed on as it was written, so that no number loses digits. */
export function valueText(value: Uint8Array | null): string {
  if (value === null) return `null,${ValueKind.Tombstone}`;
  if (value.length > limits.browserValueBytesMax) return cutText(value);
  let text: string;
  try {
    text = strict.decode(value);
  } catch {
    return `"${base64(value)}",${ValueKind.Base64}`;
  }
  try {
    JSON.parse(text);
    return `${text},${ValueKind.Json}`;
  } catch {
    return `${JSON.stringify(text)},${ValueKind.Text}`;
  }
}

function cutText(value: Uint8Array): string {
  const part = value.subarray(0, limits.browserValueBytesMax);
  try {
    // streaming: a character that the cut splits is left out, not an error
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(part, { stream: true });
    return `[${JSON.stringify(text)},${value.length}],${ValueKind.CutText}`;
  } catch {
    return `["${base64(part)}",${value.length}],${ValueKind.CutBase64}`;
  }
}

function headersText(record: InRecord, choice: HeaderChoice): string {
  if (choice === true) {
    const pairs = record.headers.slice(0, 100).map(({ key, value }) => [key, headerText(value)]);
    return `,${JSON.stringify(pairs)}`;
  }
  let text = "";
  for (const name of choice) {
    const header = record.headers.find(({ key }) => key === name);
    text += `,${JSON.stringify(headerText(header?.value ?? null))}`;
  }
  return text;
}

function headerText(value: Uint8Array | null): string | null {
  return value === null ? null : lenient.decode(value.subarray(0, headerBytesMax));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}
