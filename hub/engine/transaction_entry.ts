// How a transactional batch enters a partition: the coordinator is asked before a transaction's first (KIP-890).
import { type ErrorName, HubError } from "../errors.ts";
import { readBatchHeader } from "../record/batch.ts";
import type { BatchHeader } from "../record/batch.ts";
import type { Partition, Partitions, Written } from "./partitions.ts";
import type { TransactionGate } from "./transactions_types.ts";

/** What a produce request says of the transaction its batches belong to. */
export interface TransactionClaim {
  readonly transactionalId: string;
  /** Version of the Produce request. */
  readonly version: number;
}

/** Since then a producer knows TRANSACTION_ABORTABLE (KIP-890). */
const abortableSince = 11;
/** Since then a producer relies on its first batch in a partition to add it to the transaction (KIP-890). */
const implicitSince = 12;

/** Clients before Produce v12 know these from other answers only; this one they send the batch again for. */
const retriedAs: ErrorName = "NOT_ENOUGH_REPLICAS";
const unclearToOld: ReadonlySet<ErrorName> = new Set(["CONCURRENT_TRANSACTIONS"]);
const unclear: ReadonlySet<ErrorName> = new Set([
  "NETWORK_EXCEPTION",
  "COORDINATOR_LOAD_IN_PROGRESS",
  "COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR",
]);

/** A refusal of the coordinator as Produce tells it. */
function toldAs(refusal: ErrorName, version: number): ErrorName {
  if (unclear.has(refusal) || (version < implicitSince && unclearToOld.has(refusal))) return retriedAs;
  if (refusal === "TRANSACTION_ABORTABLE" && version < abortableSince) return "INVALID_TXN_STATE";
  return refusal === "PRODUCER_FENCED" ? "INVALID_PRODUCER_EPOCH" : refusal;
}

/**
 * Appends a batch of a request with a transactional id: at once where the transaction is open in the partition, else
 * when the coordinator has agreed. Later batches of the same producer wait behind one that waits, and fail with it.
 * @param gate null where no transactions are served
 * @throws HubError as Partitions.append, now or later; INVALID_TXN_STATE, INVALID_PRODUCER_EPOCH, NOT_ENOUGH_REPLICAS
 *   and what else the coordinator refuses with
 */
export function appendTransactional(
  partitions: Partitions,
  gate: TransactionGate | null,
  partition: Partition,
  batch: Uint8Array,
  acks: number,
  claim: TransactionClaim,
): Written | Promise<Written> {
  const header = readBatchHeader(batch);
  const { producerId } = header;
  const before = partition.gated.get(producerId);
  const free = !header.transactional || partition.log.producers.hasOpen(producerId, header.producerEpoch);
  if (before === undefined && free) return partitions.append(partition, batch, acks, true);
  const turn = (before ?? Promise.resolve())
    .then(() => admitted(partitions, gate, partition, header, claim))
    .then(() => partitions.append(partition, batch, acks, true));
  partition.gated.set(producerId, turn);
  const leave = (): void => {
    if (partition.gated.get(producerId) === turn) partition.gated.delete(producerId);
  };
  turn.then(leave, leave);
  return turn;
}

/** Resolves when the batch may be appended in this turn. */
async function admitted(
  partitions: Partitions,
  gate: TransactionGate | null,
  partition: Partition,
  header: BatchHeader,
  { transactionalId, version }: TransactionClaim,
): Promise<void> {
  const implicit = version >= implicitSince;
  const { topic, log } = partition;
  const { producerId, producerEpoch, baseSequence } = header;
  if (!header.transactional || log.producers.hasOpen(producerId, producerEpoch)) return;
  if (gate === null) throw new HubError("INVALID_TXN_STATE", "Transactions are not served");
  // With an epoch for each transaction there is nothing a forgotten producer could go on from.
  if (implicit && baseSequence !== 0 && !log.producers.knows(producerId)) {
    throw new HubError("OUT_OF_ORDER_SEQUENCE_NUMBER", `producer ${producerId} begins with sequence ${baseSequence}`);
  }
  const marked = log.producers.markedAt(producerId);
  const answer = await gate.admit(transactionalId, producerId, producerEpoch, topic, log.partition, implicit);
  if (answer !== "NONE") {
    throw new HubError(toldAs(answer, version), `${topic}-${log.partition}, transaction ${transactionalId}: ${answer}`);
  }
  if (partitions.get(topic, log.partition) !== partition) {
    throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `Topic ${topic} was deleted`);
  }
  // A marker that came meanwhile ended the very transaction that was asked about: the batch would open one for ever.
  if (log.producers.markedAt(producerId) !== marked) {
    throw new HubError("INVALID_TXN_STATE", `transaction ${transactionalId} ended while its batch waited`);
  }
}
