// DescribeTransactions (65): the state of transactions at their coordinator (KIP-664).
import { array, int16, int32, int64, list, message, string } from "../schema.ts";

const versions = { min: 0, max: 0, flexible: 0 };

export const describeTransactionsRequest = message("DescribeTransactionsRequest", versions, {
  transactionalIds: list(string()),
});

export const describeTransactionsResponse = message("DescribeTransactionsResponse", versions, {
  throttleTimeMs: int32(),
  transactionStates: array({
    errorCode: int16(),
    transactionalId: string(),
    transactionState: string(),
    transactionTimeoutMs: int32(),
    transactionStartTimeMs: int64(),
    producerId: int64(),
    producerEpoch: int16(),
    topics: array({
      topic: string(),
      partitions: list(int32()),
    }),
  }),
});
