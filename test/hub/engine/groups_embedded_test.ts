// The embedded consumer protocol as the group machine reads and writes it.
import assert from "node:assert/strict";
import test from "node:test";
import { Writer } from "../../../hub/bytes/writer.ts";
import { embeddedProtocol } from "../../../hub/engine/groups_embedded.ts";
import { encode } from "../../../hub/wire/codec.ts";
import { consumerProtocolSubscription } from "../../../hub/wire/consumer_protocol.ts";

test("embedded protocol: subscriptions of every version, and of versions to come", () => {
  for (const version of [0, 1, 2, 3, 9]) {
    const written = Math.min(version, 3);
    const writer = new Writer();
    writer.int16(version);
    const owned = written >= 1 ? [{ topic: "t", partitions: [1, 2] }] : [];
    const body = { topics: ["t"], userData: null, ownedPartitions: owned, generationId: 3, rackId: "r" };
    encode(consumerProtocolSubscription, written, body, writer);
    const read = embeddedProtocol.readSubscription(writer.join());
    assert.equal(read?.version, written);
    assert.deepEqual(read?.topics, ["t"]);
    assert.deepEqual(read?.owned, written >= 1 ? [["t", [1, 2]]] : []);
    assert.equal(read?.rackId, written >= 3 ? "r" : null);
  }
});

test("embedded protocol: assignments come back as they went; what is neither is null", () => {
  const bytes = embeddedProtocol.writeAssignment(1, [
    ["t", [0, 5]],
    ["u", [1]],
  ]);
  assert.deepEqual(embeddedProtocol.readAssignment(bytes), [
    ["t", [0, 5]],
    ["u", [1]],
  ]);
  assert.deepEqual(embeddedProtocol.readAssignment(new Uint8Array(0)), []);
  for (const bad of [
    new Uint8Array([1]),
    new Uint8Array([0xff, 0xff, 0]),
    new Uint8Array([0, 1, 0x7f, 0xff, 0xff, 0xff]),
  ]) {
    assert.equal(embeddedProtocol.readAssignment(bad), null);
    assert.equal(embeddedProtocol.readSubscription(bad), null);
  }
});
