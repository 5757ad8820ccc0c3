// AlterPartitionReassignments (45): sets or cancels the replicas a partition moves to (KIP-455).
import { array, bool, int16, int32, list, message, string } from "../schema.ts";

// Version notes
//  1  whether the replication factor may change (KIP-860)
const versions = { min: 0, max: 1, flexible: 0 };

export const alterPartitionReassignmentsRequest = message("AlterPartitionReassignmentsRequest", versions, {
  timeoutMs: int32({ default: 60000 }),
  allowReplicationFactorChange: bool({ since: 1, default: true }),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      replicas: list(int32(), { nullable: 0, default: null }),
    }),
  }),
});

export const alterPartitionReassignmentsResponse = message("AlterPartitionReassignmentsResponse", versions, {
  throttleTimeMs: int32(),
  allowReplicationFactorChange: bool({ since: 1, default: true }),
  errorCode: int16(),
  errorMessage: string({ nullable: 0 }),
  responses: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      errorMessage: string({ nullable: 0 }),
    }),
  }),
});
