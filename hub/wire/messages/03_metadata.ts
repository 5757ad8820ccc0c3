// Metadata (3): brokers, topics, and who leads which partition.
import { array, bool, int16, int32, list, message, string, uuid } from "../schema.ts";

// Version notes
//  0  an empty topic array means all topics
//  1  null means all, empty none; controller, racks, internal topics
//  2  cluster id
//  3  throttle time
//  4  allow_auto_topic_creation
//  5  offline replicas (KIP-112)
//  7  leader epoch (KIP-320)
//  8  authorised operations (KIP-430)
//  9  flexible
// 10  topic ids (KIP-516)
// 11  cluster authorised operations moved to DescribeCluster (KIP-700)
// 12  topics asked for by id
// 13  error code of the whole answer (KIP-1102)
const versions = { min: 0, max: 13, flexible: 9 };
const notAsked = -2_147_483_648;

export const metadataRequest = message("MetadataRequest", versions, {
  topics: array(
    {
      topicId: uuid({ since: 10 }),
      name: string({ nullable: 10 }),
    },
    { nullable: 1 },
  ),
  allowAutoTopicCreation: bool({ since: 4, default: true }),
  includeClusterAuthorizedOperations: bool({ since: 8, until: 10 }),
  includeTopicAuthorizedOperations: bool({ since: 8 }),
});

export const metadataResponse = message("MetadataResponse", versions, {
  throttleTimeMs: int32({ since: 3 }),
  brokers: array({
    nodeId: int32(),
    host: string(),
    port: int32(),
    rack: string({ since: 1, nullable: 1, default: null }),
  }),
  clusterId: string({ since: 2, nullable: 2, default: null }),
  controllerId: int32({ since: 1, default: -1 }),
  topics: array({
    errorCode: int16(),
    name: string({ nullable: 12 }),
    topicId: uuid({ since: 10 }),
    isInternal: bool({ since: 1, default: false }),
    partitions: array({
      errorCode: int16(),
      partitionIndex: int32(),
      /** -1 when the partition has no leader. */
      leaderId: int32(),
      leaderEpoch: int32({ since: 7, default: -1 }),
      replicaNodes: list(int32()),
      isrNodes: list(int32()),
      offlineReplicas: list(int32(), { since: 5 }),
    }),
    /** Bit field; -2147483648 when it was not asked for. */
    topicAuthorizedOperations: int32({ since: 8, default: notAsked }),
  }),
  clusterAuthorizedOperations: int32({ since: 8, until: 10, default: notAsked }),
  errorCode: int16({ since: 13 }),
});
