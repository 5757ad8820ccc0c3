// Guards of what operators do: topics, settings, the cluster, access itself.
import { Operation } from "../access/acl.ts";
import type { ApiName, RequestOf } from "../wire/apis.ts";
import { zeroUuid } from "../wire/schema.ts";
import { type Asker, denied, type Guard, type Guards, split, why } from "./asker.ts";

/** What every refusal bears. */
const refusal = { throttleTimeMs: 0, errorCode: denied.cluster, errorMessage: why } as const;

export const topicGuards: Guards<"createTopics" | "deleteTopics" | "createPartitions" | "deleteRecords"> = {
  async createTopics(request, asker, go) {
    const all = asker.cluster(Operation.Create);
    const { yes, no } = split(request.topics, ({ name }) => all || asker.topic(Operation.Create, name));
    const answer = no.length > 0 && yes.length === 0 ? null : await go({ ...request, topics: yes });
    const told = (answer?.topics ?? []).map((topic) => {
      if (topic.errorCode !== 0 || asker.topic(Operation.DescribeConfigs, topic.name)) return topic;
      const unseen = { numPartitions: -1, replicationFactor: -1, configs: null };
      return { ...topic, ...unseen, topicConfigErrorCode: denied.topic };
    });
    const refused = no.map(({ name }) => {
      return { name, topicId: zeroUuid, errorCode: denied.topic, errorMessage: why, configs: null };
    });
    return { throttleTimeMs: 0, ...answer, topics: [...told, ...refused] };
  },

  async deleteTopics(request, asker, go) {
    const byName = asker.version < 6;
    const names = split(byName ? request.topicNames : [], (name) => asker.topic(Operation.Delete, name));
    const topics = split(byName ? [] : request.topics, (topic) => asker.topic(Operation.Delete, topic));
    const refused = [...names.no.map((name) => ({ name, topicId: zeroUuid })), ...topics.no];
    if (refused.length === 0) return await go(request);
    const some = names.yes.length + topics.yes.length > 0;
    const answer = some ? await go({ ...request, topicNames: names.yes, topics: topics.yes }) : null;
    // who asked by id and may not even see the topic does not learn its name: it stays as it was asked
    const rows = refused.map(({ name, topicId }) => {
      return { name, topicId, errorCode: denied.topic, errorMessage: why };
    });
    return { throttleTimeMs: 0, ...answer, responses: [...(answer?.responses ?? []), ...rows] };
  },

  async createPartitions(request, asker, go) {
    const { yes, no } = split(request.topics, ({ name }) => asker.topic(Operation.Alter, name));
    if (no.length === 0) return await go(request);
    const answer = yes.length === 0 ? null : await go({ ...request, topics: yes });
    const refused = no.map(({ name }) => ({ name, errorCode: denied.topic, errorMessage: why }));
    return { throttleTimeMs: 0, ...answer, results: [...(answer?.results ?? []), ...refused] };
  },

  async deleteRecords(request, asker, go) {
    const { yes, no } = split(request.topics, ({ name }) => asker.topic(Operation.Delete, name));
    if (no.length === 0) return await go(request);
    const answer = yes.length === 0 ? null : await go({ ...request, topics: yes });
    const refused = no.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => {
        return { partitionIndex, lowWatermark: -1, errorCode: denied.topic };
      }),
    }));
    return { throttleTimeMs: 0, ...answer, topics: [...(answer?.topics ?? []), ...refused] };
  },
};

/** Types of resources that have settings. */
const Settings = { Topic: 2, Group: 32 } as const;

/** 0 when the settings may be touched so, else why not. */
function settingsRefusal(
  asker: Asker,
  operation: number,
  { resourceType, resourceName }: { readonly resourceType: number; readonly resourceName: string },
): number {
  if (resourceType === Settings.Topic) return asker.topic(operation, resourceName) ? 0 : denied.topic;
  if (resourceType === Settings.Group) return asker.group(operation, resourceName) ? 0 : denied.group;
  return asker.cluster(operation) ? 0 : denied.cluster;
}

function alterGuard<N extends "alterConfigs" | "incrementalAlterConfigs">(): Guard<N> {
  type Asked = RequestOf<"alterConfigs">;
  const guard: Guard<"alterConfigs"> = async (request, asker, go) => {
    const codeFor = (one: Asked["resources"][number]): number => settingsRefusal(asker, Operation.AlterConfigs, one);
    const { yes, no } = split(request.resources, (one) => codeFor(one) === 0);
    if (no.length === 0) return await go(request);
    const answer = yes.length === 0 ? null : await go({ ...request, resources: yes });
    const refused = no.map((one) => {
      const { resourceType, resourceName } = one;
      return { errorCode: codeFor(one), errorMessage: why, resourceType, resourceName };
    });
    return { throttleTimeMs: 0, ...answer, responses: [...(answer?.responses ?? []), ...refused] };
  };
  // both requests hold resources with a type and a name, and their answers are the same
  return guard as unknown as Guard<N>;
}

export const settingsGuards: Guards<
  "describeConfigs" | "alterConfigs" | "incrementalAlterConfigs" | "listConfigResources"
> = {
  async describeConfigs(request, asker, go) {
    const codeFor = (one: (typeof request.resources)[number]): number =>
      settingsRefusal(asker, Operation.DescribeConfigs, one);
    const { yes, no } = split(request.resources, (one) => codeFor(one) === 0);
    if (no.length === 0) return await go(request);
    const answer = yes.length === 0 ? null : await go({ ...request, resources: yes });
    const refused = no.map((one) => {
      const { resourceType, resourceName } = one;
      return { errorCode: codeFor(one), errorMessage: why, resourceType, resourceName, configs: [] };
    });
    return { throttleTimeMs: 0, ...answer, results: [...(answer?.results ?? []), ...refused] };
  },

  alterConfigs: alterGuard<"alterConfigs">(),
  incrementalAlterConfigs: alterGuard<"incrementalAlterConfigs">(),

  listConfigResources(request, asker, go) {
    if (asker.cluster(Operation.DescribeConfigs)) return go(request);
    return { throttleTimeMs: 0, errorCode: denied.cluster, configResources: [] };
  },
};

export const clusterGuards: Guards<
  | "alterReplicaLogDirs"
  | "describeLogDirs"
  | "electLeaders"
  | "alterPartitionReassignments"
  | "listPartitionReassignments"
  | "describeQuorum"
  | "updateFeatures"
  | "unregisterBroker"
> = {
  alterReplicaLogDirs(request, asker, go) {
    if (asker.cluster(Operation.Alter)) return go(request);
    const results = request.dirs.flatMap(({ topics }) =>
      topics.map(({ name, partitions }) => ({
        topicName: name,
        partitions: partitions.map((partitionIndex) => ({ partitionIndex, errorCode: denied.cluster })),
      })),
    );
    return { throttleTimeMs: 0, results };
  },

  describeLogDirs(request, asker, go) {
    return asker.cluster(Operation.Describe) ? go(request) : { ...refusal, results: [] };
  },

  electLeaders(request, asker, go) {
    if (asker.cluster(Operation.Alter)) return go(request);
    const results = (request.topicPartitions ?? []).map(({ topic, partitions }) => ({
      topic,
      partitionResult: partitions.map((partitionId) => {
        return { partitionId, errorCode: denied.cluster, errorMessage: why };
      }),
    }));
    return { throttleTimeMs: 0, errorCode: denied.cluster, replicaElectionResults: results };
  },

  alterPartitionReassignments(request, asker, go) {
    return asker.cluster(Operation.Alter) ? go(request) : { ...refusal, responses: [] };
  },

  listPartitionReassignments(request, asker, go) {
    return asker.cluster(Operation.Describe) ? go(request) : { ...refusal, topics: [] };
  },

  describeQuorum(request, asker, go) {
    return asker.cluster(Operation.Describe) ? go(request) : { ...refusal, topics: [] };
  },

  updateFeatures(request, asker, go) {
    return asker.cluster(Operation.Alter) ? go(request) : { ...refusal, results: [] };
  },

  unregisterBroker(request, asker, go) {
    return asker.cluster(Operation.Alter) ? go(request) : refusal;
  },
};

export const accessGuards: Guards<
  | "describeAcls"
  | "createAcls"
  | "deleteAcls"
  | "describeClientQuotas"
  | "alterClientQuotas"
  | "describeUserScramCredentials"
  | "alterUserScramCredentials"
> = {
  describeAcls(request, asker, go) {
    return asker.cluster(Operation.Describe) ? go(request) : { ...refusal, resources: [] };
  },

  createAcls(request, asker, go) {
    if (asker.cluster(Operation.Alter)) return go(request);
    const results = request.creations.map(() => ({ errorCode: denied.cluster, errorMessage: why }));
    return { throttleTimeMs: 0, results };
  },

  deleteAcls(request, asker, go) {
    if (asker.cluster(Operation.Alter)) return go(request);
    const filterResults = request.filters.map(() => {
      return { errorCode: denied.cluster, errorMessage: why, matchingAcls: [] };
    });
    return { throttleTimeMs: 0, filterResults };
  },

  describeClientQuotas(request, asker, go) {
    return asker.cluster(Operation.DescribeConfigs) ? go(request) : { ...refusal, entries: null };
  },

  alterClientQuotas(request, asker, go) {
    if (asker.cluster(Operation.AlterConfigs)) return go(request);
    const entries = request.entries.map(({ entity }) => {
      return { errorCode: denied.cluster, errorMessage: why, entity };
    });
    return { throttleTimeMs: 0, entries };
  },

  describeUserScramCredentials(request, asker, go) {
    return asker.cluster(Operation.Describe) ? go(request) : { ...refusal, results: [] };
  },

  alterUserScramCredentials(request, asker, go) {
    if (asker.cluster(Operation.Alter)) return go(request);
    const users = new Set([...request.deletions, ...request.upsertions].map(({ name }) => name));
    const results = [...users].map((user) => ({ user, errorCode: denied.cluster, errorMessage: why }));
    return { throttleTimeMs: 0, results };
  },
};

const open = <N extends ApiName>(request: RequestOf<N>, _asker: Asker, go: Parameters<Guard<N>>[2]) => go(request);

/** What everybody may ask. */
export const openGuards: Guards<"apiVersions" | "saslHandshake" | "saslAuthenticate" | "hubHello"> = {
  apiVersions: open<"apiVersions">,
  saslHandshake: open<"saslHandshake">,
  saslAuthenticate: open<"saslAuthenticate">,
  hubHello: open<"hubHello">,
};

const hubsAlone = { errorCode: denied.cluster, errorMessage: "Only a hub of the cluster may ask this" };
const ofReplicas = { ...hubsAlone, partitions: [] };

/** What only hubs may ask; who comes as one never comes this far (guard.ts). */
export const hubGuards: Guards<HubApi> = {
  vote: () => ofReplicas,
  tryLead: () => ofReplicas,
  reconfigure: () => ofReplicas,
  replicaStates: () => ofReplicas,
  txnGate: () => hubsAlone,
  txnHold: () => hubsAlone,
  groupDecided: () => hubsAlone,
  heldOffsets: () => ({ ...hubsAlone, homes: [], held: [] }),
  replicaRange: () => ({ ...hubsAlone, records: null }),
};

type HubApi =
  | "vote"
  | "tryLead"
  | "reconfigure"
  | "replicaStates"
  | "txnGate"
  | "txnHold"
  | "groupDecided"
  | "heldOffsets"
  | "replicaRange";

/** The answer to whoever asks what only hubs may ask. */
export function refusedToClients(api: ApiName): object | null {
  return api in hubGuards ? (hubGuards[api as HubApi] as () => object)() : null;
}
