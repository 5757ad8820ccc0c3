// TxnOffsetCommit (28): commits a group's offsets with a transaction (KIP-98).
import { array, int16, int32, int64, message, string } from "../schema.ts";

// Version notes
//  2  leader epoch
//  3  flexible; member, generation and instance fence (KIP-447)
//  4  TRANSACTION_ABORTABLE (KIP-890)
//  5  adds the group to the transaction by itself (KIP-890, part 2)
const versions = { min: 0, max: 5, flexible: 3 };

export const txnOffsetCommitRequest = message("TxnOffsetCommitRequest", versions, {
  transactionalId: string(),
  groupId: string(),
  producerId: int64(),
  producerEpoch: int16(),
  generationId: int32({ since: 3, default: -1 }),
  memberId: string({ since: 3, default: "" }),
  groupInstanceId: string({ since: 3, nullable: 3, default: null }),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      committedOffset: int64(),
      committedLeaderEpoch: int32({ since: 2, default: -1 }),
      committedMetadata: string({ nullable: 0 }),
    }),
  }),
});

export const txnOffsetCommitResponse = message("TxnOffsetCommitResponse", versions, {
  throttleTimeMs: int32(),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
    }),
  }),
});
