// The journal's files: a fresh one at start, a spare that always exists, recycling strictly oldest first.
import type { Clock, Disk, File, Random } from "../io/ports.ts";
import { journalDirectory, journalFileName, journalFileNumbers } from "./journal_read.ts";
import type { Tuning } from "./settings.ts";
import { writeFully } from "./small_file.ts";

/** A file that groups are, were or will be written to. */
export interface JournalFile {
  readonly number: number;
  readonly file: File;
  readonly life: Uint8Array;
  /** Per partition key, the end of its last batch in this file. The file is dead when all are at or below their
   * recovery points. */
  readonly ends: Map<string, number>;
  /** True once its snapshot group is synced: then earlier files may go. */
  ready: boolean;
}

const zeroBytes = 1024 * 1024;

export interface JournalFilesOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly tuning: Tuning;
  /** Called when a spare is there after there was none. */
  readonly onSpare: () => void;
  /** Called when a spare cannot be made. */
  readonly onFault: (error: unknown) => void;
}

/** Owns the files; the writer (journal.ts) decides when to go on to the next. */
export class JournalFiles {
  readonly #options: JournalFilesOptions;
  /** Oldest first; the last one is written to. */
  readonly live: JournalFile[] = [];
  #spare: JournalFile | null = null;
  #making = false;
  #closed = false;

  constructor(options: JournalFilesOptions) {
    this.#options = options;
  }

  get current(): JournalFile {
    return this.live.at(-1)!;
  }

  get spare(): JournalFile | null {
    return this.#spare;
  }

  /**
   * Begins a chain: `first` is the content of a new file that makes all older ones needless. It is written under
   * another name and counts from its rename on, so a crash leaves either the old chain or the new one.
   */
  begin(number: number, first: (life: Uint8Array) => Uint8Array): void {
    const { disk, random } = this.#options;
    const life = random.bytes(8);
    const temporary = `${journalDirectory}/new.tmp`;
    disk.remove(temporary);
    const made = disk.open(temporary, "create");
    try {
      writeFully(made, first(life), 0);
      made.syncNow();
    } catch (error) {
      made.close();
      disk.remove(temporary);
      throw error;
    }
    made.close();
    disk.rename(temporary, journalFileName(number));
    disk.syncDirectory(journalDirectory);
    const file = disk.open(journalFileName(number), "write");
    this.live.push({ number, file, life, ends: new Map(), ready: true });
    this.#clear(number);
  }

  /** Older files are needless now; one of full size becomes the spare, which saves writing one. */
  #clear(number: number): void {
    const { disk, random, tuning } = this.#options;
    for (const old of journalFileNumbers(disk)) {
      if (old === number) continue;
      const name = journalFileName(old);
      const file = disk.open(name, "write");
      if (this.#spare !== null || file.size() < tuning.journalFileBytes) {
        file.close();
        disk.remove(name);
        continue;
      }
      if (file.size() > tuning.journalFileBytes) file.truncate(tuning.journalFileBytes);
      disk.rename(name, journalFileName(number + 1));
      this.#spare = { number: number + 1, file, life: random.bytes(8), ends: new Map(), ready: false };
    }
    disk.syncDirectory(journalDirectory);
  }

  /** Goes on to the spare; the caller writes a snapshot group to it first. */
  advance(): JournalFile {
    const next = this.#spare!;
    this.#spare = null;
    this.live.push(next);
    return next;
  }

  /** Lets go of files that replay needs no more, oldest first and never the current one. */
  recycle(recoveryEnd: (key: string) => number): void {
    while (this.live[1]?.ready === true && isDead(this.live[0]!, recoveryEnd)) {
      const dead = this.live.shift()!;
      if (this.#spare === null && !this.#making) this.#reuse(dead);
      else this.#drop(dead);
    }
  }

  /** Each removal is durable before the next: a chain without its middle would read as damage. */
  #drop(dead: JournalFile): void {
    dead.file.close();
    this.#options.disk.remove(journalFileName(dead.number));
    this.#options.disk.syncDirectory(journalDirectory);
  }

  /** Gives a dead file the next number; its old frames are of another life and of lower sequences. */
  #reuse(dead: JournalFile): void {
    const { disk, random, tuning } = this.#options;
    dead.file.close();
    const number = this.current.number + 1;
    disk.rename(journalFileName(dead.number), journalFileName(number));
    disk.syncDirectory(journalDirectory);
    const file = disk.open(journalFileName(number), "write");
    if (file.size() > tuning.journalFileBytes) file.truncate(tuning.journalFileBytes);
    this.#spare = { number, file, life: random.bytes(8), ends: new Map(), ready: false };
    this.#options.onSpare();
  }

  /** Makes a spare out of zeros in the background when there is none: written and synced once (storage.md 2). */
  makeSpare(): void {
    if (this.#spare !== null || this.#making || this.#closed) return;
    this.#making = true;
    this.#fill().then(
      () => (this.#making = false),
      (error: unknown) => {
        this.#making = false;
        if (!this.#closed) this.#options.onFault(error);
      },
    );
  }

  async #fill(): Promise<void> {
    const { disk, clock, random, tuning } = this.#options;
    const number = this.current.number + 1;
    const name = journalFileName(number);
    disk.remove(name);
    const file = disk.open(name, "create");
    try {
      const zeros = new Uint8Array(Math.min(zeroBytes, tuning.journalFileBytes));
      for (let at = 0; at < tuning.journalFileBytes && !this.#closed; at += zeros.length) {
        writeFully(file, zeros, at);
        await new Promise<void>((resolve) => clock.soon(resolve));
      }
      await file.sync();
      if (this.#closed) throw new Error("closed");
      disk.syncDirectory(journalDirectory);
    } catch (error) {
      file.close();
      disk.remove(name);
      throw error;
    }
    this.#spare = { number, file, life: random.bytes(8), ends: new Map(), ready: false };
    this.#options.onSpare();
  }

  close(): void {
    this.#closed = true;
    for (const { file } of this.live) file.close();
    this.#spare?.file.close();
  }
}

function isDead(file: JournalFile, recoveryEnd: (key: string) => number): boolean {
  for (const [key, end] of file.ends) if (end > recoveryEnd(key)) return false;
  return true;
}
