// Which part of a compacted log is worth a cleaning, and which segments it takes (storage.md section 3, rule 4). Pure.

/** What the choice knows of a segment. */
export interface CleanableSegment {
  readonly base: number;
  readonly nextOffset: number;
  readonly bytes: number;
  /** Trusted wall clock of its last append; 0 when none was known. */
  readonly appendedAt: number;
}

export interface CleaningRules {
  readonly minCompactionLagMs: number;
  readonly maxCompactionLagMs: number;
  readonly minDirtyRatio: number;
}

export interface CleaningState {
  /** Everything below was cleaned before. */
  readonly dirtyFrom: number;
  /** The earliest time at which a tombstone or marker that was kept may go; Infinity for none. */
  readonly horizonAt: number;
}

/** A cleaning that is worth it. */
export interface CleaningPlan {
  /** Keys are collected from here on ... */
  readonly from: number;
  /** ... up to here, the end of a closed segment: records below are looked at. */
  readonly end: number;
  /** Share of bytes not cleaned yet; the dirtiest log goes first. */
  readonly ratio: number;
}

/**
 * @param segments oldest first, the active one included
 * @param bound the smallest of recovery point, high watermark and last stable offset
 * @param now trusted wall clock; null while there is none: then no lag passes and no horizon
 */
export function chooseCleaning(
  segments: readonly CleanableSegment[],
  state: CleaningState,
  rules: CleaningRules,
  bound: number,
  now: number | null,
): CleaningPlan | null {
  let [clean, dirty, end, oldest] = [0, 0, -1, Number.POSITIVE_INFINITY];
  for (const { nextOffset, bytes, appendedAt } of segments.slice(0, -1)) {
    if (nextOffset > bound) break;
    const isDirty = nextOffset > state.dirtyFrom;
    const age = now === null || appendedAt === 0 ? 0 : now - appendedAt;
    if (isDirty && rules.minCompactionLagMs > 0 && age < rules.minCompactionLagMs) break;
    end = nextOffset;
    if (!isDirty) clean += bytes;
    else {
      dirty += bytes;
      if (now !== null && appendedAt > 0) oldest = Math.min(oldest, appendedAt);
    }
  }
  const ratio = dirty === 0 ? 0 : dirty / (clean + dirty);
  const overdue = now !== null && now - oldest > rules.maxCompactionLagMs;
  const due = now !== null && now >= state.horizonAt;
  if (end < 0 || !(ratio > rules.minDirtyRatio || overdue || due)) return null;
  return { from: Math.max(state.dirtyFrom, segments[0]!.base), end, ratio };
}

/** True when the active segment of a compacted log should be closed, so that it can be cleaned (KIP-354). */
export function isRollDue(ageMs: number, segmentMs: number, rules: CleaningRules): boolean {
  return ageMs > Math.min(segmentMs, rules.maxCompactionLagMs);
}

/** Offsets of a segment are told from its base in 31 bits. */
const spanMax = 2 ** 31 - 1;

/** Neighbours that may become one segment: together no larger than one is allowed to be. */
export function groupsOf<Segment extends { readonly base: number; readonly nextOffset: number; readonly size: number }>(
  segments: readonly Segment[],
  segmentBytes: number,
): Segment[][] {
  const groups: Segment[][] = [];
  let bytes = 0;
  for (const segment of segments) {
    const group = groups.at(-1);
    const fits = group && bytes + segment.size <= segmentBytes && segment.nextOffset - group[0]!.base <= spanMax;
    if (fits) group.push(segment);
    else groups.push([segment]);
    bytes = fits ? bytes + segment.size : segment.size;
  }
  return groups;
}
