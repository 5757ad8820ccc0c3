// What a partition's log is told to do, and what the store tells back: shared by every step of the stair.
import { HubError } from "../errors.ts";
import type { DiskFault } from "../io/ports.ts";
import { limits } from "../limits.ts";

/** What a durable log end survives (storage.md section 2): power cut, power cut but for 200 ms, kill -9. */
export type FsyncPolicy = "always" | "interval" | "os";

export interface LogSettings {
  readonly fsync: FsyncPolicy;
  readonly segmentBytes: number;
  readonly segmentMs: number;
  readonly indexIntervalBytes: number;
  /** -1 for none. */
  readonly retentionMs: number;
  /** -1 for none. */
  readonly retentionBytes: number;
  readonly timestampType: "CreateTime" | "LogAppendTime";
  readonly compacted: boolean;
  /** How long a tombstone is kept after the first cleaning that saw it. */
  readonly deleteRetentionMs: number;
  /** The shortest and the longest time (Infinity or 2^63: no bound) that a record stays as it came. */
  readonly minCompactionLagMs: number;
  readonly maxCompactionLagMs: number;
  /** Share of bytes not yet cleaned above which a cleaning is worth it, 0..1. */
  readonly minDirtyRatio: number;
  /** What a read does at a damaged place: refuse with CORRUPT_MESSAGE, or go on behind it (counted). */
  readonly corruptRead: "stop" | "skip";
  /** True keeps the log out of the data folder's own bound. */
  readonly pinned: boolean;
}

/** Kafka's defaults, and `always`. */
export const defaultLogSettings: LogSettings = {
  fsync: "always",
  segmentBytes: limits.segmentBytesDefault,
  segmentMs: 7 * 24 * 3600 * 1000,
  indexIntervalBytes: limits.indexIntervalBytesDefault,
  retentionMs: 7 * 24 * 3600 * 1000,
  retentionBytes: -1,
  timestampType: "CreateTime",
  compacted: false,
  deleteRetentionMs: 24 * 3600 * 1000,
  minCompactionLagMs: 0,
  maxCompactionLagMs: 2 ** 63,
  minDirtyRatio: 0.5,
  corruptRead: "stop",
  pinned: false,
};

export type StoreState = "ok" | "full" | "read-only" | "failed";

/** Sizes that a test makes small; the limits stand in limits.ts. */
export interface Tuning {
  readonly journalFileBytes: number;
  readonly sectorBytes: number;
  readonly groupBytesMax: number;
  readonly backlogBytesMax: number;
  readonly snapshotBytesMax: number;
  readonly checkpointBytes: number;
  readonly checkpointMs: number;
  readonly reserveBytes: number;
  readonly hotTailBytes: number;
  readonly softLineBytes: number;
  readonly hardLineBytes: number;
  /** Memory of the map of keys that a cleaning works with. */
  readonly cleanerMapBytes: number;
  /** Largest share of the file system that segments may take, in bytes; -1 for 80 % of it. */
  readonly diskBytesMax: number;
}

export const defaultTuning: Tuning = {
  journalFileBytes: limits.journalFileBytes,
  sectorBytes: limits.journalSectorBytes,
  groupBytesMax: limits.journalGroupBytesMax,
  backlogBytesMax: limits.journalBacklogBytesMax,
  snapshotBytesMax: limits.journalSnapshotBytesMax,
  checkpointBytes: limits.checkpointBytesMax,
  checkpointMs: limits.checkpointMsMax,
  reserveBytes: limits.reserveBytes,
  hotTailBytes: limits.hotTailBytesMax,
  softLineBytes: limits.diskSoftLineBytes,
  hardLineBytes: limits.diskHardLineBytes,
  cleanerMapBytes: limits.cleanerMapBytes,
  diskBytesMax: -1,
};

/** `<topicId>-<partition>`: the directory's name, and the key of a partition everywhere in this room. */
export function partitionKey(topicId: string, partition: number): string {
  return `${topicId}-${partition}`;
}

/**
 * The fact that a log was found short (replication.md 2.5): in the journal from the start that finds it, as the next
 * may find the log whole, until the engine has put it into the replica's own state or has no use for it.
 */
export const shortKey = (key: string): string => `${shortPrefix}${key}`;
export const shortPrefix = "short/";

/** What kind of refusal a disk's error is. */
export function faultKind(thrown: unknown): "full" | "read-only" | "failed" {
  const code = (thrown as Partial<DiskFault>).code;
  if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG") return "full";
  return code === "EROFS" ? "read-only" : "failed";
}

/** The answer to a write that the data folder cannot take. */
export function storageError(detail: string, cause?: unknown): HubError {
  return new HubError("KAFKA_STORAGE_ERROR", detail, cause === undefined ? undefined : { cause });
}
