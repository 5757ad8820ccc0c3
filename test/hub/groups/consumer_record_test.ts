// The stored form of a group of the server-side protocol: everything that must survive does, damage is refused.
import assert from "node:assert/strict";
import test from "node:test";
import { decodeConsumerRecord, encodeConsumerRecord, isConsumerRecord } from "../../../hub/groups/consumer_record.ts";
import { encodeGroupRecord } from "../../../hub/groups/record.ts";
import { newGroup, recordOf } from "../../../hub/groups/group.ts";
import { ConsumerStage } from "./consumer_stage.ts";

function record(): { stage: ConsumerStage; bytes: Uint8Array } {
  const stage = new ConsumerStage();
  stage.topic("t", 300);
  stage.topic("u", 3);
  stage.join("a", { instanceId: "i", rackId: "r", assignor: "range", topics: ["t", "u"] });
  stage.join("b", { regex: "t.*", topics: null });
  stage.beat({ memberId: "a", memberEpoch: 1, instanceId: "i" });
  stage.classicJoin({ rebalanceTimeoutMs: 7_000, sessionTimeoutMs: 8_000 });
  return { stage, bytes: encodeConsumerRecord(stage.group()) };
}

test("consumer record: what is read is what was written, with sessions that begin anew", () => {
  const { stage, bytes } = record();
  assert.equal(isConsumerRecord(bytes), true);
  assert.equal(isConsumerRecord(encodeGroupRecord(recordOf(newGroup("g", 0)))), false);
  const read = decodeConsumerRecord("g", bytes, 1_000, 45_000);
  const group = stage.group();
  for (const key of [
    "epoch",
    "assignmentEpoch",
    "assignor",
    "counts",
    "holders",
    "staticMembers",
    "emptyMs",
  ] as const) {
    assert.deepEqual(read[key], group[key], key);
  }
  assert.deepEqual([...read.members.keys()], [...group.members.keys()], "order too");
  for (const [id, member] of group.members) {
    const there = read.members.get(id)!;
    const { deadline, revokeDeadline, classic, ...kept } = there;
    const { deadline: _d, revokeDeadline: _r, changedAt: _c, classic: side, ...wanted } = member;
    assert.deepEqual({ ...kept, changedAt: 0 }, { ...wanted, changedAt: 0 });
    assert.deepEqual(classic?.protocols, side?.protocols);
    assert.equal(deadline, 1_000 + (side?.sessionTimeoutMs ?? 45_000));
    assert.equal(revokeDeadline, there.revoking.size > 0 ? 1_000 + member.rebalanceTimeoutMs : Infinity);
    assert.deepEqual(read.target.get(id), group.target.get(id));
  }
});

test("consumer record: every cut, and what is no record, is refused", () => {
  const { bytes } = record();
  for (let end = 0; end < bytes.length; end += 1) {
    assert.throws(() => decodeConsumerRecord("g", bytes.subarray(0, end), 0, 1), `cut at ${end}`);
  }
  const longer = new Uint8Array([...bytes, 0]);
  assert.throws(() => decodeConsumerRecord("g", longer, 0, 1), { kind: "INVALID_REQUEST" });
  assert.throws(() => decodeConsumerRecord("g", new Uint8Array([9]), 0, 1), { kind: "UNSUPPORTED_VERSION" });
});
