// Writes one segment anew, from the first batch that changes on, and puts the new file in the old one's place.
import type { File } from "../io/ports.ts";
import { limits } from "../limits.ts";
import { readBatchHeader } from "../record/batch.ts";
import type { BatchHeader } from "../record/batch.ts";
import type { CleaningTools } from "./compaction_pass.ts";
import type { PartitionLog } from "./log.ts";
import { Segment } from "./segment.ts";
import { faultKind } from "./settings.ts";
import { shortWrite } from "./small_file.ts";

export class SegmentRewrite {
  readonly #log: PartitionLog;
  readonly #old: Segment;
  readonly #tools: CleaningTools;
  readonly #cuts: number;
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

  constructor(log: PartitionLog, old: Segment, tools: CleaningTools) {
    this.#log = log;
    this.#old = old;
    this.#tools = tools;
    this.#cuts = old.cuts;
    this.#name = `${old.name}.log.cleaned`;
    this.#fresh = Segment.open(tools.host.disk, log.directory, old.base);
    this.#fresh.reset();
  }

  /**
   * The next batch of the segment and what becomes of it; nothing is written as long as all stay as they are.
   * @param at its place in the old file
   */
  async add(at: number, header: BatchHeader, bytes: Uint8Array, made: Uint8Array | null): Promise<void> {
    if (this.#file === null && made !== bytes) await this.#begin(at);
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
    if (room() < this.#old.size) throw shortWrite(this.#name);
    disk.remove(this.#name);
    this.#file = disk.open(this.#name, "create");
    const source = disk.open(`${this.#old.name}.log`, "read");
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

  /** Syncs the new file and puts it in place; returns the bytes the segment has then. */
  async finish(): Promise<number> {
    if (this.#file === null) return this.#old.size;
    await this.#flush();
    await this.#sync(this.#tools.host.sync);
    this.#mustStand();
    this.#file.close();
    this.#file = null;
    this.#commit();
    return this.#fresh.size;
  }

  /** One file into one file, in one turn (storage.md section 3, rule 4). */
  #commit(): void {
    const { host } = this.#tools;
    const { disk } = host;
    const log = this.#log;
    const [old, fresh] = [this.#old, this.#fresh];
    const place = log.segments.indexOf(old);
    if (fresh.nextOffset !== old.nextOffset || fresh.size !== this.#written) throw new Error("cleaned to another end");
    this.#forgetMarkers();
    old.dropIndexFiles();
    disk.syncDirectory(log.directory);
    disk.rename(this.#name, `${old.name}.log`);
    fresh.appendedAt = old.appendedAt;
    fresh.syncedSize = fresh.size;
    fresh.aborted = old.aborted;
    log.replaceSegments(place, 1, fresh);
    try {
      disk.syncDirectory(log.directory);
      fresh.saveIndex();
    } catch (error) {
      host.fault(faultKind(error), error);
      throw error;
    }
    fresh.dropIndex();
  }

  /**
   * Of a transaction whose marker goes nothing may be told any more, not even after a crash: a reader would wait for
   * the marker and skip what its producer wrote later. So this is on the disk first; the records went in an earlier pass.
   */
  #forgetMarkers(): void {
    const old = this.#old;
    if (this.#markersGone.size === 0) return;
    old.aborted.keep((offset) => !this.#markersGone.has(offset));
    old.saveAborted(true);
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
    const { goesOn } = this.#tools;
    const old = this.#old;
    const stands = goesOn(this.#log) && old.cuts === this.#cuts && this.#log.segments.indexOf(old) >= 0;
    if (!stands || old === this.#log.active) throw new Error(`${old.name} changed while it was cleaned`);
  }
}
