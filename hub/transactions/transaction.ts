// One transactional id: what the log says of it, what is under way, and the effects of its events. Pure.
import type { ErrorName } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import type { CommittedOffset } from "../io/registry.ts";

/** States as the log keeps them, under the names of KIP-664. */
export const TransactionState = {
  /** A producer id, no transaction yet. */
  Empty: "Empty",
  Ongoing: "Ongoing",
  /** Decided: the markers are being written. Nothing turns this back. */
  PrepareCommit: "PrepareCommit",
  PrepareAbort: "PrepareAbort",
  CompleteCommit: "CompleteCommit",
  CompleteAbort: "CompleteAbort",
} as const;
export type TransactionState = (typeof TransactionState)[keyof typeof TransactionState];

/** Names that ListTransactions knows besides; nothing is ever found in them. */
export const transientStates: readonly string[] = ["Dead", "PrepareEpochFence"];

/** Partitions of a transaction: topic -> partitions. */
export type Partitions = ReadonlyMap<string, ReadonlySet<number>>;

/** What the log keeps of a transactional id. Never changed in place: each record brings a new one. */
export interface Image {
  readonly producerId: number;
  /** 0..32767. At Prepare* it is the epoch of the markers. */
  readonly epoch: number;
  /**
   * Who the rightful producer was before the last bump it asked for: its retries are answered, not fenced (KIP-360,
   * KIP-890). -1: nobody; every older epoch is fenced.
   */
  readonly lastProducerId: number;
  readonly lastEpoch: number;
  /** The id that takes over when this end is complete, because the epochs are used up; -1 for none. */
  readonly nextProducerId: number;
  readonly state: TransactionState;
  readonly timeoutMs: Millis;
  /** Wall clock, informative; -1 while there is no transaction. */
  readonly startedAt: Millis;
  /** Empty unless Ongoing or Prepare*; the same for `groups`. */
  readonly partitions: Partitions;
  /** Groups whose offsets the transaction commits. */
  readonly groups: ReadonlySet<string>;
}

/** A record of the transaction log; null takes back what stood under its key. */
export type LogRecord =
  | { readonly kind: "transaction"; readonly id: string; readonly image: Image | null }
  | {
      readonly kind: "offsets";
      readonly id: string;
      readonly group: string;
      readonly offsets: readonly CommittedOffset[] | null;
    };

export type RequestId = number;

/** The answer to a producer; -1 where there is no id to tell. */
export interface Reply {
  readonly error: ErrorName;
  readonly producerId: number;
  readonly epoch: number;
}

/** A write to the log that is not committed yet. Until then every other change waits. */
export interface Writing {
  readonly records: readonly LogRecord[];
  /** Who is answered when it is committed, and with what. */
  readonly answer: { readonly request: RequestId; readonly reply: Reply } | null;
}

export interface Transaction {
  readonly id: string;
  /** As replayed; null until the first record is committed, and again after the last. */
  image: Image | null;
  /** group -> offsets that wait for the decision. */
  readonly offsets: Map<string, readonly CommittedOffset[]>;
  writing: Writing | null;
  /** Prepare*: every marker is written and every offset applied, so that the end may be completed. */
  ended: boolean;
  /** Ongoing: when it is timed out. Prepare* and ended: when the completion is tried again. Else Infinity. */
  deadline: Millis;
  /** Monotonic time of the last change. */
  usedAt: Millis;
}

/** The end of a transaction: markers into its partitions, its offsets into their groups if it commits. */
export interface End {
  readonly commit: boolean;
  readonly producerId: number;
  readonly epoch: number;
  readonly partitions: Partitions;
  /** Empty when it aborts. */
  readonly offsets: ReadonlyMap<string, readonly CommittedOffset[]>;
}

export type TransactionEffect =
  | { readonly kind: "answer"; readonly request: RequestId; readonly reply: Reply }
  /** Append these as one batch; `onWritten` is called with how it went. */
  | { readonly kind: "append"; readonly id: string; readonly records: readonly LogRecord[] }
  /** `onEnded` is called when all of it is done, however long that takes. */
  | { readonly kind: "end"; readonly id: string; readonly end: End }
  | {
      readonly kind: "tell";
      readonly what: "timed-out" | "fenced" | "resumed" | "rotated" | "expired";
      readonly id: string;
      readonly producerId: number;
      readonly epoch: number;
    };

/** Bounds and settings. */
export interface TransactionSettings {
  /** transaction.max.timeout.ms */
  readonly transactionTimeoutMsMax: Millis;
  /** transactional.id.expiration.ms */
  readonly transactionalIdExpirationMs: Millis;
  /** Transactional ids at a time. */
  readonly transactionalIdsMax: number;
  /** Pause before a write of the machine's own is tried again. */
  readonly diskRetryMs: Millis;
}

/** The largest epoch a producer works with; the one above is left for the marker that ends or fences it. */
export const producerEpochMax = 32_766;

export const noPartitions: Partitions = new Map();
export const noGroups: ReadonlySet<string> = new Set();

export const refused = (error: ErrorName): Reply => ({ error, producerId: -1, epoch: -1 });

export function isPrepared(image: Image): boolean {
  return image.state === TransactionState.PrepareCommit || image.state === TransactionState.PrepareAbort;
}

/** Nothing else may change while this holds: producers are told CONCURRENT_TRANSACTIONS. */
export function isBusy(transaction: Transaction): boolean {
  return transaction.writing !== null || (transaction.image !== null && isPrepared(transaction.image));
}

/** Who answers as this producer now. */
export function identityOf(image: Image): Reply {
  if (image.nextProducerId >= 0) return { error: "NONE", producerId: image.nextProducerId, epoch: 0 };
  return { error: "NONE", producerId: image.producerId, epoch: image.epoch };
}

/** True for the producer that was bumped last and may not have heard of it. */
export function isBefore(image: Image, producerId: number, epoch: number): boolean {
  return image.lastEpoch >= 0 && epoch === image.lastEpoch && producerId === image.lastProducerId;
}

/** Whether a producer is the present one of its transactional id (KIP-98). */
export function checkProducer(image: Image | null, producerId: number, epoch: number): ErrorName {
  if (image === null || image.producerId !== producerId) return "INVALID_PRODUCER_ID_MAPPING";
  return image.epoch === epoch ? "NONE" : "PRODUCER_FENCED";
}

/** Begins a write; the caller has seen that none is under way. */
export function write(
  transaction: Transaction,
  records: readonly LogRecord[],
  answer: Writing["answer"],
): TransactionEffect[] {
  transaction.writing = { records, answer };
  return [{ kind: "append", id: transaction.id, records }];
}

export const answer = (request: RequestId, reply: Reply): TransactionEffect[] => [{ kind: "answer", request, reply }];
