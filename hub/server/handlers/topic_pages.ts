// DescribeTopicPartitions (75): topics by name, page by page (KIP-966).
import { codeOf } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices, RequestContext } from "../services.ts";
import { allTopicOperations, describeTopic, missingTopic } from "./metadata.ts";

type Request = RequestOf<"describeTopicPartitions">;
type Response = ResponseOf<"describeTopicPartitions">;
type TopicPage = Response["topics"][number];

export function pageHandlers(services: HubServices) {
  return {
    describeTopicPartitions(request: Request, { maySee = () => true }: RequestContext): Response {
      const { cursor } = request;
      const named = request.topics.map(({ name }) => name);
      const misplaced =
        cursor !== null && (cursor.partitionIndex < 0 || (named.length > 0 && !named.includes(cursor.topicName)));
      if (misplaced) {
        const topics = named.map((name) => ({ ...missingTopic(name), errorCode: codeOf("INVALID_REQUEST") }));
        return { throttleTimeMs: 0, topics, nextCursor: null };
      }
      const all = named.length === 0 ? [...services.partitions.topics.all()].map(({ name }) => name) : named;
      const ahead = [...new Set(all)].filter((name) => cursor === null || name >= cursor.topicName);
      const names = ahead.filter(maySee).sort();
      return page(services, names, request);
    },
  };
}

/** The topics in order, up to as many partitions as the client asked for and the bound allows; then where to go on. */
function page(services: HubServices, names: readonly string[], { cursor, responsePartitionLimit }: Request): Response {
  let left = Math.max(1, Math.min(responsePartitionLimit, limits.describedPartitionsMax));
  const topics: TopicPage[] = [];
  let nextCursor: Response["nextCursor"] = null;
  for (const name of names) {
    if (left === 0) {
      nextCursor = { topicName: name, partitionIndex: 0 };
      break;
    }
    const topic = services.partitions.topics.byName(name);
    if (topic === undefined) {
      topics.push(missingTopic(name));
      continue;
    }
    const described = describeTopic(services, topic);
    const first = name === cursor?.topicName ? cursor.partitionIndex : 0;
    const partitions = described.partitions.slice(first, first + left);
    left -= partitions.length;
    topics.push({
      ...described,
      topicAuthorizedOperations: allTopicOperations,
      partitions: partitions.map((one) => ({ ...one, eligibleLeaderReplicas: [], lastKnownElr: [] })),
    });
    if (first + partitions.length < described.partitions.length) {
      nextCursor = { topicName: name, partitionIndex: first + partitions.length };
      break;
    }
  }
  return { throttleTimeMs: 0, topics, nextCursor };
}
