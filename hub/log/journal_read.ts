// Reads the journal at start: files in order, frames by life and sequence; tells damage from a torn end.
import type { Disk } from "../io/ports.ts";
import { readBatchHeader } from "../record/batch.ts";
import { batchInBody, readEntries, readFrame } from "./frame.ts";
import type { Entry, Frame } from "./frame.ts";
import { applyEntry, emptyState } from "./journal_state.ts";
import type { JournalState } from "./journal_state.ts";
import { partitionKey } from "./settings.ts";
import { readWhole } from "./small_file.ts";

export const journalDirectory = "meta/journal";

/** `<number, 20 digits>.wal` */
export function journalFileName(number: number): string {
  return `${journalDirectory}/${String(number).padStart(20, "0")}.wal`;
}

/** The numbers of the journal files that are there, ascending. */
export function journalFileNumbers(disk: Disk): number[] {
  return disk
    .list(journalDirectory)
    .filter((name) => /^\d{20}\.wal$/.test(name))
    .map((name) => Number(name.slice(0, 20)))
    .sort((a, b) => a - b);
}

/** Where a journaled batch stands, and what recovery compares. */
export interface JournaledBatch {
  readonly base: number;
  /** The offset after its last record. */
  readonly end: number;
  readonly prevEnd: number;
  readonly epoch: number;
  readonly crc: number;
  readonly file: number;
  readonly at: number;
  readonly bytes: number;
  readonly sequence: number;
}

/** Synced groups that cannot be read any more. */
export interface JournalDamage {
  readonly file: string;
  readonly detail: string;
  /** First group that is missing. */
  readonly sequence: number;
}

export interface JournalContent {
  readonly state: JournalState;
  /** Per partition key, in journal order; void ones (cut away, tombstoned) are left out. */
  readonly batches: Map<string, JournaledBatch[]>;
  /** Keys of partitions that a tombstone of this journal removed. */
  readonly tombstones: Set<string>;
  readonly damage: JournalDamage[];
  /** Highest sequence of a valid group; 0 for an empty journal. */
  readonly lastSequence: number;
  readonly lastNumber: number;
  /** True when a valid snapshot was found. */
  readonly hasSnapshot: boolean;
}

interface PlacedFrame extends Frame {
  readonly at: number;
}

/**
 * Reads all of it. `see` is told every valid group in order, for `partidor log dump`.
 * An invalid frame is damage when a valid frame of the chain with a higher sequence exists anywhere; else it is the
 * one group that was in flight, and everything from it on is as if never written (storage.md section 4, rule 1).
 */
export function readJournal(
  disk: Disk,
  sectorBytes: number,
  see: (file: number, at: number, frame: Frame, entries: readonly Entry[]) => void = () => {},
): JournalContent {
  const numbers = journalFileNumbers(disk);
  const start = chainStart(disk, numbers);
  const fold = new Fold(see);
  for (const number of numbers) {
    if (number < start) continue;
    const name = journalFileName(number);
    fold.file(name, number, readWhole(disk, name) ?? new Uint8Array(0), sectorBytes);
  }
  if (fold.nextLife !== "" && fold.sequence > 0 && numbers.at(-1) === fold.number) {
    fold.miss(journalFileName(fold.number + 1), "the next journal file was named and is missing");
  }
  const { state, batches, tombstones, damage, sequence, hasSnapshot } = fold;
  return { state, batches, tombstones, damage, lastSequence: sequence, lastNumber: numbers.at(-1) ?? 0, hasSnapshot };
}

/** The newest whole snapshot says where its chain begins; without any, everything is read. */
function chainStart(disk: Disk, numbers: readonly number[]): number {
  let newest = { sequence: 0, start: numbers[0] ?? 0 };
  for (const number of numbers) {
    const bytes = readWhole(disk, journalFileName(number)) ?? new Uint8Array(0);
    const frame = readFrame(bytes, 0);
    if (frame === null || frame.sequence <= newest.sequence) continue;
    for (const { entry } of readEntries(bytes, 0)) {
      if (entry.type === "snapshot") newest = { sequence: frame.sequence, start: entry.chainStart };
      break;
    }
  }
  return newest.start;
}

class Fold {
  readonly state = emptyState();
  readonly batches = new Map<string, JournaledBatch[]>();
  readonly tombstones = new Set<string>();
  readonly damage: JournalDamage[] = [];
  readonly #see: (file: number, at: number, frame: Frame, entries: readonly Entry[]) => void;
  sequence = 0;
  nextLife = "";
  number = 0;
  hasSnapshot = false;

  constructor(see: (file: number, at: number, frame: Frame, entries: readonly Entry[]) => void) {
    this.#see = see;
  }

  miss(file: string, detail: string): void {
    this.damage.push({ file, detail, sequence: this.sequence + 1 });
  }

  file(name: string, number: number, bytes: Uint8Array, sectorBytes: number): void {
    // A missing file between takes the name of the next life with it.
    const named = number === this.number + 1 ? this.nextLife : "";
    const frames = framesOf(bytes, sectorBytes, this.sequence, named);
    const numberBefore = this.number;
    for (const frame of frames) {
      const expected = this.sequence + 1;
      if (this.sequence > 0 && frame.sequence !== expected) {
        this.miss(name, `groups ${expected} to ${frame.sequence - 1} are missing`);
      } else if (this.sequence === 0 && frame.at !== 0) {
        this.miss(name, "the first group is not valid");
      }
      this.sequence = frame.sequence;
      this.nextLife = frame.nextLife;
      this.number = number;
      this.#entries(number, bytes, frame);
    }
    if (numberBefore !== 0 && frames.length > 0 && number !== numberBefore + 1) {
      this.miss(name, `journal files between ${numberBefore} and ${number} are missing`);
    }
  }

  #entries(number: number, bytes: Uint8Array, frame: PlacedFrame): void {
    const seen: Entry[] = [];
    let snapshot = false;
    for (const { entry, at } of readEntries(bytes, frame.at)) {
      seen.push(entry);
      if (entry.type === "batch") this.#batch(entry.topicId, entry.partition, entry, number, at, frame.sequence);
      else {
        if (entry.type === "snapshot") snapshot = this.hasSnapshot = true;
        if (entry.type === "truncation") this.#cut(partitionKey(entry.topicId, entry.partition), entry.offset);
        if (entry.type === "tombstone") this.#bury(partitionKey(entry.topicId, entry.partition));
        if (entry.type === "partition") this.tombstones.delete(partitionKey(entry.topicId, entry.partition));
        applyEntry(this.state, entry);
      }
    }
    // A tombstone that damage swallowed shows in the next snapshot: the partition is not there any more.
    if (snapshot) for (const key of this.batches.keys()) if (!this.state.partitions.has(key)) this.batches.delete(key);
    this.#see(number, frame.at, frame, seen);
  }

  #batch(
    topicId: string,
    partition: number,
    entry: { readonly prevEnd: number; readonly batch: Uint8Array },
    file: number,
    at: number,
    sequence: number,
  ): void {
    const key = partitionKey(topicId, partition);
    const header = readBatchHeader(entry.batch);
    let list = this.batches.get(key);
    if (!list) this.batches.set(key, (list = []));
    list.push({
      base: header.baseOffset,
      end: header.lastOffset + 1,
      prevEnd: entry.prevEnd,
      epoch: header.leaderEpoch,
      crc: header.crc,
      file,
      at: at + batchInBody,
      bytes: entry.batch.length,
      sequence,
    });
  }

  #cut(key: string, offset: number): void {
    const list = this.batches.get(key);
    if (list)
      this.batches.set(
        key,
        list.filter((batch) => batch.base < offset),
      );
  }

  #bury(key: string): void {
    this.batches.delete(key);
    this.tombstones.add(key);
  }
}

/**
 * The valid frames of one life in a file, ascending. The life is the one that the file before names; where none is
 * named (the first file, or damage), that of the first frame above `above`, so that what a recycled file still holds
 * of its earlier use is never taken for a frame.
 */
function framesOf(bytes: Uint8Array, sectorBytes: number, above: number, named: string): PlacedFrame[] {
  const frames: PlacedFrame[] = [];
  let life = named;
  let last = above;
  for (let at = 0; at < bytes.length; ) {
    const frame = readFrame(bytes, at);
    if (frame === null || frame.sequence <= last || (life !== "" && frame.life !== life)) {
      at += sectorBytes;
      continue;
    }
    life = frame.life;
    last = frame.sequence;
    frames.push({ ...frame, at });
    at += Math.ceil(frame.bytes / sectorBytes) * sectorBytes;
  }
  return frames;
}

/** One journaled batch, read again from its file. */
export function readJournaledBatch(disk: Disk, batch: JournaledBatch): Uint8Array {
  const file = disk.open(journalFileName(batch.file), "read");
  try {
    const bytes = new Uint8Array(batch.bytes);
    file.read(bytes, batch.at);
    return bytes;
  } finally {
    file.close();
  }
}
