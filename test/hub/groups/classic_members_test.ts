// Classic members of a group of the server-side protocol: each refusal by name, static members, time-outs, removal.
import assert from "node:assert/strict";
import test from "node:test";
import * as groups from "../../../hub/groups/coordinator.ts";
import { ConsumerStage, embedded } from "./consumer_stage.ts";
import { bytesOf, textOf } from "./stage.ts";

/** A group with one member of the server-side protocol. */
function stageOf(maxSize = 4): ConsumerStage {
  const stage = new ConsumerStage({ maxSize });
  stage.topic("t", 4);
  stage.join("new");
  return stage;
}

function beat(stage: ConsumerStage, memberId: string, generation: number, instanceId: string | null = null): string {
  return groups.heartbeat(stage.coordinator, "g", { memberId, generation, instanceId }, stage.now);
}

test("classic members: JoinGroup refuses what does not fit, by name", () => {
  const stage = stageOf(2);
  const error = (event: Parameters<ConsumerStage["classicJoin"]>[0]) => stage.classicJoin(event)?.error;
  assert.equal(error({ protocolType: "connect" }), "INCONSISTENT_GROUP_PROTOCOL");
  assert.equal(error({ protocols: [{ name: "range", metadata: bytesOf("?") }] }), "INCONSISTENT_GROUP_PROTOCOL");
  const announced = stage.classicJoin({ needsMemberId: true });
  assert.equal(announced?.error, "MEMBER_ID_REQUIRED");
  assert.equal(error({ memberId: "x", instanceId: "i" }), "UNKNOWN_MEMBER_ID");
  assert.equal(error({ memberId: announced?.memberId ?? "", needsMemberId: true }), "NONE");
  assert.equal(error({}), "GROUP_MAX_SIZE_REACHED");
  const other = { memberId: "new-one", protocols: [{ name: "mine", metadata: embedded(["t"]) }] };
  stage.beat({ memberId: "new", memberEpoch: -1 });
  assert.equal(stage.coordinator.groups.get("g")?.consumer, null, "only a classic member is left");
  assert.notEqual(error(other), "NONE");
});

test("classic members: no protocol in common with the other classic ones is INCONSISTENT_GROUP_PROTOCOL", () => {
  const stage = stageOf();
  assert.equal(stage.classicJoin({})?.protocolName, "range");
  const mine = { name: "mine", metadata: embedded(["t"]) };
  assert.equal(stage.classicJoin({ protocols: [mine] })?.error, "INCONSISTENT_GROUP_PROTOCOL");
  const both = [mine, { name: "range", metadata: embedded(["t"]) }];
  assert.equal(stage.classicJoin({ protocols: both })?.protocolName, "range");
});

test("classic members: SyncGroup and Heartbeat check member, instance, generation and protocol", () => {
  const stage = stageOf();
  const joined = stage.classicJoin({ instanceId: "i" })!;
  const { memberId, generation } = joined;
  assert.equal(beat(stage, "who", generation), "UNKNOWN_MEMBER_ID");
  assert.equal(beat(stage, "new", 1), "UNKNOWN_MEMBER_ID", "it beats in its own protocol");
  assert.equal(beat(stage, memberId, generation + 1), "ILLEGAL_GENERATION");
  assert.equal(beat(stage, "who", generation, "i"), "FENCED_INSTANCE_ID");
  assert.equal(beat(stage, memberId, generation, "j"), "UNKNOWN_MEMBER_ID");
  assert.equal(stage.classicSync(memberId, generation + 1)?.error, "ILLEGAL_GENERATION");
  const event = { group: "g", request: stage.request(), memberId, generation, instanceId: "i", assignments: new Map() };
  stage.play(groups.sync(stage.coordinator, { ...event, protocolType: "connect", protocolName: null }, stage.now));
  assert.equal(stage.answers.get(event.request)?.error, "INCONSISTENT_GROUP_PROTOCOL");
  const again = { ...event, request: stage.request(), protocolType: "consumer", protocolName: "range" };
  stage.play(groups.sync(stage.coordinator, again, stage.now));
  assert.equal(stage.answers.get(again.request)?.error, "NONE");
  const replaced = stage.classicJoin({ instanceId: "i" })!;
  assert.notEqual(replaced.memberId, memberId);
  assert.equal(beat(stage, memberId, generation, "i"), "FENCED_INSTANCE_ID");
});

test("classic members: a partition that came free calls its waiting member back", () => {
  const stage = stageOf();
  const joined = stage.classicJoin({})!;
  assert.equal(
    textOf((stage.classicSync(joined.memberId, joined.generation) as { assignment: Uint8Array }).assignment),
    "[]",
  );
  assert.equal(beat(stage, joined.memberId, joined.generation), "NONE", "nothing to take yet");
  const told = stage.beat({ memberId: "new", memberEpoch: 1 });
  stage.beat({ memberId: "new", memberEpoch: 1, owned: told?.assignment ?? null });
  assert.equal(beat(stage, joined.memberId, joined.generation), "REBALANCE_IN_PROGRESS");
  const again = stage.classicJoin({ memberId: joined.memberId })!;
  const synced = stage.classicSync(again.memberId, again.generation) as { assignment: Uint8Array };
  assert.equal(JSON.parse(textOf(synced.assignment))[0][1].length, 2);
});

test("classic members: sessions end, and who is called back or owes a SyncGroup has its rebalance timeout", () => {
  const stage = stageOf();
  const lives = () => stage.group().members.size;
  stage.classicJoin({ sessionTimeoutMs: 10_000 });
  stage.wait(10_000);
  assert.equal(lives(), 1);
  assert.match(stage.told.at(-1) ?? "", /session timed out/);
  stage.classicJoin({ sessionTimeoutMs: 60_000, rebalanceTimeoutMs: 5_000 });
  stage.wait(5_000);
  assert.match(stage.told.at(-1) ?? "", /sent no SyncGroup/);
  const joined = stage.classicJoin({ sessionTimeoutMs: 60_000, rebalanceTimeoutMs: 5_000 })!;
  stage.classicSync(joined.memberId, joined.generation);
  stage.beat({ memberId: "new", memberEpoch: stage.group().members.get("new")!.epoch, topics: ["t", "u"] });
  assert.equal(beat(stage, joined.memberId, joined.generation), "REBALANCE_IN_PROGRESS");
  stage.wait(5_000);
  assert.match(stage.told.at(-1) ?? "", /did not rejoin within the rebalance timeout/);
});

test("classic members: LeaveGroup removes by member id or instance id, of either protocol, each with its error", () => {
  const stage = stageOf();
  const one = stage.classicJoin({})!;
  stage.join("static", { instanceId: "i" });
  const leave = (memberId: string, instanceId: string | null = null): string | undefined => {
    const { errors, effects } = groups.leave(stage.coordinator, "g", [{ memberId, instanceId }], stage.now);
    stage.play(effects);
    return errors[0];
  };
  assert.equal(leave("who"), "UNKNOWN_MEMBER_ID");
  assert.equal(leave("", "j"), "UNKNOWN_MEMBER_ID");
  assert.equal(leave("who", "i"), "FENCED_INSTANCE_ID");
  assert.equal(leave("", "i"), "NONE");
  assert.equal(leave(one.memberId), "NONE");
  assert.equal(leave("new"), "NONE");
  assert.equal(groups.list(stage.coordinator, [])[0]?.state, "Empty");
});
