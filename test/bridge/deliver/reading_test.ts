// What records are to MQTT, with and without a downlink.
import assert from "node:assert/strict";
import test from "node:test";
import { downlinkOf } from "../../../bridge/deliver/downlink.ts";
import { arrivalOf, isUnaddressed, messageIn, topicIn } from "../../../bridge/deliver/reading.ts";
import type { InRecord } from "../../../hub/mod.ts";

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const record = (key: string | null, headers: InRecord["headers"] = [], value: string | null = "v"): InRecord => ({
  topic: "t",
  partition: 0,
  offset: 0,
  timestamp: 1_000,
  key: key === null ? null : ascii(key),
  value: value === null ? null : ascii(value),
  headers,
});
const named = [{ key: "mqtt.topic", value: ascii("a/b") }];
const plain = { downlink: null };
const commands = { downlink: downlinkOf({ topic: "t", publish: "devices/{key}/do", qos: 2 }) };

test("a record that names its topic goes there, with a downlink or without", () => {
  assert.equal(topicIn(plain, record("7", named)), "a/b");
  assert.equal(topicIn(commands, record("7", named)), "a/b");
  assert.equal(topicIn(plain, record("7")), null);
  assert.equal(topicIn(commands, record("7")), "devices/7/do");
});

test("a downlink sends nothing without a key, for an illegal one, or for a tombstone", () => {
  for (const key of [null, "", "+", "nul\0"]) assert.equal(topicIn(commands, record(key)), null, String(key));
  assert.equal(topicIn(commands, { ...record("7"), key: new Uint8Array([0xff]) }), null);
  assert.equal(topicIn(commands, record("7", [], null)), null);
  assert.deepEqual(
    [
      isUnaddressed(commands, record(null)),
      isUnaddressed(commands, record("7", [], null)),
      isUnaddressed(plain, record(null)),
    ],
    [true, false, false],
  );
});

test("a command has the QoS of its downlink unless it names one, and counts as new whatever its time says", () => {
  assert.equal(messageIn(commands, "x", record("7")).qos, 2);
  assert.equal(messageIn(commands, "x", record("7", [{ key: "mqtt.qos", value: ascii("1") }])).qos, 1);
  assert.equal(messageIn(plain, "x", record("7")).qos, 0);
  assert.equal(arrivalOf(plain, record("7"), 50), 1_050);
  assert.equal(arrivalOf(commands, record("7"), 50), Number.POSITIVE_INFINITY);
  assert.equal(arrivalOf(plain, { ...record("7"), timestamp: -1 }, 50), Number.POSITIVE_INFINITY);
});
