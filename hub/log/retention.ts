// Which segments may go: by time, by size, and by the bound of the whole data folder (storage.md section 3). Pure.

/** What retention knows of a segment. */
export interface SegmentAge {
  readonly nextOffset: number;
  readonly bytes: number;
  /** Trusted wall clock of its last append; 0 when none was known. */
  readonly appendedAt: number;
}

export interface RetentionRules {
  /** -1 for none. */
  readonly retentionMs: number;
  readonly retentionBytes: number;
}

/**
 * How many of the oldest segments go. The last one (the active one) never goes, nor anything above the high watermark.
 * @param segments oldest first
 * @param now trusted wall clock; null while there is none, and then age deletes nothing
 */
export function expiredSegments(
  segments: readonly SegmentAge[],
  rules: RetentionRules,
  highWatermark: number,
  now: number | null,
): number {
  let bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  let count = 0;
  for (const segment of segments.slice(0, -1)) {
    const tooOld =
      now !== null && rules.retentionMs >= 0 && segment.appendedAt > 0 && now - segment.appendedAt > rules.retentionMs;
    // Kafka's rule: a segment goes when what is left without it still holds retention.bytes.
    const tooMuch = rules.retentionBytes >= 0 && bytes - segment.bytes >= rules.retentionBytes;
    if (!(tooOld || tooMuch) || segment.nextOffset > highWatermark) break;
    bytes -= segment.bytes;
    count += 1;
  }
  return count;
}

/** One log as the data folder's bound sees it. */
export interface FolderLog<Log> {
  readonly log: Log;
  readonly segments: readonly SegmentAge[];
  readonly highWatermark: number;
  readonly pinned: boolean;
}

/**
 * Whole oldest closed segments across logs until `bytesToFree` are found; pinned logs are left alone.
 * @returns how many of the oldest segments of each log go
 */
export function folderExcess<Log>(logs: readonly FolderLog<Log>[], bytesToFree: number): Map<Log, number> {
  const candidates = logs
    .filter(({ pinned }) => !pinned)
    .flatMap(({ log, segments, highWatermark }) =>
      segments
        .slice(0, -1)
        .map((segment, place) => ({ log, place, segment }))
        .filter(({ segment }) => segment.nextOffset <= highWatermark),
    )
    .sort((a, b) => a.segment.appendedAt - b.segment.appendedAt || a.place - b.place);
  const chosen = new Map<Log, number>();
  let left = bytesToFree;
  for (const { log, place, segment } of candidates) {
    if (left <= 0) break;
    // Only ever a prefix of a log: an older segment with a later time goes first.
    if ((chosen.get(log) ?? 0) !== place) continue;
    chosen.set(log, place + 1);
    left -= segment.bytes;
  }
  return chosen;
}
