// All transactional ids of one coordinator: events find theirs, the log's records make them, time ends them. Pure.
import type { ErrorName } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import type { AddEvent, OffsetsEvent } from "./adding.ts";
import { onAdd, onOffsets } from "./adding.ts";
import type { EndEvent } from "./ending.ts";
import { complete, endOf, fence, onEnd } from "./ending.ts";
import type { InitEvent } from "./initializing.ts";
import { onInit } from "./initializing.ts";
import type { End, Image, LogRecord, Transaction, TransactionEffect, TransactionSettings } from "./transaction.ts";
import { answer, isBefore, isBusy, isPrepared, refused, TransactionState, write } from "./transaction.ts";

export interface TransactionCoordinator {
  readonly settings: TransactionSettings;
  readonly transactions: Map<string, Transaction>;
}

/** A coordinator that has read nothing yet. */
export function newTransactionCoordinator(settings: TransactionSettings): TransactionCoordinator {
  return { settings, transactions: new Map() };
}

function newTransaction(id: string, now: Millis): Transaction {
  return { id, image: null, offsets: new Map(), writing: null, ended: false, deadline: Infinity, usedAt: now };
}

/**
 * Takes over a record that is committed in the log. Nothing else changes what the coordinator knows, so reading the
 * log again comes to the same.
 */
export function replay(coordinator: TransactionCoordinator, record: LogRecord, now: Millis): void {
  const { transactions } = coordinator;
  const transaction = transactions.get(record.id) ?? newTransaction(record.id, now);
  transactions.set(record.id, transaction);
  transaction.usedAt = now;
  if (record.kind === "offsets") {
    if (record.offsets === null) transaction.offsets.delete(record.group);
    else transaction.offsets.set(record.group, record.offsets);
    return;
  }
  const { image } = record;
  const wasOngoing = transaction.image?.state === TransactionState.Ongoing;
  transaction.image = image;
  transaction.ended = false;
  if (image === null) {
    transactions.delete(record.id);
  } else if (image.state !== TransactionState.Ongoing) {
    transaction.deadline = Infinity;
    if (!isPrepared(image)) transaction.offsets.clear();
  } else if (!wasOngoing) {
    // Monotonic time: a hub that was away gives a transaction its whole time again.
    transaction.deadline = now + image.timeoutMs;
  }
}

/** The log is read: what was decided and not completed is carried out again. */
export function resume(coordinator: TransactionCoordinator): TransactionEffect[] {
  const effects: TransactionEffect[] = [];
  for (const transaction of [...coordinator.transactions.values()]) {
    const { id, image } = transaction;
    if (image === null) {
      coordinator.transactions.delete(id); // offsets whose transaction is gone
    } else if (isPrepared(image)) {
      effects.push({ kind: "tell", what: "resumed", id, producerId: image.producerId, epoch: image.epoch });
      effects.push({ kind: "end", id, end: endOf(transaction, image) });
    }
  }
  return effects;
}

/** A transaction that a partition has open. */
export interface Found {
  readonly topic: string;
  readonly partition: number;
  readonly producerId: number;
  readonly producerEpoch: number;
}

/**
 * The ends of transactions that no id will end: a power cut took their markers, and left what had been synced of their
 * records and what was decided, as it may where `log.fsync` is not `always`. Where the decision is known for certain it
 * is repeated (an epoch has one transaction under transaction.version 2); else they are aborted: the records may go,
 * but none of an aborted transaction may be seen.
 */
export function endsOfLost(coordinator: TransactionCoordinator, open: Iterable<Found>): End[] {
  const ends: End[] = [];
  let images: Map<number, Image> | null = null;
  for (const found of open) {
    const { topic, partition, producerId, producerEpoch } = found;
    images ??= imagesByProducer(coordinator);
    const image = images.get(producerId);
    if (image !== undefined && isPartOf(image, found)) continue; // its end is to come
    const decided = image?.state === TransactionState.CompleteCommit && isBefore(image, producerId, producerEpoch);
    const epoch = Math.max(producerEpoch, image?.epoch ?? 0);
    const partitions = new Map([[topic, new Set([partition])]]);
    ends.push({ commit: decided, producerId, epoch, partitions, offsets: new Map() });
  }
  return ends;
}

/**
 * Whether what is open in a partition is of this very transaction: an earlier one of the same producer would else be
 * ended as this one is. A marker bears the epoch of its records, or the next one.
 */
function isPartOf({ state, epoch, partitions }: Image, { topic, partition, producerEpoch }: Found): boolean {
  if (!partitions.get(topic)?.has(partition)) return false;
  return producerEpoch === epoch || (state !== TransactionState.Ongoing && producerEpoch === epoch - 1);
}

function imagesByProducer({ transactions }: TransactionCoordinator): Map<number, Image> {
  const images = new Map<number, Image>();
  for (const { image } of transactions.values()) if (image !== null) images.set(image.producerId, image);
  return images;
}

/** InitProducerId (KIP-98, KIP-360). */
export function init(coordinator: TransactionCoordinator, event: InitEvent, now: Millis): TransactionEffect[] {
  const { settings, transactions } = coordinator;
  if (event.id === "") return answer(event.request, refused("INVALID_REQUEST"));
  if (event.timeoutMs <= 0 || event.timeoutMs > settings.transactionTimeoutMsMax) {
    return answer(event.request, refused("INVALID_TRANSACTION_TIMEOUT"));
  }
  const known = transactions.get(event.id);
  if (known === undefined && transactions.size >= settings.transactionalIdsMax) {
    return answer(event.request, refused("COORDINATOR_NOT_AVAILABLE"));
  }
  const transaction = known ?? newTransaction(event.id, now);
  transactions.set(event.id, transaction);
  return onInit(transaction, event);
}

/** AddPartitionsToTxn, AddOffsetsToTxn, and what stands in for them under transaction.version 2. */
export function add(coordinator: TransactionCoordinator, event: AddEvent): TransactionEffect[] {
  return onAdd(coordinator.transactions.get(event.id), event);
}

/** TxnOffsetCommit; its group has been asked before. */
export function commitOffsets(coordinator: TransactionCoordinator, event: OffsetsEvent): TransactionEffect[] {
  return onOffsets(coordinator.transactions.get(event.id), event);
}

/** EndTxn. */
export function end(coordinator: TransactionCoordinator, event: EndEvent): TransactionEffect[] {
  return onEnd(coordinator.transactions.get(event.id), event);
}

/** The append of this id ended: committed in the log, or `error` says why nothing was written. */
export function onWritten(
  coordinator: TransactionCoordinator,
  id: string,
  error: ErrorName,
  now: Millis,
): TransactionEffect[] {
  const transaction = coordinator.transactions.get(id);
  const writing = transaction?.writing;
  if (transaction === undefined || !writing) return [];
  transaction.writing = null;
  const { answer: waiting } = writing;
  if (error !== "NONE") {
    if (transaction.image === null) coordinator.transactions.delete(id);
    if (waiting === null) transaction.deadline = now + coordinator.settings.diskRetryMs;
    return waiting === null ? [] : answer(waiting.request, refused(error));
  }
  for (const record of writing.records) replay(coordinator, record, now);
  const effects: TransactionEffect[] = waiting === null ? [] : answer(waiting.request, waiting.reply);
  const { image } = transaction;
  if (image !== null && isPrepared(image)) effects.push({ kind: "end", id, end: endOf(transaction, image) });
  return effects;
}

/** Every marker and offset of a prepared transaction stands. */
export function onEnded(coordinator: TransactionCoordinator, id: string): TransactionEffect[] {
  const transaction = coordinator.transactions.get(id);
  if (!transaction?.image || !isPrepared(transaction.image) || transaction.writing !== null) return [];
  transaction.ended = true;
  return complete(transaction, transaction.image);
}

/** When this id next needs `tick`; Infinity when never. */
export function nextDeadline(coordinator: TransactionCoordinator, id: string): Millis {
  const transaction = coordinator.transactions.get(id);
  return transaction === undefined || transaction.writing !== null ? Infinity : transaction.deadline;
}

/** Time has passed for this id: an open transaction is timed out, a completion that failed is tried again. */
export function tick(coordinator: TransactionCoordinator, id: string, now: Millis): TransactionEffect[] {
  const transaction = coordinator.transactions.get(id);
  if (!transaction?.image || transaction.writing !== null || now < transaction.deadline) return [];
  const { image } = transaction;
  if (image.state === TransactionState.Ongoing) return fence(transaction, image, false, "timed-out", null);
  transaction.deadline = Infinity;
  return isPrepared(image) && transaction.ended ? complete(transaction, image) : [];
}

/** Forgets ids that nobody used for `transactionalIdExpirationMs` of the hub's running time. */
export function sweep(coordinator: TransactionCoordinator, now: Millis): TransactionEffect[] {
  const effects: TransactionEffect[] = [];
  for (const transaction of coordinator.transactions.values()) {
    const { id, image, usedAt } = transaction;
    if (image === null || isBusy(transaction) || image.state === TransactionState.Ongoing) continue;
    if (now - usedAt < coordinator.settings.transactionalIdExpirationMs) continue;
    effects.push({ kind: "tell", what: "expired", id, producerId: image.producerId, epoch: image.epoch });
    effects.push(...write(transaction, [{ kind: "transaction", id, image: null }], null));
  }
  return effects;
}
