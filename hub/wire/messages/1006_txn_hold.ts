// TxnHold (1006): a group's coordinator has the transaction's coordinator keep offsets until the end (KIP-98).
import { array, bool, int16, int32, int64, message, string, uuid } from "../schema.ts";

// Between hubs only.
const versions = { min: 0, max: 0, flexible: 0 };

/** A committed offset as hubs pass it on. */
export const heldOffset = {
  topicId: uuid(),
  topic: string(),
  partition: int32(),
  offset: int64(),
  leaderEpoch: int32(),
  metadata: string(),
  /** ms since the epoch; informative. */
  committedAt: int64(),
} as const;

export const txnHoldRequest = message("TxnHoldRequest", versions, {
  transactionalId: string(),
  producerId: int64(),
  producerEpoch: int16(),
  group: string(),
  /** The group need not have been added before (transaction.version 2). */
  implicit: bool(),
  offsets: array(heldOffset),
});

export const txnHoldResponse = message("TxnHoldResponse", versions, {
  errorCode: int16(),
  errorMessage: string({ nullable: 0, default: null }),
});
