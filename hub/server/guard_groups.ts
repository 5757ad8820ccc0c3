// Guards of groups, their offsets and transactions.
import { Operation, Resource } from "../access/acl.ts";
import { codeOf } from "../errors.ts";
import type { RequestOf, ResponseOf } from "../wire/apis.ts";
import { type Asker, denied, type Guards, split, why } from "./asker.ts";

const KeyType = { Group: 0, Transaction: 1 } as const;
const nobody = { nodeId: -1, host: "", port: -1 } as const;
const nothing = new Uint8Array(0);

function findRefusal(keyType: number, key: string, asker: Asker): number {
  if (keyType === KeyType.Group) return asker.group(Operation.Describe, key) ? 0 : denied.group;
  if (keyType === KeyType.Transaction) return asker.transaction(Operation.Describe, key) ? 0 : denied.transaction;
  return asker.cluster(Operation.ClusterAction) ? 0 : denied.cluster;
}

export const memberGuards: Guards<
  "findCoordinator" | "joinGroup" | "syncGroup" | "heartbeat" | "leaveGroup" | "consumerGroupHeartbeat"
> = {
  async findCoordinator(request, asker, go) {
    const { keyType } = request;
    const none = { throttleTimeMs: 0, errorCode: 0, errorMessage: null, ...nobody, coordinators: [] };
    if (asker.version < 4) {
      const errorCode = findRefusal(keyType, request.key, asker);
      return errorCode === 0 ? await go(request) : { ...none, errorCode, errorMessage: why };
    }
    const { yes, no } = split(request.coordinatorKeys, (key) => findRefusal(keyType, key, asker) === 0);
    if (no.length === 0) return await go(request);
    const answer = yes.length === 0 ? none : await go({ ...request, coordinatorKeys: yes });
    const refused = no.map((key) => {
      return { key, ...nobody, errorCode: findRefusal(keyType, key, asker), errorMessage: why };
    });
    return answer && { ...answer, coordinators: [...(answer.coordinators ?? []), ...refused] };
  },

  joinGroup(request, asker, go) {
    if (asker.group(Operation.Read, request.groupId)) return go(request);
    return {
      throttleTimeMs: 0,
      errorCode: denied.group,
      generationId: -1,
      protocolType: null,
      protocolName: asker.version >= 7 ? null : "",
      leader: "",
      memberId: request.memberId,
      members: [],
    };
  },

  syncGroup(request, asker, go) {
    if (asker.group(Operation.Read, request.groupId)) return go(request);
    const names = { protocolType: null, protocolName: null };
    return { throttleTimeMs: 0, errorCode: denied.group, ...names, assignment: nothing };
  },

  heartbeat(request, asker, go) {
    if (asker.group(Operation.Read, request.groupId)) return go(request);
    return { throttleTimeMs: 0, errorCode: denied.group };
  },

  leaveGroup(request, asker, go) {
    if (asker.group(Operation.Read, request.groupId)) return go(request);
    return { throttleTimeMs: 0, errorCode: denied.group, members: [] };
  },

  consumerGroupHeartbeat(request, asker, go) {
    const mayRead = asker.group(Operation.Read, request.groupId);
    const seesAll = request.subscribedTopicNames?.every((name) => asker.topic(Operation.Describe, name)) ?? true;
    if (mayRead && seesAll) return go(request);
    const errorCode = mayRead ? denied.topic : denied.group;
    return { throttleTimeMs: 0, errorCode, errorMessage: why, memberEpoch: 0, heartbeatIntervalMs: 0 };
  },
};

/** Who may describe a group and not all topics of its members learns neither. */
function describesAll(asker: Asker, group: ResponseOf<"consumerGroupDescribe">["groups"][number]): boolean {
  return group.members.every(({ subscribedTopicNames, assignment, targetAssignment }) => {
    const assigned = [...assignment.topicPartitions, ...targetAssignment.topicPartitions];
    const names = [...subscribedTopicNames, ...assigned.map(({ topicName }) => topicName)];
    return names.every((name) => asker.topic(Operation.Describe, name));
  });
}

export const groupGuards: Guards<"describeGroups" | "consumerGroupDescribe" | "listGroups" | "deleteGroups"> = {
  async describeGroups(request, asker, go) {
    const { yes, no } = split(request.groups, (group) => asker.group(Operation.Describe, group));
    const answer = yes.length === 0 ? null : await go({ ...request, groups: yes });
    const told = (answer?.groups ?? []).map((group) => ({
      ...group,
      authorizedOperations: asker.operations(group.authorizedOperations, Resource.Group, group.groupId),
    }));
    const refused = no.map((groupId) => {
      return { errorCode: denied.group, groupId, groupState: "", protocolType: "", protocolData: "", members: [] };
    });
    return { throttleTimeMs: 0, ...answer, groups: [...told, ...refused] };
  },

  async consumerGroupDescribe(request, asker, go) {
    const { yes, no } = split(request.groupIds, (group) => asker.group(Operation.Describe, group));
    const answer = yes.length === 0 ? null : await go({ ...request, groupIds: yes });
    const refusal = (groupId: string, errorCode: number) => {
      const unknown = { groupState: "", groupEpoch: 0, assignmentEpoch: 0, assignorName: "", members: [] };
      return { errorCode, errorMessage: why, groupId, ...unknown };
    };
    const told = (answer?.groups ?? []).map((group) => {
      if (!describesAll(asker, group)) return refusal(group.groupId, denied.topic);
      const possible = group.authorizedOperations;
      return { ...group, authorizedOperations: asker.operations(possible, Resource.Group, group.groupId) };
    });
    const refused = no.map((groupId) => refusal(groupId, denied.group));
    return { throttleTimeMs: 0, ...answer, groups: [...told, ...refused] };
  },

  async listGroups(request, asker, go) {
    const answer = await go(request);
    if (answer === null || asker.cluster(Operation.Describe)) return answer;
    return { ...answer, groups: answer.groups.filter(({ groupId }) => asker.group(Operation.Describe, groupId)) };
  },

  async deleteGroups(request, asker, go) {
    const { yes, no } = split(request.groupsNames, (group) => asker.group(Operation.Delete, group));
    const answer = yes.length === 0 ? null : await go({ ...request, groupsNames: yes });
    const refused = no.map((groupId) => ({ groupId, errorCode: denied.group }));
    return { throttleTimeMs: 0, ...answer, results: [...(answer?.results ?? []), ...refused] };
  },
};

type FetchGroup = RequestOf<"offsetFetch">["groups"][number];
type FetchedGroup = NonNullable<ResponseOf<"offsetFetch">["groups"]>[number];

const noOffset = { committedOffset: -1, committedLeaderEpoch: -1, metadata: "" } as const;

/** What is refused of one group's fetch; null when nothing is. */
function refusedOffsets(topics: FetchGroup["topics"], asker: Asker, errorCode: number, all: boolean) {
  const no = (topics ?? []).filter((topic) => all || !asker.topic(Operation.Describe, topic));
  return no.map(({ partitionIndexes, ...topic }) => ({
    ...topic,
    partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, ...noOffset, errorCode })),
  }));
}

async function fetchManyOffsets(
  request: RequestOf<"offsetFetch">,
  asker: Asker,
  go: (request: RequestOf<"offsetFetch">) => Promise<ResponseOf<"offsetFetch"> | null>,
) {
  const { yes, no } = split(request.groups, ({ groupId }) => asker.group(Operation.Describe, groupId));
  const byId = new Map(yes.map((group) => [group.groupId, group]));
  const groups = yes.map((group) => ({
    ...group,
    topics: group.topics?.filter((topic) => asker.topic(Operation.Describe, topic)) ?? null,
  }));
  const none = { throttleTimeMs: 0, topics: [], errorCode: 0, groups: [] };
  const answer = yes.length === 0 ? none : await go({ ...request, groups });
  if (answer === null) return null;
  const told = (answer.groups ?? []).map((group): FetchedGroup => {
    const asked = byId.get(group.groupId ?? "");
    const seen = (group.topics ?? []).filter((topic) => asker.topic(Operation.Describe, topic));
    return { ...group, topics: [...seen, ...refusedOffsets(asked?.topics ?? null, asker, denied.topic, false)] };
  });
  const refused = no.map(({ groupId }): FetchedGroup => ({ groupId, topics: [], errorCode: denied.group }));
  return { ...answer, groups: [...told, ...refused] };
}

export const offsetGuards: Guards<"offsetCommit" | "offsetFetch" | "offsetDelete" | "txnOffsetCommit"> = {
  async offsetCommit(request, asker, go) {
    const mayRead = asker.group(Operation.Read, request.groupId);
    const { yes, no } = split(request.topics, (topic) => mayRead && asker.topic(Operation.Read, topic));
    if (mayRead && no.length === 0) return await go(request);
    const answer = yes.length === 0 ? null : await go({ ...request, topics: yes });
    const errorCode = mayRead ? denied.topic : denied.group;
    const refused = no.map(({ partitions, ...topic }) => ({
      ...topic,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    }));
    return { throttleTimeMs: 0, ...answer, topics: [...(answer?.topics ?? []), ...refused] };
  },

  async offsetFetch(request, asker, go) {
    if (asker.version >= 8) return await fetchManyOffsets(request, asker, go);
    const { topics } = request;
    const none = { throttleTimeMs: 0, topics: [], errorCode: 0, groups: [] };
    if (!asker.group(Operation.Describe, request.groupId)) {
      // v1 has no place for an error of the group, so each partition bears it
      const refused = refusedOffsets(topics as FetchGroup["topics"], asker, denied.group, true);
      return asker.version >= 2 ? { ...none, errorCode: denied.group } : { ...none, topics: refused };
    }
    const seen = topics?.filter((topic) => asker.topic(Operation.Describe, topic)) ?? null;
    const answer = await go({ ...request, topics: seen });
    if (answer === null) return null;
    const told = (answer.topics ?? []).filter((topic) => asker.topic(Operation.Describe, topic));
    const refused = refusedOffsets(topics as FetchGroup["topics"], asker, denied.topic, false);
    return { ...answer, topics: [...told, ...refused] };
  },

  async offsetDelete(request, asker, go) {
    if (!asker.group(Operation.Delete, request.groupId)) {
      return { errorCode: denied.group, throttleTimeMs: 0, topics: [] };
    }
    const { yes, no } = split(request.topics, (topic) => asker.topic(Operation.Read, topic));
    if (no.length === 0) return await go(request);
    const answer = yes.length === 0 ? null : await go({ ...request, topics: yes });
    const refused = no.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: denied.topic })),
    }));
    return { errorCode: 0, throttleTimeMs: 0, ...answer, topics: [...(answer?.topics ?? []), ...refused] };
  },

  async txnOffsetCommit(request, asker, go) {
    const whole = asker.transaction(Operation.Write, request.transactionalId)
      ? asker.group(Operation.Read, request.groupId)
        ? 0
        : denied.group
      : denied.transaction;
    const { yes, no } = split(request.topics, (topic) => whole === 0 && asker.topic(Operation.Read, topic));
    if (whole === 0 && no.length === 0) return await go(request);
    const answer = yes.length === 0 ? null : await go({ ...request, topics: yes });
    const errorCode = whole === 0 ? denied.topic : whole;
    const refused = no.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    }));
    return { throttleTimeMs: 0, ...answer, topics: [...(answer?.topics ?? []), ...refused] };
  },
};

export const transactionGuards: Guards<
  "addPartitionsToTxn" | "addOffsetsToTxn" | "endTxn" | "writeTxnMarkers" | "describeTransactions" | "listTransactions"
> = {
  addPartitionsToTxn(request, asker, go) {
    const mayWrite = asker.transaction(Operation.Write, request.v3AndBelowTransactionalId);
    const topics = request.v3AndBelowTopics;
    const allowed = (name: string): boolean => mayWrite && asker.topic(Operation.Write, name);
    if (mayWrite && topics.every(({ name }) => allowed(name))) return go(request);
    // all or nothing: what would have been allowed was not attempted
    const codeFor = (name: string): number => {
      if (!mayWrite) return denied.transaction;
      return allowed(name) ? codeOf("OPERATION_NOT_ATTEMPTED") : denied.topic;
    };
    const resultsByTopicV3AndBelow = topics.map(({ name, partitions }) => ({
      name,
      resultsByPartition: partitions.map((partitionIndex) => {
        return { partitionIndex, partitionErrorCode: codeFor(name) };
      }),
    }));
    return { throttleTimeMs: 0, resultsByTopicV3AndBelow };
  },

  addOffsetsToTxn(request, asker, go) {
    const { transactionalId, groupId } = request;
    if (!asker.transaction(Operation.Write, transactionalId)) {
      return { throttleTimeMs: 0, errorCode: denied.transaction };
    }
    return asker.group(Operation.Read, groupId) ? go(request) : { throttleTimeMs: 0, errorCode: denied.group };
  },

  endTxn(request, asker, go) {
    if (asker.transaction(Operation.Write, request.transactionalId)) return go(request);
    return { throttleTimeMs: 0, errorCode: denied.transaction };
  },

  writeTxnMarkers(request, asker, go) {
    if (asker.cluster(Operation.ClusterAction) || asker.cluster(Operation.Alter)) return go(request);
    const markers = request.markers.map(({ producerId, topics }) => ({
      producerId,
      topics: topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, errorCode: denied.cluster })),
      })),
    }));
    return { markers };
  },

  async describeTransactions(request, asker, go) {
    const { yes, no } = split(request.transactionalIds, (id) => asker.transaction(Operation.Describe, id));
    const answer = yes.length === 0 ? null : await go({ ...request, transactionalIds: yes });
    const told = (answer?.transactionStates ?? []).map((state) => ({
      ...state,
      topics: state.topics.filter((topic) => asker.topic(Operation.Describe, topic)),
    }));
    const refused = no.map((transactionalId) => ({
      errorCode: denied.transaction,
      transactionalId,
      transactionState: "",
      transactionTimeoutMs: 0,
      transactionStartTimeMs: -1,
      producerId: -1,
      producerEpoch: -1,
      topics: [],
    }));
    return { throttleTimeMs: 0, ...answer, transactionStates: [...told, ...refused] };
  },

  async listTransactions(request, asker, go) {
    const answer = await go(request);
    if (answer === null) return null;
    const seen = answer.transactionStates.filter(({ transactionalId }) => {
      return asker.transaction(Operation.Describe, transactionalId);
    });
    return { ...answer, transactionStates: seen };
  },
};
