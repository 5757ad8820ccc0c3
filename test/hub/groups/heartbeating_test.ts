// ConsumerGroupHeartbeat request by request: each refusal by name, null fields, lost answers, static members, stores.
import assert from "node:assert/strict";
import test from "node:test";
import * as groups from "../../../hub/groups/coordinator.ts";
import type { HeartbeatEvent } from "../../../hub/groups/heartbeating.ts";
import { partitionsFrom } from "../../../hub/groups/topic_partitions.ts";
import { ConsumerStage, idOf } from "./consumer_stage.ts";

function stageOf(partitions = 4): ConsumerStage {
  const stage = new ConsumerStage({ maxSize: 3 });
  stage.topic("t", partitions);
  return stage;
}

/** Partitions of topic t, which has the first id. */
const ofT = (...partitions: number[]) => partitionsFrom(partitions.length === 0 ? [] : [[idOf(1), partitions]]);

test("heartbeat: what contradicts itself is INVALID_REQUEST and says how", () => {
  const join: Partial<HeartbeatEvent> = { rebalanceTimeoutMs: 1_000, topics: ["t"], owned: new Map() };
  const refusals: [Partial<HeartbeatEvent>, string][] = [
    [{ ...join, memberId: "" }, "MemberId can't be empty."],
    [{ ...join, group: "" }, "GroupId can't be empty."],
    [{ ...join, instanceId: "" }, "InstanceId can't be empty."],
    [{ ...join, rackId: " " }, "RackId can't be empty."],
    [{ ...join, rebalanceTimeoutMs: -1 }, "RebalanceTimeoutMs must be provided in first request."],
    [{ ...join, owned: null }, "TopicPartitions must be empty when (re-)joining."],
    [{ ...join, owned: ofT(1) }, "TopicPartitions must be empty when (re-)joining."],
    [
      { ...join, topics: null },
      "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
    ],
    [{ memberEpoch: -2 }, "InstanceId can't be null."],
    [{ memberEpoch: -3 }, "MemberEpoch is invalid."],
    [{ memberEpoch: 5, memberId: "", version: 0 }, "MemberId can't be empty."],
  ];
  for (const [event, message] of refusals) {
    const stage = stageOf();
    const reply = stage.beat(event);
    assert.deepEqual([reply?.error, reply?.message], ["INVALID_REQUEST", message]);
    assert.equal(stage.coordinator.groups.size, 0, "nothing is made");
  }
});

test("heartbeat: UNSUPPORTED_ASSIGNOR and INVALID_REGULAR_EXPRESSION say what is wrong", () => {
  const stage = stageOf();
  const assignor = stage.join("a", { assignor: "sticky" });
  assert.equal(assignor?.error, "UNSUPPORTED_ASSIGNOR");
  assert.equal(assignor?.message, "ServerAssignor sticky is not supported. Supported assignors: uniform, range.");
  for (const regex of ["(", "a{9999}", "(?=a)b", "\\1", "x".repeat(2_000)]) {
    const reply = stage.join("a", { regex, topics: null });
    assert.equal(reply?.error, "INVALID_REGULAR_EXPRESSION", regex.slice(0, 20));
    assert.match(reply?.message ?? "", /SubscribedTopicRegex/);
  }
});

test("heartbeat: v0 is given its member id, v1 brings its own", () => {
  const stage = stageOf();
  assert.match(stage.join("", { version: 0 })?.memberId ?? "", /^fresh-/);
  assert.equal(stage.join("mine")?.memberId, "mine");
});

test("heartbeat: GROUP_ID_NOT_FOUND, UNKNOWN_MEMBER_ID, GROUP_MAX_SIZE_REACHED", () => {
  const stage = stageOf();
  assert.equal(stage.beat({ memberEpoch: 3 })?.error, "GROUP_ID_NOT_FOUND");
  stage.join("a");
  const unknown = stage.beat({ memberId: "b", memberEpoch: 1 });
  assert.deepEqual([unknown?.error, unknown?.message], ["UNKNOWN_MEMBER_ID", "Member b is not a member of group g."]);
  assert.equal(stage.beat({ memberId: "b", memberEpoch: -1 })?.error, "UNKNOWN_MEMBER_ID");
  stage.join("b");
  stage.join("c");
  const full = stage.join("d");
  assert.equal(full?.error, "GROUP_MAX_SIZE_REACHED");
  assert.equal(full?.message, "The consumer group has reached its maximum capacity of 3 members.");
  assert.equal(stage.join("c")?.error, "NONE", "one of the members may join again");
});

test("heartbeat: FENCED_MEMBER_EPOCH for epochs that never were; a fenced member starts anew", () => {
  const stage = stageOf();
  assert.equal(stage.text(stage.join("a")?.assignment ?? new Map()), "t:0,1,2,3");
  assert.equal(stage.beat({ memberEpoch: 1 })?.error, "NONE");
  stage.join("b");
  // a gives back two and moves on to epoch 2, so 1 is its previous one.
  stage.beat({ memberEpoch: 1 });
  assert.equal(stage.beat({ memberEpoch: 1, owned: ofT(0, 1) })?.memberEpoch, 2);
  assert.equal(stage.beat({ memberEpoch: 7 })?.error, "FENCED_MEMBER_EPOCH");
  assert.equal(stage.beat({ memberEpoch: 1, owned: null })?.error, "FENCED_MEMBER_EPOCH");
  assert.equal(stage.beat({ memberEpoch: 1, owned: ofT(3) })?.error, "FENCED_MEMBER_EPOCH", "owns what is not its own");
  const lost = stage.beat({ memberEpoch: 1, owned: ofT(0) });
  assert.equal(lost?.error, "NONE", "the answer with epoch 2 may be lost");
  assert.equal(stage.text(lost?.assignment ?? new Map()), "t:0,1", "and is told again");
  assert.equal(stage.join("a")?.error, "FENCED_MEMBER_EPOCH", "it is alive: a join out of the blue is not believed");
  const again = stage.join("a");
  assert.equal(again?.error, "NONE", "but one that follows the refusal is");
  assert.equal(stage.text(again?.assignment ?? new Map()), "t:0,1");
});

test("heartbeat: null fields are unchanged, the assignment is told when it changes or everything is sent", () => {
  const stage = stageOf();
  stage.join("a", { rackId: "r", clientId: "me" });
  const quiet = stage.beat({ memberEpoch: 1 });
  assert.deepEqual([quiet?.error, quiet?.memberEpoch, quiet?.assignment], ["NONE", 1, null]);
  assert.equal(quiet?.heartbeatMs, 5_000);
  assert.equal(stage.group().members.get("a")?.rackId, "r");
  assert.deepEqual(stage.group().members.get("a")?.topics, ["t"]);
  const full = stage.beat({ memberEpoch: 1, rebalanceTimeoutMs: 9, topics: ["t"], owned: ofT(0, 1, 2, 3) });
  assert.equal(stage.text(full?.assignment ?? new Map()), "t:0,1,2,3");
  assert.equal(stage.group().members.get("a")?.rebalanceTimeoutMs, 9);
  assert.equal(stage.group().epoch, 1, "nothing of it began an epoch");
  stage.topic("u", 1);
  const more = stage.beat({ memberEpoch: 1, topics: ["u", "t"] });
  assert.equal(more?.memberEpoch, 2);
  assert.equal(stage.text(more?.assignment ?? new Map()), "t:0,1,2,3 u:0");
});

test("heartbeat: topics that are made, grow and go begin an epoch; an expression finds new ones, never internal ones", () => {
  const stage = stageOf(1);
  stage.topic("__internal_t", 1);
  const joined = stage.join("a", { topics: null, regex: ".*t|new.*" });
  assert.equal(stage.text(joined?.assignment ?? new Map()), "t:0");
  stage.topic("newest", 2);
  assert.equal(stage.text(stage.beat({ memberEpoch: 1 })?.assignment ?? new Map()), "newest:0,1 t:0");
  stage.topic("other", 2);
  assert.equal(stage.beat({ memberEpoch: 2 })?.memberEpoch, 2, "a topic nobody reads");
  stage.topic("t", 2);
  assert.equal(stage.text(stage.beat({ memberEpoch: 2 })?.assignment ?? new Map()), "newest:0,1 t:0,1");
  stage.topic("newest", 0);
  assert.equal(stage.text(stage.beat({ memberEpoch: 3 })?.assignment ?? new Map()), "t:0,1");
  assert.equal(stage.beat({ memberEpoch: 3, owned: ofT(0, 1) })?.memberEpoch, 4);
  assert.equal(
    stage.text(stage.beat({ memberEpoch: 4, regex: "", topics: ["t"] })?.assignment ?? new Map()),
    "nothing",
  );
  assert.equal(stage.group().epoch, 5);
});

test("heartbeat: UNRELEASED_INSTANCE_ID while the holder lives, FENCED_INSTANCE_ID for who was replaced", () => {
  const stage = stageOf();
  stage.join("a", { instanceId: "i" });
  const early = stage.join("b", { instanceId: "i" });
  assert.equal(early?.error, "UNRELEASED_INSTANCE_ID");
  assert.match(early?.message ?? "", /^Static member b with instance id i cannot join .* owned by a member\.$/);
  const left = stage.beat({ memberEpoch: -2, instanceId: "i" });
  assert.deepEqual([left?.error, left?.memberEpoch], ["NONE", -2]);
  const back = stage.join("b", { instanceId: "i" });
  assert.deepEqual([back?.error, back?.memberEpoch], ["NONE", 1], "no new epoch");
  assert.equal(stage.text(back?.assignment ?? new Map()), "t:0,1,2,3");
  assert.equal(stage.beat({ memberEpoch: 1, instanceId: "i" })?.error, "FENCED_INSTANCE_ID");
  assert.equal(stage.beat({ memberEpoch: -1, instanceId: "i" })?.error, "FENCED_INSTANCE_ID");
  assert.equal(stage.beat({ memberId: "c", memberEpoch: 1, instanceId: "j" })?.error, "UNKNOWN_MEMBER_ID");
  assert.equal(stage.beat({ memberId: "b", memberEpoch: -1, instanceId: "i" })?.memberEpoch, -1, "left for good");
  assert.equal(stage.group().members.size, 0);
});

test("heartbeat: a static member's partitions wait for it until its session ends", () => {
  const stage = stageOf();
  stage.join("a", { instanceId: "i" });
  stage.beat({ memberEpoch: -2, instanceId: "i" });
  stage.join("b");
  assert.equal(stage.text(stage.beat({ memberId: "b", memberEpoch: 2 })?.assignment ?? new Map()), "nothing");
  stage.wait(44_000);
  stage.beat({ memberId: "b", memberEpoch: 2 });
  stage.wait(2_000);
  assert.deepEqual(stage.told.slice(-1), ["gone a: session timed out"]);
  assert.equal(stage.text(stage.beat({ memberId: "b", memberEpoch: 2 })?.assignment ?? new Map()), "t:0,1,2,3");
});

test("heartbeat: who does not give partitions back within its rebalance timeout goes", () => {
  const stage = stageOf();
  stage.join("a", { rebalanceTimeoutMs: 10_000 });
  stage.join("b");
  assert.equal(stage.text(stage.beat({ memberEpoch: 1 })?.assignment ?? new Map()), "t:0,1");
  stage.wait(9_000);
  stage.beat({ memberEpoch: 1, owned: ofT(0, 1, 2, 3) });
  stage.wait(1_500);
  assert.deepEqual(stage.told.slice(-1), ["gone a: did not give partitions back within the rebalance timeout"]);
});

test("heartbeat: the answer leaves when its state is stored; one store carries what gathers meanwhile", () => {
  const stage = stageOf();
  stage.holding = true;
  assert.equal(stage.join("a"), undefined);
  assert.equal(stage.join("b"), undefined);
  assert.equal(stage.join("c"), undefined);
  assert.equal(stage.stores, 1);
  stage.release(true);
  assert.equal(stage.stores, 2);
  assert.equal([...stage.answers.values()].length, 3);
  stage.holding = true;
  const request = stage.request();
  assert.equal(stage.beat({ memberEpoch: -1, memberId: "c" }), undefined);
  stage.release(false);
  const failed = stage.answers.get(request + 1);
  assert.equal(failed?.error, "COORDINATOR_NOT_AVAILABLE");
  assert.equal(stage.beat({ memberEpoch: 1, owned: ofT(0, 1, 2, 3) })?.error, "NONE", "the next event stores it again");
});

test("heartbeat: members go on after a restart, partitions in transit stay in transit", () => {
  const stage = stageOf();
  stage.join("a", { instanceId: "i", rackId: "r" });
  stage.join("b");
  stage.beat({ memberEpoch: 1 });
  stage.restart();
  assert.equal(stage.beat({ memberId: "b", memberEpoch: 2 })?.assignment, null);
  assert.equal(stage.beat({ memberEpoch: 1, owned: ofT(0, 1), instanceId: "i" })?.memberEpoch, 2);
  stage.restart();
  assert.equal(stage.text(stage.beat({ memberId: "b", memberEpoch: 2 })?.assignment ?? new Map()), "t:2,3");
  assert.equal(stage.group().members.get("a")?.rackId, "r");
  stage.topic("t", 5);
  stage.restart();
  assert.equal(stage.beat({ memberEpoch: 2, instanceId: "i" })?.memberEpoch, 3, "a topic that grew meanwhile is seen");
});

test("heartbeat: a leave is answered though the group turns classic before it is stored", () => {
  const stage = stageOf();
  stage.join("a");
  stage.holding = true;
  const request = stage.request();
  assert.equal(stage.beat({ memberEpoch: -1 }), undefined);
  stage.classicJoin({});
  assert.equal(stage.coordinator.groups.get("g")?.consumer, null);
  stage.release(true);
  assert.equal(stage.answers.get(request + 1)?.error, "NONE");
});

test("heartbeat: an expression finds what its member may know of, after a restart too", () => {
  const hidden = new Map([["User:ann", "secret"]]);
  const stage = new ConsumerStage({}, ({ principal }, topic) => hidden.get(principal) !== topic);
  stage.topic("open", 2);
  stage.topic("secret", 2);
  const all = { topics: null, regex: ".*" };
  const ann = stage.join("a", all);
  assert.equal(stage.text(ann?.assignment ?? new Map()), "open:0,1");
  const bob = stage.join("b", { ...all, principal: "User:bob" });
  assert.equal(stage.text(bob?.assignment ?? new Map()), "secret:0,1");
  stage.restart();
  const epoch = stage.group().epoch;
  assert.equal(stage.beat({ memberId: "b", memberEpoch: 2, principal: "User:bob" })?.error, "NONE");
  assert.equal(stage.group().epoch, epoch, "nothing to do over again");
  hidden.set("User:bob", "secret");
  stage.topic("more", 1);
  stage.beat({ memberId: "b", memberEpoch: 2, principal: "User:bob" });
  const targets = [...stage.group().target.values()].map((target) => stage.text(target)).join(" ");
  assert.match(targets, /more/);
  assert.doesNotMatch(targets, /secret/);
});

test("heartbeat: texts that would be kept are bounded", () => {
  const long = "x".repeat(250);
  for (const event of [{ memberId: long }, { instanceId: long }, { rackId: long }, { topics: [long] }]) {
    assert.equal(stageOf().join("a", event)?.error, "INVALID_REQUEST", JSON.stringify(event).slice(0, 20));
  }
});

test("heartbeat: a store that ends while the group is being deleted brings nothing back", () => {
  const stage = stageOf();
  stage.holding = true;
  stage.join("a");
  stage.beat({ memberId: "a", memberEpoch: -1 });
  const entry = groups.beginDeletion(stage.coordinator, "g");
  assert.ok(typeof entry !== "string", "the group is empty");
  const before = stage.stores;
  stage.release(true);
  assert.equal(stage.stores, before, "no store after that of the deletion");
  assert.equal([...stage.answers.values()].length, 2, "who waited has its answer");
  groups.endDeletion(stage.coordinator, entry, false, stage.now);
  assert.equal(stage.join("b")?.error, "NONE", "a deletion that failed leaves a group that stores");
});

test("heartbeat: names are matched once for all that ask alike, until topics change", () => {
  const stage = stageOf();
  const all = { topics: null, regex: "t.*" };
  stage.join("a", all);
  const { found } = stage.group();
  assert.deepEqual([...found.byRegex.keys()], ["t.*"]);
  stage.join("b", all);
  assert.equal(stage.group().found.byRegex.get("t.*"), found.byRegex.get("t.*"), "looked up again");
  stage.topic("t2", 1);
  stage.beat({ memberId: "a", memberEpoch: 1 });
  assert.deepEqual(
    stage
      .group()
      .found.byRegex.get("t.*")
      ?.map(({ name }) => name),
    ["t", "t2"],
  );
  stage.beat({ memberId: "a", memberEpoch: 1, regex: "u.*" });
  stage.beat({ memberId: "b", memberEpoch: 2, regex: "u.*" });
  assert.deepEqual([...stage.group().found.byRegex.keys()], ["u.*"], "what nobody asks for is not kept");
});
