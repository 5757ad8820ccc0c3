// Opens what a fetch brought: batches to records, from the wanted offset on.
import { HubError } from "../errors.ts";
import { Codec, loadCodec } from "../io/compression.ts";
import { batchHeaderBytes, batchSize, checkStoredBatch, readBatchHeader } from "../record/batch.ts";
import type { BatchHeader } from "../record/batch.ts";
import { readMarker } from "../record/control.ts";
import { decodeRecords } from "../record/record.ts";
import type { StoredRecord } from "../record/record.ts";
import type { InRecord, TopicPartition } from "./faces.ts";

export interface Opened {
  readonly records: readonly InRecord[];
  /** Offset after the last batch, control batches and gaps included. */
  readonly nextOffset: number;
}

/** A transaction whose records are to be left out, as a fetch tells of it. */
export interface Aborted {
  readonly producerId: number;
  readonly firstOffset: number;
}

/** Tells, batch by batch in order, which belong to an aborted transaction (KIP-98). */
class AbortedFilter {
  /** By first offset, the next one last. */
  readonly #coming: Aborted[];
  readonly #producers = new Set<number>();

  constructor(aborted: readonly Aborted[]) {
    this.#coming = [...aborted].sort((a, b) => b.firstOffset - a.firstOffset);
  }

  /** @param bytes the batch; looked at when it is a control batch, whose abort ends what began before */
  leavesOut(header: BatchHeader, bytes: Uint8Array): boolean {
    const coming = this.#coming;
    while (coming.length > 0 && coming.at(-1)!.firstOffset <= header.lastOffset) {
      this.#producers.add(coming.pop()!.producerId);
    }
    if (!header.transactional || !this.#producers.has(header.producerId)) return false;
    if (header.control && readMarker(bytes)?.commit === false) this.#producers.delete(header.producerId);
    return true;
  }
}

/**
 * The records at `from` and later, never those of control batches. A batch that is cut off at the end is left for the
 * next fetch.
 * @param check whether the CRC is checked: not for bytes that this process read from its own disk
 * @param aborted transactions to leave out, for a reader of committed records
 * @param onBroken told of a batch whose records cannot be opened, which is left out then
 * @throws HubError CORRUPT_MESSAGE, INVALID_RECORD, UNSUPPORTED_FOR_MESSAGE_FORMAT, UNSUPPORTED_COMPRESSION_TYPE
 */
export async function openBatches(
  place: TopicPartition,
  from: number,
  bytes: Uint8Array | null,
  check: boolean,
  aborted: readonly Aborted[] = [],
  onBroken: ((offset: number, error: HubError) => void) | null = null,
): Promise<Opened> {
  const filter = aborted.length === 0 ? null : new AbortedFilter(aborted);
  const records: InRecord[] = [];
  let nextOffset = from;
  if (bytes === null) return { records, nextOffset };
  for (let at = 0; at + batchHeaderBytes <= bytes.length; ) {
    const size = batchSize(bytes, at);
    if (size >= batchHeaderBytes && size > bytes.length - at) break;
    const header = check ? checkStoredBatch(bytes, at) : readBatchHeader(bytes, at);
    const batch = bytes.subarray(at, at + size);
    const leftOut = filter?.leavesOut(header, batch) === true;
    if (header.codec === Codec.Zstd) await loadCodec(header.codec);
    if (header.lastOffset >= from) {
      if (!header.control && !leftOut) {
        for (const record of recordsOf(batch, place, header.baseOffset, onBroken)) {
          if (record.offset >= from) records.push(record);
        }
      }
      nextOffset = header.lastOffset + 1;
    }
    at += size;
  }
  return { records, nextOffset };
}

function recordsOf(
  batch: Uint8Array,
  place: TopicPartition,
  offset: number,
  onBroken: ((offset: number, error: HubError) => void) | null,
): readonly StoredRecord[] {
  try {
    return decodeRecords(batch, place);
  } catch (error) {
    if (onBroken === null || !(error instanceof HubError)) throw error;
    onBroken(offset, error);
    return [];
  }
}
