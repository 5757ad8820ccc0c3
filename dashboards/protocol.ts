// What a browser may say on /ws, checked field by field. Pure. README.md documents the protocol.
import { limits } from "../hub/mod.ts";
import type { HeaderChoice } from "./records.ts";

/** Where a subscription begins. `last` is records per partition, or ms back from now; `offsets` is what resumes. */
export type From =
  | { readonly kind: "latest" }
  | { readonly kind: "earliest" }
  | { readonly kind: "offset"; readonly offset: number }
  | { readonly kind: "offsets"; readonly offsets: ReadonlyMap<number, number> }
  | { readonly kind: "time"; readonly time: number }
  | { readonly kind: "lastRecords"; readonly records: number }
  | { readonly kind: "lastMs"; readonly ms: number };

export interface Subscribe {
  readonly type: "subscribe";
  readonly id: number;
  readonly topic: string;
  /** The topic's id when the offsets were seen; another id means the topic was made anew. */
  readonly topicId: string | null;
  readonly from: From;
  readonly keys: ReadonlySet<string> | null;
  readonly partitions: ReadonlySet<number> | null;
  /** ms; the newest record of each series per period; 0 = every record. */
  readonly every: number;
  /** As `every`, in record time, for history. */
  readonly historyEvery: number;
  readonly headers: HeaderChoice;
  readonly lossless: boolean;
  readonly credit: number;
}

export type Screen = "topics" | "groups";

export type ClientMessage =
  | Subscribe
  | { readonly type: "credit"; readonly id: number; readonly n: number }
  | { readonly type: "unsubscribe"; readonly id: number }
  | { readonly type: "watch" | "unwatch"; readonly what: Screen };

/** A message of a browser that breaks the protocol; the text is sent back to it. */
export class ProtocolError extends Error {
  readonly id: number | null;
  constructor(detail: string, id: number | null = null) {
    super(detail);
    this.name = "ProtocolError";
    this.id = id;
  }
}

const everyMsMax = 60_000;
const idMax = 2 ** 31 - 1;
const headersMax = 16;

/** @throws ProtocolError saying which field is wrong. */
export function parseMessage(text: string): ClientMessage {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw new ProtocolError("the message is not JSON");
  }
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    throw new ProtocolError("the message is not a JSON object");
  }
  const fields = data as Record<string, unknown>;
  switch (fields["type"]) {
    case "subscribe":
      return parseSubscribe(fields);
    case "credit":
      return { type: "credit", id: idOf(fields), n: whole(fields, "n", 1, limits.browserCreditMax) };
    case "unsubscribe":
      return { type: "unsubscribe", id: idOf(fields) };
    case "watch":
    case "unwatch": {
      const what = fields["what"];
      if (what !== "topics" && what !== "groups") throw new ProtocolError('"what" must be "topics" or "groups"');
      return { type: fields["type"], what };
    }
    default:
      throw new ProtocolError('"type" must be subscribe, credit, unsubscribe, watch or unwatch');
  }
}

function parseSubscribe(fields: Record<string, unknown>): Subscribe {
  const id = idOf(fields);
  try {
    const topic = fields["topic"];
    if (typeof topic !== "string" || !/^[a-zA-Z0-9._-]{1,249}$/.test(topic)) {
      throw new ProtocolError('"topic" must be the name of a topic');
    }
    const topicId = fields["topicId"] ?? null;
    if (topicId !== null && typeof topicId !== "string") throw new ProtocolError('"topicId" must be text');
    const every = whole(fields, "every", 0, everyMsMax, 0);
    return {
      type: "subscribe",
      id,
      topic,
      topicId,
      from: parseFrom(fields["from"] ?? "latest"),
      keys: parseKeys(fields["keys"]),
      partitions: parsePartitions(fields["partitions"]),
      every,
      historyEvery: whole(fields, "historyEvery", 0, everyMsMax, every),
      headers: parseHeaders(fields["headers"]),
      lossless: fields["lossless"] === true,
      credit: whole(fields, "credit", 0, limits.browserCreditMax, 0),
    };
  } catch (error) {
    if (error instanceof ProtocolError && error.id === null) throw new ProtocolError(error.message, id);
    throw error;
  }
}

function idOf(fields: Record<string, unknown>): number {
  return whole(fields, "id", 0, idMax);
}

function whole(fields: Record<string, unknown>, name: string, min: number, max: number, missing?: number): number {
  const value = fields[name] ?? missing;
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    throw new ProtocolError(`"${name}" must be a whole number from ${min} to ${max}`);
  }
  return value as number;
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function parseFrom(from: unknown): From {
  if (from === "latest" || from === "earliest") return { kind: from };
  if (typeof from === "object" && from !== null) {
    const fields = from as Record<string, unknown>;
    if ("offset" in fields) return { kind: "offset", offset: whole(fields, "offset", 0, Number.MAX_SAFE_INTEGER) };
    if ("time" in fields) return { kind: "time", time: whole(fields, "time", 0, Number.MAX_SAFE_INTEGER) };
    if ("offsets" in fields) return { kind: "offsets", offsets: parseOffsets(fields["offsets"]) };
    if (typeof fields["last"] === "number") {
      return { kind: "lastRecords", records: whole(fields, "last", 0, Number.MAX_SAFE_INTEGER) };
    }
    const span = typeof fields["last"] === "string" ? /^(\d{1,9})(ms|s|m|h|d)$/.exec(fields["last"]) : null;
    if (span !== null) return { kind: "lastMs", ms: Number(span[1]) * units[span[2]!]! };
  }
  throw new ProtocolError(
    '"from" must be "latest", "earliest", {"offset": n}, {"offsets": {"0": n}}, {"time": ms} or {"last": n or "60s"}',
  );
}

function parseOffsets(value: unknown): Map<number, number> {
  const offsets = new Map<number, number>();
  if (typeof value !== "object" || value === null) throw new ProtocolError('"offsets" must be an object');
  for (const [partition, offset] of Object.entries(value)) {
    if (!/^\d{1,6}$/.test(partition)) throw new ProtocolError('"offsets" must have partitions as names');
    if (!Number.isSafeInteger(offset) || offset < 0) throw new ProtocolError('"offsets" must have offsets as values');
    offsets.set(Number(partition), offset);
  }
  if (offsets.size > limits.partitionsPerTopicMax) throw new ProtocolError('"offsets" names too many partitions');
  return offsets;
}

function parseKeys(value: unknown): ReadonlySet<string> | null {
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value) || value.length > limits.browserKeysMax || value.some((key) => typeof key !== "string")) {
    throw new ProtocolError(`"keys" must be a list of up to ${limits.browserKeysMax} texts`);
  }
  return new Set(value as string[]);
}

function parsePartitions(value: unknown): ReadonlySet<number> | null {
  if (value === undefined || value === null) return null;
  const good = (partition: unknown): boolean => Number.isSafeInteger(partition) && (partition as number) >= 0;
  if (!Array.isArray(value) || value.length > limits.partitionsPerTopicMax || !value.every(good)) {
    throw new ProtocolError('"partitions" must be a list of partition numbers');
  }
  return new Set(value as number[]);
}

function parseHeaders(value: unknown): HeaderChoice {
  if (value === true) return true;
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > headersMax || value.some((name) => typeof name !== "string")) {
    throw new ProtocolError(`"headers" must be true or a list of up to ${headersMax} names`);
  }
  return value as string[];
}

/** Subscriptions of the same shape share the bytes of their frames. */
export function shapeOf(wanted: Subscribe): string {
  const keys = wanted.keys === null ? null : [...wanted.keys].sort();
  const partitions = wanted.partitions === null ? null : [...wanted.partitions].sort((a, b) => a - b);
  return JSON.stringify([wanted.every, wanted.headers, keys, partitions]);
}
