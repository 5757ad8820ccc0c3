// DescribeQuorum (55): who holds the metadata, as a tool for KRaft asks it (KIP-595).
import { array, int16, int32, int64, message, string, uint16, uuid } from "../schema.ts";

// Version notes
//  1  last fetch and caught-up times (KIP-836)
//  2  directory ids, nodes, messages (KIP-853)
const versions = { min: 0, max: 2, flexible: 0 };

const replicaState = {
  replicaId: int32(),
  replicaDirectoryId: uuid({ since: 2 }),
  logEndOffset: int64(),
  lastFetchTimestamp: int64({ since: 1, default: -1 }),
  lastCaughtUpTimestamp: int64({ since: 1, default: -1 }),
};

export const describeQuorumRequest = message("DescribeQuorumRequest", versions, {
  topics: array({
    topicName: string(),
    partitions: array({
      partitionIndex: int32(),
    }),
  }),
});

export const describeQuorumResponse = message("DescribeQuorumResponse", versions, {
  errorCode: int16(),
  errorMessage: string({ since: 2, nullable: 2 }),
  topics: array({
    topicName: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      errorMessage: string({ since: 2, nullable: 2 }),
      leaderId: int32(),
      leaderEpoch: int32(),
      highWatermark: int64(),
      currentVoters: array(replicaState),
      observers: array(replicaState),
    }),
  }),
  nodes: array(
    {
      nodeId: int32({ since: 2 }),
      listeners: array(
        {
          name: string({ since: 2 }),
          host: string({ since: 2 }),
          port: uint16({ since: 2 }),
        },
        { since: 2 },
      ),
    },
    { since: 2 },
  ),
});
