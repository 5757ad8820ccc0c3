// Checkpoints: segments synced, recovery points written, journal files let go (storage.md section 3, rule 1).
import type { LogHost, PartitionLog } from "./log.ts";
import { writeRecoveryPoints } from "./recovery_points.ts";
import type { RecoveryPoint } from "./recovery_points.ts";

/** The one writer of the recovery points. */
export class Checkpoints {
  readonly #host: LogHost;
  readonly #logs: ReadonlyMap<string, PartitionLog>;
  /** As the file has them. */
  readonly #points: Map<string, RecoveryPoint>;
  /** Rises with every cut or removal, so that a checkpoint under way drops what it noted before. */
  readonly #cuts = new Map<string, number>();
  #tail: Promise<void> = Promise.resolve();

  constructor(host: LogHost, logs: ReadonlyMap<string, PartitionLog>, points: Map<string, RecoveryPoint>) {
    this.#host = host;
    this.#logs = logs;
    this.#points = points;
  }

  /** What the journal may forget of a partition: everything below; all of one that is not there any more. */
  recoveryEnd(key: string): number {
    const log = this.#points.get(key);
    if (log !== undefined) return Math.max(log.syncedEnd, log.logStart);
    return this.#logs.has(key) ? 0 : Number.POSITIVE_INFINITY;
  }

  /** Runs one after another. */
  #serial(work: () => Promise<void>): Promise<void> {
    const run = this.#tail.then(work);
    this.#tail = run.catch(() => {});
    return run;
  }

  /** Syncs what was appended, two files at a time, then writes the file; a failed sync is a fault of the folder. */
  run(): Promise<void> {
    return this.#serial(async () => {
      const noted: { log: PartitionLog; end: number; cuts: number }[] = [];
      for (const log of this.#logs.values()) {
        if (log.isHeld) continue; // being cut: its point is low already, and stays
        // The durable end, not the log's: a batch below the recovery point is never cut, so its group must be whole.
        noted.push({ log, end: log.durableEnd, cuts: this.#cuts.get(log.key) ?? 0 });
      }
      await Promise.all(noted.filter(({ log, end }) => this.#isBehind(log, end)).map(({ log }) => this.#save(log)));
      for (const { log, end, cuts } of noted) {
        if (log.isHeld || (this.#cuts.get(log.key) ?? 0) !== cuts) continue;
        const highWatermark = Math.max(log.logStart, log.highWatermark);
        this.#points.set(log.key, { syncedEnd: end, highWatermark, logStart: log.logStart });
      }
      this.#write();
      this.#host.journal.recycle((key) => this.recoveryEnd(key));
    });
  }

  #isBehind(log: PartitionLog, end: number): boolean {
    const point = this.#points.get(log.key);
    const behind = point === undefined || point.syncedEnd < end || log.active.syncedSize < log.active.size;
    return behind || log.epochs.changed; // as a recovery or a cut leaves them
  }

  async #save(log: PartitionLog): Promise<void> {
    await log.syncActive();
    log.saveCaches(log.active);
  }

  /** Lowers a partition's point, durably; a checkpoint under way does not raise it again. */
  lower(key: string, offset: number): Promise<void> {
    this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + 1);
    return this.#serial(async () => {
      const point = this.#points.get(key);
      if (point === undefined || point.syncedEnd <= offset) return;
      this.#points.set(key, { ...point, syncedEnd: offset, highWatermark: Math.min(point.highWatermark, offset) });
      this.#write();
    });
  }

  /** Drops a partition's point, durably, before a replica of that name may come again. */
  drop(key: string): Promise<void> {
    this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + 1);
    return this.#serial(async () => {
      if (this.#points.delete(key)) this.#write();
    });
  }

  #write(): void {
    const { disk } = this.#host;
    this.#host.assertReadable(); // a failed folder promises nothing any more
    writeRecoveryPoints(disk, this.#points);
  }
}
