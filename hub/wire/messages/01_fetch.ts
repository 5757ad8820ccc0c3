// Fetch (1): reads record batches; a parked one is the long poll of consumers and followers.
import { array, bool, int8, int16, int32, int64, list, message, records, string, struct, uuid } from "../schema.ts";

// Version notes
//  4  isolation level, last stable offset, aborted transactions (KIP-98)
//  5  log start offset (KIP-107)
//  7  fetch sessions (KIP-227)
//  9  current leader epoch (KIP-320)
// 11  rack and preferred read replica (KIP-392)
// 12  flexible; last fetched epoch, diverging epoch (KIP-595)
// 13  topic ids in place of names (KIP-516)
// 15  replica state in place of replica id (KIP-903)
// 16  node endpoints (KIP-951)
// 17  replica directory id (KIP-853)
// 18  follower's high watermark (KIP-1166)
// Tags from 100 on are spoken between hubs alone (replication.md 2.11b; hub/engine/follower_feed.ts says how).
const versions = { min: 4, max: 18, flexible: 12 };

export const fetchRequest = message("FetchRequest", versions, {
  clusterId: string({ since: 12, nullable: 12, default: null, tag: 0 }),
  /** -1 for a consumer. */
  replicaId: int32({ until: 14, default: -1 }),
  replicaState: struct(
    {
      replicaId: int32({ since: 15, default: -1 }),
      replicaEpoch: int64({ since: 15, default: -1 }),
    },
    { since: 15, tag: 1 },
  ),
  /** What is not named here is as it was told last. */
  whole: bool({ since: 15, tag: 100, default: false }),
  maxWaitMs: int32(),
  minBytes: int32(),
  maxBytes: int32({ since: 3, default: 0x7fff_ffff }),
  /** 0 read uncommitted, 1 read committed. */
  isolationLevel: int8({ since: 4, default: 0 }),
  sessionId: int32({ since: 7, default: 0 }),
  sessionEpoch: int32({ since: 7, default: -1 }),
  topics: array({
    topic: string({ until: 12 }),
    topicId: uuid({ since: 13 }),
    partitions: array({
      partition: int32(),
      currentLeaderEpoch: int32({ since: 9, default: -1 }),
      fetchOffset: int64(),
      lastFetchedEpoch: int32({ since: 12, default: -1 }),
      logStartOffset: int64({ since: 5, default: -1 }),
      partitionMaxBytes: int32(),
      replicaDirectoryId: uuid({ since: 17, tag: 0 }),
      /** Kafka's default is 2^63 - 1, "unknown"; -1 says the same here and is never sent. */
      highWatermark: int64({ since: 18, tag: 1, default: -1 }),
      /** A hub's: `fetchOffset` is where reading goes on, `durableEnd` what is acknowledged. */
      follower: struct(
        {
          durableEnd: int64({ since: 15, default: -1 }),
          /** Its acceptedEpoch is `currentLeaderEpoch`. */
          accepted: bool({ since: 15, default: false }),
          configEpoch: int32({ since: 15, default: -1 }),
          configN: int32({ since: 15, default: -1 }),
          /** Comes back with the answer. */
          ticket: int32({ since: 15, default: -1 }),
        },
        { since: 15, tag: 100 },
      ),
    }),
  }),
  forgottenTopicsData: array(
    {
      topic: string({ since: 7, until: 12 }),
      topicId: uuid({ since: 13 }),
      partitions: list(int32(), { since: 7 }),
    },
    { since: 7 },
  ),
  rackId: string({ since: 11, default: "" }),
});

export const fetchResponse = message("FetchResponse", versions, {
  throttleTimeMs: int32({ since: 1 }),
  errorCode: int16({ since: 7 }),
  sessionId: int32({ since: 7, default: 0 }),
  responses: array({
    topic: string({ until: 12 }),
    topicId: uuid({ since: 13 }),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      /** -1 on error. */
      highWatermark: int64(),
      lastStableOffset: int64({ since: 4, default: -1 }),
      logStartOffset: int64({ since: 5, default: -1 }),
      divergingEpoch: struct(
        {
          epoch: int32({ since: 12, default: -1 }),
          endOffset: int64({ since: 12, default: -1 }),
        },
        { since: 12, tag: 0 },
      ),
      currentLeader: struct(
        {
          leaderId: int32({ since: 12, default: -1 }),
          leaderEpoch: int32({ since: 12, default: -1 }),
        },
        { since: 12, tag: 1 },
      ),
      snapshotId: struct(
        {
          endOffset: int64({ default: -1 }),
          epoch: int32({ default: -1 }),
        },
        { since: 12, tag: 2 },
      ),
      /** To a hub: what the leader says beside the records. */
      word: struct(
        {
          ticket: int32({ since: 15, default: -1 }),
          epoch: int32({ since: 15, default: -1 }),
          epochStart: int64({ since: 15, default: -1 }),
          leaderEnd: int64({ since: 15, default: -1 }),
          markedEpoch: int32({ since: 15, default: -1 }),
          /** `divergingEpoch` holds, whatever stands in it. */
          diverging: bool({ since: 15, default: false }),
          /** PartitionConfig as JSON; null when it was told on this connection. */
          config: string({ since: 15, nullable: 15, default: null }),
        },
        { since: 15, tag: 100 },
      ),
      /** null for read uncommitted. */
      abortedTransactions: array(
        {
          producerId: int64({ since: 4 }),
          firstOffset: int64({ since: 4 }),
        },
        { since: 4, nullable: 4 },
      ),
      preferredReadReplica: int32({ since: 11, default: -1 }),
      records: records(),
    }),
  }),
  nodeEndpoints: array(
    {
      nodeId: int32({ since: 16 }),
      host: string({ since: 16 }),
      port: int32({ since: 16 }),
      rack: string({ since: 16, nullable: 16, default: null }),
    },
    { since: 16, tag: 0 },
  ),
});
