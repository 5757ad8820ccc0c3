// ListPartitionReassignments (46): the moves under way (KIP-455).
import { array, int16, int32, list, message, string } from "../schema.ts";

const versions = { min: 0, max: 0, flexible: 0 };

export const listPartitionReassignmentsRequest = message("ListPartitionReassignmentsRequest", versions, {
  timeoutMs: int32({ default: 60000 }),
  topics: array(
    {
      name: string(),
      partitionIndexes: list(int32()),
    },
    { nullable: 0, default: null },
  ),
});

export const listPartitionReassignmentsResponse = message("ListPartitionReassignmentsResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16(),
  errorMessage: string({ nullable: 0 }),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      replicas: list(int32()),
      addingReplicas: list(int32()),
      removingReplicas: list(int32()),
    }),
  }),
});
