// What a store is given and whom it tells: types only.
import type { Clock, Disk, Random } from "../io/ports.ts";
import type { Trace } from "../trace.ts";
import type { JournalContent } from "./journal_read.ts";
import type { PartitionLog } from "./log.ts";
import type { RecoveryPoint } from "./recovery_points.ts";
import type { StoreState, Tuning } from "./settings.ts";

export interface StoreListener {
  /** Their `durableEnd` moved; called once per sync. */
  durable(logs: readonly PartitionLog[]): void;
  stateChanged(state: StoreState, why: string): void;
  /** Something in it cannot be read (`log.damaged`); told each time it is met. Who repairs sets `log.repairing`. */
  damaged?(log: PartitionLog): void;
  /** Records that were promised may be gone; null is for what belongs to no partition. */
  possibleLoss(log: PartitionLog | null, detail: string): void;
}

export interface StoreOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly listener: StoreListener;
  readonly hubId: number;
  /** For tests: bounds of limits.ts made small. */
  readonly tuning?: Partial<Tuning>;
}

export interface StoreMeta {
  readonly clusterId: string;
  readonly hubId: number;
  readonly dirId: string;
  readonly bootSeq: number;
}

/** What openStore (store.ts) found. */
export interface StoreStart {
  readonly options: StoreOptions;
  readonly tuning: Tuning;
  readonly meta: StoreMeta;
  readonly content: JournalContent;
  readonly points: Map<string, RecoveryPoint>;
  /** Releases the lock, and with `clean` leaves the clean mark. */
  readonly leave: (clean: boolean) => void;
  /** Writes another cluster's id into the folder's meta. */
  readonly adopt: (clusterId: string) => void;
}
