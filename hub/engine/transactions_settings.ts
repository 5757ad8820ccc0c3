// Kafka's settings of transactions, as the coordinator reads them: at each use, since clients change them meanwhile.
import { limits } from "../limits.ts";
import type { TransactionEngineOptions } from "./transactions_parts.ts";

/** `values`: broker-wide settings in force, under Kafka's names; what is not set has our default. */
export function transactionSettings(values: ReadonlyMap<string, string>): TransactionEngineOptions["settings"] {
  const number = (name: string, otherwise: number): number => Number(values.get(name) ?? otherwise);
  return {
    get transactionTimeoutMsMax() {
      return number("transaction.max.timeout.ms", limits.transactionTimeoutMsMax);
    },
    get transactionalIdExpirationMs() {
      return number("transactional.id.expiration.ms", limits.transactionalIdExpirationMs);
    },
    get logPartitions() {
      return number("transaction.state.log.num.partitions", limits.transactionLogPartitionsDefault);
    },
    transactionalIdsMax: limits.transactionalIdsMax,
    diskRetryMs: limits.diskRetryMs,
  };
}
