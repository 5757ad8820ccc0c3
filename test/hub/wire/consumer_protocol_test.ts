// The consumer's own protocol against the bytes that kafka-python and the Java consumer put into JoinGroup.
import assert from "node:assert/strict";
import test from "node:test";
import { Reader } from "../../../hub/bytes/reader.ts";
import { Writer } from "../../../hub/bytes/writer.ts";
import { decode, encode } from "../../../hub/wire/codec.ts";
import { consumerProtocolAssignment, consumerProtocolSubscription } from "../../../hub/wire/consumer_protocol.ts";

const hex = (text: string): Reader => new Reader(Buffer.from(text.replaceAll(" ", ""), "hex"));

test("a subscription of version 0: topics, no user data", () => {
  const value = decode(consumerProtocolSubscription, 0, hex("00000001 0001 74 ffffffff"));
  assert.deepEqual(value, { topics: ["t"], userData: null, ownedPartitions: [], generationId: -1, rackId: null });
});

test("a subscription of version 3: owned partitions, generation, rack", () => {
  const value = { topics: ["t"], userData: null, ownedPartitions: [{ topic: "t", partitions: [2] }], generationId: 4 };
  const writer = new Writer();
  encode(consumerProtocolSubscription, 3, value, writer);
  const expected = "00000001 0001 74 ffffffff 00000001 0001 74 00000001 00000002 00000004 ffff";
  assert.equal(Buffer.from(writer.join()).toString("hex"), expected.replaceAll(" ", ""));
});

test("an assignment", () => {
  const value = decode(consumerProtocolAssignment, 1, hex("00000001 0001 74 00000002 00000000 00000003 00000000"));
  assert.deepEqual(value.assignedPartitions, [{ topic: "t", partitions: [0, 3] }]);
  assert.equal(value.userData?.length, 0);
});
