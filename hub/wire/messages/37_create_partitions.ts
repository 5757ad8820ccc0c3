// CreatePartitions (37): raises the number of partitions of topics (KIP-195).
import { array, bool, int16, int32, list, message, string } from "../schema.ts";

// Version notes
//  2  flexible
//  3  THROTTLING_QUOTA_EXCEEDED (KIP-599)
const versions = { min: 0, max: 3, flexible: 2 };

export const createPartitionsRequest = message("CreatePartitionsRequest", versions, {
  topics: array({
    name: string(),
    /** The new total. */
    count: int32(),
    /** null: the controller places the new ones. */
    assignments: array({ brokerIds: list(int32()) }, { nullable: 0 }),
  }),
  timeoutMs: int32(),
  validateOnly: bool(),
});

export const createPartitionsResponse = message("CreatePartitionsResponse", versions, {
  throttleTimeMs: int32(),
  results: array({
    name: string(),
    errorCode: int16(),
    errorMessage: string({ nullable: 0, default: null }),
  }),
});
