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
const noLife = new Uint8Array(8);

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
  /** Files out of the chain, of full size, under names that are no journal files'. */
  readonly #pool: string[] = [];
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

  /** Older files are needless now; those of full size go to the pool. */
  #clear(number: number): void {
    const { disk, tuning } = this.#options;
    for (const old of journalFileNumbers(disk)) {
      if (old === number) continue;
      const file = disk.open(journalFileName(old), "write");
      const small = file.size() < tuning.journalFileBytes;
      if (small) disk.remove(journalFileName(old));
      else this.#drop({ number: old, file, life: noLife, ends: new Map(), ready: true });
      file.close();
    }
    for (const name of disk.list(journalDirectory)) {
      const path = `${journalDirectory}/${name}`;
      if (name.startsWith("spare.") && !this.#pool.includes(path)) this.#pool.push(path);
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
    while (this.live[1]?.ready === true && isDead(this.live[0]!, recoveryEnd)) this.#drop(this.live.shift()!);
  }

  /**
   * Takes a dead file out of the chain; a few are kept to be spares later, which saves writing zeros. Each is durable
   * before the next: a chain without its middle would read as damage.
   */
  #drop(dead: JournalFile): void {
    const { disk, tuning } = this.#options;
    dead.file.close();
    const name = journalFileName(dead.number);
    const poolMax = Math.ceil(tuning.checkpointBytes / tuning.journalFileBytes) + 1;
    if (this.#pool.length < poolMax) {
      const pooled = `${journalDirectory}/spare.${dead.number}`;
      disk.rename(name, pooled);
      this.#pool.push(pooled);
    } else disk.remove(name);
    disk.syncDirectory(journalDirectory);
  }

  /** Gives a pooled file the next number; its old frames are of another life and of lower sequences. */
  #reuse(pooled: string): void {
    const { disk, random, tuning } = this.#options;
    const number = this.current.number + 1;
    disk.rename(pooled, journalFileName(number));
    disk.syncDirectory(journalDirectory);
    const file = disk.open(journalFileName(number), "write");
    if (file.size() > tuning.journalFileBytes) file.truncate(tuning.journalFileBytes);
    this.#spare = { number, file, life: random.bytes(8), ends: new Map(), ready: false };
  }

  /** Sees to it that there is a spare: a file of the pool, else zeros, written and synced once in the background. */
  makeSpare(): void {
    if (this.#spare !== null || this.#making || this.#closed) return;
    const pooled = this.#pool.pop();
    if (pooled !== undefined) {
      try {
        this.#reuse(pooled);
      } catch (error) {
        return this.#options.onFault(error);
      }
      return this.#options.onSpare();
    }
    this.#making = true;
    this.#fill().then(
      () => {
        this.#making = false;
        if (!this.#closed) this.#options.onSpare();
      },
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
