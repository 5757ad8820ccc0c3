// TxnGate (1005): the leader of a partition asks the coordinator before a transaction's first batch there (KIP-890).
import { array, bool, int16, int32, int64, message, string } from "../schema.ts";

// Between hubs only.
const versions = { min: 0, max: 0, flexible: 0 };

export const txnGateRequest = message("TxnGateRequest", versions, {
  transactionalId: string(),
  producerId: int64(),
  producerEpoch: int16(),
  /** What is not part of the transaction yet is added to it (transaction.version 2). */
  implicit: bool(),
  partitions: array({ topic: string(), partition: int32() }),
});

export const txnGateResponse = message("TxnGateResponse", versions, {
  errorCode: int16(),
  errorMessage: string({ nullable: 0, default: null }),
});
