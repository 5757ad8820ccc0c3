// Answers made comparable: ids get names in the order they appear, times, addresses and texts go, codes get names.
import { errorCatalogue } from "../../../hub/errors.ts";
import { At, batchSize, readBatchHeader } from "../../../hub/record/batch.ts";
import { controlType, decodeRecords } from "../../../hub/record/record.ts";

const namesOfCodes = new Map(Object.entries(errorCatalogue).map(([name, { code }]) => [code, name]));

/** The name of an error code; the number where the hub's catalogue has no such code. */
export const errorName = (code: number): string => namesOfCodes.get(code) ?? `error ${code}`;

export type Plain = null | boolean | number | string | readonly Plain[] | { readonly [name: string]: Plain };

/** What is about a moment or a machine, or is text for people. */
const dropped = new Set(["throttleTimeMs", "host", "port", "errorMessage", "batchIndexErrorMessage", "documentation"]);
/** Wall time of a broker; -1 says "none" and stays. */
const times = new Set(["logAppendTimeMs", "issueTimestampMs", "lastTimestamp", "transactionStartTimeMs"]);
/** Names of ids, and what their values are called. Both forms of "none" stay as they are. */
const ids: ReadonlyMap<string, string> = new Map(
  Object.entries({
    clusterId: "cluster",
    topicId: "topic id",
    nextTopicId: "topic id",
    memberId: "member",
    leader: "member",
    producerId: "producer",
    sessionId: "session",
  }),
);
const zeroUuid = "00000000-0000-0000-0000-000000000000";
/** Arrays whose order says something; all others are sorted. */
const ordered = new Set(["records", "batches", "isrNodes", "replicaNodes", "abortedTransactions"]);

const decoder = new TextDecoder();

/** One side's names for ids: the n-th producer id of both sides has the same name. */
export class Names {
  readonly #known = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  of(kind: string, value: string | number): string | number {
    if (value === "" || value === zeroUuid || value === -1 || (kind === "session" && value === 0)) return value;
    const key = `${kind} ${value}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    this.#known.set(key, `${kind} ${count}`);
    return `${kind} ${count}`;
  }
}

/** The comparable form of a decoded answer. */
export function normal(value: unknown, names: Names, field = ""): Plain {
  if (value === null || value === undefined) return null;
  if (typeof value === "number") return number(value, names, field);
  if (typeof value === "string") return ids.has(field) ? names.of(ids.get(field)!, value) : value;
  if (typeof value === "boolean") return value;
  if (value instanceof Uint8Array) return field === "records" ? batches(value, names) : hex(value);
  // Kafka's errors have either, and it means the same
  if (field === "abortedTransactions" && Array.isArray(value) && value.length === 0) return null;
  if (Array.isArray(value)) {
    const all = value.map((one) => normal(one, names, field));
    return ordered.has(field) ? all : [...all].sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  }
  const entries = Object.entries(value).filter(([name]) => !dropped.has(name));
  return Object.fromEntries(entries.map(([name, inner]) => [name, normal(inner, names, name)]));
}

function number(value: number, names: Names, field: string): Plain {
  if (field === "errorCode") return errorName(value);
  if (times.has(field)) return value < 0 ? value : "a time";
  return ids.has(field) ? names.of(ids.get(field)!, value) : value;
}

const sortKey = (value: Plain): string => JSON.stringify(value);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const text = (bytes: Uint8Array | null): string | null => (bytes === null ? null : decoder.decode(bytes));

/** The whole batches of a fetched set; Kafka cuts the last one where the bytes end, which says nothing. */
function batches(bytes: Uint8Array, names: Names): Plain {
  const found: Plain[] = [];
  for (let at = 0; at + At.magic < bytes.length && at + batchSize(bytes, at) <= bytes.length; ) {
    const size = batchSize(bytes, at);
    const batch = bytes.slice(at, at + size);
    found.push(batchOf(batch, names));
    at += size;
  }
  return found;
}

function batchOf(batch: Uint8Array, names: Names): Plain {
  const header = readBatchHeader(batch);
  const { baseOffset, lastOffset, leaderEpoch, codec, transactional, logAppendTime } = header;
  const { producerEpoch, baseSequence } = header;
  const records = readable(batch);
  if (records === null) return { baseOffset, lastOffset, leaderEpoch, codec, content: "unreadable" };
  const content = header.control
    ? records.map((record) => controlType(record))
    : records.map(({ offset, key, value, headers }) => ({
        offset,
        key: text(key),
        value: text(value)?.slice(0, 40) ?? null,
        headers: headers.length,
      }));
  const producerId = names.of("producer", header.producerId);
  const flags = { codec, transactional, logAppendTime, control: header.control };
  return { baseOffset, lastOffset, leaderEpoch, ...flags, producerId, producerEpoch, baseSequence, content };
}

function readable(batch: Uint8Array): ReturnType<typeof decodeRecords> | null {
  try {
    return decodeRecords(batch);
  } catch {
    return null;
  }
}

/** Path by path where two comparable answers differ. */
export interface Difference {
  readonly path: string;
  readonly hub: Plain;
  readonly apache: Plain;
}

const isObject = (value: Plain | undefined): value is { readonly [name: string]: Plain } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Where two comparable answers differ, leaf by leaf; arrays of unequal length are told whole. */
export function differences(hub: Plain | undefined, apache: Plain | undefined, path = ""): Difference[] {
  if (Array.isArray(hub) && Array.isArray(apache) && hub.length === apache.length) {
    return hub.flatMap((one, i) => differences(one as Plain, apache[i] as Plain, `${path}[${i}]`));
  }
  if (isObject(hub) && isObject(apache)) {
    const all = new Set([...Object.keys(hub), ...Object.keys(apache)]);
    return [...all].flatMap((name) => differences(hub[name], apache[name], path === "" ? name : `${path}.${name}`));
  }
  if (JSON.stringify(hub) === JSON.stringify(apache)) return [];
  return [{ path, hub: hub ?? "nothing", apache: apache ?? "nothing" }];
}
