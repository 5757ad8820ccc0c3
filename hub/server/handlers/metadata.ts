// Metadata (3), DescribeCluster (60), ApiVersions (18): who is here, what there is, what is spoken.
import type { Topic } from "../../engine/topics.ts";
import { checkTopicName, isInternalName } from "../../engine/topics.ts";
import { codeOf, codeOfThrown, HubError } from "../../errors.ts";
import { advertised, type RequestOf, type ResponseOf } from "../../wire/apis.ts";
import { features, featuresEpoch } from "../../wire/features.ts";
import { zeroUuid } from "../../wire/schema.ts";
import { addressFor, defaultPartitions, type HubServices, type RequestContext } from "../services.ts";

type TopicAnswer = ResponseOf<"metadata">["topics"][number];

/** Set when a client did not ask for its authorised operations (KIP-430). */
const notAsked = -2_147_483_648;
/** READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS: bits 3-8, 10, 11. */
const allTopicOperations = 0b1101_1111_1000;
/** CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE. */
const allClusterOperations = 0b1_1111_1010_0000;

export function metadataHandlers(services: HubServices) {
  return {
    async metadata(request: RequestOf<"metadata">, context: RequestContext): Promise<ResponseOf<"metadata">> {
      const wantsAll = request.topics === null || (context.version === 0 && request.topics.length === 0);
      const mayCreate = request.allowAutoTopicCreation && (services.autoCreateTopics || context.inProcess);
      const topics: TopicAnswer[] = [];
      if (wantsAll) for (const topic of services.partitions.topics.all()) topics.push(describe(services, topic));
      else {
        for (const { name, topicId } of request.topics ?? []) {
          topics.push(await find(services, name, topicId, mayCreate));
        }
      }
      const operations = request.includeTopicAuthorizedOperations ? allTopicOperations : notAsked;
      return {
        throttleTimeMs: 0,
        brokers: [{ nodeId: services.hubId, ...addressFor(services, context), rack: null }],
        clusterId: services.clusterId,
        controllerId: services.hubId,
        topics: topics.map((topic) => ({ ...topic, topicAuthorizedOperations: operations })),
        clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? allClusterOperations : notAsked,
      };
    },

    describeCluster(request: RequestOf<"describeCluster">, context: RequestContext): ResponseOf<"describeCluster"> {
      const brokersOnly = 1;
      const wrong = request.endpointType !== brokersOnly;
      return {
        throttleTimeMs: 0,
        errorCode: wrong ? codeOf("UNSUPPORTED_VERSION") : 0,
        errorMessage: wrong ? "Only brokers are listed" : null,
        endpointType: request.endpointType,
        clusterId: services.clusterId,
        controllerId: services.hubId,
        brokers: wrong ? [] : [{ brokerId: services.hubId, ...addressFor(services, context), rack: null }],
        clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? allClusterOperations : notAsked,
      };
    },

    apiVersions(request: RequestOf<"apiVersions">, context: RequestContext): ResponseOf<"apiVersions"> {
      const legal = (text: string): boolean => /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/.test(text);
      // KIP-511: from v3 on a client names its software, and a name outside the pattern is refused.
      const named = context.version < 3 || (legal(request.clientSoftwareName) && legal(request.clientSoftwareVersion));
      return {
        errorCode: named ? 0 : codeOf("INVALID_REQUEST"),
        apiKeys: advertised(),
        throttleTimeMs: 0,
        supportedFeatures: features.map(({ name, min, max }) => ({ name, minVersion: min, maxVersion: max })),
        finalizedFeaturesEpoch: features.length === 0 ? -1 : featuresEpoch,
        finalizedFeatures: features.map(({ name, level }) => ({ name, maxVersionLevel: level, minVersionLevel: level })),
      };
    },
  };
}

function describe(services: HubServices, topic: Topic): TopicAnswer {
  const opened = services.partitions.of(topic.name) ?? [];
  return {
    errorCode: 0,
    name: topic.name,
    topicId: topic.topicId,
    isInternal: topic.internal,
    partitions: Array.from({ length: topic.partitions }, (_, partitionIndex) => {
      const partition = opened[partitionIndex];
      return {
        errorCode: partition ? 0 : codeOf("LEADER_NOT_AVAILABLE"),
        partitionIndex,
        leaderId: partition ? services.hubId : -1,
        leaderEpoch: partition ? partition.leader.epoch : -1,
        replicaNodes: [services.hubId],
        isrNodes: [services.hubId],
        offlineReplicas: [],
      };
    }),
  };
}

async function find(
  services: HubServices,
  name: string | null,
  topicId: string,
  mayCreate: boolean,
): Promise<TopicAnswer> {
  const { topics } = services.partitions;
  const known = name === null ? topics.byId(topicId) : topics.byName(name);
  if (known) return describe(services, known);
  const missing = { name, topicId, isInternal: false, partitions: [] };
  if (name === null) return { ...missing, errorCode: codeOf("UNKNOWN_TOPIC_ID") };
  try {
    checkTopicName(name);
    if (!mayCreate || isInternalName(name)) {
      throw new HubError("UNKNOWN_TOPIC_OR_PARTITION");
    }
    return describe(services, await services.partitions.createTopic(name, defaultPartitions(services), new Map()));
  } catch (error) {
    // Two clients may ask at once: whoever comes second finds it made.
    const made = topics.byName(name);
    if (made) return describe(services, made);
    return { ...missing, topicId: zeroUuid, errorCode: codeOfThrown(error) };
  }
}
