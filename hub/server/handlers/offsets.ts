// Committed offsets on the wire: OffsetCommit (8), OffsetFetch (9), OffsetDelete (47).
import type { GroupEngine } from "../../engine/groups.ts";
import type { TopicNames } from "../../engine/groups_types.ts";
import type { ErrorName } from "../../errors.ts";
import { codeOf } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import { zeroUuid } from "../../wire/schema.ts";
import type { RequestContext } from "../services.ts";

type FetchResponse = ResponseOf<"offsetFetch">;
type Names = Pick<TopicNames, "idOf" | "nameOf">;

/** OffsetCommit and OffsetFetch name topics by id from here on (KIP-848, KIP-516). */
const idsSince = 10;

/** Handlers of offsets; spread into those of groups. */
export function offsetHandlers(engine: () => GroupEngine | null, names: Names) {
  return { ...commitHandlers(engine, names), ...committedHandlers(engine, names) };
}

function commitHandlers(engine: () => GroupEngine | null, names: Names) {
  return {
    async offsetCommit(
      request: RequestOf<"offsetCommit">,
      context: RequestContext,
    ): Promise<ResponseOf<"offsetCommit">> {
      const claim = {
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
        generation: request.generationIdOrMemberEpoch,
        version: context.version,
      };
      const { known, unknown, ids } = namesOf(request.topics, context.version, names);
      const asked = known.map(({ name, partitions }) => ({
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
      const refused = unknown.map(({ topicId, partitions }) => ({
        topicId,
        partitions: partitions.map(({ partitionIndex }) => {
          return { partitionIndex, errorCode: codeOf("UNKNOWN_TOPIC_ID") };
        }),
      }));
      const stored = answers.map((answer) => ({
        ...partitionErrors(answer),
        topicId: ids.get(answer.topic) ?? zeroUuid,
      }));
      return { throttleTimeMs: 0, topics: [...stored, ...refused] };
    },
  };
}

function committedHandlers(engine: () => GroupEngine | null, names: Names) {
  return {
    offsetFetch(request: RequestOf<"offsetFetch">, context: RequestContext): FetchResponse {
      const empty = { throttleTimeMs: 0, topics: [], errorCode: 0, groups: [] };
      if (context.version >= 8) {
        const groups = request.groups.map(({ groupId, memberId, memberEpoch, topics }) => {
          const refused = engine()?.checkFetch(groupId, memberId, memberEpoch) ?? "NONE";
          if (refused !== "NONE") return { groupId, errorCode: codeOf(refused), topics: [] };
          return { groupId, ...fetchNamed(engine(), groupId, topics, context.version, names, request.requireStable) };
        });
        return { ...empty, groups };
      }
      const { topics, errorCode } = fetch(engine(), request.groupId, request.topics, request.requireStable);
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

interface NamedTopic {
  readonly name: string;
  readonly topicId: string;
}

/** The topics of a request under their names, and those whose id is of no topic here. */
function namesOf<T extends NamedTopic>(topics: readonly T[], version: number, names: Names) {
  if (version < idsSince) return { known: topics, unknown: [], ids: new Map<string, string>() };
  const known: T[] = [];
  const unknown: T[] = [];
  const ids = new Map<string, string>();
  for (const topic of topics) {
    const name = names.nameOf(topic.topicId);
    if (name === undefined) unknown.push(topic);
    else {
      known.push({ ...topic, name });
      ids.set(name, topic.topicId);
    }
  }
  return { known, unknown, ids };
}

type AskedById = readonly (NamedTopic & { readonly partitionIndexes: readonly number[] })[];

/** As `fetch`, for the versions of many groups, which may name topics by id. */
function fetchNamed(
  engine: GroupEngine | null,
  group: string,
  asked: AskedById | null,
  version: number,
  names: Names,
  requireStable: boolean,
) {
  if (version < idsSince) return fetch(engine, group, asked, requireStable);
  const split = asked && namesOf(asked, version, names);
  const { errorCode, topics } = fetch(engine, group, split?.known ?? null, requireStable);
  const found = topics.flatMap((topic) => {
    const topicId = split?.ids.get(topic.name) ?? names.idOf(topic.name);
    return topicId === undefined ? [] : [{ ...topic, topicId }];
  });
  const refused = errorCode === 0 ? refusedTopics(split?.unknown ?? [], codeOf("UNKNOWN_TOPIC_ID")) : [];
  return { errorCode, topics: [...found, ...refused] };
}

type AskedTopics = readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[] | null;

function fetch(engine: GroupEngine | null, group: string, asked: AskedTopics, requireStable: boolean) {
  const topics = asked?.map(({ name, partitionIndexes }) => ({ topic: name, partitions: partitionIndexes })) ?? null;
  const answer =
    group === ""
      ? ({ error: "INVALID_GROUP_ID", topics: [] } as const)
      : engine?.fetchOffsets(group, topics, requireStable);
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

function refusedTopics(
  asked: readonly { name: string; topicId?: string; partitionIndexes: readonly number[] }[],
  errorCode: number,
) {
  return asked.map(({ name, topicId = zeroUuid, partitionIndexes }) => ({
    name,
    topicId,
    partitions: partitionIndexes.map((partitionIndex) => ({
      partitionIndex,
      committedOffset: -1,
      committedLeaderEpoch: -1,
      metadata: "",
      errorCode,
    })),
  }));
}
