// Who may commit in which state, what order does to commits, and how empty time is counted.
import assert from "node:assert/strict";
import test from "node:test";
import { GroupState, newGroup } from "../../../hub/groups/group.ts";
import type { Offsets } from "../../../hub/groups/offsets.ts";
import {
  applyCommit,
  applyDeletion,
  checkCommit,
  countEmptyTime,
  isExpired,
  markUsed,
  utf8Length,
} from "../../../hub/groups/offsets.ts";
import { settings } from "./stage.ts";

const simple = { memberId: "", instanceId: null, generation: -1 };
const claim = { memberId: "m", instanceId: null, generation: 3 };

function groupIn(state: GroupState) {
  const group = newGroup("g", 0);
  group.state = state;
  group.generation = 3;
  if (state === GroupState.Empty || state === GroupState.Dead) return group;
  group.members.set("m", {
    memberId: "m",
    instanceId: null,
    clientId: "c",
    clientHost: "/h",
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    protocols: [],
    assignment: new Uint8Array(0),
    isNew: false,
    joinRequest: null,
    syncRequest: null,
    deadline: 10,
  });
  return group;
}

test("checkCommit: by state, member and generation", () => {
  const table: [GroupState, typeof claim, string][] = [
    ["Empty", simple, "NONE"],
    ["Empty", { ...claim, generation: -1 }, "NONE"],
    ["Empty", claim, "UNKNOWN_MEMBER_ID"],
    ["PreparingRebalance", claim, "NONE"],
    ["PreparingRebalance", simple, "UNKNOWN_MEMBER_ID"],
    ["CompletingRebalance", claim, "REBALANCE_IN_PROGRESS"],
    ["CompletingRebalance", { ...claim, generation: 2 }, "ILLEGAL_GENERATION"],
    ["Stable", claim, "NONE"],
    ["Stable", simple, "UNKNOWN_MEMBER_ID"],
    ["Stable", { ...claim, generation: 2 }, "ILLEGAL_GENERATION"],
    ["Stable", { ...claim, generation: 4 }, "ILLEGAL_GENERATION"],
    ["Stable", { ...claim, generation: -1 }, "ILLEGAL_GENERATION"],
    ["Stable", { ...claim, memberId: "x" }, "UNKNOWN_MEMBER_ID"],
    ["Stable", { ...claim, memberId: "" }, "UNKNOWN_MEMBER_ID"],
    ["Dead", simple, "COORDINATOR_NOT_AVAILABLE"],
  ];
  for (const [state, by, error] of table) {
    assert.equal(checkCommit(groupIn(state), by, 0), error, `${state} ${JSON.stringify(by)}`);
  }
});

test("checkCommit: a commit is a sign of life", () => {
  const group = groupIn(GroupState.Stable);
  checkCommit(group, claim, 500);
  assert.equal(group.members.get("m")?.deadline, 10_500);
});

test("commits and deletions apply in their order, whatever order their answers come in", () => {
  const offsets: Offsets = new Map();
  const at = (offset: number) => [
    {
      topicId: "t",
      topic: "t",
      partition: 0,
      offset,
      leaderEpoch: 0,
      metadata: "",
      committedAt: 0,
    },
  ];
  const key = [
    { topicId: "t", partition: 0 },
    { topicId: "x", partition: 1 },
  ];
  applyCommit(offsets, at(20), 2);
  applyCommit(offsets, at(10), 1);
  assert.equal(offsets.get("t")?.get(0)?.offset, 20);
  applyDeletion(offsets, key, 1);
  assert.equal(offsets.get("t")?.get(0)?.offset, 20);
  applyDeletion(offsets, key, 3);
  assert.equal(offsets.size, 0);
});

test("utf8Length counts bytes as an encoder does", () => {
  for (const text of ["", "a", "ü", "水", "\u{1f33e}", "a\ud800", "\udc00b", "\ud800\ud800\udc00"]) {
    assert.equal(utf8Length(text), new TextEncoder().encode(text).length, JSON.stringify(text));
  }
});

test("empty time counts monotonic time without members, and a commit sets it back", () => {
  const group = newGroup("g", 1000);
  const offsets: Offsets = new Map([["t", new Map()]]);
  const week = settings.offsetsRetentionMs;
  countEmptyTime(group, 1000 + week - 1);
  assert.equal(isExpired(group, offsets, settings), false);
  countEmptyTime(group, 1000 + week);
  assert.equal(isExpired(group, offsets, settings), true);
  markUsed(group, 1000 + week);
  assert.equal(isExpired(group, offsets, settings), false);
  group.state = GroupState.Stable;
  countEmptyTime(group, 1000 + 9 * week);
  group.state = GroupState.Empty;
  assert.equal(isExpired(group, offsets, settings), false);
  assert.equal(isExpired(group, new Map(), settings), true);
  group.pending.set("p", 1);
  assert.equal(isExpired(group, new Map(), settings), false);
});
