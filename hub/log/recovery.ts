// Recovery of one partition at start: scan of the tail, refill from the journal, and what is told when bytes are lost.
import type { Disk } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import { checkStoredBatch } from "../record/batch.ts";
import { Epochs } from "./epochs.ts";
import { readJournaledBatch } from "./journal_read.ts";
import type { JournaledBatch } from "./journal_read.ts";
import type { KnownPartition } from "./journal_state.ts";
import type { Producers } from "./producers.ts";
import { eachBatch, ProducerReplay } from "./replay.ts";
import { finishMerges } from "./merge.ts";
import { Segment } from "./segment.ts";
import { partitionKey } from "./settings.ts";
import { readWhole, writeFully } from "./small_file.ts";

export interface RecoveryTask {
  readonly disk: Disk;
  readonly trace: Trace;
  readonly now: number;
  readonly known: KnownPartition;
  /** Everything below is known synced; -1 when nothing says so. */
  readonly recoveryPoint: number;
  /** False when the file of recovery points was unreadable: then the journal may not cover all that was promised. */
  readonly pointCertain: boolean;
  /** What the journal holds, in order. */
  readonly batches: readonly JournaledBatch[];
  /** True when synced groups of the journal are lost. */
  readonly journalDamaged: boolean;
  /** True after a stop that wrote everything: then files that agree with their index are not scanned. */
  readonly clean: boolean;
  readonly possibleLoss: (detail: string) => void;
}

export interface RecoveredLog {
  readonly segments: Segment[];
  readonly logStart: number;
  readonly epochs: Epochs;
  readonly producers: Producers;
  /** Segments in which something cannot be read. */
  readonly damaged: ReadonlySet<Segment>;
}

/** A batch above the recovery point, as the segments have it. */
interface TailBatch {
  readonly segment: Segment;
  readonly base: number;
  readonly end: number;
  readonly epoch: number;
  readonly crc: number;
}

/** Opens the segments of a partition and brings them to a state that agrees with the journal (storage.md section 4). */
export function recoverLog(task: RecoveryTask): RecoveredLog {
  const recovery = new Recovery(task);
  return recovery.run();
}

class Recovery {
  readonly #task: RecoveryTask;
  readonly #directory: string;
  readonly #key: string;
  #segments: Segment[] = [];
  #point = 0;
  /** By base offset. */
  #tail = new Map<number, TailBatch>();
  #changed = false;
  readonly #damaged = new Set<Segment>();

  constructor(task: RecoveryTask) {
    this.#task = task;
    this.#key = partitionKey(task.known.topicId, task.known.partition);
    this.#directory = `topics/${this.#key}`;
  }

  run(): RecoveredLog {
    const { disk, known, clean } = this.#task;
    disk.makeDirectory(this.#directory);
    this.#tidy();
    this.#segments = this.#bases().map((base) => Segment.open(disk, this.#directory, base));
    if (this.#segments.length === 0) this.#begin(known.logStart);
    if (!clean || !this.#restoreAll()) {
      this.#findPoint();
      this.#scan();
      this.#replay();
      this.#checkPoint();
      this.#rewrite();
    }
    if (this.#end < known.logStart) this.#restartAt(known.logStart);
    const { epochs, producers } = this.#caches();
    if (this.#changed) disk.syncDirectory(this.#directory);
    const [segments, damaged] = [this.#segments, this.#damaged];
    return { segments, logStart: Math.max(known.logStart, segments[0]!.base), epochs, producers, damaged };
  }

  get #last(): Segment {
    return this.#segments.at(-1)!;
  }

  get #end(): number {
    return this.#last.nextOffset;
  }

  get #interval(): number {
    return this.#task.known.settings.indexIntervalBytes;
  }

  /** Finishes or removes what a stop left half done. */
  #tidy(): void {
    const { disk } = this.#task;
    finishMerges(disk, this.#directory);
    for (const name of disk.list(this.#directory)) {
      if (/\.(deleted|tmp|cleaned|repaired)$/.test(name)) disk.remove(`${this.#directory}/${name}`);
    }
  }

  #bases(): number[] {
    return this.#task.disk
      .list(this.#directory)
      .filter((name) => /^\d{20}\.log$/.test(name))
      .map((name) => Number(name.slice(0, 20)));
  }

  #begin(base: number): void {
    const segment = Segment.create(this.#task.disk, this.#directory, base);
    this.#segments.push(segment);
    this.#changed = true;
  }

  /** After a clean stop: every index covers its file. */
  #restoreAll(): boolean {
    for (const segment of this.#segments) {
      if (!segment.restore()) return false;
      if (segment !== this.#last) segment.closeFile();
    }
    return this.#segments.every((segment, i) => i === 0 || segment.base >= this.#segments[i - 1]!.nextOffset);
  }

  #findPoint(): void {
    const { recoveryPoint } = this.#task;
    this.#point = recoveryPoint >= 0 ? recoveryPoint : this.#last.base;
  }

  /** Scans from the recovery point on; what lies before is taken from the indexes. */
  #scan(): void {
    let first = 0;
    while (first + 1 < this.#segments.length && this.#segments[first + 1]!.base <= this.#point) first += 1;
    for (const segment of this.#segments.slice(0, first)) {
      if (!segment.restore()) {
        segment.reset();
        this.#scanSegment(segment, 0);
      }
      segment.closeFile();
    }
    for (let i = first; i < this.#segments.length; i += 1) {
      const segment = this.#segments[i]!;
      const expected = i === 0 ? segment.base : this.#segments[i - 1]!.nextOffset;
      if (segment.base !== expected && segment.base > this.#point) return this.#dropFrom(i);
      const from = i === first ? segment.restoreBelow(this.#point) : (segment.reset(), 0);
      if (!this.#scanSegment(segment, from) && i + 1 < this.#segments.length) return this.#dropFrom(i + 1);
    }
  }

  /**
   * Scans one segment. Damage below the recovery point is bit rot: it is stepped over and stays where it is (a read
   * answers CORRUPT_MESSAGE there); at or above it is a torn tail and is cut. False when it was cut.
   */
  #scanSegment(segment: Segment, from: number): boolean {
    const length = segment.fileSize();
    let at = from;
    for (;;) {
      const end = segment.scan(at, length, this.#interval, ({ header }) => {
        // A gap below the recovery point is a compacted or repaired place; above it nothing makes one.
        if (header.baseOffset > Math.max(segment.nextOffset, this.#point)) return false;
        if (header.lastOffset >= this.#point) {
          const { baseOffset: base, lastOffset, leaderEpoch: epoch, crc } = header;
          this.#tail.set(base, { segment, base, end: lastOffset + 1, epoch, crc });
        }
        return true;
      });
      if (end.at >= length) return true;
      if (segment.nextOffset >= this.#point) return this.#cutTail(segment, end.at, length, end.fault ?? "a gap");
      at = this.#stepOver(segment, end.at, length, end.fault ?? "a gap");
      if (at < 0) return true;
    }
  }

  #cutTail(segment: Segment, at: number, length: number, fault: string): false {
    const { disk, trace } = this.#task;
    const bytes = new Uint8Array(Math.min(length - at, limits.tailSavedBytesMax));
    segment.file.read(bytes, at);
    if (bytes.some((byte) => byte !== 0)) this.#saveTail(bytes);
    segment.cutFile(at);
    this.#changed = true;
    trace.event("info", "log_tail_cut", { log: this.#key, segment: segment.base, at, bytes: length - at, fault });
    disk.syncDirectory(this.#directory);
    return false;
  }

  /** A full disk must not stop recovery for the sake of a copy that is there for people. */
  #saveTail(bytes: Uint8Array): void {
    const { disk } = this.#task;
    try {
      const number = disk.list(this.#directory).filter((name) => name.startsWith(".tail.")).length % 8;
      const name = `${this.#directory}/.tail.${number}`;
      disk.remove(name);
      const file = disk.open(name, "create");
      try {
        writeFully(file, bytes, 0);
      } finally {
        file.close();
      }
    } catch {
      // See above.
    }
  }

  #stepOver(segment: Segment, at: number, length: number, fault: string): number {
    this.#task.trace.event("error", "log_damaged", { log: this.#key, segment: segment.base, at, fault });
    this.#task.trace.count("log_damage_met");
    this.#damaged.add(segment);
    segment.size = length; // the place to search in
    const next = segment.resync(at, segment.nextOffset);
    if (next >= 0) {
      segment.size = next;
      return next;
    }
    // Nothing valid follows: the segment ends in rot. It keeps its bytes, and what was promised there is lost.
    const after = this.#segments[this.#segments.indexOf(segment) + 1];
    if (after) segment.nextOffset = Math.max(segment.nextOffset, after.base);
    if (segment === this.#last) this.#task.possibleLoss(`segment ${segment.base}: damaged from byte ${at} to its end`);
    return -1;
  }

  #dropFrom(index: number): void {
    for (const segment of this.#segments.splice(index)) this.#remove(segment);
    this.#changed = true;
  }

  #remove(segment: Segment): void {
    const { disk } = this.#task;
    segment.closeFile();
    disk.remove(`${segment.name}.log`);
    segment.dropIndexFiles();
    this.#forget((batch) => batch.segment === segment);
  }

  /** The log must reach the recovery point: that much was synced. */
  #checkPoint(): void {
    if (this.#end < this.#point) this.#goOnAt(this.#point);
  }

  /** Behind a gap; what is missing above the log start is a loss. */
  #goOnAt(offset: number): void {
    const from = Math.max(this.#end, this.#task.known.logStart);
    if (from < offset) this.#task.possibleLoss(`offsets ${from} to ${offset - 1} were synced and are missing`);
    if (from < offset && this.#last.size > 0) {
      this.#damaged.add(this.#last);
      this.#last.nextOffset = offset; // readers shall not pass over it in silence
    }
    this.#restartAt(offset);
  }

  /** Goes on at `offset` with a new segment: offsets that were given once are not given again. */
  #restartAt(offset: number): void {
    if (this.#last.size === 0) {
      this.#remove(this.#last);
      this.#segments.pop();
    }
    this.#begin(offset);
  }

  /** The journal's batches in order (section 4, rule 5). */
  #replay(): void {
    const { known, batches, journalDamaged, pointCertain } = this.#task;
    let covered = this.#point;
    let refilled = 0;
    for (const batch of batches) {
      if (batch.end <= known.logStart) continue;
      if (batch.end <= this.#point && batch.end <= this.#end) continue;
      covered = Math.max(covered, batch.end);
      if (this.#holds(batch)) continue;
      refilled += 1;
      if (this.#end > batch.prevEnd) this.#cutTo(batch.prevEnd);
      if (this.#end < batch.prevEnd) this.#goOnAt(batch.prevEnd);
      this.#append(batch);
    }
    // Under `always` every promised batch is in the journal: what else stands in the tail was never promised, nor read.
    // Its group is missing as a whole, and so is what stood in it beside the batch.
    const certain = known.settings.fsync === "always" && !journalDamaged && pointCertain;
    if (certain && this.#end > covered) this.#cutTo(covered);
    if (refilled > 0) this.#task.trace.event("info", "log_refilled", { log: this.#key, batches: refilled });
  }

  #holds(batch: JournaledBatch): boolean {
    const { base, epoch, crc } = batch;
    const found = this.#tail.get(base);
    return found !== undefined && found.epoch === epoch && found.crc === crc;
  }

  #cutTo(offset: number): void {
    const first = this.#segments.findIndex((segment, i) => i > 0 && segment.base >= offset);
    if (first > 0) this.#dropFrom(first);
    if (this.#end > offset) this.#last.cutTo(offset, this.#interval);
    this.#forget(({ end }) => end > offset);
    this.#changed = true;
  }

  #forget(which: (batch: TailBatch) => boolean): void {
    for (const [base, batch] of this.#tail) if (which(batch)) this.#tail.delete(base);
  }

  #append(journaled: JournaledBatch): void {
    const { disk, known } = this.#task;
    const bytes = readJournaledBatch(disk, journaled);
    const header = checkStoredBatch(bytes);
    if (this.#last.size > 0 && this.#last.size + bytes.length > known.settings.segmentBytes) this.#begin(this.#end);
    this.#last.append(bytes, header, this.#interval);
    const { base, end, epoch, crc } = journaled;
    this.#tail.set(base, { segment: this.#last, base, end, epoch, crc });
  }

  /**
   * Writes everything above the recovery point again and syncs it (rule 7): a page whose earlier sync failed reads
   * back well and would be lost later.
   */
  #rewrite(): void {
    for (const segment of this.#segments) {
      if (segment.nextOffset < this.#point && segment !== this.#last) continue;
      const from = segment.base >= this.#point ? 0 : segment.index.placeOf(this.#point);
      const bytes = new Uint8Array(Math.min(limits.batchBytesMax, Math.max(0, segment.size - from)));
      for (let at = from; at < segment.size; at += bytes.length) {
        const part = bytes.subarray(0, Math.min(bytes.length, segment.size - at));
        segment.file.read(part, at);
        writeFully(segment.file, part, at);
      }
      segment.file.syncNow();
      segment.syncedSize = segment.size;
    }
    for (const segment of this.#segments) {
      if (segment === this.#last) continue;
      if (segment.hasIndex) segment.saveIndex();
      segment.dropIndex();
      segment.closeFile();
    }
    this.#changed = true;
  }

  /** Epochs and producers: from their files as far as these go, then from the batches behind. */
  #caches(): { readonly epochs: Epochs; readonly producers: Producers } {
    const { disk, now, clean } = this.#task;
    const stored = Epochs.decode(readWhole(disk, `${this.#directory}/leader-epoch-checkpoint`));
    const epochs = stored?.epochs ?? new Epochs();
    const epochsFrom = Math.min(stored?.upTo ?? 0, clean ? this.#end : this.#point);
    epochs.cutFrom(Math.min(this.#end, epochsFrom) + (clean ? 1 : 0));
    const replay = new ProducerReplay(disk, this.#directory, this.#segments, now, false);
    const from = Math.min(replay.from, epochsFrom);
    eachBatch(disk, this.#directory, this.#segments, from, this.#interval, (segment, batch) => {
      const { leaderEpoch, baseOffset } = batch.header;
      if (baseOffset >= epochsFrom) epochs.assign(leaderEpoch, baseOffset);
      replay.see(segment, batch);
    });
    replay.finish();
    if (replay.changed) this.#changed = true;
    return { epochs, producers: replay.producers };
  }
}
