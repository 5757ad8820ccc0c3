// What the tests of compaction share: a log of keys and values, reading it back, and what a reader ends up with.
import { loadCodec } from "../../../hub/io/compression.ts";
import type { Codec } from "../../../hub/io/compression.ts";
import type { PartitionLog } from "../../../hub/log/store.ts";
import { batchSize, checkStoredBatch } from "../../../hub/record/batch.ts";
import type { BatchHeader } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import type { BatchOptions } from "../../../hub/record/builder.ts";
import { decodeRecords } from "../../../hub/record/record.ts";
import type { Bench } from "./support.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** `value` null is a tombstone. */
export interface KeyValue {
  readonly key: string | null;
  readonly value: string | null;
}

export interface ReadRecord extends KeyValue {
  readonly offset: number;
  readonly timestamp: number;
}

export interface ReadBatch {
  readonly header: BatchHeader;
  readonly bytes: Uint8Array;
  readonly records: readonly ReadRecord[];
}

export function keyedBatch(pairs: readonly KeyValue[], options: BatchOptions = {}, timestamp = 1000): Uint8Array {
  const records = pairs.map(({ key, value }) => ({
    key: key === null ? null : encoder.encode(key),
    value: value === null ? null : encoder.encode(value),
  }));
  return encodeBatch(records, options, timestamp);
}

/** Appends `key=value` pairs, one batch; `key=` is a tombstone. */
export async function put(bench: Bench, pairs: readonly string[], options: BatchOptions = {}): Promise<number> {
  const log = bench.log();
  const batch = keyedBatch(
    pairs.map((pair) => {
      const [key, value] = pair.split("=") as [string, string];
      return { key, value: value === "" ? null : value };
    }),
    options,
  );
  const { baseOffset } = log.append(batch, 0);
  await bench.settle(bench.store.flush());
  await bench.clock.advance(1);
  return baseOffset;
}

/** Every batch from `from` on, read as a consumer reads: on from the last offset of what came. */
export async function readBatches(bench: Bench, log: PartitionLog, from = log.logStart): Promise<ReadBatch[]> {
  await loadCodec(4);
  const batches: ReadBatch[] = [];
  for (let offset = from; offset < log.logEnd; ) {
    const bytes = await bench.settle(log.read(offset, 1000, log.logEnd));
    if (bytes.length === 0) throw new Error(`nothing comes at offset ${offset} of ${log.logEnd}`);
    for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) {
      const one = bytes.slice(at, at + batchSize(bytes, at));
      const header = checkStoredBatch(one);
      const records = decodeRecords(one).map(({ offset: place, timestamp, key, value }) => ({
        offset: place,
        timestamp,
        key: key === null ? null : decoder.decode(key),
        value: value === null ? null : decoder.decode(value),
      }));
      if (header.baseOffset > header.lastOffset || header.lastOffset < offset) throw new Error("a step back");
      batches.push({ header, bytes: one, records });
      offset = header.lastOffset + 1;
    }
  }
  return batches;
}

/** `offset:key=value` of every record but markers. */
export async function dump(bench: Bench, log = bench.log(), from = log.logStart): Promise<string[]> {
  return (await readBatches(bench, log, from))
    .filter(({ header }) => !header.control)
    .flatMap(({ records }) => records.map(({ offset, key, value }) => `${offset}:${key}=${value ?? ""}`));
}

/** The last value of each key, as a reader from the start ends up with; tombstones remove. */
export function tableOf(records: Iterable<KeyValue>): Map<string, string> {
  const table = new Map<string, string>();
  for (const { key, value } of records) {
    if (key === null) continue;
    if (value === null) table.delete(key);
    else table.set(key, value);
  }
  return table;
}

/** Closes the active segment and makes everything before it cleanable. */
export async function closeSegment(bench: Bench): Promise<void> {
  const log = bench.log();
  log.applySettings({ ...log.settings, segmentMs: 0 });
  await bench.clock.advance(1);
  await bench.settle(log.rollWhenDue());
  log.applySettings({ ...log.settings, segmentMs: 7 * 24 * 3600 * 1000 });
  await bench.settle(bench.store.checkpoint());
}

export async function compact(bench: Bench): Promise<void> {
  await bench.settle(bench.store.compact());
}

export const codecs: readonly Codec[] = [0, 1, 2, 3, 4];
