// What the transaction coordinator is made of, and how its answers are told.
import type { ErrorName } from "../errors.ts";
import type { Clock } from "../io/ports.ts";
import type { Trace } from "../trace.ts";
import type { ProducerClaim } from "../transactions/adding.ts";
import type { TransactionSettings } from "../transactions/transaction.ts";
import type { GroupEngine, OfTopic, PartitionError } from "./groups_types.ts";
import type { Partitions as LedPartitions } from "./partitions.ts";
import type { PendingOffsets } from "./transactions_offsets.ts";
import type { TransactionPartitions } from "./transactions_types.ts";

/** Who asks, as every call of a producer says it. */
export type Producer = Omit<ProducerClaim, "request">;

/** What the transaction engine is made of. */
export interface TransactionEngineOptions {
  /** Where the coordinator's own log lives. */
  readonly topics: LedPartitions;
  /** The partition of that log which is this coordinator's; left out, all of them are. */
  readonly only?: number;
  /** Where the markers go. */
  readonly partitions: TransactionPartitions;
  readonly groups: Pick<GroupEngine, "commitDecided" | "checkTransactional">;
  /** Filled here, asked by the group engine. */
  readonly pending: PendingOffsets;
  readonly clock: Clock;
  readonly trace: Trace;
  /** A producer id that nobody has. */
  readonly newProducerId: () => number;
  /** Leader epoch of the coordinator's partition; 0 for a lone hub. */
  readonly coordinatorEpoch: number;
  /** Read at each use, so that they may change while the hub runs. */
  readonly settings: TransactionSettings & {
    /** transaction.state.log.num.partitions */
    readonly logPartitions: number;
  };
}

/** A producer knows its own epoch by another name. */
export function toProducer(error: ErrorName): ErrorName {
  return error === "PRODUCER_FENCED" ? "INVALID_PRODUCER_EPOCH" : error;
}

/** Where nothing else is wrong with a partition, the transaction's coordinator has refused it. */
export function refuseAll(
  answers: readonly OfTopic<PartitionError>[],
  error: ErrorName,
): readonly OfTopic<PartitionError>[] {
  if (error === "NONE") return answers;
  return answers.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map((answer) => (answer.error === "NONE" ? { ...answer, error } : answer)),
  }));
}
