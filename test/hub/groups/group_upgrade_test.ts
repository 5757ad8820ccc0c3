// A group that moves between the protocols while its members go on: up with the first new member, down with the last.
import assert from "node:assert/strict";
import test from "node:test";
import * as groups from "../../../hub/groups/coordinator.ts";
import type { JoinReply } from "../../../hub/groups/group.ts";
import { partitionsFrom } from "../../../hub/groups/topic_partitions.ts";
import { ConsumerStage, embedded, idOf, jsonProtocol } from "./consumer_stage.ts";
import { bytesOf, textOf } from "./stage.ts";

const ofT = (...partitions: number[]) => partitionsFrom([[idOf(1), partitions]]);

/** A stable classic group: `one` has 0 and 1, `two` has 2 and 3 of topic t. */
function classicGroup(stage: ConsumerStage): [JoinReply, JoinReply] {
  stage.topic("t", 4);
  const requests = ["one", "two"].map(() => {
    stage.classicJoin({});
    return [...stage.coordinator.groups.get("g")!.group.members.keys()].at(-1)!;
  });
  stage.wait(6_100);
  const joined = [...stage.answers.values()] as JoinReply[];
  const [first, second] = requests.map((id) => joined.find(({ memberId }) => memberId === id)!) as [
    JoinReply,
    JoinReply,
  ];
  const given = new Map([
    [first.memberId, jsonProtocol.writeAssignment(1, [["t", [0, 1]]])],
    [second.memberId, jsonProtocol.writeAssignment(1, [["t", [2, 3]]])],
  ]);
  stage.classicSync(second.memberId, second.generation);
  assert.equal(stage.classicSync(first.memberId, first.generation, given)?.error, "NONE");
  return [first, second];
}

function beat(stage: ConsumerStage, { memberId, generation }: JoinReply): string {
  return groups.heartbeat(stage.coordinator, "g", { memberId, generation, instanceId: null }, stage.now);
}

/** Joins again with what it owns, and syncs. */
function rejoin(stage: ConsumerStage, member: JoinReply, owned: number[]): { joined: JoinReply; has: string } {
  const protocols = [{ name: "range", metadata: embedded(["t"], [["t", owned]]) }];
  const joined = stage.classicJoin({ memberId: member.memberId, protocols })!;
  assert.equal(joined.error, "NONE");
  const synced = stage.classicSync(joined.memberId, joined.generation)!;
  return { joined, has: synced.error === "NONE" ? textOf(synced.assignment) : synced.error };
}

test("upgrade: the first new member turns the group, classic members go on by joining again, partition by partition", () => {
  const stage = new ConsumerStage();
  const [one, two] = classicGroup(stage);
  assert.equal(stage.group.length, 0);
  const fresh = stage.join("new");
  assert.deepEqual([fresh?.error, fresh?.memberEpoch], ["NONE", 2]);
  assert.equal(stage.text(fresh?.assignment ?? new Map()), "nothing", "all of it is held");
  assert.deepEqual(groups.list(stage.coordinator, [])[0]?.type, "consumer");
  assert.equal(beat(stage, one), "REBALANCE_IN_PROGRESS");
  assert.equal(beat(stage, two), "REBALANCE_IN_PROGRESS");
  // one is cooperative: it keeps what it may keep, and is called back for the rest.
  const first = rejoin(stage, one, [0, 1]);
  assert.equal(first.joined.leader, "", "nobody leads");
  const kept = first.has;
  assert.ok(['[["t",[0]]]', '[["t",[0,1]]]'].includes(kept), kept);
  const second = rejoin(stage, two, [2, 3]);
  const whole = [...JSON.parse(kept)[0][1], ...JSON.parse(second.has)[0][1]].length;
  assert.equal(whole, 3, "four partitions, three members: one of them gave one up");
  const loser = kept.includes("1]") ? second : first;
  assert.equal(beat(stage, loser.joined), "REBALANCE_IN_PROGRESS", "it has to say that it let go");
  const last = rejoin(stage, loser.joined, JSON.parse(loser.has)[0][1]);
  assert.equal(last.joined.generation, 2);
  assert.equal(beat(stage, last.joined), "NONE");
  const got = stage.beat({ memberId: "new", memberEpoch: 2 });
  assert.equal([...(got?.assignment?.values() ?? [])].flat().length, 1);
  assert.equal(groups.list(stage.coordinator, ["stable"]).length, 1);
});

test("downgrade: when the last new member leaves the group is classic again and rebalances", () => {
  const stage = new ConsumerStage();
  const [one, two] = classicGroup(stage);
  stage.join("new");
  const first = rejoin(stage, one, []).joined;
  const second = rejoin(stage, two, []).joined;
  const left = stage.beat({ memberId: "new", memberEpoch: -1 });
  assert.deepEqual([left?.error, left?.memberEpoch], ["NONE", -1]);
  const row = groups.list(stage.coordinator, [])[0];
  assert.deepEqual([row?.type, row?.state], ["classic", "PreparingRebalance"]);
  assert.equal(beat(stage, first), "REBALANCE_IN_PROGRESS");
  stage.classicJoin({ memberId: first.memberId });
  const joined = stage.classicJoin({ memberId: second.memberId })!;
  assert.equal(joined.error, "NONE");
  assert.ok(joined.generation > second.generation, "generations go on from the epochs");
  stage.restart();
  assert.equal(stage.coordinator.groups.get("g")?.consumer, null);
});

test("downgrade: also when the session of the last new member ends, unless the policy forbids it", () => {
  for (const [migration, type] of [
    ["bidirectional", "classic"],
    ["upgrade", "consumer"],
  ] as const) {
    const stage = new ConsumerStage({ migration });
    const [one, two] = classicGroup(stage);
    stage.join("new");
    const members = [rejoin(stage, one, []).joined, rejoin(stage, two, []).joined];
    for (let i = 0; i < 10; i += 1) {
      stage.wait(5_000);
      for (const member of members) beat(stage, member);
    }
    assert.equal(groups.list(stage.coordinator, [])[0]?.type, type, migration);
  }
});

test("upgrade: refused by policy, for other protocol types, formats and sizes; the classic group is untouched", () => {
  const refused = (stage: ConsumerStage, why: RegExp): void => {
    const reply = stage.join("new");
    assert.equal(reply?.error, "GROUP_ID_NOT_FOUND");
    assert.match(reply?.message ?? "", why);
    assert.equal(stage.coordinator.groups.get("g")?.consumer, null);
  };
  const off = new ConsumerStage({ migration: "downgrade" });
  classicGroup(off);
  refused(off, /upgrades are off/);
  const full = new ConsumerStage({ maxSize: 2 });
  classicGroup(full);
  refused(full, /too many members/);
  const connect = new ConsumerStage();
  connect.classicJoin({ protocolType: "connect" });
  refused(connect, /no consumers/);
  const odd = new ConsumerStage();
  odd.classicJoin({ protocols: [{ name: "own", metadata: bytesOf("{") }] });
  refused(odd, /format of its own|assignor of its own format/);
});

test("upgrade: an empty classic group turns and back, its offsets and epochs stay", () => {
  const stage = new ConsumerStage();
  const [one, two] = classicGroup(stage);
  const leavers = [one, two].map(({ memberId }) => ({ memberId, instanceId: null }));
  stage.play(groups.leave(stage.coordinator, "g", leavers, stage.now).effects);
  const { generation } = stage.coordinator.groups.get("g")!.group;
  assert.ok((stage.join("new")?.memberEpoch ?? 0) > generation);
  stage.beat({ memberId: "new", memberEpoch: -1 });
  assert.equal(groups.list(stage.coordinator, ["empty"])[0]?.type, "consumer");
  const { epoch } = stage.group();
  stage.classicJoin({});
  stage.wait(6_100);
  assert.equal(groups.list(stage.coordinator, [])[0]?.type, "classic");
  assert.ok(stage.coordinator.groups.get("g")!.group.generation > epoch);
});

test("upgrade: who waits in its first JoinGroup is sent back", () => {
  const stage = new ConsumerStage();
  stage.topic("t", 2);
  stage.classicJoin({ instanceId: "i" });
  assert.equal(stage.join("new")?.error, "NONE");
  const answers = [...stage.answers.values()].map(({ error }) => error);
  assert.deepEqual(answers.sort(), ["NONE", "UNKNOWN_MEMBER_ID"]);
});

test("upgrade: a static member's next self takes its place at once, as the first new member and later", () => {
  const stage = new ConsumerStage();
  stage.topic("t", 4);
  for (const instanceId of ["i", "j"]) stage.classicJoin({ instanceId });
  stage.wait(6_100);
  const [one, two] = [...stage.answers.values()] as [JoinReply, JoinReply];
  const given = new Map([
    [one.memberId, jsonProtocol.writeAssignment(1, [["t", [0, 1]]])],
    [two.memberId, jsonProtocol.writeAssignment(1, [["t", [2, 3]]])],
  ]);
  stage.classicSync(one.memberId, one.generation, given);
  const first = stage.join("new i", { instanceId: "i" });
  assert.deepEqual([first?.error, stage.text(first?.assignment ?? new Map())], ["NONE", "t:0,1"]);
  const second = stage.join("new j", { instanceId: "j" });
  assert.deepEqual([second?.error, stage.text(second?.assignment ?? new Map())], ["NONE", "t:2,3"]);
  assert.deepEqual([...stage.group().members.keys()], ["new i", "new j"]);
  const claim = { memberId: one.memberId, generation: one.generation, instanceId: "i" };
  assert.equal(groups.heartbeat(stage.coordinator, "g", claim, stage.now), "FENCED_INSTANCE_ID");
  assert.equal(stage.join("other", { instanceId: "i" })?.error, "UNRELEASED_INSTANCE_ID", "of a new member it is not");
});

test("mixed: a group keeps both kinds over a restart", () => {
  const stage = new ConsumerStage();
  const [one] = classicGroup(stage);
  stage.join("new");
  const { joined } = rejoin(stage, one, [0, 1]);
  stage.restart();
  assert.notEqual(beat(stage, joined), "UNKNOWN_MEMBER_ID");
  assert.equal(stage.group().members.get(one.memberId)?.classic?.protocols[0]?.name, "range");
  assert.equal(stage.beat({ memberId: "new", memberEpoch: 2, owned: ofT().size === 0 ? ofT() : null })?.error, "NONE");
});
