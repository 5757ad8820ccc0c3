// What the transaction coordinator and the partitions ask of each other: types only.
import type { ErrorName } from "../errors.ts";

/** The end of a transaction, as it is written into each of its partitions (KIP-98). */
export interface Marker {
  readonly producerId: number;
  readonly producerEpoch: number;
  /** Epoch of the coordinator that decided; an older one is refused (TRANSACTION_COORDINATOR_FENCED). */
  readonly coordinatorEpoch: number;
  readonly commit: boolean;
}

/** Partitions, as the coordinator needs them. */
export interface TransactionPartitions {
  /**
   * Appends the marker and resolves when it is committed. Repeating it is harmless. A partition that no longer exists
   * counts as ended.
   */
  endTransaction(topic: string, partition: number, marker: Marker): Promise<void>;
  exists(topic: string, partition: number): boolean;
  /** Transactions that are open in the partitions of this hub now. */
  openTransactions(): Iterable<OpenTransaction>;
}

/** A transaction without its marker, as a partition has it. */
export interface OpenTransaction {
  readonly topic: string;
  readonly partition: number;
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** The coordinator, as the leader of a partition needs it (KIP-890). */
export interface TransactionGate {
  /**
   * Asked before the first batch of a transaction in a partition is appended: whether the partition belongs to the
   * open transaction of this producer. `implicit`: the producer relies on being added by its first batch (Produce v12
   * and newer, transaction.version 2), so a partition that is not there yet is added, durably.
   */
  admit(
    transactionalId: string,
    producerId: number,
    producerEpoch: number,
    topic: string,
    partition: number,
    implicit: boolean,
  ): Promise<ErrorName>;
  /** Whether the partition belongs to the open transaction of this producer at this moment. */
  verify(
    transactionalId: string,
    producerId: number,
    producerEpoch: number,
    topic: string,
    partition: number,
  ): ErrorName;
}

/** One transaction's offsets of one group, as its coordinator tells it. */
export interface HeldRow {
  readonly group: string;
  readonly transactionalId: string;
  /** Committed; the offsets are on their way to the group. */
  readonly decided: boolean;
  readonly partitions: readonly { readonly topicId: string; readonly partition: number }[];
}
