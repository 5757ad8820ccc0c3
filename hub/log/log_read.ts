// Reads of a log beyond its hot tail: by offset and by time, from segments, with the CRC of every batch re-checked.
import { HubError } from "../errors.ts";
import { Codec, loadCodec } from "../io/compression.ts";
import type { File } from "../io/ports.ts";
import { limits } from "../limits.ts";
import { At, batchHeaderBytes, batchSize, checkStoredBatch } from "../record/batch.ts";
import type { BatchHeader } from "../record/batch.ts";
import { decodeRecords } from "../record/record.ts";
import type { Trace } from "../trace.ts";
import type { Epochs } from "./epochs.ts";
import type { Segment } from "./segment.ts";
import type { LogSettings } from "./settings.ts";

export interface TimeOffset {
  readonly offset: number;
  readonly timestamp: number;
  readonly epoch: number;
}

/** What reading needs of a log. */
export interface ReadableLog {
  readonly key: string;
  readonly settings: LogSettings;
  readonly segments: readonly Segment[];
  readonly epochs: Epochs;
  readonly logStart: number;
  readonly repairing: boolean;
  noteDamage(segment: Segment): void;
}

export interface ReadHost {
  readonly trace: Trace;
  touched(segment: Segment): void;
}

const empty = new Uint8Array(0);
const timeScanBytes = 64 * 1024;

/** The place in `segments` of the one that holds `offset`, or begins behind it. */
export function segmentOf(segments: readonly Segment[], offset: number): number {
  let low = 0;
  let high = segments.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (segments[middle]!.base <= offset) low = middle;
    else high = middle - 1;
  }
  return segments[low]!.nextOffset <= offset && low + 1 < segments.length ? low + 1 : low;
}

/** As PartitionLog.read, from the files. */
export async function readCold(
  log: ReadableLog,
  host: ReadHost,
  offset: number,
  bytesMax: number,
  endOffset: number,
): Promise<Uint8Array> {
  // By offset each time: while a segment is read, older ones may go and neighbours may become one.
  for (let from = offset; from < endOffset; ) {
    const segment = log.segments[segmentOf(log.segments, from)]!;
    if (segment.nextOffset <= from) break;
    const bytes = await withSegment(segment, host, () => readSegment(log, host, segment, offset, bytesMax, endOffset));
    if (bytes.length > 0) return bytes; // else a gap at the segment's end
    from = segment.nextOffset;
  }
  return empty;
}

async function withSegment<T>(segment: Segment, host: ReadHost, use: () => Promise<T>): Promise<T> {
  segment.readers += 1;
  try {
    host.touched(segment);
    return await use();
  } finally {
    segment.readers -= 1;
    if (segment.replaced && segment.readers === 0) segment.closeFile();
  }
}

async function readSegment(
  log: ReadableLog,
  host: ReadHost,
  segment: Segment,
  offset: number,
  bytesMax: number,
  endOffset: number,
): Promise<Uint8Array> {
  const reader = new LaterReader(segment.file, segment.size, bytesMax + log.settings.indexIntervalBytes);
  const { nextOffset } = segment;
  let at = segment.index.placeOf(offset);
  let expected = segment.base;
  for (;;) {
    if (at >= segment.size) {
      if (expected < nextOffset && offset >= expected && at > 0) meetDamage(log, host, segment, at, offset);
      return empty;
    }
    const batch = await batchAt(reader, at, expected, nextOffset);
    if (batch === null) {
      const next = behindDamage(log, host, segment, at);
      const beyond = next < segment.size ? await batchAt(reader, next, expected, nextOffset) : null;
      if (beyond === null || beyond.header.baseOffset > offset) meetDamage(log, host, segment, at, offset);
      at = next;
      continue;
    }
    const { lastOffset, size } = batch.header;
    if (lastOffset >= endOffset) return empty;
    if (lastOffset >= offset) return wholeBatches(reader, at, batch.header, bytesMax, Math.min(endOffset, nextOffset));
    expected = lastOffset + 1;
    at += size;
  }
}

/** The batch at `from`, and as many behind it as fit; a damaged one ends them. */
async function wholeBatches(
  reader: LaterReader,
  from: number,
  first: BatchHeader,
  bytesMax: number,
  endOffset: number,
): Promise<Uint8Array> {
  const bytes = await reader.at(from, Math.max(first.size, bytesMax));
  let end = first.size;
  let expected = first.lastOffset + 1;
  while (end < bytesMax) {
    const header = checked(bytes.subarray(end));
    if (header === null || end + header.size > bytesMax) break;
    if (header.baseOffset < expected || header.lastOffset >= endOffset) break;
    if (header.baseOffset > expected) {
      // legal where the log was compacted; who cannot see the batch behind it leaves it to the next read
      const behind = checked(bytes.subarray(end + header.size));
      if (behind === null || behind.baseOffset <= header.lastOffset) break;
    }
    expected = header.lastOffset + 1;
    end += header.size;
  }
  return bytes.subarray(0, end);
}

/**
 * The valid batch at a place; null when there is none. Its offsets lie within [offsetMin, offsetEnd): the base offset
 * is outside the CRC, so a wrong one shows only against its neighbours.
 */
export async function batchAt(
  reader: LaterReader,
  at: number,
  offsetMin: number,
  offsetEnd: number,
): Promise<{ readonly header: BatchHeader; readonly bytes: Uint8Array } | null> {
  const head = await reader.at(at, batchHeaderBytes);
  if (head.length < batchHeaderBytes) return null;
  const size = batchSize(head);
  if (size < batchHeaderBytes || size > limits.batchBytesMax) return null;
  const bytes = await reader.at(at, size);
  const header = checked(bytes);
  if (header === null || header.baseOffset < offsetMin || header.lastOffset >= offsetEnd) return null;
  if (header.baseOffset > offsetMin) {
    // one that rotted upwards makes a gap, and its neighbour lies below its end
    const head = await reader.at(at + size, batchHeaderBytes);
    const next = head.length < batchHeaderBytes ? 0 : Math.min(Math.max(batchSize(head), 0), limits.batchBytesMax);
    const behind = checked(await reader.at(at + size, next));
    if (behind !== null && behind.baseOffset <= header.lastOffset) return null;
  }
  return { header, bytes: bytes.subarray(0, size) };
}

/** A batch that is whole and right, else null. */
function checked(view: Uint8Array): BatchHeader | null {
  if (view.length < batchHeaderBytes || view[At.magic] !== 2) return null;
  try {
    return checkStoredBatch(view);
  } catch {
    return null;
  }
}

/** Where readable batches go on behind a damaged place: the segment's end when none do. */
function behindDamage(log: ReadableLog, host: ReadHost, segment: Segment, at: number): number {
  const next = segment.resync(at, segment.base);
  host.trace.count("log_damage_met");
  host.trace.event("error", "log_damaged", { log: log.key, segment: segment.base, at, readable: next });
  return next < 0 ? segment.size : next;
}

/** The offset that was asked for lies in the damage itself, not behind it. */
function meetDamage(log: ReadableLog, host: ReadHost, segment: Segment, at: number, offset: number): void {
  log.noteDamage(segment);
  if (log.repairing || log.settings.corruptRead === "stop") {
    const where = `segment ${segment.base} is damaged at byte ${at}`;
    throw new HubError("CORRUPT_MESSAGE", `${log.key}: ${where} (offset ${offset} was asked)`);
  }
  host.trace.count("log_damage_skipped");
}

/** Reads a file in steps through the thread pool. */
export class LaterReader {
  readonly #file: Pick<File, "readLater">;
  readonly #end: number;
  readonly #step: number;
  #bytes: Uint8Array = empty;
  #from = 0;

  constructor(file: Pick<File, "readLater">, end: number, step: number) {
    this.#file = file;
    this.#end = end;
    this.#step = step;
  }

  /** At least `count` bytes at `at`, fewer at the end; a view of a buffer that is not used again. */
  async at(at: number, count: number): Promise<Uint8Array> {
    const skip = at - this.#from;
    const wanted = Math.min(count, this.#end - at);
    if (skip >= 0 && skip + wanted <= this.#bytes.length) return this.#bytes.subarray(skip);
    const bytes = new Uint8Array(Math.max(0, Math.min(this.#end - at, Math.max(wanted, this.#step))));
    if (bytes.length === 0) return bytes;
    this.#bytes = bytes.subarray(0, await this.#file.readLater(bytes, at));
    this.#from = at;
    return this.#bytes;
  }
}

/** As PartitionLog.offsetForTime. */
export async function findTime(
  log: ReadableLog,
  host: ReadHost,
  timestamp: number,
  endOffset: number,
): Promise<TimeOffset | null> {
  for (let from = log.logStart; from < endOffset; ) {
    const segment = log.segments[segmentOf(log.segments, from)]!;
    if (segment.nextOffset <= from) return null;
    from = segment.nextOffset;
    if (segment.maxTimestamp < timestamp) continue;
    const found = await withSegment(segment, host, () => findInSegment(log, segment, timestamp, endOffset));
    if (found !== null) return found;
    if (segment.nextOffset >= endOffset) return null;
  }
  return null;
}

async function findInSegment(
  log: ReadableLog,
  segment: Segment,
  timestamp: number,
  endOffset: number,
): Promise<TimeOffset | null> {
  const reader = new LaterReader(segment.file, segment.size, timeScanBytes);
  const { nextOffset } = segment;
  let at = segment.index.placeOfTime(timestamp);
  while (at >= 0 && at < segment.size) {
    const batch = await batchAt(reader, at, segment.base, nextOffset);
    if (batch === null) {
      at = segment.resync(at, segment.base);
      continue;
    }
    const { header, bytes } = batch;
    if (header.baseOffset >= endOffset) return null;
    if (header.maxTimestamp >= timestamp && header.lastOffset >= log.logStart) {
      const found = await inBatch(log, bytes, header, timestamp, endOffset);
      if (found !== null) return found;
    }
    at += header.size;
  }
  return null;
}

async function inBatch(
  log: ReadableLog,
  batch: Uint8Array,
  header: BatchHeader,
  timestamp: number,
  endOffset: number,
): Promise<TimeOffset | null> {
  const epoch = header.leaderEpoch;
  if (header.codec === Codec.Zstd) await loadCodec(header.codec);
  for (const record of decodeRecords(batch)) {
    if (record.offset >= endOffset) return null;
    if (record.timestamp >= timestamp && record.offset >= log.logStart) {
      return { offset: record.offset, timestamp: record.timestamp, epoch };
    }
  }
  return null;
}

/** As PartitionLog.maxTimestamp. */
export async function maxTimestampOf(log: ReadableLog, host: ReadHost, endOffset: number): Promise<TimeOffset | null> {
  const largest = log.segments.reduce((max, segment) => Math.max(max, segment.maxTimestamp), -1);
  if (largest < 0) return null;
  const exact = await findTime(log, host, largest, endOffset);
  if (exact !== null) return exact;
  // The largest lies at or above `endOffset`: every batch below it is looked at.
  let best: TimeOffset | null = null;
  let from = 0;
  for (;;) {
    const found = await findTime(log, host, from, endOffset);
    if (found === null) return best;
    best = found;
    from = found.timestamp + 1;
  }
}
