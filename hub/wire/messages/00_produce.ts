// Produce (0): appends one record batch per partition.
import { array, int16, int32, int64, message, records, string, struct, uuid } from "../schema.ts";

// Version notes
//  0  no schema: advertised for old librdkafka's sake, refused when sent (kafka.md 1a, trap 2)
//  3  record batches v2, transactional id (KIP-98); exactly one batch per partition
//  5  log start offset (KIP-107)
//  7  zstd (KIP-110)
//  8  record errors (KIP-467)
//  9  flexible
// 10  current leader and node endpoints (KIP-951)
// 13  topic ids in place of names (KIP-516)
const versions = { min: 3, max: 13, flexible: 9 };

export const produceRequest = message("ProduceRequest", versions, {
  transactionalId: string({ since: 3, nullable: 3, default: null }),
  /** 0 none (no response at all), 1 leader, -1 all in sync. */
  acks: int16(),
  timeoutMs: int32(),
  topicData: array({
    name: string({ until: 12 }),
    topicId: uuid({ since: 13 }),
    partitionData: array({
      index: int32(),
      records: records(),
    }),
  }),
});

export const produceResponse = message("ProduceResponse", versions, {
  responses: array({
    name: string({ until: 12 }),
    topicId: uuid({ since: 13 }),
    partitionResponses: array({
      index: int32(),
      errorCode: int16(),
      /** Offset of the first record; -1 on error. */
      baseOffset: int64(),
      /** Broker time with LogAppendTime, else -1. */
      logAppendTimeMs: int64({ since: 2, default: -1 }),
      logStartOffset: int64({ since: 5, default: -1 }),
      recordErrors: array(
        {
          /** Position of the refused record in its batch. */
          batchIndex: int32({ since: 8 }),
          batchIndexErrorMessage: string({ since: 8, nullable: 8, default: null }),
        },
        { since: 8 },
      ),
      errorMessage: string({ since: 8, nullable: 8, default: null }),
      currentLeader: struct(
        {
          leaderId: int32({ since: 10, default: -1 }),
          leaderEpoch: int32({ since: 10, default: -1 }),
        },
        { since: 10, tag: 0 },
      ),
    }),
  }),
  throttleTimeMs: int32({ since: 1, default: 0 }),
  nodeEndpoints: array(
    {
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string({ nullable: 10, default: null }),
    },
    { since: 10, tag: 0 },
  ),
});
