// Records inside a batch: decoding, with a bound on everything a batch may open to.
import { getInt16 } from "../bytes/fixed.ts";
import { readSigned } from "../bytes/varint.ts";
import type { Cursor } from "../bytes/varint.ts";
import { HubError } from "../errors.ts";
import { decompress } from "../io/compression.ts";
import { limits } from "../limits.ts";
import { batchHeaderBytes, readBatchHeader } from "./batch.ts";
import type { BatchHeader } from "./batch.ts";
import { headersAt, nameAt } from "./header_memo.ts";

/** One header; keys repeat and keep their order. */
export interface RecordHeader {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** One record as it stands in a log. Key, value and header values are views of the (opened) batch. */
export interface StoredRecord {
  /** Where it was read; "" and -1 for a reader that did not say. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

/** What to put into a batch. */
export interface NewRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: readonly RecordHeader[];
  /** ms since the epoch. */
  readonly timestamp?: number;
}

/** The partition that records are of. */
export interface RecordPlace {
  readonly topic: string;
  readonly partition: number;
}

const noPlace: RecordPlace = { topic: "", partition: -1 };

/** Length, attributes, timestamp delta, offset delta, key length, value length, header count: a byte each. */
const recordBytesMin = 7;
const noHeaders: readonly RecordHeader[] = Object.freeze([]);
const kind = "INVALID_RECORD";

/**
 * The records of the one batch that begins at byte 0 (a control batch's too: ask its header). The CRC is not checked
 * here; whatever the bytes say, nothing beyond `decompressedBytesMax` is allocated.
 * Codec zstd may first need `loadCodec` (hub/io/compression.ts).
 * @throws HubError INVALID_RECORD, CORRUPT_MESSAGE, UNSUPPORTED_COMPRESSION_TYPE
 */
export function decodeRecords(batch: Uint8Array, place: RecordPlace = noPlace): StoredRecord[] {
  const header = readBatchHeader(batch);
  if (header.size > batch.length) throw new HubError("CORRUPT_MESSAGE", "a batch is cut short");
  return decodeOpened(openRecords(batch, header), header, place);
}

/** The bytes of the records, decompressed. */
export function openRecords(batch: Uint8Array, header: BatchHeader): Uint8Array {
  return decompress(header.codec, batch.subarray(batchHeaderBytes, header.size));
}

function decodeOpened(bytes: Uint8Array, header: BatchHeader, place: RecordPlace): StoredRecord[] {
  const { count } = header;
  if (count < 0 || count > limits.recordsPerBatchMax || count * recordBytesMin > bytes.length) {
    throw new HubError(kind, `${count} records do not fit into ${bytes.length} bytes`);
  }
  const records: StoredRecord[] = new Array(count);
  const cursor: Cursor = { at: 0 };
  for (let i = 0; i < count; i += 1) records[i] = readRecord(bytes, cursor, header, place);
  if (cursor.at !== bytes.length) throw new HubError(kind, "bytes are left behind the last record");
  return records;
}

function readRecord(
  bytes: Uint8Array,
  cursor: Cursor,
  header: BatchHeader,
  { topic, partition }: RecordPlace,
): StoredRecord {
  const length = readSigned(bytes, cursor, kind);
  const end = cursor.at + length;
  if (length < recordBytesMin - 1 || end > bytes.length) throw new HubError(kind, "a record is cut short");
  cursor.at += 1; // attributes: none are defined
  const timestamp = header.baseTimestamp + readSigned(bytes, cursor, kind);
  const offset = header.baseOffset + readSigned(bytes, cursor, kind);
  const key = readBytes(bytes, cursor, end);
  const value = readBytes(bytes, cursor, end);
  const headers = headersAt(bytes, cursor.at, end, readHeaders); // all that is left of the record
  cursor.at = end;
  const time = header.logAppendTime ? header.maxTimestamp : timestamp;
  return { topic, partition, offset, timestamp: time, key, value, headers };
}

function readBytes(bytes: Uint8Array, cursor: Cursor, end: number): Uint8Array | null {
  const length = readSigned(bytes, cursor, kind);
  if (length < 0) return null;
  const from = cursor.at;
  if (from + length > end) throw new HubError(kind, "a key, value or header is cut short");
  cursor.at = from + length;
  return bytes.subarray(from, from + length);
}

function readHeaders(bytes: Uint8Array, from: number, end: number): readonly RecordHeader[] {
  const cursor: Cursor = { at: from };
  const count = readSigned(bytes, cursor, kind);
  if (count < 0 || count > limits.headersPerRecordMax || count * 2 > end - cursor.at) {
    throw new HubError(kind, `${count} headers in a record`);
  }
  const headers: RecordHeader[] = [];
  for (let i = 0; i < count; i += 1) {
    const length = readSigned(bytes, cursor, kind);
    if (length < 0) throw new HubError(kind, "a header without a key");
    const start = cursor.at;
    if (start + length > end) throw new HubError(kind, "a key, value or header is cut short");
    cursor.at = start + length;
    headers.push({ key: nameAt(bytes, start, start + length), value: readBytes(bytes, cursor, end) });
  }
  if (cursor.at !== end) throw new HubError(kind, "a record's length differs from its content");
  return count === 0 ? noHeaders : headers;
}

/** What the one record of a control batch says (KIP-98): the end of a transaction. null for an unknown kind. */
export function controlType(record: StoredRecord): "commit" | "abort" | null {
  if (record.key === null || record.key.length < 4 || getInt16(record.key, 0) < 0) return null;
  const type = getInt16(record.key, 2);
  return type === 0 ? "abort" : type === 1 ? "commit" : null;
}
