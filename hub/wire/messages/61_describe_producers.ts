// DescribeProducers (61): the producers a partition knows, and where their open transactions begin (KIP-664).
import { array, int16, int32, int64, list, message, string } from "../schema.ts";

const versions = { min: 0, max: 0, flexible: 0 };

export const describeProducersRequest = message("DescribeProducersRequest", versions, {
  topics: array({
    name: string(),
    partitionIndexes: list(int32()),
  }),
});

export const describeProducersResponse = message("DescribeProducersResponse", versions, {
  throttleTimeMs: int32(),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      errorMessage: string({ nullable: 0, default: null }),
      activeProducers: array({
        producerId: int64(),
        producerEpoch: int32(),
        lastSequence: int32({ default: -1 }),
        lastTimestamp: int64({ default: -1 }),
        coordinatorEpoch: int32(),
        currentTxnStartOffset: int64({ default: -1 }),
      }),
    }),
  }),
});
