// What a cleaning does with one batch: keep it as it is, write it anew, or leave it out (KIP-98, KIP-534). Pure.
import type { BatchHeader } from "../record/batch.ts";
import { choose, deleteHorizonOf, emptyBatch, rewriteBatch } from "../record/filter.ts";
import type { RecordWalk } from "../record/filter.ts";
import type { KeyMap } from "./key_map.ts";

/** What the judge asks of the log around it. */
export interface BatchSurroundings {
  readonly map: KeyMap;
  /** Keys are in the map from every record below. */
  readonly mapped: number;
  readonly deleteRetentionMs: number;
  /** True for the last batch of a producer that is remembered: its sequence is told from it after a restart. */
  isLastOfProducer(header: BatchHeader): boolean;
  /** True when the batch belongs to a transaction that was aborted. */
  isAborted(header: BatchHeader): boolean;
}

/** Goes through all batches of a log from its start on, in order. */
export class BatchJudge {
  readonly #around: BatchSurroundings;
  /** Producers of whose open transaction a batch was seen, be it an emptied one. */
  readonly #inTransaction = new Set<number>();
  /** Trusted wall clock; null while no tombstone may go and none gets its time. */
  now: number | null;
  /** The earliest time at which something that was kept may go. */
  horizonAt = Number.POSITIVE_INFINITY;
  recordsKept = 0;
  recordsDropped = 0;

  constructor(around: BatchSurroundings, now: number | null) {
    this.#around = around;
    this.now = now;
  }

  /**
   * @param opened the decompressed records; null when they do not open, and then the batch stays
   * @param isLast true for the last batch of a segment: at least its header stays, so that segments join without gaps
   * @returns the same bytes, other bytes of the same offsets, or null for nothing
   */
  judge(batch: Uint8Array, header: BatchHeader, opened: Uint8Array | null, isLast: boolean): Uint8Array | null {
    if (header.control) return this.#judgeMarker(batch, header, opened, isLast);
    if (header.transactional) this.#inTransaction.add(header.producerId);
    if (header.count === 0) return this.#mustStay(header, isLast) ? batch : null;
    if (opened === null) return batch;
    if (this.#around.isAborted(header)) {
      this.recordsDropped += header.count;
      return this.#mustStay(header, isLast) ? emptyBatch(batch) : null;
    }
    const horizon = deleteHorizonOf(batch);
    const { now } = this;
    const tombstonesGo = now !== null && horizon >= 0 && horizon <= now;
    const kept = choose(opened, header, (record) => this.#stays(record, tombstonesGo));
    this.recordsKept += kept.count;
    this.recordsDropped += header.count - kept.count;
    if (kept.count === 0) return this.#mustStay(header, isLast) ? emptyBatch(batch) : null;
    const begins = kept.tombstones && horizon < 0 && now !== null && header.lastOffset < this.#around.mapped;
    const goesAt = begins ? now + this.#around.deleteRetentionMs : horizon;
    if (kept.tombstones) this.#noteHorizon(goesAt);
    if (kept.count === header.count && !begins) return batch;
    return rewriteBatch(batch, header, opened, kept, begins ? goesAt : -1);
  }

  #stays(record: RecordWalk, tombstonesGo: boolean): boolean {
    if (record.keyFrom < 0) return false; // cannot be told from others: Kafka's cleaner drops it too
    if (this.#around.map.get(record.bytes, record.keyFrom, record.keyTo) > record.offset) return false;
    return record.hasValue || !tombstonesGo;
  }

  /** A marker stays until no batch of its transaction is left, and then for `delete.retention.ms`. */
  #judgeMarker(batch: Uint8Array, header: BatchHeader, opened: Uint8Array | null, isLast: boolean): Uint8Array | null {
    const hasData = this.#inTransaction.delete(header.producerId);
    if (hasData || opened === null || this.now === null || header.count === 0) return batch;
    const horizon = deleteHorizonOf(batch);
    if (horizon < 0) {
      if (header.lastOffset >= this.#around.mapped) return batch;
      const goesAt = this.now + this.#around.deleteRetentionMs;
      this.#noteHorizon(goesAt);
      return rewriteBatch(
        batch,
        header,
        opened,
        choose(opened, header, () => true),
        goesAt,
      );
    }
    this.#noteHorizon(horizon);
    return horizon > this.now || this.#mustStay(header, isLast) ? batch : null;
  }

  #mustStay(header: BatchHeader, isLast: boolean): boolean {
    return isLast || this.#around.isLastOfProducer(header);
  }

  #noteHorizon(at: number): void {
    if (this.now !== null && at > this.now && at < this.horizonAt) this.horizonAt = at;
  }
}
