// Committed offsets on the wire: OffsetCommit (8), OffsetFetch (9), OffsetDelete (47).
import type { GroupEngine } from "../../engine/groups.ts";
import type { ErrorName } from "../../errors.ts";
import { codeOf } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { RequestContext } from "../services.ts";

type FetchResponse = ResponseOf<"offsetFetch">;

/** Handlers of offsets; spread into those of groups. */
export function offsetHandlers(engine: () => GroupEngine | null) {
  return {
    async offsetCommit(request: RequestOf<"offsetCommit">): Promise<ResponseOf<"offsetCommit">> {
      const claim = {
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
        generation: request.generationIdOrMemberEpoch,
      };
      const asked = request.topics.map(({ name, partitions }) => ({
        topic: name,
        partitions: partitions.map((partition) => ({
          partition: partition.partitionIndex,
          offset: partition.committedOffset,
          leaderEpoch: partition.committedLeaderEpoch,
          metadata: partition.committedMetadata ?? "",
        })),
      }));
      const answers =
        (await engine()?.commit(request.groupId, claim, asked)) ??
        asked.map(({ topic, partitions }) => ({
          topic,
          partitions: partitions.map(({ partition }) => ({
            partition,
            error: "COORDINATOR_LOAD_IN_PROGRESS" as const,
          })),
        }));
      return { throttleTimeMs: 0, topics: answers.map(partitionErrors) };
    },

    offsetFetch(request: RequestOf<"offsetFetch">, context: RequestContext): FetchResponse {
      const empty = { throttleTimeMs: 0, topics: [], errorCode: 0, groups: [] };
      if (context.version >= 8) {
        const groups = request.groups.map(({ groupId, topics }) => ({ groupId, ...fetch(engine(), groupId, topics) }));
        return { ...empty, groups };
      }
      const { topics, errorCode } = fetch(engine(), request.groupId, request.topics);
      if (errorCode === 0 || context.version >= 2) return { ...empty, topics, errorCode };
      // v1 has no place for an error of the group; without one on each partition clients would reset (KAFKA-19246).
      return { ...empty, topics: refusedTopics(request.topics ?? [], errorCode) };
    },

    async offsetDelete(request: RequestOf<"offsetDelete">): Promise<ResponseOf<"offsetDelete">> {
      const asked = request.topics.map(({ name, partitions }) => {
        return { topic: name, partitions: partitions.map(({ partitionIndex }) => partitionIndex) };
      });
      const answer = await engine()?.deleteOffsets(request.groupId, asked);
      return {
        errorCode: codeOf(answer?.error ?? "COORDINATOR_LOAD_IN_PROGRESS"),
        throttleTimeMs: 0,
        topics: (answer?.topics ?? []).map(partitionErrors),
      };
    },
  };
}

function partitionErrors(answer: {
  readonly topic: string;
  readonly partitions: readonly { readonly partition: number; readonly error: ErrorName }[];
}) {
  return {
    name: answer.topic,
    partitions: answer.partitions.map(({ partition, error }) => {
      return { partitionIndex: partition, errorCode: codeOf(error) };
    }),
  };
}

type AskedTopics = readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[] | null;

function fetch(engine: GroupEngine | null, group: string, asked: AskedTopics) {
  const topics = asked?.map(({ name, partitionIndexes }) => ({ topic: name, partitions: partitionIndexes })) ?? null;
  const answer =
    group === "" ? ({ error: "INVALID_GROUP_ID", topics: [] } as const) : engine?.fetchOffsets(group, topics);
  return {
    errorCode: codeOf(answer?.error ?? "COORDINATOR_LOAD_IN_PROGRESS"),
    topics: (answer?.topics ?? []).map(({ topic, partitions }) => ({
      name: topic,
      partitions: partitions.map(({ partition, offset, leaderEpoch, metadata, error }) => ({
        partitionIndex: partition,
        committedOffset: offset,
        committedLeaderEpoch: leaderEpoch,
        metadata,
        errorCode: codeOf(error),
      })),
    })),
  };
}

function refusedTopics(asked: NonNullable<AskedTopics>, errorCode: number) {
  return asked.map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((partitionIndex) => ({
      partitionIndex,
      committedOffset: -1,
      committedLeaderEpoch: -1,
      metadata: "",
      errorCode,
    })),
  }));
}
