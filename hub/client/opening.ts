// Opens what a fetch brought: batches to records, from the wanted offset on.
import { Codec, loadCodec } from "../io/compression.ts";
import { batchHeaderBytes, batchSize, checkStoredBatch, readBatchHeader } from "../record/batch.ts";
import { decodeRecords } from "../record/record.ts";
import type { InRecord, TopicPartition } from "./faces.ts";

export interface Opened {
  readonly records: readonly InRecord[];
  /** Offset after the last batch, control batches and gaps included. */
  readonly nextOffset: number;
}

/**
 * The records at `from` and later. A batch that is cut off at the end is left for the next fetch.
 * @param check whether the CRC is checked: not for bytes that this process read from its own disk
 * @throws HubError CORRUPT_MESSAGE, INVALID_RECORD, UNSUPPORTED_FOR_MESSAGE_FORMAT, UNSUPPORTED_COMPRESSION_TYPE
 */
export async function openBatches(
  { topic, partition }: TopicPartition,
  from: number,
  bytes: Uint8Array | null,
  check: boolean,
): Promise<Opened> {
  const records: InRecord[] = [];
  let nextOffset = from;
  if (bytes === null) return { records, nextOffset };
  for (let at = 0; at + batchHeaderBytes <= bytes.length; ) {
    const size = batchSize(bytes, at);
    if (size >= batchHeaderBytes && size > bytes.length - at) break;
    const header = check ? checkStoredBatch(bytes, at) : readBatchHeader(bytes, at);
    if (header.codec === Codec.Zstd) await loadCodec(header.codec);
    if (header.lastOffset >= from) {
      if (!header.control) {
        for (const { offset, timestamp, key, value, headers } of decodeRecords(bytes.subarray(at, at + size))) {
          if (offset >= from) records.push({ topic, partition, offset, timestamp, key, value, headers });
        }
      }
      nextOffset = header.lastOffset + 1;
    }
    at += size;
  }
  return { records, nextOffset };
}
