// OffsetForLeaderEpoch (23): where a leader epoch ended; how followers and consumers notice truncation (KIP-101).
import { array, int16, int32, int64, message, string } from "../schema.ts";

// Version notes
//  2  current leader epoch (KIP-320)
//  3  replica id (KIP-392)
//  4  flexible
const versions = { min: 2, max: 4, flexible: 4 };

export const offsetForLeaderEpochRequest = message("OffsetForLeaderEpochRequest", versions, {
  /** -1 for a consumer, -2 when the version does not say. */
  replicaId: int32({ since: 3, default: -2 }),
  topics: array({
    topic: string(),
    partitions: array({
      partition: int32(),
      currentLeaderEpoch: int32({ since: 2, default: -1 }),
      leaderEpoch: int32(),
    }),
  }),
});

export const offsetForLeaderEpochResponse = message("OffsetForLeaderEpochResponse", versions, {
  throttleTimeMs: int32({ since: 2 }),
  topics: array({
    topic: string(),
    partitions: array({
      errorCode: int16(),
      partition: int32(),
      leaderEpoch: int32({ since: 1, default: -1 }),
      endOffset: int64({ default: -1 }),
    }),
  }),
});
