// ListOffsets (2): the offset at a time, or at either end of the log.
import { array, int8, int16, int32, int64, message, string } from "../schema.ts";

// Version notes
//  1  one offset and its timestamp in place of a list
//  2  isolation level, throttle time
//  4  leader epochs (KIP-320)
//  6  flexible
//  7  -3, the largest timestamp (KIP-734)
//  8  -4, the earliest local offset (KIP-405)
//  9  -5, the latest tiered offset (KIP-1005)
// 10  timeout for tiered lookups (KIP-1075)
// 11  -6, the earliest offset not yet uploaded (KIP-1023)
const versions = { min: 1, max: 11, flexible: 6 };

export const listOffsetsRequest = message("ListOffsetsRequest", versions, {
  replicaId: int32(),
  isolationLevel: int8({ since: 2 }),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      currentLeaderEpoch: int32({ since: 4, default: -1 }),
      /** ms since the epoch; -1 latest, -2 earliest, -3 the record with the largest timestamp. */
      timestamp: int64(),
    }),
  }),
  timeoutMs: int32({ since: 10 }),
});

export const listOffsetsResponse = message("ListOffsetsResponse", versions, {
  throttleTimeMs: int32({ since: 2 }),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      timestamp: int64({ since: 1, default: -1 }),
      offset: int64({ since: 1, default: -1 }),
      leaderEpoch: int32({ since: 4, default: -1 }),
    }),
  }),
});
