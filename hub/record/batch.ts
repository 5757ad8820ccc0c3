// RecordBatch v2, Kafka's one unit on the wire, on disk and between hubs: header, CRC and the two fields outside it.
import { getInt16, getInt32, getInt64, getUint32, setInt16, setInt32, setInt64 } from "../bytes/fixed.ts";
import { HubError } from "../errors.ts";
import { crc32c } from "../io/crc32c.ts";
import { limits } from "../limits.ts";

/** Bytes before the first record. */
export const batchHeaderBytes = 61;
/** Bytes that the length field does not count: base offset and the length itself. */
export const batchOverheadBytes = 12;

/** Where the fields of a batch begin. */
export const At = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  count: 57,
} as const;

/** Bits of the attributes. */
export const Attribute = { codec: 0x07, logAppendTime: 0x08, transactional: 0x10, control: 0x20 } as const;

export interface BatchHeader {
  readonly baseOffset: number;
  /** baseOffset + lastOffsetDelta */
  readonly lastOffset: number;
  /** The whole batch in bytes, the 12 bytes of overhead included. */
  readonly size: number;
  readonly leaderEpoch: number;
  readonly crc: number;
  /** 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd. */
  readonly codec: number;
  /** True when the hub's own clock stamped the batch (message.timestamp.type=LogAppendTime). */
  readonly logAppendTime: boolean;
  readonly transactional: boolean;
  readonly control: boolean;
  /** ms since the epoch; -1 for none. */
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  /** -1 for a producer without idempotence. */
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  /** Records in the batch; fewer than the offsets it spans once it is compacted. */
  readonly count: number;
}

/** The whole size in bytes of the batch that begins at `at`; at least 17 bytes must be there. */
export function batchSize(bytes: Uint8Array, at = 0): number {
  return getInt32(bytes, at + At.length) + batchOverheadBytes;
}

/**
 * Reads the header of the batch that begins at `at`; nothing but length and magic is judged.
 * @throws HubError CORRUPT_MESSAGE when fewer than 61 bytes are there, or the length says less
 * @throws HubError UNSUPPORTED_FOR_MESSAGE_FORMAT when magic is not 2
 */
export function readBatchHeader(bytes: Uint8Array, at = 0): BatchHeader {
  if (bytes.length - at < batchHeaderBytes) {
    // Even then the magic is looked at: a short message of format 0 or 1 deserves its own answer.
    if (bytes.length - at > At.magic && bytes[at + At.magic]! < 2) throw oldMagic(bytes[at + At.magic]!);
    throw new HubError("CORRUPT_MESSAGE", `${bytes.length - at} bytes are no batch header (61)`);
  }
  const magic = bytes[at + At.magic]!;
  if (magic !== 2) throw oldMagic(magic);
  const size = batchSize(bytes, at);
  if (size < batchHeaderBytes) {
    throw new HubError("CORRUPT_MESSAGE", `a batch of ${size} bytes is shorter than its header`);
  }
  const attributes = getInt16(bytes, at + At.attributes);
  const baseOffset = getInt64(bytes, at);
  return {
    baseOffset,
    lastOffset: baseOffset + getInt32(bytes, at + At.lastOffsetDelta),
    size,
    leaderEpoch: getInt32(bytes, at + At.leaderEpoch),
    crc: getUint32(bytes, at + At.crc),
    codec: attributes & Attribute.codec,
    logAppendTime: (attributes & Attribute.logAppendTime) !== 0,
    transactional: (attributes & Attribute.transactional) !== 0,
    control: (attributes & Attribute.control) !== 0,
    baseTimestamp: getInt64(bytes, at + At.baseTimestamp),
    maxTimestamp: getInt64(bytes, at + At.maxTimestamp),
    producerId: getInt64(bytes, at + At.producerId),
    producerEpoch: getInt16(bytes, at + At.producerEpoch),
    baseSequence: getInt32(bytes, at + At.baseSequence),
    count: getInt32(bytes, at + At.count),
  };
}

function oldMagic(magic: number): HubError {
  return new HubError("UNSUPPORTED_FOR_MESSAGE_FORMAT", `message format ${magic} is not served, only 2`);
}

/** The CRC-32C that the batch at `at` of `size` bytes should bear. */
export function batchCrc(bytes: Uint8Array, at: number, size: number): number {
  return crc32c(bytes.subarray(at + At.attributes, at + size));
}

/**
 * Checks one stored or replicated batch: length, magic, CRC-32C, and numbers a log can hold.
 * @returns its header
 * @throws HubError CORRUPT_MESSAGE, UNSUPPORTED_FOR_MESSAGE_FORMAT
 */
export function checkStoredBatch(bytes: Uint8Array, at = 0): BatchHeader {
  const header = readBatchHeader(bytes, at);
  if (header.size > bytes.length - at) {
    throw new HubError("CORRUPT_MESSAGE", `a batch of ${header.size} bytes is cut to ${bytes.length - at}`);
  }
  if (batchCrc(bytes, at, header.size) !== header.crc) throw new HubError("CORRUPT_MESSAGE", "the CRC-32C differs");
  if (header.lastOffset < header.baseOffset || header.count < 0) {
    throw new HubError("CORRUPT_MESSAGE", "a batch with a negative count");
  }
  return header;
}

/**
 * Checks a batch that a client sent: exactly one, whole, of format 2, with a right CRC, as many records as offsets,
 * a known codec and no control bit (kafka.md section 3, Produce).
 * @returns its header
 * @throws HubError CORRUPT_MESSAGE, UNSUPPORTED_FOR_MESSAGE_FORMAT, INVALID_RECORD, INVALID_TIMESTAMP,
 *   UNSUPPORTED_COMPRESSION_TYPE, MESSAGE_TOO_LARGE
 */
export function checkBatch(bytes: Uint8Array): BatchHeader {
  if (bytes.length > limits.batchBytesMax) {
    throw new HubError("MESSAGE_TOO_LARGE", `a batch of ${bytes.length} bytes is over ${limits.batchBytesMax}`);
  }
  const header = checkStoredBatch(bytes);
  if (header.size < bytes.length) throw invalid("more than one batch for a partition");
  if (header.count !== header.lastOffset - header.baseOffset + 1) {
    throw invalid(`${header.count} records for ${header.lastOffset - header.baseOffset + 1} offsets`);
  }
  if (header.count < 1 || header.count > limits.recordsPerBatchMax) throw invalid(`${header.count} records in a batch`);
  if (header.control) throw invalid("control batches come from hubs only");
  if (header.codec > 4) {
    throw new HubError("UNSUPPORTED_COMPRESSION_TYPE", `compression type ${header.codec} is unknown`);
  }
  if (!Number.isSafeInteger(header.baseTimestamp) || !Number.isSafeInteger(header.maxTimestamp)) {
    throw new HubError("INVALID_TIMESTAMP", "a record time beyond 2^53 ms");
  }
  if (!Number.isSafeInteger(header.producerId)) throw invalid("a producer id beyond 2^53");
  const idempotent = header.producerId >= 0;
  if (idempotent && (header.producerEpoch < 0 || header.baseSequence < 0)) {
    throw invalid("a producer id without epoch or sequence");
  }
  return header;
}

function invalid(detail: string): HubError {
  return new HubError("INVALID_RECORD", detail);
}

/** Writes the two fields outside the CRC, in place. */
export function setBaseOffsetAndEpoch(bytes: Uint8Array, baseOffset: number, epoch: number): void {
  setInt64(bytes, At.baseOffset, baseOffset);
  setInt32(bytes, At.leaderEpoch, epoch);
}

/** Stamps a batch with the hub's clock (message.timestamp.type=LogAppendTime), in place; the CRC is made anew. */
export function setLogAppendTime(bytes: Uint8Array, time: number): void {
  setInt16(bytes, At.attributes, getInt16(bytes, At.attributes) | Attribute.logAppendTime);
  setInt64(bytes, At.maxTimestamp, time);
  setInt32(bytes, At.crc, batchCrc(bytes, 0, batchSize(bytes)));
}
