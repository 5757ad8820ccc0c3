// The server-side group protocol as a client sees it: heartbeats, descriptions, listings, offsets, deletion.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../../hub/errors.ts";
import type { ErrorName } from "../../../../hub/errors.ts";
import { GroupStage, topicId, versionsOf } from "./group_stage.ts";

const join = {
  groupId: "g",
  memberId: "m",
  memberEpoch: 0,
  rebalanceTimeoutMs: 10_000,
  subscribedTopicNames: ["t"],
  topicPartitions: [],
};

const is = (errorCode: number | undefined, name: ErrorName): void => assert.equal(errorCode, codeOf(name), name);

async function opened(): Promise<GroupStage> {
  const stage = new GroupStage();
  await stage.open();
  return stage;
}

const commit = (memberId: string, epoch: number) => ({
  groupId: "g",
  memberId,
  generationIdOrMemberEpoch: epoch,
  topics: [{ name: "t", partitions: [{ partitionIndex: 0, committedOffset: 5, committedMetadata: "" }] }],
});

test("consumerGroupHeartbeat: joins, is assigned by topic id, beats, leaves, in every version", async () => {
  for (const version of versionsOf("consumerGroupHeartbeat")) {
    const stage = await opened();
    const joined = await stage.call("consumerGroupHeartbeat", version, { ...join, memberId: version === 0 ? "" : "m" });
    assert.deepEqual([joined.errorCode, joined.errorMessage, joined.memberEpoch], [0, null, 1]);
    assert.equal(joined.heartbeatIntervalMs, 5_000);
    assert.deepEqual(joined.assignment, { topicPartitions: [{ topicId, partitions: [0, 1] }] });
    const memberId = joined.memberId!;
    assert.notEqual(memberId, "");
    const quiet = await stage.call("consumerGroupHeartbeat", version, { groupId: "g", memberId, memberEpoch: 1 });
    assert.deepEqual([quiet.errorCode, quiet.memberEpoch, quiet.assignment], [0, 1, null]);
    const left = await stage.call("consumerGroupHeartbeat", version, { groupId: "g", memberId, memberEpoch: -1 });
    assert.deepEqual([left.errorCode, left.memberEpoch], [0, -1]);
    const gone = await stage.call("consumerGroupHeartbeat", version, { groupId: "g", memberId, memberEpoch: 1 });
    is(gone.errorCode, "UNKNOWN_MEMBER_ID");
    assert.match(gone.errorMessage ?? "", /is not a member of group g/);
  }
});

test("consumerGroupHeartbeat: COORDINATOR_LOAD_IN_PROGRESS before there is a coordinator", async () => {
  const stage = new GroupStage();
  is((await stage.call("consumerGroupHeartbeat", 1, join)).errorCode, "COORDINATOR_LOAD_IN_PROGRESS");
  const { groups } = await stage.call("consumerGroupDescribe", 1, {
    groupIds: ["g"],
    includeAuthorizedOperations: false,
  });
  is(groups[0]?.errorCode, "COORDINATOR_LOAD_IN_PROGRESS");
});

test("consumerGroupDescribe: epochs, subscriptions, both assignments; who is no such group is told so", async () => {
  const stage = await opened();
  await stage.call("consumerGroupHeartbeat", 1, { ...join, instanceId: "i", rackId: "r", serverAssignor: "range" });
  await stage.member("classic");
  for (const version of versionsOf("consumerGroupDescribe")) {
    const asked = { groupIds: ["g", "classic", "none", ""], includeAuthorizedOperations: true };
    const { groups } = await stage.call("consumerGroupDescribe", version, asked);
    const [g, classic, none, empty] = groups;
    assert.deepEqual([g?.groupState, g?.groupEpoch, g?.assignmentEpoch, g?.assignorName], ["Stable", 1, 1, "range"]);
    const [member] = g!.members;
    const partitions = { topicPartitions: [{ topicId, topicName: "t", partitions: [0, 1] }] };
    assert.deepEqual([member?.assignment, member?.targetAssignment], [partitions, partitions]);
    assert.deepEqual([member?.instanceId, member?.rackId, member?.memberEpoch], ["i", "r", 1]);
    assert.deepEqual([member?.subscribedTopicNames, member?.subscribedTopicRegex], [["t"], null]);
    assert.deepEqual([member?.clientId, member?.clientHost], ["c", "/10.0.0.9"]);
    assert.equal(member?.memberType, version >= 1 ? 1 : -1);
    assert.notEqual(g?.authorizedOperations, -2_147_483_648);
    is(classic?.errorCode, "GROUP_ID_NOT_FOUND");
    is(none?.errorCode, "GROUP_ID_NOT_FOUND");
    is(empty?.errorCode, "INVALID_GROUP_ID");
  }
});

test("listGroups 5 filters by type and state; describeGroups 6 does not find a consumer group, 5 says Dead", async () => {
  const stage = await opened();
  await stage.call("consumerGroupHeartbeat", 1, join);
  await stage.member("classic");
  const listed = async (typesFilter: string[], statesFilter: string[] = []) => {
    const { groups } = await stage.call("listGroups", 5, { typesFilter, statesFilter });
    return groups.map(({ groupId, groupType, groupState, protocolType }) => {
      return [groupId, groupType, groupState, protocolType].join(" ");
    });
  };
  assert.deepEqual(await listed(["Consumer"]), ["g consumer Stable consumer"]);
  assert.deepEqual(await listed(["classic"]), ["classic classic Stable consumer"]);
  assert.equal((await listed([])).length, 2);
  assert.deepEqual(await listed([], ["reconciling", "assigning"]), []);
  const asked = { groups: ["g"], includeAuthorizedOperations: false };
  is((await stage.call("describeGroups", 6, asked)).groups[0]?.errorCode, "GROUP_ID_NOT_FOUND");
  const older = (await stage.call("describeGroups", 5, asked)).groups[0];
  assert.deepEqual([older?.errorCode, older?.groupState], [0, "Dead"]);
});

test("offsetCommit and offsetFetch 9: STALE_MEMBER_EPOCH, UNKNOWN_MEMBER_ID; onlookers may fetch", async () => {
  const stage = await opened();
  await stage.call("consumerGroupHeartbeat", 1, join);
  const committed = async (memberId: string, epoch: number) => {
    return (await stage.call("offsetCommit", 9, commit(memberId, epoch))).topics[0]?.partitions[0]?.errorCode;
  };
  is(await committed("m", 1), "NONE");
  is(await committed("m", 0), "STALE_MEMBER_EPOCH");
  is(await committed("m", 2), "STALE_MEMBER_EPOCH");
  is(await committed("who", 1), "UNKNOWN_MEMBER_ID");
  is(await committed("", -1), "UNKNOWN_MEMBER_ID");
  const fetched = async (memberId: string | null, memberEpoch: number) => {
    const groups = [{ groupId: "g", memberId, memberEpoch, topics: [{ name: "t", partitionIndexes: [0] }] }];
    return (await stage.call("offsetFetch", 9, { groups, requireStable: false })).groups[0]!;
  };
  assert.equal((await fetched(null, -1)).topics[0]?.partitions[0]?.committedOffset, 5);
  assert.equal((await fetched("m", 1)).topics[0]?.partitions[0]?.committedOffset, 5);
  is((await fetched("m", 3)).errorCode, "STALE_MEMBER_EPOCH");
  is((await fetched("who", 1)).errorCode, "UNKNOWN_MEMBER_ID");
});

test("offsetDelete, deleteGroups: not what members read, not while there are members", async () => {
  const stage = await opened();
  await stage.call("consumerGroupHeartbeat", 1, join);
  await stage.call("offsetCommit", 9, commit("m", 1));
  const asked = { groupId: "g", topics: [{ name: "t", partitions: [{ partitionIndex: 0 }] }] };
  const deleted = async () => (await stage.call("offsetDelete", 0, asked)).topics[0]?.partitions[0]?.errorCode;
  is(await deleted(), "GROUP_SUBSCRIBED_TO_TOPIC");
  is((await stage.call("deleteGroups", 2, { groupsNames: ["g"] })).results[0]?.errorCode, "NON_EMPTY_GROUP");
  const leave = { groupId: "g", members: [{ memberId: "m", groupInstanceId: null }] };
  assert.equal((await stage.call("leaveGroup", 5, leave)).members[0]?.errorCode, 0, "an operator removes it");
  is((await stage.call("consumerGroupHeartbeat", 1, { ...join, memberEpoch: 1 })).errorCode, "UNKNOWN_MEMBER_ID");
  is(await deleted(), "NONE");
  is((await stage.call("deleteGroups", 2, { groupsNames: ["g"] })).results[0]?.errorCode, "NONE");
  is((await stage.call("consumerGroupHeartbeat", 1, { ...join, memberEpoch: 1 })).errorCode, "GROUP_ID_NOT_FOUND");
});

test("offsetCommit: a member of the new protocol commits with its epoch, which only versions from 9 on bear", async () => {
  const stage = await opened();
  await stage.call("consumerGroupHeartbeat", 1, join);
  for (const version of versionsOf("offsetCommit").filter((one) => one < 10)) {
    const { topics } = await stage.call("offsetCommit", version, commit("m", 1));
    is(topics[0]?.partitions[0]?.errorCode, version < 9 ? "UNSUPPORTED_VERSION" : "NONE");
  }
});
