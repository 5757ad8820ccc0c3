// What a cleaning works with, and how it ends early.
import type { LogHost, PartitionLog } from "./log.ts";
import type { Pace } from "./pace.ts";

/** Thrown when the log is cut, removed or closed meanwhile: what was begun is dropped. */
export class Interrupted extends Error {}

export interface CleaningTools {
  readonly host: LogHost;
  readonly pace: Pace;
  /** 16 bytes of chance for the map. */
  readonly seed: Uint8Array;
  /** Trusted wall clock; null while there is none. */
  readonly now: number | null;
  /** Bytes that may be written without filling the disk. */
  room(): number;
  /** False once the log is gone or held, or the store closes. */
  goesOn(log: PartitionLog): boolean;
}
