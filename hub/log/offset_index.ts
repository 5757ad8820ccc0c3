// The sparse index of one segment: offset -> place, and time -> place; in memory, and as two cache files. Pure.
import { getInt32, getInt64, getUint32, setInt32, setInt64 } from "../bytes/fixed.ts";
import { crc32c } from "../io/crc32c.ts";

// Both files: header of 64 bytes, then rows.
//   0 magic u32 | 4 crc32c of 8..64 | 8 crc32c of the rows | 12 generation u32 | 16 log bytes covered i64
//   24 base offset i64 | 32 next offset i64 | 40 largest timestamp i64 | 48 appendedAt i64 | 56 rows u32 | 60 zeros
// .index rows: offset - base u32, place u32.   .timeindex rows: largest timestamp of all before i64, offset - base u32.
export const indexHeaderBytes = 64;
const indexMagic = 0x50444931; // "PDI1"
const timeMagic = 0x50445431; // "PDT1"
const indexRowBytes = 8;
const timeRowBytes = 12;

/** What a segment's index says of the segment as a whole. */
export interface SegmentSummary {
  readonly generation: number;
  readonly logBytes: number;
  readonly base: number;
  readonly nextOffset: number;
  /** -1 for none. */
  readonly maxTimestamp: number;
  /** Trusted wall clock of the last append, in ms; 0 when none was known. */
  readonly appendedAt: number;
}

/** Entry i: the batch at `places[i]` has base offset `base + offsets[i]`; before it no time is above `times[i]`. */
export class OffsetIndex {
  readonly base: number;
  #offsets = new Uint32Array(16);
  #places = new Uint32Array(16);
  #times = new Float64Array(16);
  #count = 0;

  constructor(base: number) {
    this.base = base;
  }

  get count(): number {
    return this.#count;
  }

  /** Place of the last entry; -1 when there is none. */
  get lastPlace(): number {
    return this.#count === 0 ? -1 : this.#places[this.#count - 1]!;
  }

  /** @param timeBefore largest timestamp of all batches before this one (-1 for none) */
  add(offset: number, place: number, timeBefore: number): void {
    if (this.#count === this.#offsets.length) this.#grow();
    this.#offsets[this.#count] = offset - this.base;
    this.#places[this.#count] = place;
    this.#times[this.#count] = timeBefore;
    this.#count += 1;
  }

  #grow(): void {
    const size = this.#offsets.length * 2;
    const grown = <T extends Uint32Array | Float64Array>(from: T, to: T): T => (to.set(from), to);
    this.#offsets = grown(this.#offsets, new Uint32Array(size));
    this.#places = grown(this.#places, new Uint32Array(size));
    this.#times = grown(this.#times, new Float64Array(size));
  }

  /** Place of a batch that begins at or below `offset`; 0 when none is known. */
  placeOf(offset: number): number {
    const found = lastAtMost(this.#count, (i) => this.#offsets[i]! <= offset - this.base);
    return found < 0 ? 0 : this.#places[found]!;
  }

  /** The last entry at or below `offset`; null for none. */
  entryBelow(offset: number): { readonly offset: number; readonly place: number; readonly timeBefore: number } | null {
    const found = lastAtMost(this.#count, (i) => this.#offsets[i]! <= offset - this.base);
    if (found < 0) return null;
    return { offset: this.base + this.#offsets[found]!, place: this.#places[found]!, timeBefore: this.#times[found]! };
  }

  /** Place from which on a scan meets the first batch with a timestamp >= `time`. */
  placeOfTime(time: number): number {
    const found = lastAtMost(this.#count, (i) => this.#times[i]! < time);
    return found < 0 ? 0 : this.#places[found]!;
  }

  /** The next known batch start behind `place`; -1 when there is none. */
  placeAfter(place: number): number {
    const found = lastAtMost(this.#count, (i) => this.#places[i]! <= place);
    return found + 1 < this.#count ? this.#places[found + 1]! : -1;
  }

  /** Drops entries at or above `place`. */
  truncate(place: number): void {
    while (this.#count > 0 && this.#places[this.#count - 1]! >= place) this.#count -= 1;
  }

  /** The two files' contents. */
  encode(summary: SegmentSummary): { readonly index: Uint8Array; readonly timeIndex: Uint8Array } {
    const index = new Uint8Array(indexHeaderBytes + this.#count * indexRowBytes);
    const timeIndex = new Uint8Array(indexHeaderBytes + this.#count * timeRowBytes);
    for (let i = 0; i < this.#count; i += 1) {
      setInt32(index, indexHeaderBytes + i * indexRowBytes, this.#offsets[i]!);
      setInt32(index, indexHeaderBytes + i * indexRowBytes + 4, this.#places[i]!);
      setInt64(timeIndex, indexHeaderBytes + i * timeRowBytes, this.#times[i]!);
      setInt32(timeIndex, indexHeaderBytes + i * timeRowBytes + 8, this.#offsets[i]!);
    }
    writeHeader(index, indexMagic, summary, this.#count);
    writeHeader(timeIndex, timeMagic, summary, this.#count);
    return { index, timeIndex };
  }
}

/** The last i of 0..count-1 for which `holds` is true, where it is true for a prefix; -1 for none. */
function lastAtMost(count: number, holds: (i: number) => boolean): number {
  let low = -1;
  let high = count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

function writeHeader(bytes: Uint8Array, magic: number, summary: SegmentSummary, count: number): void {
  setInt32(bytes, 0, magic);
  setInt32(bytes, 8, crc32c(bytes.subarray(indexHeaderBytes)));
  setInt32(bytes, 12, summary.generation);
  setInt64(bytes, 16, summary.logBytes);
  setInt64(bytes, 24, summary.base);
  setInt64(bytes, 32, summary.nextOffset);
  setInt64(bytes, 40, summary.maxTimestamp);
  setInt64(bytes, 48, summary.appendedAt);
  setInt32(bytes, 56, count);
  setInt32(bytes, 4, crc32c(bytes.subarray(8, indexHeaderBytes)));
}

/** The summary in the head of an .index file; null when it is torn or another's. The rows are not looked at. */
export function readSummary(bytes: Uint8Array, magic: number = indexMagic): SegmentSummary | null {
  if (bytes.length < indexHeaderBytes || getUint32(bytes, 0) !== magic) return null;
  if (getUint32(bytes, 4) !== crc32c(bytes.subarray(8, indexHeaderBytes))) return null;
  return {
    generation: getInt32(bytes, 12),
    logBytes: getInt64(bytes, 16),
    base: getInt64(bytes, 24),
    nextOffset: getInt64(bytes, 32),
    maxTimestamp: getInt64(bytes, 40),
    appendedAt: getInt64(bytes, 48),
  };
}

/** The index out of its two files; null when one is missing, torn, or they do not belong together. */
export function decodeIndex(
  index: Uint8Array | null,
  timeIndex: Uint8Array | null,
): { readonly summary: SegmentSummary; readonly index: OffsetIndex } | null {
  if (index === null || timeIndex === null) return null;
  const summary = readSummary(index);
  const second = readSummary(timeIndex, timeMagic);
  if (summary === null || second === null || !alike(summary, second)) return null;
  const count = getUint32(index, 56);
  if (index.length !== indexHeaderBytes + count * indexRowBytes) return null;
  if (timeIndex.length !== indexHeaderBytes + count * timeRowBytes) return null;
  for (const bytes of [index, timeIndex]) {
    if (getUint32(bytes, 8) !== crc32c(bytes.subarray(indexHeaderBytes))) return null;
  }
  const decoded = new OffsetIndex(summary.base);
  for (let i = 0; i < count; i += 1) {
    const row = indexHeaderBytes + i * indexRowBytes;
    const time = getInt64(timeIndex, indexHeaderBytes + i * timeRowBytes);
    decoded.add(summary.base + getUint32(index, row), getUint32(index, row + 4), time);
  }
  return { summary, index: decoded };
}

function alike(a: SegmentSummary, b: SegmentSummary): boolean {
  return (
    a.generation === b.generation && a.logBytes === b.logBytes && a.base === b.base && a.nextOffset === b.nextOffset
  );
}
