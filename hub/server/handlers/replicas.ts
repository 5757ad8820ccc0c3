// ElectLeaders (43), AlterPartitionReassignments (45), ListPartitionReassignments (46): a lone hub holds and leads all.
import { codeOf, codeOfThrown, HubError } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices } from "../services.ts";

interface PartitionAnswer {
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

/** What a check of one partition comes to. */
function answerOf(check: () => void): PartitionAnswer {
  try {
    check();
    return { errorCode: 0, errorMessage: null };
  } catch (error) {
    return { errorCode: codeOfThrown(error), errorMessage: (error as Error).message };
  }
}

export function replicaHandlers(services: HubServices) {
  const { topics } = services.partitions;
  const mustBeThere = (name: string, index: number): void => {
    const topic = topics.byName(name);
    if (topic && index >= 0 && index < topic.partitions) return;
    throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no partition ${name}-${index}`);
  };
  return {
    /** KIP-183, KIP-460: preferred (0) or unclean (1). */
    electLeaders(request: RequestOf<"electLeaders">): ResponseOf<"electLeaders"> {
      const { electionType, topicPartitions } = request;
      const unknownType = electionType !== 0 && electionType !== 1;
      if (unknownType) {
        return { throttleTimeMs: 0, errorCode: codeOf("INVALID_REQUEST"), replicaElectionResults: [] };
      }
      // asked for all, only what changed is told: nothing ever does
      const replicaElectionResults = (topicPartitions ?? []).map(({ topic, partitions }) => ({
        topic,
        partitionResult: partitions.map((partitionId) => ({
          partitionId,
          ...answerOf(() => {
            mustBeThere(topic, partitionId);
            throw new HubError("ELECTION_NOT_NEEDED", `${topic}-${partitionId} is led by its only replica`);
          }),
        })),
      }));
      return { throttleTimeMs: 0, errorCode: 0, replicaElectionResults };
    },

    /** KIP-455: the only possible replicas are those that are; there is never a move to cancel. */
    alterPartitionReassignments(
      request: RequestOf<"alterPartitionReassignments">,
    ): ResponseOf<"alterPartitionReassignments"> {
      const responses = request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, replicas }) => ({
          partitionIndex,
          ...answerOf(() => {
            mustBeThere(name, partitionIndex);
            if (replicas === null) throw new HubError("NO_REASSIGNMENT_IN_PROGRESS");
            checkReplicas(services, replicas);
          }),
        })),
      }));
      return {
        throttleTimeMs: 0,
        allowReplicationFactorChange: request.allowReplicationFactorChange,
        errorCode: 0,
        errorMessage: null,
        responses,
      };
    },

    listPartitionReassignments(): ResponseOf<"listPartitionReassignments"> {
      return { throttleTimeMs: 0, errorCode: 0, errorMessage: null, topics: [] };
    },
  };
}

/** Throws INVALID_REPLICA_ASSIGNMENT unless every replica is a hub of this cluster, each once. */
export function checkReplicas(services: HubServices, brokerIds: readonly number[]): void {
  if (!services.cluster.lone) {
    const known = new Set(services.cluster.hubs().map(({ hubId }) => hubId));
    const wrong = brokerIds.find((id, i) => !known.has(id) || brokerIds.indexOf(id) !== i);
    if (brokerIds.length > 0 && wrong === undefined) return;
    const hubs = [...known].sort((a, b) => a - b).join(", ");
    const detail = `Replicas ${JSON.stringify(brokerIds)}: each is to be one of the hubs ${hubs}, once`;
    throw new HubError("INVALID_REPLICA_ASSIGNMENT", detail);
  }
  if (brokerIds.length === 1 && brokerIds[0] === services.hubId) return;
  const detail = `Replicas ${JSON.stringify(brokerIds)}: this cluster has one hub, ${services.hubId}`;
  throw new HubError("INVALID_REPLICA_ASSIGNMENT", detail);
}
