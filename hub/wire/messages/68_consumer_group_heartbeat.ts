// ConsumerGroupHeartbeat (68): joins, stays in and leaves a group of the server-side protocol (KIP-848).
import { array, int16, int32, list, message, string, struct, uuid } from "../schema.ts";

// Version notes
//  1  regular expression; the member makes its id (KIP-1082)
const versions = { min: 0, max: 1, flexible: 0 };

const topicPartitions = {
  topicId: uuid(),
  partitions: list(int32()),
};

export const consumerGroupHeartbeatRequest = message("ConsumerGroupHeartbeatRequest", versions, {
  groupId: string(),
  memberId: string(),
  memberEpoch: int32(),
  instanceId: string({ nullable: 0, default: null }),
  rackId: string({ nullable: 0, default: null }),
  rebalanceTimeoutMs: int32({ default: -1 }),
  subscribedTopicNames: list(string(), { nullable: 0, default: null }),
  subscribedTopicRegex: string({ since: 1, nullable: 1, default: null }),
  serverAssignor: string({ nullable: 0, default: null }),
  topicPartitions: array(
    {
      topicId: uuid(),
      partitions: list(int32()),
    },
    { nullable: 0, default: null },
  ),
});

export const consumerGroupHeartbeatResponse = message("ConsumerGroupHeartbeatResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16(),
  errorMessage: string({ nullable: 0, default: null }),
  memberId: string({ nullable: 0, default: null }),
  memberEpoch: int32(),
  heartbeatIntervalMs: int32(),
  assignment: struct(
    {
      topicPartitions: array(topicPartitions),
    },
    { nullable: 0, default: null },
  ),
});
