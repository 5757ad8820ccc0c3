// The hub's one write-ahead journal: group commit of batches and facts, the only point of durability of an answer.
//
// DESIGN (storage.md sections 0 and 2). Entries queue up in chunks; a chunk holds what one turn of the event loop
// queued and is never divided between groups unless it alone is over the bound. One group is in flight: written,
// synced, and only then published; the next is whatever arrived meanwhile. No byte of group g+1 is written before the
// sync of g returned, and a group begins at a sector boundary, so no synced sector is ever written again.
import type { Clock, Disk, Random, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import { encodeSmallEntry, frameHeaderBytes, sealFrame, writeBatchEntry } from "./frame.ts";
import type { SmallEntry } from "./frame.ts";
import { JournalFiles } from "./journal_files.ts";
import type { JournalFile } from "./journal_files.ts";
import { applyEntry, snapshotEntries } from "./journal_state.ts";
import { JournalQueue } from "./journal_queue.ts";
import type { Chunk, Waiter } from "./journal_queue.ts";
import type { JournalState } from "./journal_state.ts";
import { faultKind, storageError } from "./settings.ts";
import type { Tuning } from "./settings.ts";
import { shortWrite } from "./small_file.ts";

/** What the journal knows of a log. */
export interface JournaledLog {
  readonly key: string;
  /** The 20 bytes of a partition id in an entry. */
  readonly idBytes: Uint8Array;
}

export interface JournalListener<Log extends JournaledLog> {
  /** A group is synced: each log with the end of its last batch in it. */
  synced(ends: ReadonlyMap<Log, number>): void;
  /** The disk is full (nothing is lost: `resume` tries again), read-only or failed (then nothing goes on). */
  fault(kind: "full" | "read-only" | "failed", error: unknown): void;
}

const scratchBytesMin = 64 * 1024;
const scratchBytesMax = 1024 * 1024;

interface Group<Log> {
  readonly frame: Uint8Array;
  readonly ends: Map<Log, number>;
  readonly waiters: readonly Waiter[];
  readonly payload: number;
  readonly namesNext: boolean;
}

export interface JournalOptions<Log extends JournaledLog> {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly tuning: Tuning;
  readonly listener: JournalListener<Log>;
  /** What the journal says so far; owned by the journal from now on, changed as groups are written. */
  readonly state: JournalState;
  readonly lastSequence: number;
  readonly lastNumber: number;
}

export class Journal<Log extends JournaledLog> {
  readonly #options: JournalOptions<Log>;
  readonly #files: JournalFiles;
  readonly #queue = new JournalQueue<Log>();
  #flightBytes = 0;
  #sequence: number;
  #position = 0;
  #namedNext = false;
  #inFlight = false;
  #scheduled = false;
  /** A group that the disk had no room for; written again by `resume`. */
  #stuck: (() => void) | null = null;
  #waitForSpare = false;
  /** True while the current file holds only its snapshot: a group that fits nowhere goes there, and the file grows. */
  #fresh = true;
  #scratch = new Uint8Array(0);
  #flight: readonly Waiter[] = [];
  #dead: unknown = null;
  #room: (() => void)[] = [];
  #idle: Waiter[] = [];
  #watchdog: Timer | null = null;
  #payload = 0;

  constructor(options: JournalOptions<Log>) {
    this.#options = options;
    this.#sequence = options.lastSequence;
    const { disk, clock, random, tuning } = options;
    this.#files = new JournalFiles({
      disk,
      clock,
      random,
      tuning,
      onSpare: () => this.#onSpare(),
      onFault: (error) => this.#fault(error),
    });
  }

  /** Bytes queued or in flight. */
  get backlogBytes(): number {
    return this.#queue.bytes + this.#flightBytes;
  }

  /** Sequence of the last group written. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Payload written since the counter was last set to 0 by `takePayload`. */
  get payloadBytes(): number {
    return this.#payload;
  }

  takePayload(): void {
    this.#payload = 0;
  }

  /** Writes the live state as the first group of a new chain; older files are removed. Start-up only. */
  begin(): void {
    const number = this.#options.lastNumber + 1;
    this.#files.begin(number, (life) => {
      const frame = this.#snapshotFrame(life, number);
      this.#position = this.#padded(frame.length);
      return frame;
    });
    this.#files.makeSpare();
  }

  /** Queues a batch that stands in its segment already. */
  addBatch(log: Log, batch: Uint8Array, prevEnd: number, end: number): void {
    this.#beginTurn();
    this.#queue.push({ log, prevEnd, end, batch });
  }

  /** Queues small entries; resolves when the group with them is synced. Rejects with KAFKA_STORAGE_ERROR. */
  put(entries: readonly SmallEntry[]): Promise<void> {
    if (this.#dead !== null) return Promise.reject(storageError("the data folder failed", this.#dead));
    if (entries.length === 0) return this.flush();
    this.#beginTurn();
    for (const entry of entries) this.#queue.push({ entry, bytes: encodeSmallEntry(entry) });
    return new Promise((resolve, reject) => this.#queue.wait({ resolve, reject }));
  }

  /** Resolves when everything queued so far is synced. */
  flush(): Promise<void> {
    if (this.#dead !== null) return Promise.reject(storageError("the data folder failed", this.#dead));
    if (!this.#inFlight && this.#queue.isEmpty) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (this.#queue.isEmpty) this.#idle.push({ resolve, reject });
      else this.#queue.wait({ resolve, reject });
    });
  }

  /** Resolves when the backlog is under half its bound. */
  whenRoom(): Promise<void> {
    if (this.#hasRoom()) return Promise.resolve();
    return new Promise((resolve) => this.#room.push(resolve));
  }

  /** Lets go of files whose every batch ends at or below its recovery point. */
  recycle(recoveryEnd: (key: string) => number): void {
    this.#files.recycle(recoveryEnd);
    this.#files.makeSpare();
  }

  /** A log was cut to `offset` or removed (0): what the files hold above it is void. */
  voidFrom(key: string, offset: number): void {
    for (const { ends } of this.#files.live) {
      const end = ends.get(key);
      if (end !== undefined && end > offset) ends.set(key, offset);
    }
  }

  /** Tries again what a full disk stopped. */
  resume(): void {
    const stuck = this.#stuck;
    this.#stuck = null;
    stuck?.();
    this.#files.makeSpare();
    this.#start();
  }

  /** Ends after a `flush`; the files stay as they are. */
  close(): void {
    this.#dead = new Error("closed");
    this.#watchdog?.cancel();
    this.#files.close();
  }

  /** Stops for good: everything that waits is refused. */
  kill(error: unknown): void {
    if (this.#dead !== null) return;
    this.#dead = error;
    this.#watchdog?.cancel();
    this.#files.close();
    const refusal = storageError("the data folder failed", error);
    for (const waiter of [...this.#flight, ...this.#idle, ...this.#queue.clear()]) waiter.reject(refusal);
    this.#idle = [];
    this.#flightBytes = 0;
    this.#releaseRoom();
  }

  /** The first entry of a turn arranges for the turn's end: then its chunk closes and a group may begin. */
  #beginTurn(): void {
    if (!this.#queue.beginsChunk || this.#scheduled) return;
    this.#scheduled = true;
    this.#options.clock.soon(() => {
      this.#scheduled = false;
      this.#queue.closeChunk();
      this.#start();
    });
  }

  /** Begins the next group, when there is one and nothing is in flight. Never called within a caller's turn. */
  #start(): void {
    if (this.#inFlight || this.#stuck !== null || this.#dead !== null) return;
    if (!this.#queue.hasClosed) return;
    const group = this.#queue.take(this.#options.tuning.groupBytesMax);
    this.#inFlight = true;
    this.#flight = group.waiters;
    this.#flightBytes = group.bytes;
    const frameBytes = frameHeaderBytes + group.bytes;
    const write = (): void => this.#write(this.#files.current, this.#frame(group), () => this.#next());
    if (this.#position + frameBytes > this.#options.tuning.journalFileBytes && !this.#fresh) this.#advance(write);
    else write();
  }

  #frame(chunk: Chunk<Log>): Group<Log> {
    const frame = this.#frameRoom(frameHeaderBytes + chunk.bytes);
    const ends = new Map<Log, number>();
    const { ends: fileEnds } = this.#files.current;
    let at = frameHeaderBytes;
    for (const item of chunk.items) {
      if ("batch" in item) {
        const { log, prevEnd, end, batch } = item;
        at = writeBatchEntry(frame, at, log.idBytes, { type: "batch", topicId: "", partition: 0, prevEnd, batch });
        ends.set(log, end);
        fileEnds.set(log.key, Math.max(end, fileEnds.get(log.key) ?? 0));
      } else {
        frame.set(item.bytes, at);
        at += item.bytes.length;
        applyEntry(this.#options.state, item.entry);
      }
    }
    return this.#seal(frame, chunk.items.length, ends, chunk.waiters);
  }

  #seal(frame: Uint8Array, entries: number, ends: Map<Log, number>, waiters: readonly Waiter[]): Group<Log> {
    const { current, spare } = this.#files;
    this.#sequence += 1;
    sealFrame(frame, current.life, this.#sequence, spare?.life ?? null, entries);
    return { frame, ends, waiters, payload: frame.length - frameHeaderBytes, namesNext: spare !== null };
  }

  #snapshotFrame(life: Uint8Array, chainStart: number): Uint8Array {
    const entries = snapshotEntries(this.#options.state, chainStart).map(encodeSmallEntry);
    const frame = this.#frameRoom(frameHeaderBytes + entries.reduce((sum, entry) => sum + entry.length, 0));
    let at = frameHeaderBytes;
    for (const entry of entries) {
      frame.set(entry, at);
      at += entry.length;
    }
    this.#sequence += 1;
    sealFrame(frame, life, this.#sequence, null, entries.length);
    return frame;
  }

  /** Goes on to the spare: the last group of a file names the next one's life, and a snapshot begins the next. */
  #advance(then: () => void): void {
    const { spare } = this.#files;
    if (spare === null) {
      this.#stuck = () => this.#advance(then);
      this.#waitForSpare = true;
      this.#files.makeSpare();
      return;
    }
    if (!this.#namedNext) {
      const naming = this.#seal(this.#frameRoom(frameHeaderBytes), 0, new Map(), []);
      return this.#write(this.#files.current, naming, () => this.#advance(then));
    }
    this.#files.advance();
    this.#position = 0;
    this.#namedNext = false;
    this.#fresh = true;
    const frame = this.#snapshotFrame(this.#files.current.life, this.#files.live[0]!.number);
    const snapshot: Group<Log> = { frame, ends: new Map(), waiters: [], payload: 0, namesNext: false };
    this.#write(this.#files.current, snapshot, () => {
      this.#fresh = true;
      this.#files.current.ready = true;
      this.#files.makeSpare();
      then();
    });
  }

  #onSpare(): void {
    if (this.#waitForSpare) {
      const advance = this.#stuck;
      this.#waitForSpare = false;
      this.#stuck = null;
      advance?.();
    } else this.#start();
  }

  #write(target: JournalFile, group: Group<Log>, then: () => void): void {
    if (this.#dead !== null) return;
    try {
      const bytes = this.#padding(group.frame);
      if (target.file.write(bytes, this.#position) < bytes.length) throw shortWrite(target.file.name);
    } catch (error) {
      // Not synced, so the same group may be written to the same place again once there is room.
      this.#stuck = () => this.#write(target, group, then);
      return this.#fault(error);
    }
    const { clock, trace } = this.#options;
    const began = clock.now();
    this.#watch();
    target.file.sync().then(
      () => {
        this.#watchdog?.cancel();
        if (this.#dead !== null) return;
        trace.observe("journal_sync_seconds", (clock.now() - began) / 1000);
        this.#done(group, then);
      },
      (error: unknown) => {
        this.#watchdog?.cancel();
        if (this.#dead === null) this.#options.listener.fault("failed", error);
      },
    );
  }

  #done(group: Group<Log>, then: () => void): void {
    this.#position += this.#padded(group.frame.length);
    this.#namedNext = group.namesNext;
    this.#fresh = false;
    this.#payload += group.payload;
    this.#options.trace.count("journal_bytes", this.#padded(group.frame.length));
    if (group.ends.size > 0) this.#options.listener.synced(group.ends);
    for (const waiter of group.waiters) waiter.resolve();
    then();
  }

  #next(): void {
    this.#inFlight = false;
    this.#flight = [];
    this.#flightBytes = 0;
    if (this.#hasRoom()) this.#releaseRoom();
    const idle = this.#idle;
    this.#idle = [];
    for (const waiter of idle) waiter.resolve();
    if (!this.#queue.isEmpty && !this.#scheduled) this.#options.clock.soon(() => this.#start());
  }

  #watch(): void {
    const { clock, trace, listener } = this.#options;
    this.#watchdog = clock.after(limits.diskSyncSlowMs, () => {
      trace.event("warn", "disk_sync_slow", { seconds: limits.diskSyncSlowMs / 1000 });
      trace.count("disk_sync_slow");
      this.#watchdog = clock.after(limits.diskSyncDeadMs - limits.diskSyncSlowMs, () =>
        listener.fault("failed", new Error(`a sync took more than ${limits.diskSyncDeadMs / 1000} s`)),
      );
    });
  }

  #fault(error: unknown): void {
    if (this.#dead === null) this.#options.listener.fault(faultKind(error), error);
  }

  #hasRoom(): boolean {
    return this.backlogBytes < this.#options.tuning.backlogBytesMax / 2;
  }

  #releaseRoom(): void {
    const waiting = this.#room;
    this.#room = [];
    for (const resolve of waiting) resolve();
  }

  #padded(bytes: number): number {
    const { sectorBytes } = this.#options.tuning;
    return Math.ceil(bytes / sectorBytes) * sectorBytes;
  }

  /** Room for a frame: the scratch buffer, free again once the group is written (the write itself is synchronous). */
  #frameRoom(bytes: number): Uint8Array {
    const padded = this.#padded(bytes);
    if (this.#scratch.length < padded) this.#scratch = new Uint8Array(Math.max(padded, scratchBytesMin));
    const frame = this.#scratch.subarray(0, bytes);
    if (this.#scratch.length > scratchBytesMax) this.#scratch = new Uint8Array(0);
    return frame;
  }

  /** The frame with zeros up to the sector's end, so that the kernel need not read what it is about to overwrite. */
  #padding(frame: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(frame.buffer, frame.byteOffset, this.#padded(frame.length));
    bytes.fill(0, frame.length);
    return bytes;
  }
}
