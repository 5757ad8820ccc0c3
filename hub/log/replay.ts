// Producers and aborted transactions of a log at start and after a cut: from their caches, then from its batches.
import type { Disk } from "../io/ports.ts";
import { AbortedIndex } from "./aborted_index.ts";
import { dropProducersAbove, loadProducers } from "./producer_files.ts";
import type { ProducerSnapshot } from "./producer_files.ts";
import { Producers } from "./producers.ts";
import { Segment } from "./segment.ts";
import type { PlacedBatch } from "./segment.ts";

/**
 * Brings the state of the producers to the end of the log. Snapshots and `.txnindex` files are caches: what is missing
 * or torn is made again from the batches; what speaks of offsets that the log has lost is removed, because other
 * batches will come to stand there.
 */
export class ProducerReplay {
  readonly producers: Producers;
  /** Batches that begin here or later are to be shown to `see`, in order. */
  readonly from: number;
  /** True when files were removed: the directory is to be synced. */
  changed: boolean;
  readonly #segments: readonly Segment[];
  readonly #now: number;
  readonly #producersFrom: number;
  readonly #abortedFrom: number;
  /** Where `.txnindex` files are wanting: knows the open transactions from the log's begin on; else `producers`. */
  readonly #trace: Producers;
  #wanting = false;

  /** @param kept true where the segments' aborted transactions are in memory and right */
  constructor(disk: Disk, directory: string, segments: readonly Segment[], now: number, kept: boolean) {
    const [{ base }, end] = [segments[0]!, segments.at(-1)!.nextOffset];
    this.#segments = segments;
    this.#now = now;
    this.changed = dropProducersAbove(disk, directory, end);
    const newest = loadProducers(disk, directory, end, now);
    // A power cut may take the newest `.txnindex` and leave the snapshot: an older pair costs less than the whole log.
    let usable = newest;
    const files = kept ? [] : this.#abortedFiles();
    while (!kept && usable !== null && !this.#takeAborted(files, usable)) {
      usable = loadProducers(disk, directory, usable.offset - 1, now);
    }
    const snapshot = usable ?? newest;
    this.producers = snapshot?.producers ?? new Producers(base > 0);
    this.#producersFrom = snapshot?.offset ?? base;
    this.#trace = this.producers;
    if (kept) this.#abortedFrom = Number.POSITIVE_INFINITY;
    else if (usable !== null) this.#abortedFrom = this.#producersFrom;
    else {
      this.#wanting = true;
      this.#abortedFrom = base;
      this.#trace = snapshot === null ? this.producers : new Producers();
      for (const segment of segments) segment.aborted = new AbortedIndex();
    }
    this.from = Math.min(this.#producersFrom, this.#abortedFrom);
  }

  /** The `.txnindex` of each segment; null for one that is wanting. Those above the end of the log are removed. */
  #abortedFiles(): ReturnType<Segment["readAborted"]>[] {
    return this.#segments.map((segment) => {
      const found = segment.readAborted();
      if (found !== null && found.end > segment.nextOffset) {
        segment.dropAbortedFile();
        this.changed = true;
      }
      return found;
    });
  }

  /** False when a file is wanting that the snapshot leans on. Snapshots are tried from the newest on. */
  #takeAborted(files: ReturnType<Segment["readAborted"]>[], { offset, producers }: ProducerSnapshot): boolean {
    const { transactionsFrom } = producers;
    return this.#segments.every((segment, i) => {
      const found = files[i]!;
      const needed = Math.min(offset, segment.nextOffset);
      segment.aborted = found?.aborted ?? new AbortedIndex();
      segment.aborted.cutFrom(needed);
      const none = transactionsFrom < 0 || needed <= Math.max(transactionsFrom, segment.base);
      return none || (found !== null && found.end >= needed);
    });
  }

  see(segment: Segment, { header, bytes }: PlacedBatch): void {
    const { baseOffset } = header;
    let ended = baseOffset >= this.#producersFrom ? this.producers.note(header, this.#now, bytes) : null;
    if (this.#trace !== this.producers) ended = this.#trace.note(header, this.#now, bytes);
    if (ended?.aborted && ended.lastOffset >= this.#abortedFrom) segment.aborted.add(ended);
  }

  /** All was seen: writes the files of closed segments that were wanting. */
  finish(): void {
    const { transactionsFrom } = this.producers;
    if (!this.#wanting || transactionsFrom < 0) return;
    for (const segment of this.#segments.slice(0, -1)) {
      if (segment.nextOffset <= transactionsFrom) continue;
      segment.saveAborted(true);
      this.changed = true;
    }
  }
}

/** Shows the batches from about `from` on, over damaged places, in order; files of closed segments are closed again. */
export function eachBatch(
  disk: Disk,
  directory: string,
  segments: readonly Segment[],
  from: number,
  indexIntervalBytes: number,
  see: (segment: Segment, batch: PlacedBatch) => void,
): void {
  for (const segment of segments) {
    const { size } = segment;
    if (segment.nextOffset <= from || size === 0) continue;
    const reader = Segment.open(disk, directory, segment.base);
    reader.reset();
    const seeOne = (batch: PlacedBatch): boolean => {
      see(segment, batch);
      return true;
    };
    // Only what is behind: after an unclean stop of a large log the rest of the segment is most of the start.
    for (let at = segment.index.placeOf(from); at >= 0 && at < size; ) {
      reader.size = at;
      const end = reader.scan(at, size, indexIntervalBytes, seeOne);
      if (end.at >= size) break;
      reader.size = size; // the range to search in
      at = reader.resync(end.at, reader.nextOffset);
    }
    reader.closeFile();
    if (segment !== segments.at(-1)) segment.dropIndex();
  }
}
