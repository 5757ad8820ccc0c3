// What a log needs of the store around it, and what an append answers. Types only.
import type { Clock, Disk, File } from "../io/ports.ts";
import type { Trace } from "../trace.ts";
import type { CleanPoints } from "./clean_points.ts";
import type { HotTail } from "./hot_tail.ts";
import type { Journal } from "./journal.ts";
import type { PartitionLog } from "./log.ts";
import type { Segment } from "./segment.ts";
import type { LogSettings, Tuning } from "./settings.ts";

export interface Appended {
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** True when an idempotent producer sent it before: the offsets are those of the first time. */
  readonly duplicate: boolean;
  /** -1 for CreateTime. */
  readonly logAppendTime: number;
}

/** What a log needs of the store around it. */
export interface LogHost {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly tuning: Tuning;
  readonly tail: HotTail;
  readonly journal: Journal<PartitionLog>;
  /** Throws KAFKA_STORAGE_ERROR unless the data folder takes appends. */
  assertWritable(): void;
  assertReadable(): void;
  /** An append without the journal was written. */
  written(log: PartitionLog, bytes: number): void;
  fault(kind: "full" | "read-only" | "failed", error: unknown): void;
  /** fdatasync in the background, a few at a time; a failure is a fault of the folder. */
  sync(file: File): Promise<void>;
  /** A closed segment was opened for reading: the store closes the least recently used. */
  touched(segment: Segment): void;
  /** The rare changes of a log (log_change.ts). */
  configure(log: PartitionLog, settings: LogSettings): Promise<void>;
  deleteRecordsBefore(log: PartitionLog, offset: number): Promise<void>;
  truncateTo(log: PartitionLog, offset: number): Promise<void>;
  restartAt(log: PartitionLog, offset: number): Promise<void>;
  /** Something in it cannot be read. */
  damaged(log: PartitionLog): void;
  /** Lowers the recovery point, durably. */
  lowerRecoveryPoint(log: PartitionLog, offset: number): Promise<void>;
  readonly cleanPoints: CleanPoints;
}
