// Transactions as producers ask for them: InitProducerId (22), AddPartitionsToTxn to TxnOffsetCommit (24-26, 28).
import { newProducerId } from "../../engine/producer_ids.ts";
import { isInternalName } from "../../engine/topics.ts";
import type { Producer } from "../../engine/transactions_parts.ts";
import { codeOf, type ErrorName } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices, RequestContext } from "../services.ts";
import { transactionOperatorHandlers } from "./transactions_operators.ts";

/** All handlers of transactions. */
export function transactionHandlers(services: HubServices) {
  return { ...producerHandlers(services), ...offsetHandlers(services), ...transactionOperatorHandlers(services) };
}

/** PRODUCER_FENCED came late; before, a fenced producer was told INVALID_PRODUCER_EPOCH (KIP-588). */
function fencedSince(first: number, version: number, error: ErrorName): ErrorName {
  return error === "PRODUCER_FENCED" && version < first ? "INVALID_PRODUCER_EPOCH" : error;
}

function producerHandlers(services: HubServices) {
  const { random } = services;
  return {
    async initProducerId(
      request: RequestOf<"initProducerId">,
      context: RequestContext,
    ): Promise<ResponseOf<"initProducerId">> {
      const { transactionalId, transactionTimeoutMs, producerId, producerEpoch } = request;
      const refuse = (error: ErrorName) => {
        return { throttleTimeMs: 0, errorCode: codeOf(error), producerId: -1, producerEpoch: -1 };
      };
      if (producerId < 0 !== producerEpoch < 0) return refuse("INVALID_REQUEST");
      if (transactionalId === null) {
        return { throttleTimeMs: 0, errorCode: 0, producerId: newProducerId(random), producerEpoch: 0 };
      }
      const expected = producerId < 0 ? null : { producerId, epoch: producerEpoch };
      const reply = await services.transactions.init(transactionalId, transactionTimeoutMs, expected);
      if (reply.error !== "NONE") return refuse(fencedSince(4, context.version, reply.error));
      return { throttleTimeMs: 0, errorCode: 0, producerId: reply.producerId, producerEpoch: reply.epoch };
    },

    async addPartitionsToTxn(
      request: RequestOf<"addPartitionsToTxn">,
      context: RequestContext,
    ): Promise<ResponseOf<"addPartitionsToTxn">> {
      return addPartitions(services, request, context.version);
    },

    async endTxn(request: RequestOf<"endTxn">, context: RequestContext): Promise<ResponseOf<"endTxn">> {
      const { transactionalId, producerId, producerEpoch, committed } = request;
      const { version } = context;
      if (transactionalId === "") return { throttleTimeMs: 0, errorCode: codeOf("INVALID_REQUEST") };
      const producer = { id: transactionalId, producerId, epoch: producerEpoch };
      const reply = await services.transactions.end(producer, committed, version >= bumpSince);
      if (reply.error === "NONE" && version >= bumpSince) {
        return { throttleTimeMs: 0, errorCode: 0, producerId: reply.producerId, producerEpoch: reply.epoch };
      }
      return { throttleTimeMs: 0, errorCode: codeOf(fencedSince(2, version, reply.error)) };
    },
  };
}

/** All or nothing: with one partition that cannot be added the others are not attempted. */
async function addPartitions(
  { transactions, partitions }: HubServices,
  request: RequestOf<"addPartitionsToTxn">,
  version: number,
): Promise<ResponseOf<"addPartitionsToTxn">> {
  const topics = request.v3AndBelowTopics;
  const answer = (errorOf: (topic: string, partition: number) => ErrorName) => ({
    throttleTimeMs: 0,
    resultsByTopicV3AndBelow: topics.map(({ name, partitions: indexes }) => ({
      name,
      resultsByPartition: indexes.map((partitionIndex) => {
        return { partitionIndex, partitionErrorCode: codeOf(errorOf(name, partitionIndex)) };
      }),
    })),
  });
  const check = (topic: string, partition: number): ErrorName => {
    if (isInternalName(topic)) return "TOPIC_AUTHORIZATION_FAILED";
    const there = partition >= 0 && partition < (partitions.topics.byName(topic)?.partitions ?? 0);
    return there ? "NONE" : "UNKNOWN_TOPIC_OR_PARTITION";
  };
  const unfit = topics.some(({ name, partitions: indexes }) => indexes.some((index) => check(name, index) !== "NONE"));
  if (unfit) {
    return answer((topic, index) => {
      const error = check(topic, index);
      return error === "NONE" ? "OPERATION_NOT_ATTEMPTED" : error;
    });
  }
  const id = request.v3AndBelowTransactionalId;
  if (id === "") return answer(() => "INVALID_REQUEST");
  const producer: Producer = {
    id,
    producerId: request.v3AndBelowProducerId,
    epoch: request.v3AndBelowProducerEpoch,
  };
  const added = new Map(topics.map(({ name, partitions: indexes }) => [name, new Set(indexes)]));
  const error = fencedSince(2, version, await transactions.addPartitions(producer, added));
  return answer(() => error);
}

/** EndTxn and TxnOffsetCommit v5 are those of transaction.version 2 (KIP-890). */
const bumpSince = 5;
const implicitSince = 5;
/** TxnOffsetCommit v4 knows TRANSACTION_ABORTABLE. */
const abortableSince = 4;

function offsetHandlers(services: HubServices) {
  return {
    async addOffsetsToTxn(
      request: RequestOf<"addOffsetsToTxn">,
      context: RequestContext,
    ): Promise<ResponseOf<"addOffsetsToTxn">> {
      const { transactionalId, producerId, producerEpoch, groupId } = request;
      if (groupId === "") return { throttleTimeMs: 0, errorCode: codeOf("INVALID_GROUP_ID") };
      if (transactionalId === "") return { throttleTimeMs: 0, errorCode: codeOf("INVALID_REQUEST") };
      const producer = { id: transactionalId, producerId, epoch: producerEpoch };
      const error = await services.transactions.addGroup(producer, groupId);
      return { throttleTimeMs: 0, errorCode: codeOf(fencedSince(2, context.version, error)) };
    },

    async txnOffsetCommit(
      request: RequestOf<"txnOffsetCommit">,
      context: RequestContext,
    ): Promise<ResponseOf<"txnOffsetCommit">> {
      const { transactionalId, producerId, producerEpoch, groupId } = request;
      const claim = {
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
        generation: request.generationId,
      };
      const asked = request.topics.map(({ name, partitions }) => ({
        topic: name,
        partitions: partitions.map((partition) => ({
          partition: partition.partitionIndex,
          offset: partition.committedOffset,
          leaderEpoch: partition.committedLeaderEpoch,
          metadata: partition.committedMetadata ?? "",
        })),
      }));
      const producer = { id: transactionalId, producerId, epoch: producerEpoch };
      const implicit = context.version >= implicitSince;
      const answers = await services.transactions.commitOffsets(producer, groupId, claim, asked, implicit);
      const told = (error: ErrorName): ErrorName => {
        if (error === "PRODUCER_FENCED") return "INVALID_PRODUCER_EPOCH";
        return error === "TRANSACTION_ABORTABLE" && context.version < abortableSince ? "INVALID_TXN_STATE" : error;
      };
      const topics = answers.map(({ topic, partitions }) => ({
        name: topic,
        partitions: partitions.map(({ partition, error }) => {
          return { partitionIndex: partition, errorCode: codeOf(told(error)) };
        }),
      }));
      return { throttleTimeMs: 0, topics };
    },
  };
}
