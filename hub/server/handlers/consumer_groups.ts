// Groups of the server-side protocol on the wire: ConsumerGroupHeartbeat (68) and ConsumerGroupDescribe (69), KIP-848.
import type { GroupEngine } from "../../engine/groups.ts";
import { codeOf } from "../../errors.ts";
import type { DescribedConsumerGroup, DescribedMember } from "../../groups/consumer_coordinator.ts";
import type { TopicPartitions } from "../../groups/topic_partitions.ts";
import { partitionsFrom } from "../../groups/topic_partitions.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import { anonymous } from "../identity.ts";
import type { RequestContext } from "../services.ts";

type DescribedRow = ResponseOf<"consumerGroupDescribe">["groups"][number];

/** Which protocol a member speaks (KIP-1099). */
const MemberType = { Classic: 0, Consumer: 1 } as const;

/** READ, DELETE and DESCRIBE, as bits of KIP-430. */
const allOperations = (1 << 3) | (1 << 6) | (1 << 8);
const operationsNotAsked = -2_147_483_648;

type Names = { nameOf(topicId: string): string | undefined };

/** Handlers of groups of the server-side protocol; spread into those of groups. */
export function consumerGroupHandlers(engine: () => GroupEngine | null, names: Names) {
  return {
    async consumerGroupHeartbeat(
      request: RequestOf<"consumerGroupHeartbeat">,
      context: RequestContext,
    ): Promise<ResponseOf<"consumerGroupHeartbeat">> {
      const owned = request.topicPartitions;
      const reply = await engine()?.consumerHeartbeat({
        group: request.groupId,
        memberId: request.memberId,
        memberEpoch: request.memberEpoch,
        instanceId: request.instanceId,
        rackId: request.rackId,
        rebalanceTimeoutMs: request.rebalanceTimeoutMs,
        topics: request.subscribedTopicNames,
        regex: request.subscribedTopicRegex,
        assignor: request.serverAssignor,
        owned: owned && partitionsFrom(owned.map(({ topicId, partitions }) => [topicId, partitions] as const)),
        clientId: context.clientId ?? "",
        clientHost: `/${context.clientHost}`,
        principal: context.inProcess ? "" : (context.identity?.principal ?? anonymous),
        version: context.version,
      });
      const assignment = reply?.assignment ?? null;
      return {
        throttleTimeMs: 0,
        errorCode: codeOf(reply?.error ?? "COORDINATOR_LOAD_IN_PROGRESS"),
        errorMessage: reply?.message ?? null,
        memberId: reply?.memberId ?? null,
        memberEpoch: reply?.memberEpoch ?? 0,
        heartbeatIntervalMs: reply?.heartbeatMs ?? 0,
        assignment: assignment && {
          topicPartitions: [...assignment].map(([topicId, partitions]) => ({ topicId, partitions: [...partitions] })),
        },
      };
    },

    consumerGroupDescribe(request: RequestOf<"consumerGroupDescribe">): ResponseOf<"consumerGroupDescribe"> {
      const authorizedOperations = request.includeAuthorizedOperations ? allOperations : operationsNotAsked;
      const groups = [...new Set(request.groupIds)].map((groupId): DescribedRow => {
        const { error, found } = engine()?.describeConsumer(groupId) ?? noGroup;
        const row = { ...emptyRow, groupId, authorizedOperations };
        if (error !== "NONE") return { ...row, errorCode: codeOf(error) };
        if (groupId === "") return { ...row, errorCode: codeOf("INVALID_GROUP_ID") };
        if (found !== null) return { ...row, ...described(found, names) };
        return {
          ...row,
          errorCode: codeOf("GROUP_ID_NOT_FOUND"),
          errorMessage: `Group ${groupId} is not a consumer group.`,
        };
      });
      return { throttleTimeMs: 0, groups };
    },
  };
}

const noGroup = { error: "COORDINATOR_LOAD_IN_PROGRESS", found: null } as const;

const emptyRow = {
  errorCode: 0,
  errorMessage: null,
  groupState: "",
  groupEpoch: 0,
  assignmentEpoch: 0,
  assignorName: "",
  members: [],
};

function described(found: DescribedConsumerGroup, names: Names) {
  return {
    groupState: found.state,
    groupEpoch: found.epoch,
    assignmentEpoch: found.assignmentEpoch,
    assignorName: found.assignor,
    members: found.members.map((each) => memberRow(each, names)),
  };
}

function memberRow({ member, target }: DescribedMember, names: Names): DescribedRow["members"][number] {
  return {
    memberId: member.memberId,
    instanceId: member.instanceId,
    rackId: member.rackId,
    memberEpoch: member.epoch,
    clientId: member.clientId,
    clientHost: member.clientHost,
    subscribedTopicNames: [...member.topics],
    subscribedTopicRegex: member.regex === "" ? null : member.regex,
    assignment: { topicPartitions: rows(member.assigned, names) },
    targetAssignment: { topicPartitions: rows(target, names) },
    memberType: member.classic === null ? MemberType.Consumer : MemberType.Classic,
  };
}

/** Topics that were deleted meanwhile have no name to tell and are left out. */
function rows(partitions: TopicPartitions, names: Names) {
  return [...partitions].flatMap(([topicId, list]) => {
    const topicName = names.nameOf(topicId);
    return topicName === undefined ? [] : [{ topicId, topicName, partitions: [...list] }];
  });
}
