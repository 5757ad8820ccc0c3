// HeldOffsets (1008): what the transactions that a hub coordinates hold for groups (KIP-447).
import { array, bool, int16, int32, message, string, uuid } from "../schema.ts";

// Between hubs only.
const versions = { min: 0, max: 0, flexible: 0 };

export const heldOffsetsRequest = message("HeldOffsetsRequest", versions, {});

export const heldOffsetsResponse = message("HeldOffsetsResponse", versions, {
  errorCode: int16(),
  errorMessage: string({ nullable: 0, default: null }),
  /** Partitions of __transaction_state whose transactions are known here. */
  homes: array({ partition: int32() }),
  held: array({
    group: string(),
    transactionalId: string(),
    /** Committed, and not applied to the group yet as far as is known. */
    decided: bool(),
    partitions: array({ topicId: uuid(), partition: int32() }),
  }),
});
