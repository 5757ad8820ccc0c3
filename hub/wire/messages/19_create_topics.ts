// CreateTopics (19): makes topics.
import { array, bool, int8, int16, int32, list, message, string, uuid } from "../schema.ts";

// Version notes
//  1  validate only, error message
//  2  throttle time
//  4  -1 for the broker's default of partitions and replication factor (KIP-464)
//  5  flexible; the resulting configs are returned (KIP-525)
//  7  topic ids (KIP-516)
const versions = { min: 2, max: 7, flexible: 5 };

export const createTopicsRequest = message("CreateTopicsRequest", versions, {
  topics: array({
    name: string(),
    /** -1: the default, or as many as `assignments` says. */
    numPartitions: int32(),
    replicationFactor: int16(),
    assignments: array({
      partitionIndex: int32(),
      brokerIds: list(int32()),
    }),
    configs: array({
      name: string(),
      value: string({ nullable: 0 }),
    }),
  }),
  timeoutMs: int32({ default: 60_000 }),
  validateOnly: bool({ since: 1, default: false }),
});

export const createTopicsResponse = message("CreateTopicsResponse", versions, {
  throttleTimeMs: int32({ since: 2 }),
  topics: array({
    name: string(),
    topicId: uuid({ since: 7 }),
    errorCode: int16(),
    errorMessage: string({ since: 1, nullable: 0 }),
    /** Why `configs` is missing, when it is. */
    topicConfigErrorCode: int16({ since: 5, tag: 0 }),
    numPartitions: int32({ since: 5, default: -1 }),
    replicationFactor: int16({ since: 5, default: -1 }),
    configs: array(
      {
        name: string({ since: 5 }),
        value: string({ since: 5, nullable: 5 }),
        readOnly: bool({ since: 5 }),
        configSource: int8({ since: 5, default: -1 }),
        isSensitive: bool({ since: 5 }),
      },
      { since: 5, nullable: 5 },
    ),
  }),
});
