// Group handlers through the codec, in every version that is served.
import assert from "node:assert/strict";
import test from "node:test";
import { GroupStage, versionsOf } from "./group_stage.ts";

test("findCoordinator: this hub, at the address the client came to, for groups and transactions", async () => {
  const stage = new GroupStage();
  for (const version of versionsOf("findCoordinator")) {
    const asked = { key: "g", coordinatorKeys: ["g", "h"] };
    const answer = await stage.call("findCoordinator", version, asked);
    const found = version < 4 ? [answer] : answer.coordinators;
    assert.equal(found.length, version < 4 ? 1 : 2);
    for (const { nodeId, host, port, errorCode } of found) {
      assert.deepEqual([nodeId, host, port, errorCode], [7, "hub.lan", 9092, 0]);
    }
    if (version === 0) continue;
    for (const [keyType, code, nodeId] of [
      [1, 0, 7],
      [2, 42, -1],
    ] as const) {
      const told = await stage.call("findCoordinator", version, { ...asked, keyType });
      const first = version < 4 ? told : told.coordinators[0];
      assert.deepEqual([first?.errorCode, first?.nodeId], [code, nodeId]);
    }
  }
});

test("joinGroup, syncGroup, heartbeat, leaveGroup: a member's life in every version", async () => {
  const stage = new GroupStage();
  await stage.open();
  for (const version of versionsOf("joinGroup")) {
    const groupId = `g${version}`;
    const request = {
      groupId,
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 30_000,
      memberId: "",
      protocolType: "connect",
      protocols: [{ name: "compatible", metadata: new Uint8Array([0, 255]) }],
    };
    let joined = await stage.call("joinGroup", version, request);
    if (version >= 4) {
      assert.equal(joined.errorCode, 79);
      joined = await stage.call("joinGroup", version, { ...request, memberId: joined.memberId });
    }
    const { memberId, generationId } = joined;
    assert.deepEqual([joined.errorCode, generationId, joined.leader], [0, 1, memberId]);
    assert.equal(joined.protocolName, "compatible");
    assert.deepEqual(
      joined.members.map((member) => [...member.metadata]),
      [[0, 255]],
    );
    if (version >= 7) assert.equal(joined.protocolType, "connect");

    const syncVersion = Math.min(version, 5);
    const assignments = [{ memberId, assignment: new Uint8Array([1, 2, 3]) }];
    const named = { protocolType: "connect", protocolName: "compatible" };
    const sync = { groupId, generationId, memberId, assignments, ...named };
    const synced = await stage.call("syncGroup", syncVersion, sync);
    assert.deepEqual([synced.errorCode, ...synced.assignment], [0, 1, 2, 3]);
    if (syncVersion === 5) {
      assert.deepEqual([synced.protocolType, synced.protocolName], ["connect", "compatible"]);
      const unnamed = await stage.call("syncGroup", 5, { ...sync, protocolName: null });
      assert.equal(unnamed.errorCode, 23);
      const other = await stage.call("syncGroup", 5, { ...sync, protocolName: "eager" });
      assert.equal(other.errorCode, 23);
    }

    const beatVersion = Math.min(version, 4);
    const leaveVersion = Math.min(version, 5);
    const beat = { groupId, generationId, memberId };
    assert.equal((await stage.call("heartbeat", beatVersion, beat)).errorCode, 0);
    assert.equal((await stage.call("heartbeat", beatVersion, { ...beat, generationId: 9 })).errorCode, 22);
    assert.equal((await stage.call("heartbeat", beatVersion, { ...beat, memberId: "x" })).errorCode, 25);

    const leave = { groupId, memberId, members: [{ memberId, reason: "done" }, { memberId: "x" }] };
    const left = await stage.call("leaveGroup", leaveVersion, leave);
    assert.equal(left.errorCode, 0);
    if (beatVersion >= 3)
      assert.deepEqual(
        left.members.map(({ errorCode }) => errorCode),
        [0, 25],
      );
    else assert.equal((await stage.call("leaveGroup", beatVersion, leave)).errorCode, 25);
  }
});

test("joinGroup: refusals carry what their version can carry", async () => {
  const stage = new GroupStage();
  await stage.open();
  const request = {
    groupId: "",
    sessionTimeoutMs: 10_000,
    memberId: "",
    protocolType: "consumer",
    protocols: [{ name: "range", metadata: new Uint8Array(0) }],
  };
  for (const version of versionsOf("joinGroup")) {
    const refused = await stage.call("joinGroup", version, request);
    assert.deepEqual([refused.errorCode, refused.protocolName], [24, version >= 7 ? null : ""]);
    const impatient = { ...request, groupId: "g", sessionTimeoutMs: 5_999 };
    assert.equal((await stage.call("joinGroup", version, impatient)).errorCode, 26);
  }
});

test("listGroups, describeGroups, deleteGroups in every version", async () => {
  const stage = new GroupStage();
  await stage.open();
  const { memberId } = await stage.member("g");
  for (const version of versionsOf("listGroups")) {
    const all = await stage.call("listGroups", version, { statesFilter: [], typesFilter: [] });
    assert.deepEqual(
      all.groups.map(({ groupId, protocolType }) => [groupId, protocolType]),
      [["g", "consumer"]],
    );
    if (version < 4) continue;
    assert.equal(all.groups[0]?.groupState, "Stable");
    for (const [type, count] of [
      ["Classic", 1],
      ["share", 0],
      ["none of these", 0],
    ] as const) {
      if (version < 5) continue;
      assert.equal(all.groups[0]?.groupType, "classic");
      const some = await stage.call("listGroups", version, { typesFilter: [type] });
      assert.equal(some.groups.length, count, type);
    }
    const empty = await stage.call("listGroups", version, { statesFilter: ["Empty"], typesFilter: [] });
    assert.equal(empty.groups.length, 0);
  }
  for (const version of versionsOf("describeGroups")) {
    const asked = { groups: ["g", "nope"], includeAuthorizedOperations: version >= 3 };
    const { groups } = await stage.call("describeGroups", version, asked);
    assert.deepEqual(
      groups.map((group) => [group.errorCode, group.groupState]),
      [
        [0, "Stable"],
        [version >= 6 ? 69 : 0, "Dead"],
      ],
    );
    if (version >= 6) assert.equal(groups[1]?.errorMessage, "Group nope not found.");
    const described = groups[0];
    assert.deepEqual([described?.protocolType, described?.protocolData], ["consumer", "range"]);
    const member = described?.members[0];
    assert.deepEqual([member?.memberId, member?.clientId, member?.clientHost], [memberId, "c", "/10.0.0.9"]);
    assert.deepEqual([[...(member?.memberMetadata ?? [])], [...(member?.memberAssignment ?? [])]], [[1, 2], [9]]);
    if (version >= 3) assert.equal(described?.authorizedOperations, 3400);
  }
  for (const version of versionsOf("deleteGroups")) {
    const { results } = await stage.call("deleteGroups", version, { groupsNames: ["g", "nope", "g"] });
    assert.deepEqual(
      results.map(({ groupId, errorCode }) => [groupId, errorCode]),
      [
        ["g", 68],
        ["nope", 69],
      ],
    );
  }
});

test("group handlers: before the hub has an engine all answers are COORDINATOR_LOAD_IN_PROGRESS", async () => {
  const stage = new GroupStage();
  const join = { groupId: "g", sessionTimeoutMs: 10_000, memberId: "m", protocolType: "x", protocols: [] };
  assert.equal((await stage.call("joinGroup", 7, join)).errorCode, 14);
  const sync = { groupId: "g", generationId: 1, memberId: "m", assignments: [] };
  assert.equal((await stage.call("syncGroup", 0, sync)).errorCode, 14);
  assert.equal((await stage.call("heartbeat", 0, { groupId: "g", generationId: 1, memberId: "m" })).errorCode, 14);
  for (const version of versionsOf("leaveGroup")) {
    const leave = { groupId: "g", memberId: "m", members: [{ memberId: "m" }] };
    assert.equal((await stage.call("leaveGroup", version, leave)).errorCode, 14);
  }
  assert.equal((await stage.call("listGroups", 0, { statesFilter: [], typesFilter: [] })).errorCode, 14);
  const described = await stage.call("describeGroups", 0, { groups: ["g"], includeAuthorizedOperations: false });
  assert.equal(described.groups[0]?.errorCode, 14);
  assert.equal((await stage.call("deleteGroups", 0, { groupsNames: ["g"] })).results[0]?.errorCode, 14);
});
