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
  if (before === undefined && !isFirst(partition, header)) return partitions.append(partition, batch, acks, true);
  const turn = (before ?? Promise.resolve()).then(async () => {
    if (!isFirst(partition, header)) return partitions.append(partition, batch, acks, true);
    const guard = { ended: false };
    partition.guards.set(producerId, guard);
    try {
      await admitted(gate, partition, header, claim);
      // In one turn with the append: no end of the transaction comes between, whose marker would not cover the batch.
      if (guard.ended) throw refusal("INVALID_TXN_STATE", partition, claim);
      mustHold(partitions, gate!, partition, header, claim);
      return partitions.append(partition, batch, acks, true);
    } finally {
      partition.guards.delete(producerId);
    }
  });
  partition.gated.set(producerId, turn);
  const leave = (): void => {
    if (partition.gated.get(producerId) === turn) partition.gated.delete(producerId);
  };
  turn.then(leave, leave);
  return turn;
}

/** True when the batch would open a transaction in the partition. */
function isFirst({ log }: Partition, { transactional, producerId, producerEpoch }: BatchHeader): boolean {
  return transactional && !log.producers.hasOpen(producerId, producerEpoch);
}

/** Resolves when the coordinator has agreed, and has added the partition where that is left to it. */
async function admitted(
  gate: TransactionGate | null,
  partition: Partition,
  header: BatchHeader,
  { transactionalId, version }: TransactionClaim,
): Promise<void> {
  const implicit = version >= implicitSince;
  const { topic, log } = partition;
  const { producerId, producerEpoch, baseSequence } = header;
  if (gate === null) throw new HubError("INVALID_TXN_STATE", "Transactions are not served");
  // With an epoch for each transaction there is nothing a forgotten producer could go on from.
  if (implicit && baseSequence !== 0 && !log.producers.knows(producerId)) {
    throw new HubError("OUT_OF_ORDER_SEQUENCE_NUMBER", `producer ${producerId} begins with sequence ${baseSequence}`);
  }
  const answer = await gate.admit(transactionalId, producerId, producerEpoch, topic, log.partition, implicit);
  if (answer !== "NONE") throw refusal(answer, partition, { transactionalId, version });
}

function refusal(
  answer: ErrorName,
  { topic, log }: Partition,
  { transactionalId, version }: TransactionClaim,
): HubError {
  return new HubError(toldAs(answer, version), `${topic}-${log.partition}, transaction ${transactionalId}: ${answer}`);
}

/** Throws unless the transaction is open in this partition now, and the partition still there. */
function mustHold(
  partitions: Partitions,
  gate: TransactionGate,
  partition: Partition,
  { producerId, producerEpoch }: BatchHeader,
  claim: TransactionClaim,
): void {
  const { topic, log } = partition;
  if (partitions.get(topic, log.partition) !== partition) {
    throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `Topic ${topic} was deleted`);
  }
  const answer = gate.verify(claim.transactionalId, producerId, producerEpoch, topic, log.partition);
  if (answer !== "NONE") throw refusal(answer, partition, claim);
}
