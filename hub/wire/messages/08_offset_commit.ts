// OffsetCommit (8): stores what a group has read.
import { array, int16, int32, int64, message, string, uuid } from "../schema.ts";

// Version notes
//  2  retention time
//  3  throttle time
//  5  retention time is gone (KIP-211)
//  6  leader epoch (KIP-320)
//  7  static members (KIP-345)
//  8  flexible
//  9  member epochs and STALE_MEMBER_EPOCH (KIP-848)
// 10  topic ids in place of names
const versions = { min: 2, max: 10, flexible: 8 };

export const offsetCommitRequest = message("OffsetCommitRequest", versions, {
  groupId: string(),
  /** -1 for a consumer outside any generation. */
  generationIdOrMemberEpoch: int32({ since: 1, default: -1 }),
  memberId: string({ since: 1 }),
  groupInstanceId: string({ since: 7, nullable: 7, default: null }),
  retentionTimeMs: int64({ since: 2, until: 4, default: -1 }),
  topics: array({
    name: string({ until: 9 }),
    topicId: uuid({ since: 10 }),
    partitions: array({
      partitionIndex: int32(),
      committedOffset: int64(),
      committedLeaderEpoch: int32({ since: 6, default: -1 }),
      committedMetadata: string({ nullable: 0 }),
    }),
  }),
});

export const offsetCommitResponse = message("OffsetCommitResponse", versions, {
  throttleTimeMs: int32({ since: 3 }),
  topics: array({
    name: string({ until: 9 }),
    topicId: uuid({ since: 10 }),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
    }),
  }),
});
