// OffsetFetch (9): what a group has committed.
import { array, bool, int16, int32, int64, list, message, string, uuid } from "../schema.ts";

// Version notes
//  1  answers from the coordinator's store
//  2  null topics means all; error code of the whole group
//  3  throttle time
//  5  leader epoch (KIP-320)
//  6  flexible
//  7  require stable (KIP-447)
//  8  several groups in one request (KIP-709)
//  9  member id and epoch (KIP-848)
// 10  topic ids in place of names
const versions = { min: 1, max: 10, flexible: 6 };

export const offsetFetchRequest = message("OffsetFetchRequest", versions, {
  groupId: string({ until: 7 }),
  topics: array(
    {
      name: string({ until: 7 }),
      partitionIndexes: list(int32(), { until: 7 }),
    },
    { until: 7, nullable: 2 },
  ),
  groups: array(
    {
      groupId: string({ since: 8 }),
      memberId: string({ since: 9, nullable: 9, default: null }),
      memberEpoch: int32({ since: 9, default: -1 }),
      /** null: everything the group has committed. */
      topics: array(
        {
          name: string({ since: 8, until: 9 }),
          topicId: uuid({ since: 10 }),
          partitionIndexes: list(int32(), { since: 8 }),
        },
        { since: 8, nullable: 8 },
      ),
    },
    { since: 8 },
  ),
  requireStable: bool({ since: 7, default: false }),
});

export const offsetFetchResponse = message("OffsetFetchResponse", versions, {
  throttleTimeMs: int32({ since: 3 }),
  topics: array(
    {
      name: string({ until: 7 }),
      partitions: array(
        {
          partitionIndex: int32({ until: 7 }),
          /** -1 when nothing is committed. */
          committedOffset: int64({ until: 7 }),
          committedLeaderEpoch: int32({ since: 5, until: 7, default: -1 }),
          metadata: string({ until: 7, nullable: 0 }),
          errorCode: int16({ until: 7 }),
        },
        { until: 7 },
      ),
    },
    { until: 7 },
  ),
  errorCode: int16({ since: 2, until: 7, default: 0 }),
  groups: array(
    {
      groupId: string({ since: 8 }),
      topics: array(
        {
          name: string({ since: 8, until: 9 }),
          topicId: uuid({ since: 10 }),
          partitions: array(
            {
              partitionIndex: int32({ since: 8 }),
              committedOffset: int64({ since: 8 }),
              committedLeaderEpoch: int32({ since: 8, default: -1 }),
              metadata: string({ since: 8, nullable: 8 }),
              errorCode: int16({ since: 8 }),
            },
            { since: 8 },
          ),
        },
        { since: 8 },
      ),
      errorCode: int16({ since: 8, default: 0 }),
    },
    { since: 8 },
  ),
});
