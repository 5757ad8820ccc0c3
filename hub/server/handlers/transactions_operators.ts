// Transactions as operators see them: WriteTxnMarkers (27), DescribeTransactions (65), ListTransactions (66).
import { codeOf, codeOfThrown, type ErrorName, HubError } from "../../errors.ts";
import { compileNameRegex } from "../../groups/topic_regex.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices } from "../services.ts";

type MarkersAsked = RequestOf<"writeTxnMarkers">;

/** Spread into the handlers of transactions. */
export function transactionOperatorHandlers(services: HubServices) {
  return {
    writeTxnMarkers(request: MarkersAsked): Promise<ResponseOf<"writeTxnMarkers">> {
      return writeMarkers(services, request);
    },

    describeTransactions(request: RequestOf<"describeTransactions">): ResponseOf<"describeTransactions"> {
      const transactionStates = request.transactionalIds.map((transactionalId) => {
        const { error, image } = services.transactions.describe(transactionalId);
        return {
          errorCode: codeOf(error),
          transactionalId,
          transactionState: image?.state ?? "",
          transactionTimeoutMs: image?.timeoutMs ?? 0,
          transactionStartTimeMs: image?.startedAt ?? 0,
          producerId: image?.producerId ?? 0,
          producerEpoch: image?.epoch ?? 0,
          topics: [...(image?.partitions ?? [])].map(([topic, indexes]) => ({ topic, partitions: [...indexes] })),
        };
      });
      return { throttleTimeMs: 0, transactionStates };
    },

    listTransactions(request: RequestOf<"listTransactions">): ResponseOf<"listTransactions"> {
      const { stateFilters, producerIdFilters, durationFilter, transactionalIdPattern } = request;
      const refuse = (error: ErrorName) => {
        return { throttleTimeMs: 0, errorCode: codeOf(error), unknownStateFilters: [], transactionStates: [] };
      };
      let matches = (_id: string): boolean => true;
      try {
        if (transactionalIdPattern) matches = compileNameRegex(transactionalIdPattern);
      } catch (error) {
        if (error instanceof HubError) return refuse(error.kind);
        throw error;
      }
      const filter = { states: stateFilters, producerIds: producerIdFilters, durationMs: durationFilter, matches };
      const found = services.transactions.list(filter);
      if (found.error !== "NONE") return refuse(found.error);
      return {
        throttleTimeMs: 0,
        errorCode: 0,
        unknownStateFilters: found.unknownStates,
        transactionStates: found.transactions.map(({ id, producerId, state }) => {
          return { transactionalId: id, producerId, transactionState: state };
        }),
      };
    },
  };
}

/** How an operator ends a transaction that hangs in a partition (KIP-664); a lone hub sends it to nobody. */
async function writeMarkers(
  { partitions }: HubServices,
  request: MarkersAsked,
): Promise<ResponseOf<"writeTxnMarkers">> {
  const end = async (topic: string, index: number, marker: (typeof request.markers)[number]): Promise<number> => {
    const { producerId, producerEpoch, coordinatorEpoch, transactionResult: commit } = marker;
    if (!partitions.exists(topic, index)) return codeOf("UNKNOWN_TOPIC_OR_PARTITION");
    try {
      await partitions.endTransaction(topic, index, { producerId, producerEpoch, coordinatorEpoch, commit });
      return 0;
    } catch (error) {
      return codeOfThrown(error);
    }
  };
  const markers = [];
  for (const marker of request.markers) {
    const topics = [];
    for (const { name, partitionIndexes } of marker.topics) {
      const ended = partitionIndexes.map(async (partitionIndex) => {
        return { partitionIndex, errorCode: await end(name, partitionIndex, marker) };
      });
      topics.push({ name, partitions: await Promise.all(ended) });
    }
    markers.push({ producerId: marker.producerId, topics });
  }
  return { markers };
}
