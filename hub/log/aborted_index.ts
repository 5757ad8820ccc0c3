// Aborted transactions by the segment their markers stand in: what a read_committed fetch is told; `.txnindex`. Pure.
import { openCache, sealText } from "./small_file.ts";

/** An aborted transaction of one producer in one log. */
export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  /** Offset of the abort marker. */
  readonly lastOffset: number;
  /** Every transaction aborted later begins at or above it. */
  readonly stableEnd: number;
}

const kind = "partidor-aborted";

/** In the order of the markers. Bounded by the segment: each entry has a marker batch in it. */
export class AbortedIndex {
  #entries: AbortedTransaction[];

  constructor(entries: AbortedTransaction[] = []) {
    this.#entries = entries;
  }

  get entries(): readonly AbortedTransaction[] {
    return this.#entries;
  }

  add({ producerId, firstOffset, lastOffset, stableEnd }: AbortedTransaction): void {
    this.#entries.push({ producerId, firstOffset, lastOffset, stableEnd });
  }

  /** Drops the entries whose marker stands at or above `offset`: the log was cut there. */
  cutFrom(offset: number): void {
    while (this.#entries.length > 0 && this.#entries.at(-1)!.lastOffset >= offset) this.#entries.pop();
  }

  /** Keeps only entries whose marker is still in the log: compaction takes a marker when its records are gone. */
  keep(hasMarker: (offset: number) => boolean): void {
    this.#entries = this.#entries.filter(({ lastOffset }) => hasMarker(lastOffset));
  }

  /**
   * Adds to `found` what overlaps [from, to).
   * @returns true when nothing behind this segment can overlap any more
   */
  collect(from: number, to: number, found: AbortedTransaction[]): boolean {
    const entries = this.#entries;
    for (let i = firstFrom(entries, from); i < entries.length; i += 1) {
      const entry = entries[i]!;
      if (entry.firstOffset < to) found.push(entry);
      if (entry.stableEnd >= to) return true;
    }
    return false;
  }

  /** The file `<base>.txnindex`: complete for markers below `end`. */
  encode(base: number, end: number): Uint8Array {
    const rows = this.#entries.map(({ producerId, firstOffset, lastOffset, stableEnd }) =>
      [producerId, firstOffset, lastOffset, stableEnd].join(" "),
    );
    return sealText(kind, 1, [`${base} ${end}`, ...rows]);
  }

  /** null when the file is missing, torn or another segment's. */
  static decode(
    bytes: Uint8Array | null,
    base: number,
  ): { readonly end: number; readonly aborted: AbortedIndex } | null {
    const lines = openCache(kind, 1, bytes);
    if (lines === null || lines.length === 0) return null;
    const [foundBase, end] = lines[0]!.split(" ").map(Number);
    if (foundBase !== base) return null;
    const entries = lines.slice(1).map((line) => {
      const [producerId, firstOffset, lastOffset, stableEnd] = line.split(" ").map(Number);
      return { producerId, firstOffset, lastOffset, stableEnd } as AbortedTransaction;
    });
    return { end: end!, aborted: new AbortedIndex(entries) };
  }
}

/** The place of the first entry whose marker stands at or above `offset`: a segment may hold very many. */
function firstFrom(entries: readonly AbortedTransaction[], offset: number): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries[middle]!.lastOffset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
