// Groups of the server-side protocol (KIP-848): epochs, assignments, and what each wrong heartbeat is answered.
import type { CallOf } from "../../../hub/wire/apis.ts";
import type { Scenario, Stage } from "./stage.ts";

type Heartbeat = CallOf<"consumerGroupHeartbeat">;

const uuid = (last: number): string => `00000000-0000-4000-8000-00000000000${last}`;
const id = (last: number): string =>
  Buffer.from(uuid(last).replaceAll("-", ""), "hex").toString("base64url").slice(0, 22);

async function heartbeats(at: Stage): Promise<void> {
  const topic = "consumers";
  const topicId = await at.topic(topic, 4);
  const groupId = "consumers-group";
  const memberId = id(1);
  const beat = (name: string, more: Partial<Heartbeat>, version = 1) =>
    at.step(name, "consumerGroupHeartbeat", version, { groupId, memberId, memberEpoch: 0, ...more });
  const joins = { rebalanceTimeoutMs: 30_000, subscribedTopicNames: [topic], topicPartitions: [] };
  await beat("empty group id", { ...joins, groupId: "" });
  await beat("no member id", { ...joins, memberId: "" });
  await beat("no rebalance timeout", { ...joins, rebalanceTimeoutMs: -1 });
  await beat("no subscription", { ...joins, subscribedTopicNames: null });
  await beat("partitions at once", { ...joins, topicPartitions: [{ topicId, partitions: [0] }] });
  await beat("null partitions", { ...joins, topicPartitions: null });
  await beat("unknown assignor", { ...joins, serverAssignor: "nonsense" });
  await beat("a bad expression", { ...joins, subscribedTopicNames: null, subscribedTopicRegex: "[" });
  await beat("an empty instance id", { ...joins, instanceId: "" });
  await beat("a stranger", { memberEpoch: 3 });
  await beat("a stranger leaves", { memberEpoch: -1 });
  await beat("an epoch below -2", { memberEpoch: -3 });
  const first = await beat("joins", joins);
  await beat("joins again", joins);
  const owned = [{ topicId, partitions: [0, 1, 2, 3] }];
  const { memberEpoch } = first;
  await beat("has its partitions", { memberEpoch, topicPartitions: owned });
  await beat("has nothing to say", { memberEpoch });
  await beat("an epoch to come", { memberEpoch: memberEpoch + 5 });
  await beat("a subscription to nothing", { memberEpoch, subscribedTopicNames: ["consumers-nowhere"] });
  await at.step(
    "described",
    "consumerGroupDescribe",
    1,
    { groupIds: [groupId, "consumers-none", ""], includeAuthorizedOperations: false },
    ({ groups }) =>
      groups.map(({ errorCode, groupState, assignorName, members }) => ({
        ...{ errorCode, groupState, assignorName },
        members: members.map((one) => ({ memberType: one.memberType, names: one.subscribedTopicNames })),
      })),
  );
  await at.step("described as a classic one", "describeGroups", 6, { groups: [groupId] });
  const topics = [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: "" }] }];
  const commit = (name: string, more: object, version = 9) =>
    at.step(name, "offsetCommit", version, { groupId, memberId, topics, ...more });
  await commit("commit of a stranger", { memberId: "nobody", generationIdOrMemberEpoch: 1 });
  await commit("commit of an epoch to come", { generationIdOrMemberEpoch: 99 });
  await commit("commit of an epoch to come, version 8", { generationIdOrMemberEpoch: 99 }, 8);
  await commit("commit of nobody", { memberId: "", generationIdOrMemberEpoch: -1 });
  const groups = (more: object) => ({
    groups: [{ groupId, topics: [{ name: topic, partitionIndexes: [0] }], ...more }],
  });
  await at.step("fetch of a stranger", "offsetFetch", 9, groups({ memberId: "nobody", memberEpoch: 1 }));
  await at.step("fetch of an epoch to come", "offsetFetch", 9, groups({ memberId, memberEpoch: 99 }));
  await at.step("deleted with a member", "deleteGroups", 2, { groupsNames: [groupId] });
  await beat("leaves", { memberEpoch: -1 });
  await beat("leaves again", { memberEpoch: -1 });
  await at.step("deleted", "deleteGroups", 2, { groupsNames: [groupId] });
  await statics(at, topic, topicId);
}

async function statics(at: Stage, topic: string, topicId: string): Promise<void> {
  const groupId = "consumers-static";
  const beat = (name: string, memberId: string, more: Partial<Heartbeat>) =>
    at.step(name, "consumerGroupHeartbeat", 1, { groupId, memberId, memberEpoch: 0, instanceId: "i", ...more });
  const joins = { rebalanceTimeoutMs: 30_000, subscribedTopicNames: [topic], topicPartitions: [] };
  const { memberEpoch } = await beat("a static member", id(3), joins);
  await beat("its instance by another member", id(4), joins);
  await beat("with an unknown instance", id(3), { instanceId: "zzz", memberEpoch });
  await beat("leaves for a while", id(3), { memberEpoch: -2 });
  await beat("comes back as another", id(4), joins);
  const topicPartitions = [{ topicId, partitions: [0] }];
  await beat("its former self", id(3), { memberEpoch, topicPartitions });
  await beat("leaves for good", id(4), { memberEpoch: -1 });
}

export const consumerGroupScenarios: readonly Scenario[] = [{ name: "consumer groups", play: heartbeats }];
