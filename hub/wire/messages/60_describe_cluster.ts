// DescribeCluster (60): brokers, controller and cluster id (KIP-700).
import { array, bool, int8, int16, int32, message, string } from "../schema.ts";

// Version notes
//  0  flexible from the first
//  1  endpoint type (KIP-919)
//  2  fenced brokers (KIP-1073)
const versions = { min: 0, max: 2, flexible: 0 };

export const describeClusterRequest = message("DescribeClusterRequest", versions, {
  includeClusterAuthorizedOperations: bool(),
  /** 1 brokers, 2 controllers. */
  endpointType: int8({ since: 1, default: 1 }),
  includeFencedBrokers: bool({ since: 2 }),
});

export const describeClusterResponse = message("DescribeClusterResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16(),
  errorMessage: string({ nullable: 0, default: null }),
  endpointType: int8({ since: 1, default: 1 }),
  clusterId: string(),
  controllerId: int32({ default: -1 }),
  brokers: array({
    brokerId: int32(),
    host: string(),
    port: int32(),
    rack: string({ nullable: 0, default: null }),
    isFenced: bool({ since: 2 }),
  }),
  clusterAuthorizedOperations: int32({ default: -2_147_483_648 }),
});
