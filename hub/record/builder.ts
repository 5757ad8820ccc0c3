// Builds a RecordBatch v2 record by record, in one buffer that grows and is handed over.
import type { Arena } from "../bytes/arena.ts";
import { setInt16, setInt32, setInt64 } from "../bytes/fixed.ts";
import { signedSize, writeSigned } from "../bytes/varint.ts";
import { HubError } from "../errors.ts";
import { Codec, compress } from "../io/compression.ts";
import { limits } from "../limits.ts";
import { At, Attribute, batchCrc, batchHeaderBytes, batchOverheadBytes } from "./batch.ts";
import type { NewRecord, RecordHeader } from "./record.ts";

/** Bytes that can be copied from without a view of them: a Buffer. */
export interface CopySource extends Uint8Array {
  copy(target: Uint8Array, targetStart?: number, sourceStart?: number, sourceEnd?: number): number;
}

export interface BatchOptions {
  /** -1 (none) when left out. */
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  readonly codec?: Codec;
  readonly transactional?: boolean;
  readonly control?: boolean;
  /** 0 when left out: the hub that appends writes the true one. */
  readonly baseOffset?: number;
  readonly leaderEpoch?: number;
}

const encoder = new TextEncoder();
const bufferBytesMin = 512;
/** Up to this length a loop in JS beats the call of `set`. */
const loopBytesMax = 24;

/** Collects records; `finish` gives the batch and leaves the builder empty for the next one. */
export class BatchBuilder {
  readonly #arena: Arena | null;
  #bytes: Uint8Array | null = null;
  /** Where `bytes` stands in the arena; -1 for an array of its own. */
  #place = -1;
  #at = batchHeaderBytes;
  #count = 0;
  #baseTimestamp = -1;
  #maxTimestamp = -1;
  /** Size of the batch before: the next one mostly ends there, and then nothing is copied to grow. */
  #sizeBefore = 0;

  /** @param arena batches stand in its slabs while there are some; whoever is done with one gives it back. */
  constructor(arena: Arena | null = null) {
    this.#arena = arena;
  }

  /** Records taken since the last `finish`. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of the batch as it stands, before compression. */
  get size(): number {
    return this.#at;
  }

  /**
   * Takes one record; key and value are copied. A frozen array of headers is encoded once for all that bear it.
   * @param timestamp ms since the epoch, used when the record names none
   * @throws HubError INVALID_RECORD above 1,000,000 records, MESSAGE_TOO_LARGE above `batchBytesMax`
   */
  add(record: NewRecord, timestamp = -1): void {
    const time = record.timestamp ?? timestamp;
    if (this.#count === 0) this.#baseTimestamp = this.#maxTimestamp = time;
    else if (time > this.#maxTimestamp) this.#maxTimestamp = time;
    if (this.#count >= limits.recordsPerBatchMax) throw new HubError("INVALID_RECORD", "too many records for a batch");
    const { key, value } = record;
    const headers = encodedHeaders(record.headers);
    const timestampDelta = time - this.#baseTimestamp;
    const body =
      1 + signedSize(timestampDelta) + signedSize(this.#count) + sizeOf(key) + sizeOf(value) + headers.length;
    const bytes = this.#room(body + 5);
    let at = writeSigned(bytes, this.#at, body);
    bytes[at++] = 0;
    at = writeSigned(bytes, at, timestampDelta);
    at = writeSigned(bytes, at, this.#count);
    at = writeBytes(bytes, at, key);
    at = writeBytes(bytes, at, value);
    bytes.set(headers, at);
    this.#at = at + headers.length;
    this.#count += 1;
  }

  /**
   * Takes a record whose key and headers are encoded already, its value being `source[start, end)`, which is copied.
   * @throws HubError as `add`
   */
  addEncoded(encoded: EncodedRecord, source: CopySource, start: number, end: number, time: number): void {
    if (this.#count === 0) this.#baseTimestamp = this.#maxTimestamp = time;
    else if (time > this.#maxTimestamp) this.#maxTimestamp = time;
    if (this.#count >= limits.recordsPerBatchMax) throw new HubError("INVALID_RECORD", "too many records for a batch");
    const { key, headers } = encoded;
    const length = end - start;
    const delta = time - this.#baseTimestamp;
    const body = 1 + signedSize(delta) + signedSize(this.#count) + key.length + signedSize(length) + length;
    const whole = body + headers.length;
    const bytes = this.#room(whole + 5);
    let at = writeSigned(bytes, this.#at, whole);
    bytes[at++] = 0;
    at = writeSigned(bytes, at, delta);
    at = writeSigned(bytes, at, this.#count);
    at = put(bytes, at, key);
    at = writeSigned(bytes, at, length);
    const isCopied = this.#place >= 0 && this.#arena!.copy(this.#place + at, source, start, end);
    if (!isCopied) source.copy(bytes, at, start, end);
    this.#at = put(bytes, at + length, headers);
    this.#count += 1;
  }

  /** The batch; the caller owns the bytes. At least one record must be in it. Codec zstd must be loaded. */
  finish(options: BatchOptions = {}): Uint8Array {
    if (this.#count === 0 || this.#bytes === null) throw new Error("a batch without records");
    let bytes = this.#bytes;
    let size = this.#at;
    const codec = options.codec ?? Codec.None;
    if (codec !== Codec.None) {
      const packed = compress(codec, bytes.subarray(batchHeaderBytes, size));
      size = batchHeaderBytes + packed.length;
      bytes = new Uint8Array(size);
      bytes.set(packed, batchHeaderBytes);
      this.#arena?.give(this.#bytes);
    } else if (size + (size >> 3) < bytes.length && this.#place < 0) {
      bytes = bytes.slice(0, size); // a slab comes back soon
    }
    this.#writeHeader(bytes, size, codec, options);
    const batch = bytes.length === size ? bytes : bytes.subarray(0, size);
    this.#bytes = null;
    this.#place = -1;
    this.#sizeBefore = this.#at;
    this.#at = batchHeaderBytes;
    this.#count = 0;
    return batch;
  }

  #writeHeader(bytes: Uint8Array, size: number, codec: Codec, options: BatchOptions): void {
    setInt64(bytes, At.baseOffset, options.baseOffset ?? 0);
    setInt32(bytes, At.length, size - batchOverheadBytes);
    setInt32(bytes, At.leaderEpoch, options.leaderEpoch ?? -1);
    bytes[At.magic] = 2;
    const flags =
      (options.transactional === true ? Attribute.transactional : 0) |
      (options.control === true ? Attribute.control : 0);
    setInt16(bytes, At.attributes, codec | flags);
    setInt32(bytes, At.lastOffsetDelta, this.#count - 1);
    setInt64(bytes, At.baseTimestamp, this.#baseTimestamp);
    setInt64(bytes, At.maxTimestamp, this.#maxTimestamp);
    setInt64(bytes, At.producerId, options.producerId ?? -1);
    setInt16(bytes, At.producerEpoch, options.producerEpoch ?? -1);
    setInt32(bytes, At.baseSequence, options.baseSequence ?? -1);
    setInt32(bytes, At.count, this.#count);
    setInt32(bytes, At.crc, batchCrc(bytes, 0, size));
  }

  #capacity(needed: number): number {
    if (this.#bytes === null) return Math.max(bufferBytesMin, needed, this.#sizeBefore + (this.#sizeBefore >> 3));
    return Math.max(needed, Math.min(this.#bytes.length * 2, limits.batchBytesMax));
  }

  #room(more: number): Uint8Array {
    const needed = this.#at + more;
    if (needed > limits.batchBytesMax) {
      throw new HubError("MESSAGE_TOO_LARGE", `a batch of ${needed} bytes is over ${limits.batchBytesMax}`);
    }
    if (this.#bytes !== null && needed <= this.#bytes.length) return this.#bytes;
    const before = this.#bytes;
    const slab = before === null ? this.#slab(needed) : null;
    this.#bytes = slab ?? new Uint8Array(this.#capacity(needed));
    this.#place = slab === null ? -1 : this.#arena!.placeOf(slab);
    if (before !== null) {
      this.#bytes.set(before.subarray(0, this.#at));
      this.#arena?.give(before);
    }
    return this.#bytes;
  }

  #slab(bytes: number): Uint8Array | null {
    return this.#arena === null || bytes > this.#arena.slabBytes ? null : this.#arena.take();
  }
}

/** Key and headers of many records, each with its length in front, as they stand in a record. */
export interface EncodedRecord {
  readonly key: Uint8Array;
  readonly headers: Uint8Array;
}

/** @throws HubError INVALID_RECORD for too many headers */
export function encodeSame(key: Uint8Array, headers: readonly RecordHeader[]): EncodedRecord {
  const bytes = new Uint8Array(sizeOf(key));
  writeBytes(bytes, 0, key);
  return { key: bytes, headers: encodedHeaders(headers) };
}

function put(target: Uint8Array, at: number, bytes: Uint8Array): number {
  const { length } = bytes;
  if (length <= loopBytesMax) for (let i = 0; i < length; i += 1) target[at + i] = bytes[i]!;
  else target.set(bytes, at);
  return at + length;
}

/** One batch of these records; `timestamp` is for those that name none. */
export function encodeBatch(records: Iterable<NewRecord>, options: BatchOptions = {}, timestamp = -1): Uint8Array {
  const builder = new BatchBuilder();
  for (const record of records) builder.add(record, timestamp);
  return builder.finish(options);
}

function sizeOf(bytes: Uint8Array | null): number {
  return bytes === null ? 1 : signedSize(bytes.length) + bytes.length;
}

function writeBytes(target: Uint8Array, at: number, bytes: Uint8Array | null): number {
  if (bytes === null) {
    target[at] = 1; // zigzag of -1
    return at + 1;
  }
  const length = bytes.length;
  const from = writeSigned(target, at, length);
  if (length <= loopBytesMax) for (let i = 0; i < length; i += 1) target[from + i] = bytes[i]!;
  else target.set(bytes, from);
  return from + length;
}

/** UTF-8 bytes of a string; most header keys are ASCII, and then no encoder is asked. */
function textSize(value: string): number {
  for (let i = 0; i < value.length; i += 1) if (value.charCodeAt(i) > 0x7f) return encoder.encode(value).length;
  return value.length;
}

const noHeaders = Uint8Array.of(0);
/** Headers that cannot change any more, encoded: a device's readings mostly bear the same ones. */
const headersKnown = new WeakMap<readonly RecordHeader[], Uint8Array>();

function encodedHeaders(headers: readonly RecordHeader[] | undefined): Uint8Array {
  if (headers === undefined || headers.length === 0) return noHeaders;
  const known = headersKnown.get(headers);
  if (known !== undefined) return known;
  const bytes = new Uint8Array(headersSize(headers));
  writeHeaders(bytes, headers);
  if (Object.isFrozen(headers)) headersKnown.set(headers, bytes);
  return bytes;
}

function headersSize(headers: readonly RecordHeader[]): number {
  if (headers.length > limits.headersPerRecordMax) throw new HubError("INVALID_RECORD", "too many headers in a record");
  let size = signedSize(headers.length);
  for (const header of headers) {
    const key = textSize(header.key);
    size += signedSize(key) + key + sizeOf(header.value);
  }
  return size;
}

function writeHeaders(target: Uint8Array, headers: readonly RecordHeader[]): void {
  let to = writeSigned(target, 0, headers.length);
  for (const { key, value } of headers) {
    const size = textSize(key);
    to = writeSigned(target, to, size);
    if (size === key.length) for (let i = 0; i < size; i += 1) target[to + i] = key.charCodeAt(i);
    else target.set(encoder.encode(key), to);
    to = writeBytes(target, to + size, value);
  }
}
