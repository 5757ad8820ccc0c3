// EndTxn (26): commits or aborts a transaction (KIP-98).
import { bool, int16, int32, int64, message, string } from "../schema.ts";

// Version notes
//  2  PRODUCER_FENCED
//  3  flexible
//  4  TRANSACTION_ABORTABLE (KIP-890)
//  5  the epoch to go on with (KIP-890, part 2)
const versions = { min: 0, max: 5, flexible: 3 };

export const endTxnRequest = message("EndTxnRequest", versions, {
  transactionalId: string(),
  producerId: int64(),
  producerEpoch: int16(),
  committed: bool(),
});

export const endTxnResponse = message("EndTxnResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16(),
  producerId: int64({ since: 5, default: -1 }),
  producerEpoch: int16({ since: 5, default: -1 }),
});
