// Groups of the classic protocol: every step of a member's life, and what each wrong step is answered.
import type { CallOf } from "../../../hub/wire/apis.ts";
import type { WireClient } from "../../tools/wire_client.ts";
import { bytes, type Scenario, type Stage } from "./stage.ts";

type Join = CallOf<"joinGroup">;

const range = [{ name: "range", metadata: bytes("meta") }];
const join = (groupId: string, more: Partial<Join> = {}): Join => ({
  groupId,
  sessionTimeoutMs: 30_000,
  rebalanceTimeoutMs: 30_000,
  memberId: "",
  groupInstanceId: null,
  protocolType: "consumer",
  protocols: range,
  ...more,
});

/** A member that joins in two steps and is the leader of its generation; not noted. */
async function member(at: Stage, groupId: string, more: Partial<Join> = {}, wire?: WireClient) {
  const first = await at.ask("joinGroup", 5, join(groupId, more), [], wire);
  if (more.groupInstanceId !== undefined) return first;
  return await at.ask("joinGroup", 5, join(groupId, { ...more, memberId: first.memberId }), [], wire);
}

async function synced(at: Stage, groupId: string, more: Partial<Join> = {}) {
  const { memberId, generationId } = await member(at, groupId, more);
  const assignments = [{ memberId, assignment: bytes("mine") }];
  await at.ask("syncGroup", 3, { groupId, generationId, memberId, assignments });
  return { memberId, generationId };
}

async function joining(at: Stage): Promise<void> {
  for (const version of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
    const groupId = `join-v${version}`;
    const first = await at.step(`version ${version}`, "joinGroup", version, join(groupId));
    if (version < 4) continue;
    await at.step(`version ${version}, again`, "joinGroup", version, join(groupId, { memberId: first.memberId }));
  }
  for (const sessionTimeoutMs of [0, 5_999, 6_000, 1_800_000, 1_800_001, -1]) {
    const { memberId } = await at.step(`session of ${sessionTimeoutMs} ms`, "joinGroup", 3, {
      ...join(`join-session-${sessionTimeoutMs}`),
      sessionTimeoutMs,
    });
    at.note(`session of ${sessionTimeoutMs} ms, has an id`, memberId !== "");
  }
  await at.step("empty group id", "joinGroup", 3, join(""));
  await at.step("empty protocol type", "joinGroup", 3, join("join-a", { protocolType: "" }));
  await at.step("no protocols", "joinGroup", 3, join("join-a", { protocols: [] }));
  await at.step("unknown member of no group", "joinGroup", 3, join("join-none", { memberId: "nobody" }));
  await at.step("one joins", "joinGroup", 3, join("join-b"));
  await at.step("unknown member of a group", "joinGroup", 3, join("join-b", { memberId: "nobody" }));
  await at.step("other protocol type", "joinGroup", 3, join("join-b", { protocolType: "connect" }));
  const other = [{ name: "other", metadata: bytes("x") }];
  await at.step("no protocol in common", "joinGroup", 3, join("join-b", { protocols: other }));
  await at.step("other protocol type, id wanted", "joinGroup", 5, join("join-b", { protocolType: "connect" }));
}

async function living(at: Stage): Promise<void> {
  const groupId = "life";
  const { memberId, generationId } = await member(at, groupId);
  const sync = (name: string, more: Partial<CallOf<"syncGroup">>, version = 5) =>
    at.step(name, "syncGroup", version, {
      groupId,
      generationId,
      memberId,
      assignments: [],
      protocolType: "consumer",
      protocolName: "range",
      ...more,
    });
  const beat = (name: string, more: Partial<CallOf<"heartbeat">> = {}, version = 4) =>
    at.step(name, "heartbeat", version, { groupId, generationId, memberId, ...more });
  await beat("heartbeat before the assignment");
  await sync("sync of another generation", { generationId: generationId + 1 });
  await sync("sync of a stranger", { memberId: "nobody" });
  await sync("sync of no group", { groupId: "life-none" });
  await sync("sync with an empty group id", { groupId: "" });
  await sync("sync of another protocol", { protocolName: "other" });
  await sync("sync of another protocol type", { protocolType: "other" });
  await sync("sync of neither", { protocolName: null, protocolType: null });
  const assignments = [{ memberId, assignment: bytes("mine") }];
  await sync("sync", { assignments });
  await sync("sync again, with other words", { assignments: [{ memberId, assignment: bytes("other") }] });
  for (const version of [0, 1, 2, 3, 4, 5]) await sync(`sync, version ${version}`, {}, version);
  for (const version of [0, 1, 2, 3, 4]) await beat(`heartbeat, version ${version}`, {}, version);
  await beat("heartbeat of an older generation", { generationId: generationId - 1 });
  await beat("heartbeat of a newer generation", { generationId: generationId + 1 });
  await beat("heartbeat of a stranger", { memberId: "nobody" });
  await beat("heartbeat of no group", { groupId: "life-none" });
  await beat("heartbeat with an empty group id", { groupId: "" });
  await beat("heartbeat with an instance id that it has not", { groupInstanceId: "static" });
  const wire = await at.connect();
  const second = at.ask("joinGroup", 3, join(groupId, { protocols: range }), [], wire);
  // until the second one is in, the first is in a stable group
  for (let code = 0; code === 0; ) code = (await at.ask("heartbeat", 4, { groupId, generationId, memberId })).errorCode;
  await beat("heartbeat while others join");
  await sync("sync while others join", {});
  const commit = { groupId, generationIdOrMemberEpoch: generationId, memberId, topics: [] };
  await at.step("commit while others join", "offsetCommit", 8, commit);
  const again = await at.step("joins again as the leader", "joinGroup", 5, join(groupId, { memberId }));
  const joined = await second;
  at.note("the second one", joined);
  const assigned = [memberId, joined.memberId].map((id) => ({ memberId: id, assignment: bytes("half") }));
  const waiting = at.ask(
    "syncGroup",
    3,
    { groupId, generationId: again.generationId, memberId: joined.memberId, assignments: [] },
    [],
    wire,
  );
  await at.step("the leader's sync", "syncGroup", 3, {
    groupId,
    generationId: again.generationId,
    memberId,
    assignments: assigned,
  });
  at.note("the second one's sync", await waiting);
  await beat("the first generation is over");
  await at.step("groups described", "describeGroups", 6, {
    groups: [groupId, "life-none"],
    includeAuthorizedOperations: true,
  });
  await at.step("an empty name described", "describeGroups", 6, { groups: [""] });
  for (const version of [0, 1, 2, 3, 4, 5]) {
    await at.step(`described, version ${version}`, "describeGroups", version, { groups: [groupId, "life-none"] });
  }
  await at.step("a group with members is not deleted", "deleteGroups", 2, { groupsNames: [groupId, "life-none", ""] });
  const leave = (name: string, request: object, version: number) =>
    at.step(name, "leaveGroup", version, { groupId, ...request } as never);
  await leave("a stranger leaves", { memberId: "nobody" }, 1);
  await leave("a member of no group leaves", { groupId: "life-none", memberId: "nobody" }, 1);
  await leave("leaves with an empty group id", { groupId: "", memberId }, 1);
  await leave("the second leaves", { memberId: joined.memberId }, 1);
  await leave(
    "several leave",
    { members: [{ memberId }, { memberId: "nobody" }, { memberId: "", groupInstanceId: "x" }] },
    5,
  );
  await leave("nobody is left", { memberId }, 1);
  await at.step("an empty group", "describeGroups", 5, { groups: [groupId] });
  await at.step("an empty group is deleted", "deleteGroups", 2, { groupsNames: [groupId] });
  await at.step("and is gone", "describeGroups", 5, { groups: [groupId] });
}

async function statics(at: Stage): Promise<void> {
  const groupId = "static";
  const as = (groupInstanceId: string, more: Partial<Join> = {}) => join(groupId, { groupInstanceId, ...more });
  const first = await at.step("joins", "joinGroup", 9, as("a"));
  const { memberId, generationId } = first;
  const assignments = [{ memberId, assignment: bytes("mine") }];
  await at.step("syncs", "syncGroup", 5, {
    ...{ groupId, generationId, memberId, groupInstanceId: "a", assignments },
    ...{ protocolType: "consumer", protocolName: "range" },
  });
  const back = await at.step("comes back", "joinGroup", 9, as("a"));
  const old = { groupId, generationId, memberId, groupInstanceId: "a" };
  await at.step("its former self beats", "heartbeat", 4, old);
  await at.step("its former self joins", "joinGroup", 9, as("a", { memberId }));
  await at.step("its former self syncs", "syncGroup", 5, {
    ...old,
    assignments: [],
    protocolType: null,
    protocolName: null,
  });
  const commit = { groupId, generationIdOrMemberEpoch: generationId, memberId, groupInstanceId: "a", topics: [] };
  await at.topic("static-topic");
  const topics = [
    { name: "static-topic", partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }] },
  ];
  await at.step("its former self commits", "offsetCommit", 8, { ...commit, topics });
  await at.step("it beats", "heartbeat", 4, { ...old, memberId: back.memberId });
  await at.step("it syncs", "syncGroup", 5, {
    ...{ ...old, memberId: back.memberId, generationId: back.generationId },
    ...{ assignments: [], protocolType: "consumer", protocolName: "range" },
  });
  await at.step("it commits", "offsetCommit", 8, { ...commit, memberId: back.memberId, topics });
  await at.step("an unknown instance beats", "heartbeat", 4, { ...old, groupInstanceId: "zzz" });
  await at.step("described", "describeGroups", 5, { groups: [groupId] });
  const leave = (members: readonly object[]) => ({ groupId, members }) as never;
  await at.step("its former self leaves", "leaveGroup", 5, leave([{ memberId, groupInstanceId: "a" }]));
  await at.step("is made to leave", "leaveGroup", 5, leave([{ memberId: "", groupInstanceId: "a" }]));
  await at.step("nobody is left", "describeGroups", 5, { groups: [groupId] });
}

const offset = (name: string, committedOffset: number, more: object = {}) => ({
  name,
  partitions: [{ partitionIndex: 0, committedOffset, committedMetadata: "m", ...more }],
});

async function offsets(at: Stage): Promise<void> {
  const topicId = await at.topic("offsets");
  const groupId = "offsets-simple";
  const commit = (name: string, more: Partial<CallOf<"offsetCommit">> = {}, version = 8) =>
    at.step(name, "offsetCommit", version, { groupId, topics: [offset("offsets", 5)], ...more });
  for (const version of [2, 3, 4, 5, 6, 7, 8, 9]) await commit(`version ${version}`, {}, version);
  const byId = [{ ...offset("", 6), topicId }];
  await commit("by topic id", { topics: byId }, 10);
  await commit(
    "by unknown topic id",
    { topics: [{ ...byId[0]!, topicId: "11111111-2222-4333-8444-555555555555" }] },
    10,
  );
  await commit("unknown topic", { topics: [offset("offsets-nowhere", 5)] });
  await commit("unknown partition", { topics: [offset("offsets", 5, { partitionIndex: 7 })] });
  await commit("negative partition", { topics: [offset("offsets", 5, { partitionIndex: -1 })] });
  await commit("negative offset", { topics: [offset("offsets", -5)] });
  for (const size of [4096, 4097]) {
    await commit(`metadata of ${size}`, { topics: [offset("offsets", 5, { committedMetadata: "x".repeat(size) })] });
  }
  await commit("metadata of none", { topics: [offset("offsets", 5, { committedMetadata: null })] });
  await commit("empty group id", { groupId: "" });
  await commit("a member of no group", { memberId: "nobody", generationIdOrMemberEpoch: 3 });
  await commit("a generation without a member", { generationIdOrMemberEpoch: 3 });
  await commit("a member without a generation", { memberId: "nobody" });
  await commit("a new group, a member of it", {
    groupId: "offsets-none",
    memberId: "nobody",
    generationIdOrMemberEpoch: 1,
  });
  const { memberId, generationId } = await synced(at, "offsets-group");
  const member = { groupId: "offsets-group", memberId, generationIdOrMemberEpoch: generationId };
  await commit("of a member", member);
  await commit("of an older generation", { ...member, generationIdOrMemberEpoch: generationId - 1 });
  await commit("of a newer generation", { ...member, generationIdOrMemberEpoch: generationId + 1 });
  await commit("of a stranger", { ...member, memberId: "nobody" });
  await commit("of nobody, while there are members", { groupId: "offsets-group" });
  for (const version of [1, 2, 3, 4, 5, 6, 7]) {
    const topics = [
      { name: "offsets", partitionIndexes: [0, 3] },
      { name: "offsets-nowhere", partitionIndexes: [0] },
    ];
    await at.step(`fetch, version ${version}`, "offsetFetch", version, { groupId, topics });
    await at.step(`fetch of no group, version ${version}`, "offsetFetch", version, {
      groupId: "offsets-nobody",
      topics,
    });
    if (version > 1)
      await at.step(`fetch of all, version ${version}`, "offsetFetch", version, { groupId, topics: null });
  }
  for (const version of [8, 9]) {
    const topics = [{ name: "offsets", partitionIndexes: [0, 3] }];
    const groups = [
      { groupId, topics },
      { groupId: "offsets-nobody", topics },
      { groupId: "offsets-group", topics: null },
    ];
    await at.step(`fetch, version ${version}`, "offsetFetch", version, { groups } as never);
    const fenced = { groupId: "offsets-group", memberId: "nobody", memberEpoch: 3, topics };
    await at.step(`fetch of a member, version ${version}`, "offsetFetch", version, { groups: [fenced] } as never);
  }
  const ids = [{ groupId, topics: [{ topicId, partitionIndexes: [0] }] }];
  await at.step("fetch by topic id", "offsetFetch", 10, { groups: ids } as never);
  const unknown = [{ topicId: "11111111-2222-4333-8444-555555555555", partitionIndexes: [0] }];
  await at.step("fetch by unknown topic id", "offsetFetch", 10, { groups: [{ groupId, topics: unknown }] } as never);
  const remove = (name: string, group: string, topic: string, partitionIndex = 0) =>
    at.step(name, "offsetDelete", 0, { groupId: group, topics: [{ name: topic, partitions: [{ partitionIndex }] }] });
  await remove("delete an offset", groupId, "offsets");
  await remove("delete it again", groupId, "offsets");
  await remove("delete of an unknown partition", groupId, "offsets", 9);
  await remove("delete of an unknown topic", groupId, "offsets-nowhere");
  await remove("delete of no group", "offsets-nobody", "offsets");
  await remove("delete of an empty group id", "", "offsets");
  await remove("delete of a group with members", "offsets-group", "offsets");
  await at.step("a group without offsets is deleted", "deleteGroups", 2, { groupsNames: [groupId] });
}

async function listing(at: Stage): Promise<void> {
  await synced(at, "list-stable");
  await at.topic("list-topic");
  const topics = [offset("list-topic", 1)];
  await at.ask("offsetCommit", 8, { groupId: "list-empty", topics });
  const own = (answer: { readonly groups: readonly { readonly groupId: string }[]; readonly errorCode: number }) => ({
    errorCode: answer.errorCode,
    groups: answer.groups.filter(({ groupId }) => groupId.startsWith("list-")),
  });
  for (const version of [0, 1, 2, 3, 4, 5]) await at.step(`version ${version}`, "listGroups", version, {}, own);
  for (const state of ["Stable", "stable", "Empty", "Nonsense"]) {
    await at.step(`in state ${state}`, "listGroups", 5, { statesFilter: [state] }, own);
  }
  for (const type of ["classic", "Classic", "consumer", "share", "nonsense"]) {
    await at.step(`of type ${type}`, "listGroups", 5, { typesFilter: [type] }, own);
  }
  for (const version of [0, 1, 2, 3]) {
    for (const keyType of [0, 1, 2]) {
      await at.step(`coordinator ${keyType}, version ${version}`, "findCoordinator", version, {
        key: "list-empty",
        keyType,
      });
    }
  }
  for (const version of [4, 5, 6]) {
    for (const keyType of [0, 1, 2, 3]) {
      const request = { keyType, coordinatorKeys: ["list-empty", ""] };
      await at.step(`coordinator ${keyType}, version ${version}`, "findCoordinator", version, request);
    }
  }
}

export const groupScenarios: readonly Scenario[] = [
  { name: "groups, join", play: joining },
  { name: "groups, a life", play: living },
  { name: "groups, static members", play: statics },
  { name: "groups, offsets", play: offsets },
  { name: "groups, lists", play: listing },
];
