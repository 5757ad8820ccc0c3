// One segment of a log: a .log file of record batches exactly as on the wire, its sparse index, its scans.
import { getInt64 } from "../bytes/fixed.ts";
import type { Disk, File } from "../io/ports.ts";
import { limits } from "../limits.ts";
import { At } from "../record/batch.ts";
import type { BatchHeader } from "../record/batch.ts";
import { AbortedIndex } from "./aborted_index.ts";
import { checkAt, ChunkReader, isBatchAt, type PlacedBatch, searchBatch } from "./batch_search.ts";
import { decodeIndex, indexHeaderBytes, OffsetIndex, readSummary } from "./offset_index.ts";
import type { SegmentSummary } from "./offset_index.ts";
import { readWhole, replaceFile, writeFully } from "./small_file.ts";

export type { PlacedBatch } from "./batch_search.ts";

/** How a scan ended: `at` is where the first byte stands that is no part of a valid batch. */
export interface ScanEnd {
  readonly at: number;
  /** null when the scan came to the end of what was asked. */
  readonly fault: string | null;
}

/** The file name of a segment without its ending: base offset, 20 digits. */
export function segmentName(directory: string, base: number): string {
  return `${directory}/${String(base).padStart(20, "0")}`;
}

export class Segment {
  readonly base: number;
  /** Path without ending. */
  readonly name: string;
  readonly #disk: Disk;
  #file: File | null = null;
  #index: OffsetIndex | null = null;
  /** Bytes of the log file that are batches of ours. */
  size = 0;
  nextOffset: number;
  maxTimestamp = -1;
  /** Aborted transactions whose markers stand here. */
  aborted = new AbortedIndex();
  appendedAt = 0;
  /** Monotonic ms of the first append of this run; -1 before. */
  beganAt = -1;
  /** Bytes known synced. */
  syncedSize = 0;
  /** Rises when bytes are cut away: what was read before may stand there no more. */
  cuts = 0;
  /** Reads under way; an open file with readers is not closed. */
  readers = 0;
  /** True once a cleaned file stands in its place: whoever reads goes on with the old one, which nobody opens again. */
  replaced = false;

  constructor(disk: Disk, directory: string, base: number) {
    this.#disk = disk;
    this.base = base;
    this.nextOffset = base;
    this.name = segmentName(directory, base);
  }

  /** Makes the file; its name is durable only after `syncDirectory`. */
  static create(disk: Disk, directory: string, base: number): Segment {
    const segment = new Segment(disk, directory, base);
    const name = `${segment.name}.log`;
    disk.remove(name);
    segment.#file = disk.open(name, "create");
    segment.#index = new OffsetIndex(base);
    return segment;
  }

  /** Opens what is there; `scanFrom` or `restore` must follow before it is used. */
  static open(disk: Disk, directory: string, base: number): Segment {
    return new Segment(disk, directory, base);
  }

  get file(): File {
    this.#file ??= this.#disk.open(`${this.name}.log`, "write");
    return this.#file;
  }

  get isOpen(): boolean {
    return this.#file !== null;
  }

  /** Length of the file on disk, which may be more than `size` before recovery. */
  fileSize(): number {
    return this.file.size();
  }

  closeFile(): void {
    this.#file?.close();
    this.#file = null;
  }

  /** The index, from memory, its files, or a scan of the segment. */
  get index(): OffsetIndex {
    this.#index ??= this.#loadIndex() ?? this.#rebuildIndex();
    return this.#index;
  }

  /** Forgets the index of a closed segment; it is read again when asked for. */
  dropIndex(): void {
    this.#index = null;
  }

  get hasIndex(): boolean {
    return this.#index !== null;
  }

  #loadIndex(): OffsetIndex | null {
    const found = this.#decodeFiles();
    return found !== null && found.summary.logBytes === this.size ? found.index : null;
  }

  #decodeFiles(): ReturnType<typeof decodeIndex> {
    const index = readWhole(this.#disk, `${this.name}.index`);
    const found = decodeIndex(index, readWhole(this.#disk, `${this.name}.timeindex`));
    return found !== null && found.summary.base === this.base ? found : null;
  }

  #rebuildIndex(): OffsetIndex {
    const { size, nextOffset, maxTimestamp } = this;
    this.reset();
    this.scan(0, size, limits.indexIntervalBytesDefault, () => true);
    Object.assign(this, { size, nextOffset, maxTimestamp });
    return this.#index!;
  }

  /** Empties what is known of the segment, for a scan from its first byte. */
  reset(): void {
    this.#index = new OffsetIndex(this.base);
    this.size = 0;
    this.nextOffset = this.base;
    this.maxTimestamp = -1;
  }

  /**
   * Takes what the index files say when they cover the whole file (a clean stop, a closed segment): only their heads
   * are read. False when they do not.
   */
  restore(): boolean {
    const head = this.#readSummary();
    if (head === null || head.base !== this.base || head.logBytes !== this.fileSize()) return false;
    this.#take(head);
    this.#index = null;
    return true;
  }

  #readSummary(): SegmentSummary | null {
    if (!this.#disk.exists(`${this.name}.index`)) return null;
    const file = this.#disk.open(`${this.name}.index`, "read");
    try {
      const bytes = new Uint8Array(indexHeaderBytes);
      return readSummary(bytes.subarray(0, file.read(bytes, 0)));
    } finally {
      file.close();
    }
  }

  /**
   * Takes what the index files say about the part below `offset`, for a scan from there on. An index that does not fit
   * the file is as good as none.
   * @returns the place the scan begins: that of a batch that begins at or below `offset`
   */
  restoreBelow(offset: number): number {
    const found = this.#decodeFiles();
    this.reset();
    const entry = found?.index.entryBelow(offset);
    if (!found || !entry) return 0;
    const placed = checkAt(new ChunkReader(this.file, this.fileSize()), entry.place, this.fileSize(), entry.offset);
    if (typeof placed === "string" || placed.header.baseOffset !== entry.offset) return 0;
    found.index.truncate(entry.place);
    this.#index = found.index;
    this.size = entry.place;
    this.nextOffset = entry.offset;
    this.maxTimestamp = entry.timeBefore;
    this.appendedAt = found.summary.appendedAt;
    return this.size;
  }

  #take(summary: SegmentSummary): void {
    this.size = this.syncedSize = summary.logBytes;
    this.nextOffset = summary.nextOffset;
    this.maxTimestamp = summary.maxTimestamp;
    this.appendedAt = summary.appendedAt;
  }

  /** Writes the two index files: caches, so unsynced; a CRC tells a torn one. */
  saveIndex(): void {
    const { base, size, nextOffset, maxTimestamp, appendedAt } = this;
    const summary = { generation: 0, logBytes: size, base, nextOffset, maxTimestamp, appendedAt };
    const { index, timeIndex } = this.index.encode(summary);
    replaceFile(this.#disk, `${this.name}.timeindex`, timeIndex, false);
    replaceFile(this.#disk, `${this.name}.index`, index, false);
  }

  /** What `.txnindex` says, and up to which offset it is complete; null when it is missing, torn or another's. */
  readAborted(): ReturnType<typeof AbortedIndex.decode> {
    return AbortedIndex.decode(readWhole(this.#disk, `${this.name}.txnindex`), this.base);
  }

  /** Writes `.txnindex`; with `sync` it outlives a power cut once the caller has synced the directory. */
  saveAborted(sync: boolean): void {
    replaceFile(this.#disk, `${this.name}.txnindex`, this.aborted.encode(this.base, this.nextOffset), sync, false);
  }

  dropAbortedFile(): void {
    this.#disk.remove(`${this.name}.txnindex`);
  }

  /**
   * Appends a batch whose offsets are set. When the disk refuses, the file is cut back to where it was.
   * @throws DiskFault; with `cutFailed` true when not even the cut went through
   */
  append(batch: Uint8Array, header: BatchHeader, indexIntervalBytes: number): void {
    try {
      writeFully(this.file, batch, this.size);
    } catch (error) {
      try {
        this.file.truncate(this.size);
      } catch (second) {
        throw Object.assign(second as Error, { cutFailed: true });
      }
      throw error;
    }
    this.note(header, indexIntervalBytes);
  }

  /** Notes the batch that stands at the segment's end. */
  note(header: BatchHeader, indexIntervalBytes: number): void {
    const index = this.index;
    if (index.lastPlace < 0 || this.size - index.lastPlace >= indexIntervalBytes) {
      index.add(header.baseOffset, this.size, this.maxTimestamp);
    }
    this.size += header.size;
    this.nextOffset = header.lastOffset + 1;
    // An emptied batch keeps the time of records that are gone.
    if (header.count > 0 && header.maxTimestamp > this.maxTimestamp) this.maxTimestamp = header.maxTimestamp;
  }

  /**
   * Reads batches from `from` (where `size` stands) to `to`, checks each and notes it; `see` may stop with false.
   * Base offsets must not fall back; whether a gap is legal is for `see` to say.
   */
  scan(from: number, to: number, indexIntervalBytes: number, see: (batch: PlacedBatch) => boolean): ScanEnd {
    const reader = new ChunkReader(this.file, to);
    let at = from;
    while (at < to) {
      const batch = checkAt(reader, at, to, this.nextOffset);
      if (typeof batch === "string") return { at, fault: batch };
      if (!see(batch)) return { at, fault: null };
      this.note(batch.header, indexIntervalBytes);
      at += batch.header.size;
    }
    return { at, fault: null };
  }

  /**
   * The place of the first valid batch behind a damaged place, with an offset of at least `offsetMin`; -1 for none.
   * Between two places that the index knows every byte is tried; a find counts when batches lead from it to the next
   * known place, so that a batch that a record carries as its value is not taken for one of the log.
   */
  resync(after: number, offsetMin: number): number {
    for (let from = after; from < this.size; ) {
      const known = this.index.placeAfter(from);
      const to = known < 0 ? this.size : known;
      const found = searchBatch(this.file, from + 1, to, offsetMin);
      if (found >= 0) return found;
      if (known >= 0 && isBatchAt(this.file, known, this.size, offsetMin)) return known;
      from = to;
    }
    return -1;
  }

  /** Cuts the file to `size`; what is known of the rest must be told by a scan or `cutTo`'s caller. */
  cutFile(size: number): void {
    this.cuts += 1;
    this.file.truncate(size);
    this.syncedSize = Math.min(this.syncedSize, size);
  }

  /** Base offset of the batch that holds `offset`; `offset` itself when none does. */
  batchStart(offset: number): number {
    const reader = new ChunkReader(this.file, this.size);
    let expected = this.base;
    for (let at = this.index.placeOf(offset); at < this.size; ) {
      const batch = checkAt(reader, at, this.size, expected);
      if (typeof batch === "string") {
        const next = this.resync(at, expected);
        if (next < 0) return offset;
        at = next;
        continue;
      }
      const { baseOffset, lastOffset, size } = batch.header;
      if (lastOffset >= offset) return Math.min(baseOffset, offset);
      expected = lastOffset + 1;
      at += size;
    }
    return offset;
  }

  /**
   * Removes the batches from `offset` on; a batch that holds `offset` goes whole. Damage below it stays where it is:
   * to cut there would take what stands behind it too.
   */
  cutTo(offset: number, indexIntervalBytes: number): void {
    const to = this.size;
    const { appendedAt } = this;
    this.reset();
    for (let at = 0; at < to; ) {
      const end = this.scan(at, to, indexIntervalBytes, ({ header }) => header.lastOffset < offset);
      if (end.fault === null || this.nextOffset >= offset) break;
      this.size = to; // the range to search in
      const next = this.resync(end.at, this.nextOffset);
      at = next < 0 ? to : next;
      this.size = at;
      const behind = next < 0 ? offset : getInt64(new ChunkReader(this.file, to).at(at, 8), At.baseOffset);
      if (behind < offset) continue;
      this.nextOffset = offset; // the damage reaches as far
      break;
    }
    this.appendedAt = appendedAt;
    this.aborted.cutFrom(this.nextOffset);
    this.cutFile(this.size);
    this.dropIndexFiles();
  }

  dropIndexFiles(): void {
    this.#disk.remove(`${this.name}.index`);
    this.#disk.remove(`${this.name}.timeindex`);
    this.dropAbortedFile();
  }
}
