// The administrator: looks at and changes topics, settings and groups.
import { errorNameOf, HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { ReplyOf } from "../wire/apis.ts";
import type { Connection } from "./connection.ts";
import { RoutedClusterAdmin } from "./cluster_admin.ts";
import type {
  Admin,
  ClusterAdmin,
  ConfigEntry,
  GroupDescription,
  PartitionOffset,
  StartAt,
  TopicDescription,
  TopicPartition,
} from "./faces.ts";
import { byTopic, fetchCommitted, unpackAssignment } from "./membership.ts";
import { findOffsets } from "./places.ts";
import { mustBeNone, retrying } from "./routes.ts";
import type { Routes } from "./routes.ts";

const topicResource = 2;
/** ConfigSource of a value that nobody set. */
const fromDefault = 5;
const ConfigOperation = { Set: 0, Delete: 1 } as const;

/** Opens an administrator on the routes of a client. */
export function openAdmin(routes: Routes): Admin {
  return new RoutedAdmin(routes);
}

class RoutedAdmin implements Admin {
  readonly #routes: Routes;

  constructor(routes: Routes) {
    this.#routes = routes;
  }

  /** Runs a change at the controller, again while a retry can help. What it does not know does not exist. */
  #atController<T>(call: (controller: Connection) => Promise<T>): Promise<T> {
    const attempt = async (): Promise<T> => {
      try {
        return await call(await this.#routes.controller());
      } catch (error) {
        // where it was is nobody, or somebody else by now
        const moved = error instanceof HubError && ["NOT_CONTROLLER", "NETWORK_EXCEPTION"].includes(error.kind);
        if (moved) await this.#routes.refresh([]).catch(() => {});
        throw error;
      }
    };
    return retrying(this.#routes.clock, attempt, ["UNKNOWN_TOPIC_OR_PARTITION", "UNKNOWN_TOPIC_ID"]);
  }

  #atCoordinator<T>(group: string, call: (coordinator: Connection) => Promise<T>): Promise<T> {
    return retrying(this.#routes.clock, async () => {
      try {
        return await call(await this.#routes.coordinator(group));
      } catch (error) {
        this.#routes.forgetCoordinator(group);
        throw error;
      }
    });
  }

  async topics(names?: readonly string[]): Promise<TopicDescription[]> {
    const reply = await retrying(this.#routes.clock, () => this.#routes.metadata(names ?? null));
    if (names !== undefined) for (const topic of reply.topics) mustBeNone(topic.errorCode, `topic ${topic.name}`);
    return reply.topics.filter(({ errorCode }) => errorCode === 0).map(describeTopic);
  }

  async createTopic(name: string, options: Parameters<Admin["createTopic"]>[1] = {}): Promise<void> {
    const { partitions, replicationFactor, configs = {}, validateOnly = false } = options;
    const configsList = Object.entries(configs).map(([key, value]) => ({ name: key, value }));
    await this.#atController(async (controller) => {
      // Before v4 there is no "broker's default" (KIP-464).
      const fallback = controller.version("createTopics") >= 4 ? -1 : 1;
      const topic = {
        name,
        numPartitions: partitions ?? fallback,
        replicationFactor: replicationFactor ?? fallback,
        assignments: [],
        configs: configsList,
      };
      const timeoutMs = limits.clientRequestMsMax;
      const reply = await controller.call("createTopics", { topics: [topic], timeoutMs, validateOnly });
      for (const { errorCode, errorMessage } of reply.topics) mustBeNone(errorCode, `creating ${name}`, errorMessage);
    });
  }

  async deleteTopic(name: string): Promise<void> {
    await this.#atController(async (controller) => {
      const timeoutMs = limits.clientRequestMsMax;
      const reply = await controller.call("deleteTopics", { topics: [{ name }], topicNames: [name], timeoutMs });
      for (const { errorCode, errorMessage } of reply.responses)
        mustBeNone(errorCode, `deleting ${name}`, errorMessage);
    });
  }

  async createPartitions(name: string, count: number): Promise<void> {
    await this.#atController(async (controller) => {
      const reply = await controller.call("createPartitions", {
        topics: [{ name, count, assignments: null }],
        timeoutMs: limits.clientRequestMsMax,
        validateOnly: false,
      });
      for (const { errorCode, errorMessage } of reply.results) mustBeNone(errorCode, `growing ${name}`, errorMessage);
    });
  }

  async topicConfigs(name: string): Promise<ConfigEntry[]> {
    const reply = await this.#atController((controller) =>
      controller.call("describeConfigs", {
        resources: [{ resourceType: topicResource, resourceName: name, configurationKeys: null }],
        includeSynonyms: false,
        includeDocumentation: true,
      }),
    );
    const [result] = reply.results;
    if (result === undefined) throw new HubError("UNKNOWN_SERVER_ERROR", `no settings of ${name} in the answer`);
    mustBeNone(result.errorCode, `settings of ${name}`, result.errorMessage);
    return result.configs.map(({ name: key, value, readOnly, configSource, documentation }) => ({
      name: key,
      value,
      isDefault: configSource === fromDefault,
      readOnly,
      documentation: documentation === "" ? null : documentation,
    }));
  }

  async alterTopicConfigs(name: string, changes: Readonly<Record<string, string | null>>): Promise<void> {
    const configs = Object.entries(changes).map(([key, value]) => ({
      name: key,
      configOperation: value === null ? ConfigOperation.Delete : ConfigOperation.Set,
      value,
    }));
    const resources = [{ resourceType: topicResource, resourceName: name, configs }];
    await this.#atController(async (controller) => {
      const reply = await controller.call("incrementalAlterConfigs", { resources, validateOnly: false });
      for (const { errorCode, errorMessage } of reply.responses) {
        mustBeNone(errorCode, `changing settings of ${name}`, errorMessage);
      }
    });
  }

  /** Each hub lists the groups it coordinates: all are asked. */
  async groups(): Promise<{ group: string; state: string; protocolType: string }[]> {
    await this.#routes.refresh([]);
    const lists = await Promise.all(
      this.#routes.nodes().map((node) =>
        retrying(this.#routes.clock, async () => {
          const connection = await this.#routes.node(node);
          const reply = await connection.call("listGroups", { statesFilter: [] });
          mustBeNone(reply.errorCode, "list of groups");
          return reply.groups;
        }),
      ),
    );
    return lists.flat().map(({ groupId, groupState, protocolType }) => ({
      group: groupId,
      state: groupState,
      protocolType,
    }));
  }

  async describeGroup(group: string): Promise<GroupDescription> {
    return this.#atCoordinator(group, async (coordinator) => {
      const reply = await coordinator.call("describeGroups", { groups: [group] });
      const [described] = reply.groups;
      if (described === undefined) throw new HubError("UNKNOWN_SERVER_ERROR", `no group ${group} in the answer`);
      const kind = errorNameOf(described.errorCode);
      // So it says of groups of the server-side protocol, too (KIP-848).
      const missing = kind === "GROUP_ID_NOT_FOUND" || (kind === "NONE" && described.groupState === "Dead");
      if (missing) return describeConsumerGroup(coordinator, group);
      mustBeNone(described.errorCode, `group ${group}`, described.errorMessage);
      return describeGroup(described);
    });
  }

  async deleteGroup(group: string): Promise<void> {
    await this.#atCoordinator(group, async (coordinator) => {
      const reply = await coordinator.call("deleteGroups", { groupsNames: [group] });
      for (const { errorCode } of reply.results) mustBeNone(errorCode, `deleting group ${group}`);
    });
  }

  groupOffsets(group: string): ReturnType<Admin["groupOffsets"]> {
    return this.#atCoordinator(group, (coordinator) => fetchCommitted(coordinator, group, null));
  }

  async setGroupOffsets(group: string, offsets: readonly PartitionOffset[]): Promise<void> {
    const topics = byTopic(offsets).map(([name, partitions]) => ({
      name,
      partitions: partitions.map(({ partition, offset }) => ({
        partitionIndex: partition,
        committedOffset: offset,
        committedMetadata: "",
      })),
    }));
    await this.#atCoordinator(group, async (coordinator) => {
      const reply = await coordinator.call("offsetCommit", { groupId: group, topics });
      for (const { name, partitions } of reply.topics) {
        for (const { partitionIndex, errorCode } of partitions) {
          // A hub says UNKNOWN_MEMBER_ID to a commit from outside while the group has members.
          const kind = errorNameOf(errorCode);
          const busy = kind === "UNKNOWN_MEMBER_ID" || kind === "ILLEGAL_GENERATION";
          if (busy) throw new HubError("NON_EMPTY_GROUP", `group ${group} has members`);
          mustBeNone(errorCode, `offset of ${name}-${partitionIndex} in group ${group}`);
        }
      }
    });
  }

  offsets(
    partitions: readonly TopicPartition[],
    at: StartAt,
  ): Promise<(PartitionOffset & { readonly timestamp: number })[]> {
    return findOffsets(
      this.#routes,
      partitions.map((partition) => ({ ...partition, at })),
    );
  }

  cluster(): ClusterAdmin {
    return new RoutedClusterAdmin(this.#routes, (call) => this.#atController(call));
  }

  async close(): Promise<void> {
    this.#routes.close();
  }
}

function describeTopic(topic: ReplyOf<"metadata">["topics"][number]): TopicDescription {
  const partitions = topic.partitions.map((partition) => ({
    partition: partition.partitionIndex,
    leader: partition.leaderId,
    leaderEpoch: partition.leaderEpoch,
    replicas: partition.replicaNodes,
    inSync: partition.isrNodes,
  }));
  partitions.sort((one, other) => one.partition - other.partition);
  return { name: topic.name ?? "", topicId: topic.topicId, internal: topic.isInternal, partitions };
}

async function describeConsumerGroup(coordinator: Connection, group: string): Promise<GroupDescription> {
  const missing = new HubError("GROUP_ID_NOT_FOUND", `there is no group ${group}`);
  const reply = await coordinator
    .call("consumerGroupDescribe", { groupIds: [group], includeAuthorizedOperations: false })
    .catch((thrown: unknown) => {
      // A hub or broker older than the protocol has no such group.
      throw thrown instanceof HubError && thrown.kind === "UNSUPPORTED_VERSION" ? missing : thrown;
    });
  const [described] = reply.groups;
  if (described === undefined || errorNameOf(described.errorCode) === "GROUP_ID_NOT_FOUND") throw missing;
  mustBeNone(described.errorCode, `group ${group}`, described.errorMessage);
  return {
    group,
    state: described.groupState,
    protocolType: "consumer",
    protocol: described.assignorName,
    members: described.members.map(({ memberId, instanceId, clientId, clientHost, assignment }) => ({
      memberId,
      instanceId,
      clientId,
      clientHost,
      assignment: assignment.topicPartitions.flatMap(({ topicName, partitions }) => {
        return partitions.map((partition) => ({ topic: topicName, partition }));
      }),
    })),
  };
}

function describeGroup(described: ReplyOf<"describeGroups">["groups"][number]): GroupDescription {
  const { groupId, groupState, protocolType, protocolData } = described;
  return {
    group: groupId,
    state: groupState,
    protocolType,
    protocol: protocolData,
    members: described.members.map((member) => ({
      memberId: member.memberId,
      instanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      // Other protocol types (Connect's) have assignments of their own.
      assignment: protocolType === "consumer" ? unpackAssignment(member.memberAssignment) : [],
    })),
  };
}
