// Membership of groups on the wire: FindCoordinator (10), Join (11), Heartbeat (12), Leave (13), Sync (14) and groups
// as operators see them: Describe (15), List (16), Delete (42).
import type { GroupEngine } from "../../engine/groups.ts";
import type { TopicNames } from "../../engine/groups_types.ts";
import type { ErrorName } from "../../errors.ts";
import { codeOf } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { GroupHandlers } from "../handler.ts";
import type { RequestContext } from "../services.ts";
import { consumerGroupHandlers } from "./consumer_groups.ts";
import { offsetHandlers } from "./offsets.ts";

/** Where clients find a hub. */
export interface NodeAddress {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

/** Key types of FindCoordinator. */
export const KeyType = { Group: 0, Transaction: 1 } as const;

/** The hub that coordinates a group or a transactional id, or why it cannot be told now. */
export type FindHome = (keyType: number, key: string, context: RequestContext) => Promise<NodeAddress | ErrorName>;

/**
 * READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS and ALTER_CONFIGS, as bits of KIP-430: what anybody may do while there is no
 * access control.
 */
const allOperations = (1 << 3) | (1 << 6) | (1 << 8) | (1 << 10) | (1 << 11);
const operationsNotAsked = -2_147_483_648;

/** All handlers of groups and their offsets. `engine` is null until the hub has one. */
export function groupHandlers(
  engine: () => GroupEngine | null,
  findHome: FindHome,
  names: Pick<TopicNames, "idOf" | "nameOf">,
): GroupHandlers {
  return {
    ...coordinatorHandlers(findHome),
    ...memberHandlers(engine),
    ...operatorHandlers(engine),
    ...offsetHandlers(engine, names),
    ...consumerGroupHandlers(engine, names),
  };
}

const nowhere: NodeAddress = { nodeId: -1, host: "", port: -1 };

function coordinatorHandlers(findHome: FindHome) {
  const find = async (keyType: number, key: string, context: RequestContext) => {
    const known = keyType === KeyType.Group || keyType === KeyType.Transaction;
    const found = known ? await findHome(keyType, key, context) : "INVALID_REQUEST";
    if (typeof found !== "string") return { errorCode: 0, errorMessage: null, ...found };
    return { errorCode: codeOf(found), errorMessage: found, ...nowhere };
  };
  return {
    async findCoordinator(
      request: RequestOf<"findCoordinator">,
      context: RequestContext,
    ): Promise<ResponseOf<"findCoordinator">> {
      const { keyType, key, coordinatorKeys } = request;
      if (context.version < 4) return { throttleTimeMs: 0, ...(await find(keyType, key, context)), coordinators: [] };
      const coordinators = await Promise.all(
        coordinatorKeys.map(async (one) => ({ key: one, ...(await find(keyType, one, context)) })),
      );
      return { throttleTimeMs: 0, errorCode: 0, errorMessage: null, ...nowhere, coordinators };
    },
  };
}

function memberHandlers(engine: () => GroupEngine | null) {
  return { ...joinHandlers(engine), ...livingHandlers(engine) };
}

function joinHandlers(engine: () => GroupEngine | null) {
  return {
    async joinGroup(request: RequestOf<"joinGroup">, context: RequestContext): Promise<ResponseOf<"joinGroup">> {
      const { version } = context;
      const reply = await engine()?.join({
        group: request.groupId,
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
        clientId: context.clientId ?? "",
        clientHost: `/${context.clientHost}`,
        sessionTimeoutMs: request.sessionTimeoutMs,
        rebalanceTimeoutMs: request.rebalanceTimeoutMs,
        protocolType: request.protocolType,
        protocols: request.protocols,
        needsMemberId: version >= 4,
        canSkipAssignment: version >= 9,
      });
      // Before v7 the protocol name could not be null.
      const noName = version >= 7 ? null : "";
      return {
        throttleTimeMs: 0,
        errorCode: codeOf(reply?.error ?? "COORDINATOR_LOAD_IN_PROGRESS"),
        generationId: reply?.generation ?? -1,
        protocolType: reply?.protocolType ?? null,
        protocolName: reply?.protocolName ?? noName,
        leader: reply?.leader ?? "",
        skipAssignment: reply?.skipAssignment ?? false,
        memberId: reply?.memberId ?? request.memberId,
        members: (reply?.members ?? []).map(({ memberId, instanceId, metadata }) => {
          return { memberId, groupInstanceId: instanceId, metadata };
        }),
      };
    },

    async syncGroup(request: RequestOf<"syncGroup">, context: RequestContext): Promise<ResponseOf<"syncGroup">> {
      const unnamed = request.protocolType === null || request.protocolName === null;
      // from version 5 on a member says for which protocol it asks (KIP-559)
      if (context.version >= 5 && unnamed) {
        const nothing = { protocolType: null, protocolName: null, assignment: new Uint8Array(0) };
        return { throttleTimeMs: 0, errorCode: codeOf("INCONSISTENT_GROUP_PROTOCOL"), ...nothing };
      }
      const reply = await engine()?.sync({
        group: request.groupId,
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
        generation: request.generationId,
        protocolType: request.protocolType,
        protocolName: request.protocolName,
        assignments: new Map(request.assignments.map(({ memberId, assignment }) => [memberId, assignment])),
      });
      return {
        throttleTimeMs: 0,
        errorCode: codeOf(reply?.error ?? "COORDINATOR_LOAD_IN_PROGRESS"),
        protocolType: reply?.protocolType ?? null,
        protocolName: reply?.protocolName ?? null,
        assignment: reply?.assignment ?? new Uint8Array(0),
      };
    },
  };
}

function livingHandlers(engine: () => GroupEngine | null) {
  return {
    heartbeat(request: RequestOf<"heartbeat">): ResponseOf<"heartbeat"> {
      const { memberId, groupInstanceId, generationId } = request;
      const claim = { memberId, instanceId: groupInstanceId, generation: generationId };
      const error = engine()?.heartbeat(request.groupId, claim) ?? "COORDINATOR_LOAD_IN_PROGRESS";
      return { throttleTimeMs: 0, errorCode: codeOf(error) };
    },

    leaveGroup(request: RequestOf<"leaveGroup">, context: RequestContext): ResponseOf<"leaveGroup"> {
      const many = context.version >= 3;
      const leavers = many
        ? request.members.map(({ memberId, groupInstanceId }) => ({ memberId, instanceId: groupInstanceId }))
        : [{ memberId: request.memberId, instanceId: null }];
      const answer = engine()?.leave(request.groupId, leavers);
      const errors = answer?.errors ?? [];
      const whole = answer?.error ?? "COORDINATOR_LOAD_IN_PROGRESS";
      const error = many || whole !== "NONE" ? whole : (errors[0] ?? "NONE");
      const members = leavers.map(({ memberId, instanceId }, i) => {
        return { memberId, groupInstanceId: instanceId, errorCode: codeOf(errors[i] ?? whole) };
      });
      return { throttleTimeMs: 0, errorCode: codeOf(error), members: many && whole === "NONE" ? members : [] };
    },
  };
}

function operatorHandlers(engine: () => GroupEngine | null) {
  return {
    describeGroups(request: RequestOf<"describeGroups">, context: RequestContext): ResponseOf<"describeGroups"> {
      const authorizedOperations = request.includeAuthorizedOperations ? allOperations : operationsNotAsked;
      const groups = request.groups.map((groupId) => {
        const found = engine()?.describe(groupId);
        const error = describeError(found, groupId, context.version);
        return {
          errorCode: codeOf(error),
          errorMessage: error === "GROUP_ID_NOT_FOUND" ? `Group ${groupId} not found.` : null,
          groupId,
          groupState: found?.state ?? "",
          protocolType: found?.protocolType ?? "",
          protocolData: found?.protocolName ?? "",
          members: (found?.members ?? []).map((member) => ({
            memberId: member.memberId,
            groupInstanceId: member.instanceId,
            clientId: member.clientId,
            clientHost: member.clientHost,
            memberMetadata: member.metadata,
            memberAssignment: member.assignment,
          })),
          authorizedOperations: error === "NONE" ? authorizedOperations : operationsNotAsked,
        };
      });
      return { throttleTimeMs: 0, groups };
    },

    listGroups(request: RequestOf<"listGroups">): ResponseOf<"listGroups"> {
      const wanted = request.typesFilter.map((type) => type.toLowerCase());
      const { error, groups } = engine()?.list(request.statesFilter) ?? noGroups;
      const rows = wanted.length === 0 ? groups : groups.filter(({ type }) => wanted.includes(type));
      return {
        throttleTimeMs: 0,
        errorCode: codeOf(error),
        groups: rows.map(({ group, protocolType, state, type }) => {
          return { groupId: group, protocolType, groupState: state, groupType: type };
        }),
      };
    },

    async deleteGroups(request: RequestOf<"deleteGroups">): Promise<ResponseOf<"deleteGroups">> {
      const names = [...new Set(request.groupsNames)];
      const results = await Promise.all(
        names.map(async (groupId) => {
          const error = (await engine()?.delete(groupId)) ?? "COORDINATOR_LOAD_IN_PROGRESS";
          return { groupId, errorCode: codeOf(error) };
        }),
      );
      return { throttleTimeMs: 0, results };
    },
  };
}

const noGroups = { error: "COORDINATOR_LOAD_IN_PROGRESS", groups: [] } as const;

/** Before v6 a group that is not there is described as Dead, without an error (KIP-1043). */
function describeError(
  found: ReturnType<GroupEngine["describe"]> | undefined,
  groupId: string,
  version: number,
): ErrorName {
  if (found === undefined) return "COORDINATOR_LOAD_IN_PROGRESS";
  if (found.error !== "NONE") return found.error;
  if (groupId === "") return "INVALID_GROUP_ID";
  return version >= 6 && found.state === "Dead" ? "GROUP_ID_NOT_FOUND" : "NONE";
}
