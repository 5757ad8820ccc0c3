// AddPartitionsToTxn (24): tells the coordinator which partitions a transaction writes to (KIP-98).
import { array, bool, int16, int32, int64, list, message, string } from "../schema.ts";

// Version notes
//  2  PRODUCER_FENCED
//  3  flexible
//  4  many transactions in one request, from brokers; verify only (KIP-890)
//  5  TRANSACTION_ABORTABLE (KIP-890)
const versions = { min: 0, max: 5, flexible: 3 };

const addPartitionsToTxnTopic = {
  name: string(),
  partitions: list(int32()),
};

const addPartitionsToTxnPartitionResult = {
  partitionIndex: int32(),
  partitionErrorCode: int16(),
};

const addPartitionsToTxnTopicResult = {
  name: string(),
  resultsByPartition: array(addPartitionsToTxnPartitionResult),
};

export const addPartitionsToTxnRequest = message("AddPartitionsToTxnRequest", versions, {
  transactions: array(
    {
      transactionalId: string({ since: 4 }),
      producerId: int64({ since: 4 }),
      producerEpoch: int16({ since: 4 }),
      verifyOnly: bool({ since: 4, default: false }),
      topics: array(addPartitionsToTxnTopic, { since: 4 }),
    },
    { since: 4 },
  ),
  v3AndBelowTransactionalId: string({ until: 3 }),
  v3AndBelowProducerId: int64({ until: 3 }),
  v3AndBelowProducerEpoch: int16({ until: 3 }),
  v3AndBelowTopics: array(addPartitionsToTxnTopic, { until: 3 }),
});

export const addPartitionsToTxnResponse = message("AddPartitionsToTxnResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16({ since: 4 }),
  resultsByTransaction: array(
    {
      transactionalId: string({ since: 4 }),
      topicResults: array(addPartitionsToTxnTopicResult, { since: 4 }),
    },
    { since: 4 },
  ),
  resultsByTopicV3AndBelow: array(addPartitionsToTxnTopicResult, { until: 3 }),
});
