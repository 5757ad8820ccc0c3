// ConsumerGroupDescribe (69): groups of the server-side protocol, with their members and assignments (KIP-848).
import { array, bool, int16, int32, int8, list, message, string, struct, uuid } from "../schema.ts";

// Version notes
//  1  which protocol a member speaks (KIP-1099)
const versions = { min: 0, max: 1, flexible: 0 };

const topicPartitions = {
  topicId: uuid(),
  topicName: string(),
  partitions: list(int32()),
};

const assignment = {
  topicPartitions: array(topicPartitions),
};

export const consumerGroupDescribeRequest = message("ConsumerGroupDescribeRequest", versions, {
  groupIds: list(string()),
  includeAuthorizedOperations: bool(),
});

export const consumerGroupDescribeResponse = message("ConsumerGroupDescribeResponse", versions, {
  throttleTimeMs: int32(),
  groups: array({
    errorCode: int16(),
    errorMessage: string({ nullable: 0, default: null }),
    groupId: string(),
    groupState: string(),
    groupEpoch: int32(),
    assignmentEpoch: int32(),
    assignorName: string(),
    members: array({
      memberId: string(),
      instanceId: string({ nullable: 0, default: null }),
      rackId: string({ nullable: 0, default: null }),
      memberEpoch: int32(),
      clientId: string(),
      clientHost: string(),
      subscribedTopicNames: list(string()),
      subscribedTopicRegex: string({ nullable: 0, default: null }),
      assignment: struct(assignment),
      targetAssignment: struct(assignment),
      memberType: int8({ since: 1, default: -1 }),
    }),
    authorizedOperations: int32({ default: -2147483648 }),
  }),
});
