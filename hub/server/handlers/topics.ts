// CreateTopics (19), DeleteTopics (20), CreatePartitions (37).
import type { Placement } from "../../engine/topic_changes.ts";
import { isInternalName } from "../../engine/topics.ts";
import { codeOfThrown, HubError } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import { zeroUuid } from "../../wire/schema.ts";
import { describeTopicConfigs } from "./configs.ts";
import { doubled } from "./doubled.ts";
import { checkReplicas } from "./replicas.ts";
import { defaultPartitions, type HubServices, type RequestContext } from "../services.ts";

type Wanted = RequestOf<"createTopics">["topics"][number];
type Created = ResponseOf<"createTopics">["topics"][number];

/** What listeners are told when a topic is gone: its committed offsets go too. */
export type TopicDeleted = (topicId: string) => Promise<void>;

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function mustBeOnce(twice: ReadonlySet<string>, name: string): void {
  if (twice.has(name)) throw new HubError("INVALID_REQUEST", `${name} stands twice in the request`);
}

/** The first of those with the same key: what stands twice is answered once, as Kafka does. */
function oncePer<T>(all: readonly T[], keyOf: (one: T) => string): T[] {
  const firsts = new Map<string, T>();
  for (const one of all) if (!firsts.has(keyOf(one))) firsts.set(keyOf(one), one);
  return [...firsts.values()];
}

export function topicHandlers(services: HubServices, topicDeleted: TopicDeleted) {
  return {
    async createTopics(
      request: RequestOf<"createTopics">,
      context: { readonly hub?: RequestContext["hub"] },
    ): Promise<ResponseOf<"createTopics">> {
      const twice = doubled(request.topics.map((topic) => topic.name));
      const topics: Created[] = [];
      for (const wanted of oncePer(request.topics, ({ name }) => name)) {
        const { name } = wanted;
        try {
          mustBeOnce(twice, name);
          if (context.hub === undefined) mustNotBeInternal(name);
          topics.push(await create(services, wanted, request.validateOnly));
        } catch (error) {
          const errorMessage = message(error);
          topics.push({ name, topicId: zeroUuid, errorCode: codeOfThrown(error), errorMessage, configs: null });
        }
      }
      return { throttleTimeMs: 0, topics };
    },

    async deleteTopics(
      request: RequestOf<"deleteTopics">,
      context: { readonly version: number },
    ): Promise<ResponseOf<"deleteTopics">> {
      const wanted =
        context.version >= 6 ? request.topics : request.topicNames.map((name) => ({ name, topicId: zeroUuid }));
      const { topics } = services.partitions;
      // by its name and by its id is twice, too
      const keyOf = ({ name, topicId }: { name: string | null; topicId: string }): string =>
        name ?? topics.byId(topicId)?.name ?? topicId;
      const twice = doubled(wanted.map(keyOf));
      const responses: ResponseOf<"deleteTopics">["responses"][number][] = [];
      for (const { name, topicId } of oncePer(wanted, keyOf)) {
        const topic = name === null ? topics.byId(topicId) : topics.byName(name);
        const answer = { name: topic?.name ?? name, topicId: topic?.topicId ?? topicId };
        try {
          checkDeletion(services, name, topicId, context.version);
          mustBeOnce(twice, keyOf({ name, topicId }));
          if (!topic) throw new HubError(name === null ? "UNKNOWN_TOPIC_ID" : "UNKNOWN_TOPIC_OR_PARTITION");
          if (topic.internal) throw new HubError("TOPIC_DELETION_DISABLED", `${topic.name} is internal`);
          await services.partitions.deleteTopic(topic.name);
          await topicDeleted(topic.topicId);
          services.trace.event("info", "topic_deleted", { topic: topic.name, topicId: topic.topicId });
          responses.push({ ...answer, errorCode: 0 });
        } catch (error) {
          responses.push({ ...answer, errorCode: codeOfThrown(error), errorMessage: message(error) });
        }
      }
      return { throttleTimeMs: 0, responses };
    },

    async createPartitions(request: RequestOf<"createPartitions">): Promise<ResponseOf<"createPartitions">> {
      const twice = doubled(request.topics.map((topic) => topic.name));
      const results: ResponseOf<"createPartitions">["results"][number][] = [];
      for (const { name, count, assignments } of oncePer(request.topics, ({ name }) => name)) {
        try {
          mustBeOnce(twice, name);
          await grow(services, name, count, assignments, request.validateOnly);
          results.push({ name, errorCode: 0 });
        } catch (error) {
          results.push({ name, errorCode: codeOfThrown(error), errorMessage: message(error) });
        }
      }
      return { throttleTimeMs: 0, results };
    },
  };
}

async function grow(
  services: HubServices,
  name: string,
  count: number,
  assignments: readonly { readonly brokerIds: readonly number[] }[] | null,
  validateOnly: boolean,
): Promise<void> {
  if (assignments !== null) checkGrowth(services, name, count, assignments);
  const placement = assignments === null ? {} : { assignments: assignments.map(({ brokerIds }) => brokerIds) };
  await services.partitions.growTopic(name, count, validateOnly, placement);
}

/** What is wrong with a deletion whatever topics there are. */
function checkDeletion(services: HubServices, name: string | null, topicId: string, version: number): void {
  if (services.settings.get("delete.topic.enable") === "false") {
    // older clients do not know the code (KIP-322)
    const kind = version < 3 ? "INVALID_REQUEST" : "TOPIC_DELETION_DISABLED";
    throw new HubError(kind, "delete.topic.enable is false on this hub");
  }
  if (name !== null && topicId !== zeroUuid) throw new HubError("INVALID_REQUEST", "Give a topic's name or its id");
  if (name === null && topicId === zeroUuid) throw new HubError("INVALID_REQUEST", "Neither a name nor an id is given");
}

/** An assignment of a growth names the replicas of each new partition, and of no other. */
function checkGrowth(
  services: HubServices,
  name: string,
  count: number,
  assignments: readonly { readonly brokerIds: readonly number[] }[],
): void {
  const now = services.partitions.topics.byName(name)?.partitions;
  // what is wrong with the count itself is told by the growth
  if (now !== undefined && count > now && assignments.length !== count - now) {
    const detail = `${name}: ${assignments.length} assignments for ${count - now} new partitions`;
    throw new HubError("INVALID_REPLICA_ASSIGNMENT", detail);
  }
  for (const { brokerIds } of assignments) checkReplicas(services, brokerIds);
}

/** Partitions asked for: an assignment's own count, -1 = the default (KIP-464). */
function partitionsOf(services: HubServices, wanted: Wanted): number {
  if (wanted.assignments.length === 0) {
    return wanted.numPartitions === -1 ? defaultPartitions(services) : wanted.numPartitions;
  }
  if (wanted.numPartitions !== -1 || wanted.replicationFactor !== -1) {
    throw new HubError("INVALID_REQUEST", `${wanted.name}: give an assignment or counts, not both`);
  }
  const indexes = wanted.assignments.map((one) => one.partitionIndex).sort((a, b) => a - b);
  if (indexes.some((index, i) => index !== i)) {
    throw new HubError("INVALID_REPLICA_ASSIGNMENT", `${wanted.name}: partitions are to be numbered 0, 1, 2 ...`);
  }
  for (const { brokerIds } of wanted.assignments) checkReplicas(services, brokerIds);
  return indexes.length;
}

function placementOf({ assignments, replicationFactor }: Wanted): Placement {
  if (assignments.length === 0) return replicationFactor === -1 ? {} : { replicationFactor };
  const sorted = [...assignments].sort((a, b) => a.partitionIndex - b.partitionIndex);
  return { assignments: sorted.map(({ brokerIds }) => brokerIds) };
}

function mustNotBeInternal(name: string): void {
  if (!isInternalName(name)) return;
  throw new HubError("INVALID_TOPIC_EXCEPTION", `${name}: names that begin with __ are the hub's own`);
}

async function create(services: HubServices, wanted: Wanted, validateOnly: boolean): Promise<Created> {
  const { partitions } = services;
  const count = partitionsOf(services, wanted);
  const { replicationFactor } = wanted;
  const hubs = services.cluster.lone ? 1 : services.cluster.hubs().length;
  const possible = replicationFactor === -1 || (replicationFactor >= 1 && replicationFactor <= hubs);
  if (!possible && wanted.assignments.length === 0) {
    const these = hubs === 1 ? "one hub" : `${hubs} hubs`;
    const detail = `${wanted.name}: replication factor ${replicationFactor}, and this cluster has ${these}`;
    throw new HubError("INVALID_REPLICATION_FACTOR", detail);
  }
  const configs = new Map<string, string>();
  for (const { name, value } of wanted.configs) {
    if (value === null) throw new HubError("INVALID_CONFIG", `${wanted.name}: ${name} has no value`);
    configs.set(name, value);
  }
  partitions.topics.check(wanted.name, count, configs);
  const topic = validateOnly ? null : await partitions.createTopic(wanted.name, count, configs, placementOf(wanted));
  if (topic) services.trace.event("info", "topic_created", { topic: topic.name, partitions: count });
  return {
    name: wanted.name,
    topicId: topic?.topicId ?? zeroUuid,
    errorCode: 0,
    errorMessage: null,
    numPartitions: count,
    replicationFactor: topic?.assignment?.[0]?.length ?? Math.max(1, replicationFactor),
    configs: describeTopicConfigs(configs, services.dynamicSettings).map(
      ({ name, value, readOnly, configSource, isSensitive }) => ({ name, value, readOnly, configSource, isSensitive }),
    ),
  };
}
