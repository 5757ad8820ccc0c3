// InitProducerId for a transactional id: a producer takes over, or goes on after an error. Pure.
import type { Millis } from "../io/ports.ts";
import { fence } from "./ending.ts";
import type { Image, LogRecord, Reply, RequestId, Transaction, TransactionEffect } from "./transaction.ts";
import {
  answer,
  identityOf,
  isBefore,
  isBusy,
  noGroups,
  noPartitions,
  producerEpochMax,
  refused,
  TransactionState,
  write,
} from "./transaction.ts";

export interface InitEvent {
  readonly request: RequestId;
  readonly id: string;
  readonly timeoutMs: Millis;
  /** v3+: who the producer believes to be, so that a zombie cannot take over (KIP-360); null for a new one. */
  readonly expected: { readonly producerId: number; readonly epoch: number } | null;
  /** An id nobody has, should one be needed. */
  readonly freshProducerId: number;
}

/** Takes an InitProducerId; the settings' bounds are checked before. */
export function onInit(transaction: Transaction, event: InitEvent): TransactionEffect[] {
  const { image } = transaction;
  if (transaction.writing !== null) return answer(event.request, refused("CONCURRENT_TRANSACTIONS"));
  if (image === null) return begin(transaction, event, event.freshProducerId, -1, 0);
  const { expected } = event;
  const isPresent = expected !== null && expected.producerId === image.producerId && expected.epoch === image.epoch;
  const isRetry = expected !== null && !isPresent && isBefore(image, expected.producerId, expected.epoch);
  if (expected !== null && !isPresent && !isRetry) return answer(event.request, refused("PRODUCER_FENCED"));
  if (isBusy(transaction)) return answer(event.request, refused("CONCURRENT_TRANSACTIONS"));
  if (image.state === TransactionState.Ongoing) {
    // A producer that was bumped and did not hear of it cannot have opened this transaction: another one has.
    if (isRetry) return answer(event.request, refused("PRODUCER_FENCED"));
    // It asks again when the abort is complete: with its own claim it is still known then.
    const then = { request: event.request, reply: refused("CONCURRENT_TRANSACTIONS") };
    return fence(transaction, image, expected !== null, "fenced", then);
  }
  const exhausted = image.epoch >= producerEpochMax;
  if (isRetry && !exhausted) return answer(event.request, identityOf(image));
  const lastEpoch = expected?.epoch ?? -1;
  if (!exhausted) return begin(transaction, event, image.producerId, lastEpoch, image.epoch + 1);
  const { id } = event;
  const rotated = { kind: "tell", what: "rotated", id, producerId: image.producerId, epoch: image.epoch } as const;
  return [rotated, ...begin(transaction, event, event.freshProducerId, lastEpoch, 0)];
}

function begin(
  transaction: Transaction,
  event: InitEvent,
  producerId: number,
  lastEpoch: number,
  epoch: number,
): TransactionEffect[] {
  const image: Image = {
    producerId,
    epoch,
    lastProducerId: lastEpoch < 0 ? -1 : (event.expected?.producerId ?? -1),
    lastEpoch,
    nextProducerId: -1,
    state: TransactionState.Empty,
    timeoutMs: event.timeoutMs,
    startedAt: -1,
    partitions: noPartitions,
    groups: noGroups,
  };
  const record: LogRecord = { kind: "transaction", id: event.id, image };
  const reply: Reply = { error: "NONE", producerId, epoch };
  return write(transaction, [record], { request: event.request, reply });
}
