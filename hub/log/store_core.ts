// The open store: one data folder, its journal, its logs and the facts of the registry.
//
// DESIGN. An append is one plain write to the partition's segment and one entry in the open journal group; nothing is
// promised before the group is synced. Everything appended or put within one synchronous turn lands in one group, so
// it survives a power cut as a whole or not at all (a group over its byte bound excepted).
import { HubError } from "../errors.ts";
import type { File, Timer } from "../io/ports.ts";
import type { FactStore } from "../io/registry.ts";
import { limits } from "../limits.ts";
import { OpenSegments, SyncQueue } from "./background.ts";
import { Checkpoints } from "./checkpoint.ts";
import { CleanPoints } from "./clean_points.ts";
import { Cleaner } from "./compaction.ts";
import { HotTail } from "./hot_tail.ts";
import { Journal } from "./journal.ts";
import { applyFact, emptyState, factBytes } from "./journal_state.ts";
import type { JournalState } from "./journal_state.ts";
import type { LogHost } from "./log.ts";
import type { PartitionLog } from "./log.ts";
import { configure, deleteRecordsBefore, truncateTo } from "./log_change.ts";
import { restartAt } from "./log_replica.ts";
import { PartitionMaker } from "./partition_maker.ts";
import { Retainer } from "./retainer.ts";
import { Scrub } from "./scrub.ts";
import type { Segment } from "./segment.ts";
import { faultKind, partitionKey, storageError } from "./settings.ts";
import type { LogSettings, StoreState, Tuning } from "./settings.ts";
import { Space } from "./space.ts";
import type { StoreMeta, StoreOptions, StoreStart } from "./store_types.ts";

const openSegmentsMax = 200;

export class Store implements FactStore {
  meta: StoreMeta;
  readonly #options: StoreOptions;
  readonly #tuning: Tuning;
  readonly #leave: (clean: boolean) => void;
  readonly #adopt: (clusterId: string) => void;
  readonly #logs = new Map<string, PartitionLog>();
  readonly #host: LogHost;
  readonly #journal: Journal<PartitionLog>;
  readonly #checkpoints: Checkpoints;
  readonly #maker: PartitionMaker;
  readonly #retainer: Retainer;
  readonly #space: Space;
  readonly #scrub: Scrub;
  readonly #cleaner: Cleaner;
  readonly #syncs = new SyncQueue();
  readonly #open = new OpenSegments(openSegmentsMax);
  /** All facts, those that wait for their group included. */
  readonly #facts = emptyState();
  #state: StoreState = "ok";
  #why = "";
  #closed = false;
  #left = false;
  readonly #written = new Map<PartitionLog, number>();
  readonly #unsynced = new Set<PartitionLog>();
  #unsyncedBytes = 0;
  #intervalTimer: Timer | null = null;
  #checkpointTimer: Timer | null = null;
  #plainBytes = 0;
  #checkpointing = false;

  constructor(start: StoreStart) {
    this.meta = start.meta;
    this.#options = start.options;
    this.#tuning = start.tuning;
    this.#leave = start.leave;
    this.#adopt = start.adopt;
    const { disk, clock, random, trace } = start.options;
    const { state, lastSequence, lastNumber } = start.content;
    this.#journal = new Journal<PartitionLog>({
      disk,
      clock,
      random,
      trace,
      tuning: this.#tuning,
      listener: { synced: (ends) => this.#synced(ends), fault: (kind, error) => this.#fault(kind, error) },
      state,
      lastSequence,
      lastNumber,
    });
    this.#host = this.#makeHost(new HotTail(this.#tuning.hotTailBytes));
    this.#checkpoints = new Checkpoints(this.#host, this.#logs, start.points);
    this.#maker = new PartitionMaker(this.#host, this.#logs, this.#checkpoints);
    this.#retainer = new Retainer(this.#host, this.#logs, this.#tuning, () => void this.retain().catch(() => {}));
    this.#scrub = new Scrub(this.#host, this.#logs, start.options.listener);
    this.#space = new Space({
      disk,
      clock,
      trace,
      tuning: this.#tuning,
      isFull: () => this.#state === "full",
      onHard: (free) => this.#fault("full", new Error(`only ${free} bytes are free`)),
      onSoft: () => void this.retain().catch(() => {}),
      onRoom: () => this.#healed(),
    });
    this.#cleaner = this.#makeCleaner();
  }

  #makeCleaner(): Cleaner {
    const { disk, random } = this.#options;
    return new Cleaner(this.#host, this.#logs, {
      random,
      now: () => this.#retainer.trustedNow(),
      recoveryEnd: (key) => this.#checkpoints.recoveryEnd(key),
      room: () => {
        const { freeBytes, totalBytes } = disk.space();
        return freeBytes - this.#space.lines(totalBytes).hard - this.#tuning.reserveBytes;
      },
      onDue: () => void this.compact().catch(() => {}),
    });
  }

  #makeHost(tail: HotTail): LogHost {
    const { disk, clock, trace } = this.#options;
    return {
      disk,
      clock,
      trace,
      tail,
      tuning: this.#tuning,
      journal: this.#journal,
      assertWritable: () => this.#assertWritable(),
      assertReadable: () => this.#assertAlive(),
      written: (log, bytes) => this.#noteWritten(log, bytes),
      fault: (kind, error) => this.#fault(kind, error),
      sync: (file) => this.#sync(file),
      touched: (segment: Segment) => this.#open.touch(segment),
      configure: (log, settings) => this.#guard(log.serially(() => configure(log, this.#host, settings))),
      deleteRecordsBefore: (log, offset) =>
        this.#guard(log.serially(() => deleteRecordsBefore(log, this.#host, offset))),
      truncateTo: (log, offset) => {
        log.hold("is being cut"); // from this call on, whatever it has to wait for
        return this.#guard(log.serially(() => truncateTo(log, this.#host, offset)));
      },
      restartAt: (log, offset) => {
        log.hold("begins anew"); // from this call on, whatever it has to wait for
        return this.#guard(log.serially(() => restartAt(log, this.#host, offset)));
      },
      damaged: (log) => this.#options.listener.damaged?.(log),
      cleanPoints: new CleanPoints(disk),
      lowerRecoveryPoint: (log, offset) => this.#checkpoints.lower(log.key, offset),
    };
  }

  /** What recovery and repairs need to change the logs. */
  get host(): LogHost {
    return this.#host;
  }

  /** For store.ts: a recovered log. */
  add(log: PartitionLog): void {
    this.#logs.set(log.key, log);
  }

  /** For store.ts: the logs agree with the journal, whose state this is; a new chain begins, and the timers. */
  begin(state: JournalState): void {
    for (const [key, value] of state.facts) applyFact(this.#facts, key, value);
    this.#journal.begin();
    this.#space.start();
    this.#retainer.start();
    this.#scrub.start();
    this.#cleaner.start();
    this.#armCheckpoint();
  }

  /** The folder belongs to this cluster from now on; only one that holds nothing may change. */
  adoptCluster(clusterId: string): void {
    this.#adopt(clusterId);
    this.meta = { ...this.meta, clusterId };
  }

  get state(): StoreState {
    return this.#state;
  }

  partition(topicId: string, partition: number): PartitionLog | undefined {
    return this.#logs.get(partitionKey(topicId, partition));
  }

  partitions(): Iterable<PartitionLog> {
    return this.#logs.values();
  }

  /** Resolves with the log when it survives a power cut. Rejects with KAFKA_STORAGE_ERROR. */
  createPartition(topicId: string, partition: number, name: string, settings: LogSettings): Promise<PartitionLog> {
    return this.#maker.create(topicId, partition, name, settings);
  }

  /** The tombstone is durable before the first file goes. No error when there is no such partition. */
  deletePartition(topicId: string, partition: number): Promise<void> {
    return this.#guard(this.#maker.remove(topicId, partition));
  }

  get(key: string): Uint8Array | undefined {
    return this.#facts.facts.get(key);
  }

  *entries(prefix: string): Iterable<readonly [string, Uint8Array]> {
    for (const fact of this.#facts.facts) if (fact[0].startsWith(prefix)) yield fact;
  }

  async put(facts: readonly (readonly [string, Uint8Array | null])[]): Promise<void> {
    if (this.#state === "failed" || this.#state === "read-only" || this.#closed) throw this.#refusal();
    let growth = 0;
    for (const [key, value] of facts) if (value !== null) growth += factBytes(key, value);
    if (growth > 0 && this.#facts.factBytes + growth > this.#tuning.snapshotBytesMax) {
      const bound = this.#tuning.snapshotBytesMax;
      throw storageError(`facts over ${bound} bytes: remove groups or topics that are not used`);
    }
    for (const [key, value] of facts) applyFact(this.#facts, key, value);
    await this.#journal.put(facts.map(([key, value]) => ({ type: "fact", key, value })));
  }

  /** Bytes appended or put and not yet synced. */
  backlogBytes(): number {
    return this.#journal.backlogBytes;
  }

  /** Resolves when the backlog is under half its bound. */
  whenRoom(): Promise<void> {
    return this.#journal.whenRoom();
  }

  /** Resolves when everything appended or put so far is as durable as its policy makes it. */
  flush(): Promise<void> {
    return this.#journal.flush();
  }

  /** One retention pass; the store makes one every 5 minutes by itself. */
  retain(): Promise<void> {
    return this.#state === "failed" || this.#state === "read-only"
      ? Promise.resolve()
      : this.#guard(this.#retainer.run());
  }

  /** One round of compaction; the store makes one every 15 s by itself. */
  compact(): Promise<void> {
    return this.#state === "failed" || this.#state === "read-only" ? Promise.resolve() : this.#cleaner.run();
  }

  /** Syncs the segments and moves the recovery points; journal files that are needed no more are let go. */
  checkpoint(): Promise<void> {
    this.#journal.takePayload();
    this.#plainBytes = 0;
    return this.#guard(this.#checkpoints.run());
  }

  /** Checkpoint, clean mark, lock released. After a fault only the lock is released. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of [this.#intervalTimer, this.#checkpointTimer]) timer?.cancel();
    this.#space.stop();
    this.#retainer.stop();
    this.#scrub.stop();
    await this.#cleaner.stop();
    let clean = this.#state === "ok" || this.#state === "full";
    try {
      if (clean) {
        await this.#journal.flush();
        // A log that is being cut is left out of a checkpoint, and the clean mark speaks for all.
        await Promise.all([...this.#logs.values()].map((log) => log.serially(() => Promise.resolve())));
        await this.checkpoint();
      }
    } catch {
      clean = false;
    }
    this.#left = true;
    this.#journal.close();
    for (const log of this.#logs.values()) log.closeFiles();
    this.#leave(clean && this.#state !== "failed");
  }

  /** What the disk refuses in the middle of a change is a fault of the folder: memory and disk may differ now. */
  async #guard(change: Promise<void>): Promise<void> {
    try {
      await change;
    } catch (error) {
      if (error instanceof HubError) throw error;
      this.#fault(faultKind(error), error);
      throw storageError((error as Error).message, error);
    }
  }

  #refusal(): HubError {
    return storageError(this.#closed ? "the store is closed" : `the data folder is ${this.#state}: ${this.#why}`);
  }

  #assertWritable(): void {
    if (this.#state !== "ok" || this.#closed) throw this.#refusal();
    // Callers hold back at `backlogBytesMax`; this is for those who do not.
    if (this.#journal.backlogBytes > 2 * this.#tuning.backlogBytesMax) throw storageError("the journal is behind");
  }

  #assertAlive(): void {
    if (this.#state === "failed" || this.#left) throw this.#refusal();
  }

  #synced(ends: ReadonlyMap<PartitionLog, number>): void {
    const moved: PartitionLog[] = [];
    for (const [log, end] of ends) if (log.noteDurable(Math.min(end, log.logEnd))) moved.push(log);
    if (moved.length > 0) this.#options.listener.durable(moved);
    if (this.#journal.payloadBytes >= this.#tuning.checkpointBytes) this.#checkpointSoon();
  }

  /** An append under `interval` or `os`: durable, in its sense, at the end of the turn. */
  #noteWritten(log: PartitionLog, bytes: number): void {
    if (this.#written.size === 0) this.#options.clock.soon(() => this.#publishWritten());
    this.#written.set(log, log.logEnd); // what comes behind it may be journaled, if the policy changes now
    this.#plainBytes += bytes;
    if (log.settings.fsync !== "interval") return;
    this.#unsynced.add(log);
    this.#unsyncedBytes += bytes;
    if (this.#unsyncedBytes >= limits.intervalSyncBytes) this.#syncUnsynced();
    else this.#intervalTimer ??= this.#options.clock.after(limits.intervalSyncMs, () => this.#syncUnsynced());
  }

  #publishWritten(): void {
    const moved: PartitionLog[] = [];
    for (const [log, end] of this.#written) if (log.noteDurable(Math.min(end, log.logEnd))) moved.push(log);
    this.#written.clear();
    if (moved.length > 0 && this.#state !== "failed") this.#options.listener.durable(moved);
    if (this.#plainBytes >= limits.checkpointPlainBytesMax) this.#checkpointSoon();
  }

  #syncUnsynced(): void {
    this.#intervalTimer?.cancel();
    this.#intervalTimer = null;
    this.#unsyncedBytes = 0;
    const logs = [...this.#unsynced];
    this.#unsynced.clear();
    for (const log of logs) log.syncActive().catch(() => {}); // the fault has been told
  }

  /** After one failed sync no other counts: it may be of the same pages, clean by now and not on the medium. */
  async #sync(file: File): Promise<void> {
    try {
      await this.#syncs.sync(file);
    } catch (error) {
      this.#fault("failed", error);
      throw storageError(`sync of ${file.name} failed`, error);
    }
    if (this.#state === "failed") throw this.#refusal();
  }

  #armCheckpoint(): void {
    this.#checkpointTimer = this.#options.clock.after(this.#tuning.checkpointMs, () => {
      this.#checkpointSoon();
      this.#armCheckpoint();
    });
  }

  #checkpointSoon(): void {
    if (this.#checkpointing || this.#state === "failed" || this.#state === "read-only" || this.#closed) return;
    this.#checkpointing = true;
    this.checkpoint()
      .catch((error: unknown) => {
        this.#options.trace.event("error", "checkpoint_failed", { error: (error as Error).message });
      })
      .finally(() => (this.#checkpointing = false));
  }

  /** What the disk refused decides the state; from `failed` and `read-only` there is no way back (section 6). */
  #fault(kind: "full" | "read-only" | "failed", error: unknown): void {
    const why = (error as Error).message;
    if (this.#state === "failed" || (kind === "full" && this.#state !== "ok")) return;
    if (this.#state === "read-only" && kind !== "failed") return;
    this.#state = kind;
    this.#why = why;
    this.#options.trace.event("error", "store_state", { state: kind, why });
    if (kind === "full") this.#giveRoom();
    else this.#journal.kill(error);
    this.#options.listener.stateChanged(kind, why);
  }

  #giveRoom(): void {
    try {
      this.#space.free();
    } catch (error) {
      this.#options.trace.event("warn", "disk_reserve_not_freed", { error: (error as Error).message });
    }
    this.#checkpointSoon(); // lets journal files go
  }

  #healed(): void {
    if (this.#state !== "full") return;
    this.#state = "ok";
    this.#why = "";
    this.#options.trace.event("info", "store_state", { state: "ok" });
    this.#journal.resume();
    if (this.state === "ok") this.#options.listener.stateChanged("ok", "there is room again");
  }
}
