// Taking records out of a batch: a walk over its records, and the batch anew with those that stay (KIP-534). Pure.
import { getInt16, getInt64, setInt16, setInt32, setInt64 } from "../bytes/fixed.ts";
import { readSigned, signedSize, writeSigned } from "../bytes/varint.ts";
import type { Cursor } from "../bytes/varint.ts";
import { HubError } from "../errors.ts";
import { compress } from "../io/compression.ts";
import type { Codec } from "../io/compression.ts";
import { limits } from "../limits.ts";
import { At, Attribute, batchCrc, batchHeaderBytes, batchOverheadBytes } from "./batch.ts";
import type { BatchHeader } from "./batch.ts";

const kind = "INVALID_RECORD";
/** Bit 6 of the attributes: the base timestamp is the time at which tombstones and markers of the batch may go. */
const deleteHorizonBit = 0x40;

/** When the tombstones or the marker in a batch may go, in ms since the epoch; -1 when that is not decided yet. */
export function deleteHorizonOf(batch: Uint8Array): number {
  if ((getInt16(batch, At.attributes) & deleteHorizonBit) === 0) return -1;
  return getInt64(batch, At.baseTimestamp);
}

/** Steps through opened records without copying; the fields tell of the one that `next` came to. */
export class RecordWalk {
  readonly bytes: Uint8Array;
  readonly #header: BatchHeader;
  readonly #cursor: Cursor = { at: 0 };
  #left: number;
  offset = -1;
  timestampDelta = 0;
  /** The key's bytes are [keyFrom, keyTo); keyFrom is -1 when there is no key. */
  keyFrom = -1;
  keyTo = -1;
  /** False for a tombstone. */
  hasValue = false;
  /** The whole record, its length included, is [from, to); what follows its timestamp begins at `rest`. */
  from = 0;
  rest = 0;
  to = 0;

  /** @param opened the decompressed records of the batch */
  constructor(opened: Uint8Array, header: BatchHeader) {
    this.bytes = opened;
    this.#header = header;
    this.#left = header.count;
  }

  /** False behind the last record. Throws INVALID_RECORD when the bytes are no records. */
  next(): boolean {
    if (this.#left === 0) {
      if (this.#cursor.at !== this.bytes.length) throw new HubError(kind, "bytes are left behind the last record");
      return false;
    }
    this.#left -= 1;
    const cursor = this.#cursor;
    const { bytes } = this;
    this.from = cursor.at;
    const length = readSigned(bytes, cursor, kind);
    this.to = cursor.at + length;
    if (length < 6 || this.to > bytes.length) throw new HubError(kind, "a record is cut short");
    cursor.at += 1;
    this.timestampDelta = readSigned(bytes, cursor, kind);
    this.rest = cursor.at;
    this.offset = this.#header.baseOffset + readSigned(bytes, cursor, kind);
    const keyLength = readSigned(bytes, cursor, kind);
    this.keyFrom = keyLength < 0 ? -1 : cursor.at;
    this.keyTo = cursor.at += Math.max(0, keyLength);
    if (cursor.at >= this.to) throw new HubError(kind, "a key is cut short");
    this.hasValue = readSigned(bytes, cursor, kind) >= 0;
    cursor.at = this.to;
    return true;
  }
}

/** Which records of a batch stay. */
export interface Kept {
  /** 1 for each record that stays. */
  readonly flags: Uint8Array;
  readonly count: number;
  /** True when a tombstone is among those that stay. */
  readonly tombstones: boolean;
}

/**
 * Asks for each record whether it stays.
 * @throws HubError INVALID_RECORD
 */
export function choose(opened: Uint8Array, header: BatchHeader, stays: (record: RecordWalk) => boolean): Kept {
  if (header.count < 0 || header.count > limits.recordsPerBatchMax) throw new HubError(kind, "too many records");
  const walk = new RecordWalk(opened, header);
  const flags = new Uint8Array(header.count);
  let [count, tombstones] = [0, false];
  for (let i = 0; walk.next(); i += 1) {
    if (!stays(walk)) continue;
    flags[i] = 1;
    count += 1;
    if (!walk.hasValue) tombstones = true;
  }
  return { flags, count, tombstones };
}

/**
 * The batch with the records that stay (at least one), at their offsets, in the codec it had; base and last offset,
 * producer, epoch and sequence stay as they are.
 * @param horizon -1 leaves the base timestamp as it is; else it becomes the delete horizon (KIP-534)
 */
export function rewriteBatch(
  batch: Uint8Array,
  header: BatchHeader,
  opened: Uint8Array,
  kept: Kept,
  horizon: number,
): Uint8Array {
  const shift = horizon < 0 ? 0 : header.baseTimestamp - horizon;
  const { records, maxTimestamp } = keptRecords(opened, header, kept.flags, shift, horizon >= 0);
  const packed = compress(header.codec as Codec, records);
  const size = batchHeaderBytes + packed.length;
  const made = new Uint8Array(size);
  made.set(batch.subarray(0, batchHeaderBytes));
  made.set(packed, batchHeaderBytes);
  setInt32(made, At.length, size - batchOverheadBytes);
  if (horizon >= 0) {
    setInt16(made, At.attributes, getInt16(batch, At.attributes) | deleteHorizonBit);
    setInt64(made, At.baseTimestamp, horizon);
  }
  if (!header.logAppendTime) setInt64(made, At.maxTimestamp, maxTimestamp);
  setInt32(made, At.count, kept.count);
  setInt32(made, At.crc, batchCrc(made, 0, size));
  return made;
}

/** The bytes of the records that stay; only a shifted timestamp makes them others than they were. */
function keptRecords(
  opened: Uint8Array,
  header: BatchHeader,
  flags: Uint8Array,
  shift: number,
  shifted: boolean,
): { readonly records: Uint8Array; readonly maxTimestamp: number } {
  // A shifted timestamp takes up to 10 bytes, and the record's length up to one more.
  const made = new Uint8Array(opened.length + (shifted ? flags.length * 11 : 0));
  const walk = new RecordWalk(opened, header);
  let [to, maxTimestamp] = [0, -1];
  for (let i = 0; walk.next(); i += 1) {
    if (flags[i] === 0) continue;
    maxTimestamp = Math.max(maxTimestamp, header.baseTimestamp + walk.timestampDelta);
    if (shifted) {
      const delta = walk.timestampDelta + shift;
      to = writeSigned(made, to, 1 + signedSize(delta) + walk.to - walk.rest);
      made[to++] = 0;
      to = writeSigned(made, to, delta);
      made.set(opened.subarray(walk.rest, walk.to), to);
      to += walk.to - walk.rest;
    } else {
      made.set(opened.subarray(walk.from, walk.to), to);
      to += walk.to - walk.from;
    }
  }
  return { records: made.subarray(0, to), maxTimestamp };
}

/** The header alone, without records: it keeps a producer's sequence, and the end of a segment. */
export function emptyBatch(batch: Uint8Array): Uint8Array {
  const made = batch.slice(0, batchHeaderBytes);
  const { logAppendTime, transactional, control } = Attribute;
  setInt32(made, At.length, batchHeaderBytes - batchOverheadBytes);
  setInt16(made, At.attributes, getInt16(batch, At.attributes) & (logAppendTime | transactional | control));
  setInt64(made, At.baseTimestamp, -1);
  setInt32(made, At.count, 0);
  setInt32(made, At.crc, batchCrc(made, 0, batchHeaderBytes));
  return made;
}

/**
 * The batch with its records in another codec, everything else as it is (KIP-110's `compression.type` of a topic).
 * @param opened the decompressed records; the codec must be loaded
 */
export function recodeBatch(batch: Uint8Array, opened: Uint8Array, codec: Codec, level: number | null): Uint8Array {
  const packed = compress(codec, opened, level);
  const size = batchHeaderBytes + packed.length;
  const made = new Uint8Array(size);
  made.set(batch.subarray(0, batchHeaderBytes));
  made.set(packed, batchHeaderBytes);
  setInt32(made, At.length, size - batchOverheadBytes);
  setInt16(made, At.attributes, (getInt16(batch, At.attributes) & ~Attribute.codec) | codec);
  setInt32(made, At.crc, batchCrc(made, 0, size));
  return made;
}
