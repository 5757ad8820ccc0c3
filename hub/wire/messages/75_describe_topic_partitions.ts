// DescribeTopicPartitions (75): topics with their partitions, page by page (KIP-966).
import { array, bool, int16, int32, list, message, string, struct, uuid } from "../schema.ts";

const versions = { min: 0, max: 0, flexible: 0 };

export const describeTopicPartitionsRequest = message("DescribeTopicPartitionsRequest", versions, {
  topics: array({
    name: string(),
  }),
  responsePartitionLimit: int32({ default: 2000 }),
  cursor: struct(
    {
      topicName: string(),
      partitionIndex: int32(),
    },
    { nullable: 0, default: null },
  ),
});

export const describeTopicPartitionsResponse = message("DescribeTopicPartitionsResponse", versions, {
  throttleTimeMs: int32(),
  topics: array({
    errorCode: int16(),
    name: string({ nullable: 0 }),
    topicId: uuid(),
    isInternal: bool({ default: false }),
    partitions: array({
      errorCode: int16(),
      partitionIndex: int32(),
      leaderId: int32(),
      leaderEpoch: int32({ default: -1 }),
      replicaNodes: list(int32()),
      isrNodes: list(int32()),
      eligibleLeaderReplicas: list(int32(), { nullable: 0, default: null }),
      lastKnownElr: list(int32(), { nullable: 0, default: null }),
      offlineReplicas: list(int32()),
    }),
    topicAuthorizedOperations: int32({ default: -2147483648 }),
  }),
  nextCursor: struct(
    {
      topicName: string(),
      partitionIndex: int32(),
    },
    { nullable: 0, default: null },
  ),
});
