// The end of a transaction: asked for, timed out or fenced; prepared, then completed once every marker stands. Pure.
import type { ProducerClaim } from "./adding.ts";
import type { End, Image, LogRecord, Reply, Transaction, TransactionEffect, Writing } from "./transaction.ts";
import {
  answer,
  identityOf,
  isBefore,
  isPrepared,
  noGroups,
  noPartitions,
  producerEpochMax,
  refused,
  TransactionState,
  write,
} from "./transaction.ts";

/** EndTxn. */
export interface EndEvent extends ProducerClaim {
  readonly commit: boolean;
  /** v5: every end bumps the epoch, so that nothing of this transaction can reach the next one (KIP-890). */
  readonly bump: boolean;
  /** An id nobody has, should the epochs be used up. */
  readonly freshProducerId: number;
}

/** Takes an EndTxn. */
export function onEnd(transaction: Transaction | undefined, event: EndEvent): TransactionEffect[] {
  const image = transaction?.image ?? null;
  if (transaction === undefined || image === null) {
    return answer(event.request, refused("INVALID_PRODUCER_ID_MAPPING"));
  }
  const isPresent = image.producerId === event.producerId && image.epoch === event.epoch;
  const isRetry = event.bump && !isPresent && isBefore(image, event.producerId, event.epoch);
  if (!isPresent && !isRetry) {
    const known = image.producerId === event.producerId;
    return answer(event.request, refused(known ? "PRODUCER_FENCED" : "INVALID_PRODUCER_ID_MAPPING"));
  }
  if (transaction.writing !== null) return answer(event.request, refused("CONCURRENT_TRANSACTIONS"));
  const replies = event.bump ? judgeBumping(image, event, isRetry) : judgeClassic(image, event);
  if (replies !== null) return answer(event.request, replies);
  return prepare(transaction, image, event);
}

/** Up to v4: the answer, or null when the transaction is to end now. */
function judgeClassic(image: Image, event: EndEvent): Reply | null {
  const { Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort } = TransactionState;
  if (image.state === Ongoing) return null;
  if (image.state === (event.commit ? PrepareCommit : PrepareAbort)) return refused("CONCURRENT_TRANSACTIONS");
  const done = image.state === (event.commit ? CompleteCommit : CompleteAbort);
  return done ? identityOf(image) : refused("INVALID_TXN_STATE");
}

/** v5: the epoch tells a retry from the next transaction. */
function judgeBumping(image: Image, event: EndEvent, isRetry: boolean): Reply | null {
  const { Ongoing, Empty, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort } = TransactionState;
  const { state } = image;
  if (isRetry) {
    if (state === Ongoing || state === Empty) return refused("PRODUCER_FENCED");
    if (state === (event.commit ? PrepareCommit : PrepareAbort)) return refused("CONCURRENT_TRANSACTIONS");
    return state === (event.commit ? CompleteCommit : CompleteAbort) ? identityOf(image) : refused("INVALID_TXN_STATE");
  }
  if (isPrepared(image)) return refused("PRODUCER_FENCED");
  if (state === Ongoing) return null;
  // A client that does not know whether any of its batches arrived aborts what may never have begun.
  return event.commit ? refused("INVALID_TXN_STATE") : null;
}

function prepare(transaction: Transaction, image: Image, event: EndEvent): TransactionEffect[] {
  const { PrepareCommit, PrepareAbort, Ongoing } = TransactionState;
  const nextProducerId = event.bump && image.epoch >= producerEpochMax ? event.freshProducerId : -1;
  const bumped = { lastProducerId: image.producerId, lastEpoch: image.epoch, epoch: image.epoch + 1, nextProducerId };
  const open = image.state === Ongoing ? image : { ...image, partitions: noPartitions, groups: noGroups };
  const state = event.commit ? PrepareCommit : PrepareAbort;
  const prepared: Image = { ...open, ...(event.bump ? bumped : {}), state };
  const record: LogRecord = { kind: "transaction", id: transaction.id, image: prepared };
  return write(transaction, [record], { request: event.request, reply: identityOf(prepared) });
}

/**
 * Aborts an open transaction under a bumped epoch, which fences its producer. `known`: the producer asked for it
 * itself, so it may go on with the new epoch.
 */
export function fence(
  transaction: Transaction,
  image: Image,
  known: boolean,
  why: "fenced" | "timed-out",
  then: Writing["answer"],
): TransactionEffect[] {
  const { id } = transaction;
  const fenced: Image = {
    ...image,
    state: TransactionState.PrepareAbort,
    epoch: image.epoch + 1,
    lastProducerId: known ? image.producerId : -1,
    lastEpoch: known ? image.epoch : -1,
  };
  const told = { kind: "tell", what: why, id, producerId: image.producerId, epoch: image.epoch } as const;
  return [told, ...write(transaction, [{ kind: "transaction", id, image: fenced }], then)];
}

/** What a prepared transaction still has to do. Doing it twice is harmless. */
export function endOf(transaction: Transaction, image: Image): End {
  const commit = image.state === TransactionState.PrepareCommit;
  return {
    commit,
    producerId: image.producerId,
    epoch: image.epoch,
    partitions: image.partitions,
    offsets: commit ? new Map(transaction.offsets) : new Map(),
  };
}

/** All markers stand: the last record of the transaction. */
export function complete(transaction: Transaction, image: Image): TransactionEffect[] {
  const { PrepareCommit, CompleteCommit, CompleteAbort } = TransactionState;
  const { id, offsets } = transaction;
  const rotates = image.nextProducerId >= 0;
  const completed: Image = {
    ...image,
    state: image.state === PrepareCommit ? CompleteCommit : CompleteAbort,
    producerId: rotates ? image.nextProducerId : image.producerId,
    epoch: rotates ? 0 : image.epoch,
    nextProducerId: -1,
    startedAt: -1,
    partitions: noPartitions,
    groups: noGroups,
  };
  const records: LogRecord[] = [...offsets.keys()].map((group) => ({ kind: "offsets", id, group, offsets: null }));
  records.push({ kind: "transaction", id, image: completed });
  return write(transaction, records, null);
}
