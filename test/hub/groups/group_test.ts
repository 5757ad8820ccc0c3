// Votes for a protocol, who may join whom, and a group that goes through its record.
import assert from "node:assert/strict";
import test from "node:test";
import type { Group } from "../../../hub/groups/group.ts";
import {
  checkMember,
  groupOfRecord,
  newGroup,
  nextDeadline,
  recordOf,
  selectProtocol,
  supportsProtocols,
} from "../../../hub/groups/group.ts";
import { bytesOf } from "./stage.ts";

function groupWith(...offers: string[][]): Group {
  const group = newGroup("g", 0);
  group.protocolType = "consumer";
  for (const [i, names] of offers.entries()) {
    const memberId = `m${i}`;
    group.members.set(memberId, {
      memberId,
      instanceId: i === 0 ? "first" : null,
      clientId: "c",
      clientHost: "/h",
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 20_000,
      protocols: names.map((name) => ({ name, metadata: bytesOf(name) })),
      assignment: bytesOf(`to ${memberId}`),
      isNew: false,
      joinRequest: null,
      syncRequest: null,
      deadline: 5_000 + i,
    });
  }
  if (offers.length > 0) group.staticMembers.set("first", "m0");
  return group;
}

const protocols = (...names: string[]) => names.map((name) => ({ name, metadata: bytesOf(name) }));

test("selectProtocol: each votes for its first that all offer; a tie goes to the first", () => {
  assert.equal(selectProtocol(groupWith()), null);
  assert.equal(selectProtocol(groupWith(["a", "b"], ["b", "a"], ["b", "a"])), "b");
  assert.equal(selectProtocol(groupWith(["a", "b"], ["b", "a"])), "a");
  // c has most firsts, but one member does not offer it.
  assert.equal(selectProtocol(groupWith(["c", "a", "b"], ["c", "b", "a"], ["b", "a"])), "b");
});

test("supportsProtocols: one type, one common protocol; a member may change its own", () => {
  const group = groupWith(["a", "b"], ["b"]);
  assert.equal(supportsProtocols(group, "consumer", protocols("x", "b")), true);
  assert.equal(supportsProtocols(group, "consumer", protocols("a")), false);
  assert.equal(supportsProtocols(group, "consumer", protocols("a"), "m1"), true);
  assert.equal(supportsProtocols(group, "connect", protocols("b")), false);
  assert.equal(supportsProtocols(groupWith(), "consumer", []), false);
  assert.equal(supportsProtocols(groupWith(), "", protocols("a")), false);
  assert.equal(supportsProtocols(groupWith(), "connect", protocols("a")), true);
});

test("checkMember: instance ids fence", () => {
  const group = groupWith(["a"], ["a"]);
  assert.equal(checkMember(group, "m0", "first"), "NONE");
  assert.equal(checkMember(group, "m0", null), "NONE");
  assert.equal(checkMember(group, "m1", "first"), "FENCED_INSTANCE_ID");
  assert.equal(checkMember(group, "m1", "second"), "UNKNOWN_MEMBER_ID");
  assert.equal(checkMember(group, "m2", null), "UNKNOWN_MEMBER_ID");
});

test("nextDeadline: the earliest of all waits", () => {
  const group = groupWith(["a"], ["a"]);
  assert.equal(nextDeadline(group), 5_000);
  group.pending.set("p", 4_000);
  assert.equal(nextDeadline(group), 4_000);
  group.joinDeadline = 3_000;
  assert.equal(nextDeadline(group), 3_000);
  assert.equal(nextDeadline(newGroup("g", 0)), Infinity);
});

test("groupOfRecord: a stored group goes on as Stable, its sessions begin anew", () => {
  const group = groupWith(["a"], ["a"]);
  group.generation = 7;
  group.leader = "m1";
  group.protocolName = "a";
  const back = groupOfRecord("g", recordOf(group), 100_000);
  assert.equal(back.state, "Stable");
  assert.equal(back.generation, 7);
  assert.equal(back.leader, "m1");
  assert.equal(nextDeadline(back), 110_000);
  assert.equal(back.staticMembers.get("first"), "m0");
  assert.deepEqual(back.members.get("m1")?.assignment, bytesOf("to m1"));
  assert.deepEqual(recordOf(back), recordOf(group));
  const empty = groupOfRecord("g", { ...recordOf(group), members: [] }, 0);
  assert.deepEqual([empty.state, empty.leader, empty.protocolName], ["Empty", null, null]);
});
