// What members of classic groups are told when something is wrong, over the wire: each error code of the coordinator.
import assert from "node:assert/strict";
import test from "node:test";
import type { CallOf } from "../../../hub/wire/apis.ts";
import { type TestHub, withHub } from "../../tools/test_hub.ts";
import { is, makeTopic } from "../../tools/wire_calls.ts";
import { dialWire, type WireClient } from "../../tools/wire_client.ts";

function join(wire: WireClient, ask: Partial<CallOf<"joinGroup">> = {}, version = 7) {
  return wire.call("joinGroup", version, {
    groupId: "g",
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 20_000,
    memberId: "",
    protocolType: "consumer",
    protocols: [{ name: "range", metadata: Uint8Array.of(1) }],
    ...ask,
  });
}

interface Member {
  readonly groupId: string;
  readonly memberId: string;
  readonly generationId: number;
  readonly groupInstanceId: string | null;
}

/** Joins and syncs alone; v3 asks for no second round, an instance id needs v5. */
async function memberOf(wire: WireClient, groupId: string, groupInstanceId: string | null = null): Promise<Member> {
  const joined = await join(wire, { groupId, groupInstanceId }, groupInstanceId === null ? 3 : 5);
  is(joined, "NONE");
  const { memberId, generationId } = joined;
  const assignments = [{ memberId, assignment: Uint8Array.of(9) }];
  is(await wire.call("syncGroup", 4, { groupId, memberId, generationId, groupInstanceId, assignments }), "NONE");
  return { groupId, memberId, generationId, groupInstanceId };
}

async function commit(wire: WireClient, member: Partial<Member>, metadata = "") {
  const reply = await wire.call("offsetCommit", 7, {
    groupId: "g",
    ...member,
    generationIdOrMemberEpoch: member.generationId ?? -1,
    topics: [{ name: "t", partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: metadata }] }],
  });
  return reply.topics[0]!.partitions[0]!;
}

const withTopic = (use: (opened: TestHub) => Promise<void>, settings: Record<string, number> = {}): Promise<void> =>
  withHub({ settings }, async (opened) => {
    await makeTopic(opened.wire, "t");
    await use(opened);
  });

test("INVALID_GROUP_ID, INVALID_SESSION_TIMEOUT, MEMBER_ID_REQUIRED, UNKNOWN_MEMBER_ID at the door", async () => {
  await withTopic(async ({ wire }) => {
    is(await join(wire, { groupId: "" }), "INVALID_GROUP_ID");
    for (const sessionTimeoutMs of [5_999, 1_800_001, 0, -1]) {
      is(await join(wire, { sessionTimeoutMs }), "INVALID_SESSION_TIMEOUT");
    }
    const asked = await join(wire);
    is(asked, "MEMBER_ID_REQUIRED");
    assert.ok(asked.memberId.length > 10);
    is(await join(wire, { memberId: "nobody" }), "UNKNOWN_MEMBER_ID");
    is(await join(wire, { memberId: asked.memberId }), "NONE");
  });
});

test("INCONSISTENT_GROUP_PROTOCOL: another type, no protocol in common, none at all, another name at the sync", async () => {
  await withTopic(async ({ wire }) => {
    const member = await memberOf(wire, "g");
    is(await join(wire, { protocolType: "connect" }, 3), "INCONSISTENT_GROUP_PROTOCOL");
    const other = [{ name: "sticky", metadata: Uint8Array.of(1) }];
    is(await join(wire, { protocols: other }, 3), "INCONSISTENT_GROUP_PROTOCOL");
    is(await join(wire, { groupId: "new", protocols: [] }, 3), "INCONSISTENT_GROUP_PROTOCOL");
    is(await join(wire, { groupId: "new", protocolType: "" }, 3), "INCONSISTENT_GROUP_PROTOCOL");
    const sync = { ...member, assignments: [], protocolType: "consumer", protocolName: "sticky" };
    is(await wire.call("syncGroup", 5, sync), "INCONSISTENT_GROUP_PROTOCOL");
  });
});

test("GROUP_MAX_SIZE_REACHED: one more than the group may have", async () => {
  await withTopic(
    async ({ wire }) => {
      await memberOf(wire, "g");
      const refused = await join(wire, {}, 3);
      is(refused, "GROUP_MAX_SIZE_REACHED");
      assert.equal(refused.memberId, "");
    },
    { "group.max.size": 1 },
  );
});

test("ILLEGAL_GENERATION and UNKNOWN_MEMBER_ID: heartbeat, sync, commit and leave of who is not there, or not any more", async () => {
  await withTopic(async ({ wire }) => {
    const member = await memberOf(wire, "g");
    const late = { ...member, generationId: member.generationId + 1 };
    const stranger = { ...member, memberId: "stranger" };
    is(await wire.call("heartbeat", 4, late), "ILLEGAL_GENERATION");
    is(await wire.call("heartbeat", 4, stranger), "UNKNOWN_MEMBER_ID");
    is(await wire.call("heartbeat", 4, { ...member, groupId: "none" }), "UNKNOWN_MEMBER_ID");
    is(await wire.call("syncGroup", 4, { ...late, assignments: [] }), "ILLEGAL_GENERATION");
    is(await wire.call("syncGroup", 4, { ...stranger, assignments: [] }), "UNKNOWN_MEMBER_ID");
    is(await commit(wire, late), "ILLEGAL_GENERATION");
    is(await commit(wire, stranger), "UNKNOWN_MEMBER_ID");
    is(await commit(wire, {}), "UNKNOWN_MEMBER_ID"); // from outside, while the group has members
    const left = await wire.call("leaveGroup", 5, { groupId: "g", members: [stranger, member] });
    assert.deepEqual(
      left.members.map(({ errorCode }) => errorCode),
      [25, 0],
    );
    is(await wire.call("heartbeat", 4, member), "UNKNOWN_MEMBER_ID");
    is(await commit(wire, {}), "NONE");
  });
});

test("REBALANCE_IN_PROGRESS: heartbeat and sync of an old member while a new one waits; its commit is still taken", async () => {
  await withTopic(async ({ wire, kafka }) => {
    const member = await memberOf(wire, "g");
    const newcomer = await dialWire(kafka);
    const joining = join(newcomer, {}, 3).catch(() => null);
    for (;;) {
      const { groups } = await wire.call("describeGroups", 5, { groups: ["g"] });
      if (groups[0]!.groupState === "PreparingRebalance") break;
    }
    is(await wire.call("heartbeat", 4, member), "REBALANCE_IN_PROGRESS");
    is(await wire.call("syncGroup", 4, { ...member, assignments: [] }), "REBALANCE_IN_PROGRESS");
    is(await commit(wire, member), "NONE");
    const again = await join(wire, { memberId: member.memberId }, 3);
    is(again, "NONE");
    assert.equal((await joining)!.generationId, again.generationId);
    // joined, and its leader has not assigned yet
    is(await commit(wire, { ...member, generationId: again.generationId }), "REBALANCE_IN_PROGRESS");
    newcomer.close();
  });
});

test("FENCED_INSTANCE_ID: whoever came second with an instance id is the member, the first is told", async () => {
  await withTopic(async ({ wire }) => {
    const first = await memberOf(wire, "g", "i1");
    const second = await join(wire, { groupInstanceId: "i1" }, 5);
    is(second, "NONE");
    assert.notEqual(second.memberId, first.memberId);
    is(await wire.call("heartbeat", 4, first), "FENCED_INSTANCE_ID");
    is(await wire.call("syncGroup", 4, { ...first, assignments: [] }), "FENCED_INSTANCE_ID");
    is(await commit(wire, first), "FENCED_INSTANCE_ID");
    is(await join(wire, { memberId: first.memberId, groupInstanceId: "i1" }, 5), "FENCED_INSTANCE_ID");
    const left = await wire.call("leaveGroup", 5, { groupId: "g", members: [first] });
    is(left.members[0]!, "FENCED_INSTANCE_ID");
    const gone = await wire.call("leaveGroup", 5, { groupId: "g", members: [{ memberId: "", groupInstanceId: "i1" }] });
    is(gone.members[0]!, "NONE");
  });
});

test("a static leader that comes again (v9) is told to skip the assignment and is given who is there", async () => {
  await withTopic(async ({ wire }) => {
    await memberOf(wire, "g", "i1");
    const again = await join(wire, { groupInstanceId: "i1", reason: "restarted" }, 9);
    is(again, "NONE");
    assert.deepEqual([again.skipAssignment, again.leader === again.memberId, again.members.length], [true, true, 1]);
    const older = await join(wire, { groupInstanceId: "i1" }, 8);
    assert.deepEqual([older.errorCode, older.skipAssignment], [0, false]);
  });
});

test("OFFSET_METADATA_TOO_LARGE and UNKNOWN_TOPIC_OR_PARTITION stand on the partition they are of", async () => {
  await withTopic(async ({ wire }) => {
    const partition = (partitionIndex: number, committedMetadata: string) => {
      return { partitionIndex, committedOffset: 1, committedMetadata };
    };
    const reply = await wire.call("offsetCommit", 7, {
      groupId: "g",
      topics: [
        { name: "t", partitions: [partition(0, "x".repeat(4097)), partition(7, "")] },
        { name: "none", partitions: [partition(0, "")] },
      ],
    });
    const codes = reply.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode));
    assert.deepEqual(codes, [12, 3, 3]);
    is(await commit(wire, {}, "x".repeat(4096)), "NONE");
    const fetched = await wire.call("offsetFetch", 7, { groupId: "g", topics: null });
    assert.equal(fetched.topics[0]!.partitions[0]!.metadata!.length, 4096);
  });
});

test("NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, GROUP_SUBSCRIBED_TO_TOPIC: what operators may not delete", async () => {
  await withTopic(async ({ wire }) => {
    await memberOf(wire, "g");
    const { results } = await wire.call("deleteGroups", 2, { groupsNames: ["g", "none"] });
    is(results[0]!, "NON_EMPTY_GROUP");
    is(results[1]!, "GROUP_ID_NOT_FOUND");
    const topics = [{ name: "t", partitions: [{ partitionIndex: 0 }] }];
    const subscribed = await wire.call("offsetDelete", 0, { groupId: "g", topics });
    is(subscribed.topics[0]!.partitions[0]!, "GROUP_SUBSCRIBED_TO_TOPIC");
    is(await wire.call("offsetDelete", 0, { groupId: "none", topics }), "GROUP_ID_NOT_FOUND");
    const { groups } = await wire.call("describeGroups", 6, { groups: ["none"] });
    is(groups[0]!, "GROUP_ID_NOT_FOUND");
    assert.deepEqual([groups[0]!.groupState, groups[0]!.errorMessage], ["Dead", "Group none not found."]);
  });
});
