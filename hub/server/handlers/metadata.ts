// Metadata (3), DescribeCluster (60), ApiVersions (18): who is here, what there is, what is spoken.
import { membersOf } from "../../cluster/quorum.ts";
import { publishedOf } from "../../cluster/replica.ts";
import { hubOf } from "../../engine/cluster_view.ts";
import type { Topic } from "../../engine/topics.ts";
import { checkTopicName, isInternalName } from "../../engine/topics.ts";
import { codeOf, codeOfThrown, type ErrorName, HubError } from "../../errors.ts";
import { advertised, type RequestOf, type ResponseOf } from "../../wire/apis.ts";
import { type Feature, features, featuresEpoch } from "../../wire/features.ts";
import { zeroUuid } from "../../wire/schema.ts";
import { makeTopic } from "../forwarding.ts";
import { allNodesFor, type HubServices, nodesFor, type RequestContext } from "../services.ts";

type TopicAnswer = ResponseOf<"metadata">["topics"][number];

/** Set when a client did not ask for its authorised operations (KIP-430). */
const notAsked = -2_147_483_648;
/** READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS: bits 3-8, 10, 11. */
export const allTopicOperations = 0b1101_1111_1000;
/** CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE. */
const allClusterOperations = 0b1_1111_1010_0000;

/**
 * Where a client sends what is the controller's: any hub will do, as each passes it on (KIP-590). While no controller
 * is known it is this hub, whose NOT_CONTROLLER makes a client try again; some end on an id that is no broker's.
 */
function addressedController(services: HubServices, brokers: readonly { readonly nodeId: number }[]): number {
  const controller = services.cluster.controllerId();
  return brokers.some(({ nodeId }) => nodeId === controller) ? controller : services.hubId;
}

export function metadataHandlers(services: HubServices) {
  return {
    async metadata(request: RequestOf<"metadata">, context: RequestContext): Promise<ResponseOf<"metadata">> {
      const wantsAll = request.topics === null || (context.version === 0 && request.topics.length === 0);
      const mayCreate = request.allowAutoTopicCreation && (services.autoCreateTopics || context.inProcess);
      const topics: TopicAnswer[] = [];
      if (wantsAll) for (const topic of services.partitions.topics.all()) topics.push(describeTopic(services, topic));
      else {
        const asked = new Set<string>();
        for (const { name, topicId } of request.topics ?? []) {
          const key = name ?? topicId;
          if (!asked.has(key)) topics.push(await find(services, name, topicId, mayCreate));
          asked.add(key); // what stands twice is told once
        }
      }
      const operations = request.includeTopicAuthorizedOperations ? allTopicOperations : notAsked;
      const brokers = nodesFor(services, context).map(({ nodeId, host, port, rack }) => ({ nodeId, host, port, rack }));
      return {
        throttleTimeMs: 0,
        brokers,
        clusterId: services.clusterId,
        controllerId: addressedController(services, brokers),
        topics: topics.map((topic) => ({ ...topic, topicAuthorizedOperations: operations })),
        clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? allClusterOperations : notAsked,
      };
    },

    describeCluster(request: RequestOf<"describeCluster">, context: RequestContext): ResponseOf<"describeCluster"> {
      const { endpointType } = request;
      const wrong = endpointType === Endpoint.Brokers ? null : wrongEndpoint(endpointType);
      // A hub that is down is one that Kafka calls fenced: told when asked for (KIP-1073).
      return {
        throttleTimeMs: 0,
        errorCode: wrong ? codeOf(wrong) : 0,
        errorMessage: wrong ? "Only brokers are listed here" : null,
        endpointType,
        clusterId: services.clusterId,
        controllerId: services.cluster.controllerId(),
        brokers: wrong
          ? []
          : allNodesFor(services, context)
              .filter(({ alive }) => alive || request.includeFencedBrokers)
              .map(({ nodeId, alive, ...rest }) => ({ brokerId: nodeId, ...rest, isFenced: !alive })),
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
        ...featureRows(features, context.version),
      };
    },
  };
}

/** Endpoint types of KIP-919. */
const Endpoint = { Brokers: 1, Controllers: 2 } as const;

function wrongEndpoint(type: number): ErrorName {
  return type === Endpoint.Controllers ? "MISMATCHED_ENDPOINT_TYPE" : "UNSUPPORTED_ENDPOINT_TYPE";
}

/**
 * Features as ApiVersions tells them (KIP-584). Clients below v4 fail over a minimum of 0, so they are not told of such
 * a feature's range (KAFKA-17011); its level in force they are told, and a level of 0 is not in force.
 */
export function featureRows(all: readonly Feature[], version: number) {
  const told = all.filter(({ min }) => min > 0 || version >= 4);
  const inForce = all.filter(({ level }) => level > 0);
  return {
    supportedFeatures: told.map(({ name, min, max }) => ({ name, minVersion: min, maxVersion: max })),
    finalizedFeaturesEpoch: inForce.length === 0 ? -1 : featuresEpoch,
    finalizedFeatures: inForce.map(({ name, level }) => ({ name, maxVersionLevel: level, minVersionLevel: level })),
  };
}

/** What is told of a topic that is not here, with the reason. */
export function missingTopic(name: string): { name: string; topicId: string; errorCode: number; partitions: never[] } {
  const missing = { name, topicId: zeroUuid, partitions: [] };
  try {
    checkTopicName(name);
    return { ...missing, errorCode: codeOf("UNKNOWN_TOPIC_OR_PARTITION") };
  } catch (error) {
    return { ...missing, errorCode: codeOfThrown(error) };
  }
}

/** A partition of a cluster: what is published of it, or what this hub leads. */
function placeOf({ cluster, partitions }: HubServices, topic: Topic, partitionIndex: number) {
  const own = partitions.get(topic.name, partitionIndex);
  const state = own?.leads ? publishedOf(own.replica) : cluster.partition(topic.topicId, partitionIndex);
  const hubs = new Map(cluster.hubs().map((hub) => [hub.hubId, hub.alive]));
  const replicas = state ? membersOf(state.config) : (topic.assignment?.[partitionIndex] ?? []);
  const replicaNodes = [...new Set(replicas.map(hubOf))];
  // a follower may know of a newer leader than was published yet
  const heard = own && !own.leads && own.replica.leader !== null && own.epoch > (state?.leaderEpoch ?? -1);
  const leader = heard ? hubOf(own.replica.leader!) : (state?.leader ?? -1);
  const leaderId = hubs.get(leader) ? leader : -1;
  return {
    errorCode: leaderId < 0 ? codeOf("LEADER_NOT_AVAILABLE") : 0,
    partitionIndex,
    leaderId,
    leaderEpoch: heard ? own.epoch : (state?.leaderEpoch ?? -1),
    replicaNodes,
    isrNodes: (state?.isr ?? []).map(hubOf),
    offlineReplicas: replicaNodes.filter((hub) => !hubs.get(hub)),
  };
}

export function describeTopic(services: HubServices, topic: Topic) {
  const opened = services.partitions.of(topic.name) ?? [];
  return {
    errorCode: 0,
    name: topic.name,
    topicId: topic.topicId,
    isInternal: topic.internal,
    partitions: Array.from({ length: topic.partitions }, (_, partitionIndex) => {
      if (!services.cluster.lone) return placeOf(services, topic, partitionIndex);
      const partition = opened[partitionIndex];
      return {
        errorCode: partition ? 0 : codeOf("LEADER_NOT_AVAILABLE"),
        partitionIndex,
        leaderId: partition ? services.hubId : -1,
        leaderEpoch: partition ? partition.epoch : -1,
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
  if (known) return describeTopic(services, known);
  const missing = { name, topicId, isInternal: false, partitions: [] };
  if (name === null) return { ...missing, errorCode: codeOf("UNKNOWN_TOPIC_ID") };
  try {
    checkTopicName(name);
    if (!mayCreate || isInternalName(name)) {
      throw new HubError("UNKNOWN_TOPIC_OR_PARTITION");
    }
    await makeTopic(services, name);
    return describeTopic(services, topics.byName(name)!);
  } catch (error) {
    // Two clients may ask at once: whoever comes second finds it made.
    const made = topics.byName(name);
    if (made) return describeTopic(services, made);
    return { ...missing, topicId: zeroUuid, errorCode: codeOfThrown(error) };
  }
}
