// AddOffsetsToTxn (25): tells the coordinator which group's offsets a transaction commits (KIP-98).
import { int16, int32, int64, message, string } from "../schema.ts";

// Version notes
//  2  PRODUCER_FENCED
//  3  flexible
//  4  TRANSACTION_ABORTABLE (KIP-890)
const versions = { min: 0, max: 4, flexible: 3 };

export const addOffsetsToTxnRequest = message("AddOffsetsToTxnRequest", versions, {
  transactionalId: string(),
  producerId: int64(),
  producerEpoch: int16(),
  groupId: string(),
});

export const addOffsetsToTxnResponse = message("AddOffsetsToTxnResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16(),
});
