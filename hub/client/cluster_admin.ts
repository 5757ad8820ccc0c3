// The administrator of a cluster: its hubs, who leads and replicates what, moves and elections.
import { errorNameOf, HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Connection } from "./connection.ts";
import type { ClusterAdmin, ClusterDescription, FolderDescription, MoveDescription, TopicPartition } from "./faces.ts";
import { byTopic } from "./membership.ts";
import { mustBeNone, retrying, type Routes } from "./routes.ts";

const electionTypes = { preferred: 0, unclean: 1 } as const;
const leaves = { remove: 0, drain: 1, return: 2, replace: 3 } as const;

export class RoutedClusterAdmin implements ClusterAdmin {
  readonly #routes: Routes;
  readonly #atController: <T>(call: (controller: Connection) => Promise<T>) => Promise<T>;

  constructor(routes: Routes, atController: <T>(call: (controller: Connection) => Promise<T>) => Promise<T>) {
    this.#routes = routes;
    this.#atController = atController;
  }

  async describe(): Promise<ClusterDescription> {
    const reply = await retrying(this.#routes.clock, async () => {
      const connection = await this.#routes.any();
      return await connection.call("describeCluster", {
        includeClusterAuthorizedOperations: false,
        includeFencedBrokers: true,
      });
    });
    mustBeNone(reply.errorCode, "the cluster", reply.errorMessage);
    return {
      clusterId: reply.clusterId,
      controller: reply.controllerId,
      hubs: reply.brokers.map(({ brokerId, isFenced, ...rest }) => ({ hub: brokerId, alive: !isFenced, ...rest })),
    };
  }

  async folder(hub: number): Promise<FolderDescription> {
    await this.#routes.refresh([]);
    const connection = await this.#routes.node(hub);
    const reply = await connection.call("describeLogDirs", { topics: null });
    mustBeNone(reply.errorCode, `data folder of hub ${hub}`);
    const [found] = reply.results;
    if (found === undefined) throw new HubError("UNKNOWN_SERVER_ERROR", `hub ${hub} tells of no data folder`);
    mustBeNone(found.errorCode, `data folder of hub ${hub}`);
    const sizes = found.topics.flatMap(({ partitions }) => partitions.map(({ partitionSize }) => partitionSize));
    return {
      path: found.logDir,
      totalBytes: found.totalBytes,
      freeBytes: found.usableBytes,
      logBytes: sizes.reduce((sum, size) => sum + size, 0),
      replicas: sizes.length,
    };
  }

  async elect(kind: "preferred" | "unclean", places: readonly TopicPartition[], to: number | null = null) {
    const topicPartitions = byTopic(places).map(([topic, list]) => {
      return { topic, partitions: list.map(({ partition }) => partition) };
    });
    const reply = await this.#atController((controller) => {
      const timeoutMs = limits.clientRequestMsMax;
      const electionType = electionTypes[kind];
      return controller.call("electLeaders", { electionType, topicPartitions, timeoutMs, toHub: to ?? -1 });
    });
    mustBeNone(reply.errorCode, "election");
    return reply.replicaElectionResults.flatMap(({ topic, partitionResult }) => {
      return partitionResult.map(({ partitionId, errorCode, errorMessage }) => {
        return { topic, partition: partitionId, error: errorNameOf(errorCode), message: errorMessage };
      });
    });
  }

  async reassign(moves: readonly (TopicPartition & { readonly hubs: readonly number[] | null })[]): Promise<void> {
    const topics = byTopic(moves).map(([name, list]) => ({
      name,
      partitions: list.map(({ partition, hubs }) => ({ partitionIndex: partition, replicas: hubs })),
    }));
    await this.#atController(async (controller) => {
      const reply = await controller.call("alterPartitionReassignments", {
        topics,
        timeoutMs: limits.clientRequestMsMax,
      });
      mustBeNone(reply.errorCode, "reassignment", reply.errorMessage);
      for (const { name, partitions } of reply.responses) {
        for (const { partitionIndex, errorCode, errorMessage } of partitions) {
          mustBeNone(errorCode, `moving ${name}-${partitionIndex}`, errorMessage);
        }
      }
    });
  }

  async reassignments(): Promise<MoveDescription[]> {
    const reply = await this.#atController((controller) => {
      return controller.call("listPartitionReassignments", { topics: null, timeoutMs: limits.clientRequestMsMax });
    });
    mustBeNone(reply.errorCode, "reassignments", reply.errorMessage);
    return reply.topics.flatMap(({ name, partitions }) =>
      partitions.map(({ partitionIndex, replicas, addingReplicas, removingReplicas }) => {
        return { topic: name, partition: partitionIndex, replicas, adding: addingReplicas, removing: removingReplicas };
      }),
    );
  }

  async leave(hub: number, how: keyof typeof leaves): Promise<string | null> {
    return await this.#atController(async (controller) => {
      const reply = await controller.call("unregisterBroker", { brokerId: hub, how: leaves[how] });
      if (errorNameOf(reply.errorCode) === "REASSIGNMENT_IN_PROGRESS") return reply.errorMessage ?? "";
      mustBeNone(reply.errorCode, `hub ${hub}`, reply.errorMessage);
      return null;
    });
  }
}
