// Transactions of one log: markers in, the last stable offset and the aborted ones out (KIP-98).
import { encodeMarker } from "../record/control.ts";
import type { NewMarker } from "../record/control.ts";
import type { AbortedTransaction } from "./aborted_index.ts";
import type { Appended, PartitionLog } from "./log.ts";
import { segmentOf } from "./log_read.ts";

/**
 * Appends the marker that ends a transaction; null when it stands in the log already.
 * @param timestamp ms since the epoch
 * @throws HubError INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED, KAFKA_STORAGE_ERROR
 */
export function appendMarker(
  log: PartitionLog,
  marker: NewMarker,
  leaderEpoch: number,
  timestamp: number,
): Appended | null {
  if (!log.producers.checkMarker(marker)) return null;
  return log.append(encodeMarker(marker, timestamp), leaderEpoch);
}

/** The last stable offset: readers of committed records may have everything below. Never below the log start. */
export function lastStableOf(log: PartitionLog, highWatermark: number): number {
  return Math.max(log.producers.lastStable(highWatermark), Math.min(log.logStart, highWatermark));
}

/** Aborted transactions with records in [from, to), or a marker there. */
export function abortedIn(log: PartitionLog, from: number, to: number): AbortedTransaction[] {
  const found: AbortedTransaction[] = [];
  if (log.producers.transactionsFrom < 0) return found;
  const { segments } = log;
  for (let i = segmentOf(segments, from); i < segments.length; i += 1) {
    if (segments[i]!.aborted.collect(from, to, found)) break;
  }
  return found;
}
