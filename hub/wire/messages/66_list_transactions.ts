// ListTransactions (66): the transactions a coordinator knows (KIP-664).
import { array, int16, int32, int64, list, message, string } from "../schema.ts";

// Version notes
//  1  filter by duration (KIP-994)
//  2  filter by a pattern of ids (KIP-1152)
const versions = { min: 0, max: 2, flexible: 0 };

export const listTransactionsRequest = message("ListTransactionsRequest", versions, {
  stateFilters: list(string()),
  producerIdFilters: list(int64()),
  durationFilter: int64({ since: 1, default: -1 }),
  transactionalIdPattern: string({ since: 2, nullable: 2, default: null }),
});

export const listTransactionsResponse = message("ListTransactionsResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16(),
  unknownStateFilters: list(string()),
  transactionStates: array({
    transactionalId: string(),
    producerId: int64(),
    transactionState: string(),
  }),
});
