// Writes segments anew, from the first batch that changes on, and puts the new file in the place of the old ones.
import type { File } from "../io/ports.ts";
import { limits } from "../limits.ts";
import { readBatchHeader } from "../record/batch.ts";
import type { BatchHeader } from "../record/batch.ts";
import { AbortedIndex } from "./aborted_index.ts";
import type { CleaningTools } from "./cleaning_tools.ts";
import { Interrupted } from "./cleaning_tools.ts";
import type { PartitionLog } from "./log.ts";
import { finishMerges, mergedName } from "./merge.ts";
import { Segment } from "./segment.ts";
import { faultKind } from "./settings.ts";
import { shortWrite } from "./small_file.ts";

export class SegmentRewrite {
  readonly #log: PartitionLog;
  /** One, or neighbours that are small enough to become one. */
  readonly #old: readonly Segment[];
  readonly #first: Segment;
  readonly #tools: CleaningTools;
  readonly #cuts: readonly number[];
  readonly #name: string;
  /** The index and the sums of the new file. */
  readonly #fresh: Segment;
  #file: File | null = null;
  /** Bytes written, and how many of them are synced. */
  #written = 0;
  #synced = 0;
  /** Offsets of the markers that go. */
  readonly #markersGone = new Set<number>();
  #parts: Uint8Array[] = [];
  #partBytes = 0;

  constructor(log: PartitionLog, old: readonly Segment[], tools: CleaningTools) {
    this.#log = log;
    this.#old = old;
    this.#first = old[0]!;
    this.#tools = tools;
    this.#cuts = old.map(({ cuts }) => cuts);
    this.#name = `${this.#first.name}.log.cleaned`;
    this.#fresh = Segment.open(tools.host.disk, log.directory, this.#first.base);
    this.#fresh.reset();
  }

  /**
   * The next batch and what becomes of it; nothing is written as long as all of the first segment stay as they are.
   * @param at its place in the old file
   */
  async add(
    segment: Segment,
    at: number,
    header: BatchHeader,
    bytes: Uint8Array,
    made: Uint8Array | null,
  ): Promise<void> {
    if (this.#file === null) {
      if (segment !== this.#first) await this.#begin(this.#first.size);
      else if (made !== bytes) await this.#begin(at);
    }
    if (made === null) {
      if (header.control) this.#markersGone.add(header.lastOffset);
      return;
    }
    this.#fresh.note(made === bytes ? header : readBatchHeader(made), this.#log.settings.indexIntervalBytes);
    if (this.#file === null) return;
    this.#parts.push(made);
    this.#partBytes += made.length;
    if (this.#partBytes >= limits.cleanerChunkBytes) await this.#flush();
  }

  /** Makes the file, and copies into it what comes before the first change. */
  async #begin(prefix: number): Promise<void> {
    const { host, pace, room } = this.#tools;
    const { disk } = host;
    if (room() < this.#old.reduce((sum, { size }) => sum + size, 0)) throw shortWrite(this.#name);
    disk.remove(this.#name);
    this.#file = disk.open(this.#name, "create");
    const source = disk.open(`${this.#first.name}.log`, "read");
    try {
      while (this.#written < prefix) {
        const bytes = new Uint8Array(Math.min(limits.cleanerChunkBytes, prefix - this.#written));
        await pace.take(bytes.length);
        if ((await source.readLater(bytes, this.#written)) < bytes.length) throw shortWrite(this.#name);
        this.#mustStand();
        this.#parts = [bytes];
        this.#partBytes = bytes.length;
        await this.#flush();
      }
    } finally {
      source.close();
    }
  }

  async #flush(): Promise<void> {
    const { host, pace } = this.#tools;
    const [parts, bytes] = [this.#parts, this.#partBytes];
    this.#parts = [];
    this.#partBytes = 0;
    await pace.take(bytes);
    this.#mustStand();
    if (this.#file!.writeAll(parts, this.#written) < bytes) throw shortWrite(this.#name);
    this.#written += bytes;
    const turn = pace.breath();
    if (turn !== null) await turn;
    // In steps: one large flush would hold up the journal's.
    if (this.#written - this.#synced >= limits.cleanerSyncBytes) await this.#sync(host.sync);
  }

  async #sync(sync: (file: File) => Promise<void>): Promise<void> {
    const written = this.#written;
    await sync(this.#file!);
    this.#synced = written;
  }

  /** Syncs the new file and puts it in place; returns the bytes that are there then. */
  async finish(): Promise<number> {
    if (this.#file === null) return this.#first.size;
    await this.#flush();
    await this.#sync(this.#tools.host.sync);
    this.#mustStand();
    this.#file.close();
    this.#file = null;
    this.#commit();
    return this.#fresh.size;
  }

  /** In one turn (storage.md section 3, rule 4; merge.ts). */
  #commit(): void {
    const { host } = this.#tools;
    const { disk } = host;
    const { directory, segments } = this.#log;
    const [old, fresh] = [this.#old, this.#fresh];
    const [first, last] = [this.#first, old.at(-1)!];
    if (fresh.nextOffset !== last.nextOffset || fresh.size !== this.#written) throw new Error("cleaned to another end");
    this.#forgetMarkers();
    for (const segment of old) segment.dropIndexFiles();
    disk.syncDirectory(directory);
    const isMerged = old.length > 1;
    disk.rename(this.#name, isMerged ? mergedName(directory, first.base, last.base) : `${first.name}.log`);
    fresh.appendedAt = Math.max(...old.map(({ appendedAt }) => appendedAt));
    fresh.syncedSize = fresh.size;
    fresh.aborted = isMerged ? new AbortedIndex(old.flatMap(({ aborted }) => aborted.entries)) : first.aborted;
    this.#log.replaceSegments(segments.indexOf(first), old.length, fresh);
    try {
      disk.syncDirectory(directory);
      if (isMerged) finishMerges(disk, directory);
    } catch (error) {
      host.fault(faultKind(error), error);
      throw error;
    }
    try {
      this.#saveCaches();
    } catch (error) {
      const { message } = error as Error;
      host.trace.event("warn", "log_cache_not_written", { log: this.#log.key, error: message });
    }
    fresh.dropIndex();
  }

  #saveCaches(): void {
    this.#fresh.saveIndex();
    if (this.#log.producers.transactionsFrom < 0) return;
    this.#fresh.saveAborted(true); // without it the next start reads the whole log
    this.#tools.host.disk.syncDirectory(this.#log.directory);
  }

  /**
   * Of a transaction whose marker goes nothing may be told any more, not even after a crash: a reader would wait for
   * the marker and skip what its producer wrote later. So the file that tells of it goes first, and then comes anew.
   */
  #forgetMarkers(): void {
    if (this.#markersGone.size === 0) return;
    for (const segment of this.#old) segment.aborted.keep((offset) => !this.#markersGone.has(offset));
  }

  /** Leaves the old segment as it is. */
  abandon(): void {
    const begun = this.#file !== null;
    this.#file?.close();
    this.#file = null;
    if (!begun) return;
    try {
      this.#tools.host.disk.remove(this.#name);
    } catch {
      // The next start removes it.
    }
  }

  #mustStand(): void {
    const { segments, active } = this.#log;
    const place = segments.indexOf(this.#first);
    const stand = this.#old.every((segment, i) => segments[place + i] === segment && segment.cuts === this.#cuts[i]);
    if (place < 0 || !stand || this.#old.at(-1) === active || !this.#tools.goesOn(this.#log)) throw new Interrupted();
  }
}
