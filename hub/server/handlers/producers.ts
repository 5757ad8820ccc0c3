// DescribeProducers (61): who writes to a partition, and where open transactions began (KIP-664).
import { codeOfThrown, HubError } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices } from "../services.ts";

type Described = ResponseOf<"describeProducers">["topics"][number]["partitions"][number];

export function producerHandlers({ partitions }: HubServices) {
  const describe = (topic: string, partitionIndex: number): Described => {
    try {
      const { log } = partitions.must(topic, partitionIndex);
      const activeProducers = [...log.producers.active()].map(({ openFrom, ...one }) => ({
        ...one,
        currentTxnStartOffset: openFrom,
      }));
      return { partitionIndex, errorCode: 0, errorMessage: null, activeProducers };
    } catch (error) {
      const errorMessage = error instanceof HubError ? error.message : null;
      return { partitionIndex, errorCode: codeOfThrown(error), errorMessage, activeProducers: [] };
    }
  };
  return {
    describeProducers(request: RequestOf<"describeProducers">): ResponseOf<"describeProducers"> {
      const topics = request.topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((index) => describe(name, index)),
      }));
      return { throttleTimeMs: 0, topics };
    },
  };
}
