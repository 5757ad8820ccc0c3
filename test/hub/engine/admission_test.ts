// Rules a batch has to meet, out of a topic's settings.
import assert from "node:assert/strict";
import test from "node:test";
import { admitBatch, batchRulesOf, KeylessRecords } from "../../../hub/engine/admission.ts";
import { type ErrorName, HubError } from "../../../hub/errors.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { EffectiveSettings } from "../../../hub/topic_settings.ts";

const wall = 1_800_000_000_000;
const clock = {
  now: () => 0,
  wall: () => wall,
  wallTrusted: () => true,
  after: () => ({ cancel() {} }),
  soon() {},
};
const rules = (own: Record<string, string> = {}) =>
  batchRulesOf(new EffectiveSettings(new Map(Object.entries(own)), new Map()));
const batch = (keys: readonly (string | null)[], timestamp = wall) =>
  encodeBatch(
    keys.map((key) => ({
      key: key === null ? null : new TextEncoder().encode(key),
      value: new Uint8Array(3),
      timestamp,
    })),
  );
const refused = (name: ErrorName) => (error: unknown) => error instanceof HubError && error.kind === name;

test("a plain batch enters a plain topic, whatever its times", () => {
  admitBatch(batch(["a", null], 5), rules(), clock);
  admitBatch(batch(["a"], wall * 2), rules(), clock);
});

test("times outside the topic's bounds are refused, unless the hub stamps them", () => {
  const own = { "message.timestamp.before.max.ms": "1000", "message.timestamp.after.max.ms": "1000" };
  admitBatch(batch(["a"], wall - 1000), rules(own), clock);
  assert.throws(() => admitBatch(batch(["a"], wall - 1001), rules(own), clock), refused("INVALID_TIMESTAMP"));
  assert.throws(() => admitBatch(batch(["a"], wall + 1001), rules(own), clock), refused("INVALID_TIMESTAMP"));
  admitBatch(batch(["a"], 5), rules({ ...own, "message.timestamp.type": "LogAppendTime" }), clock);
});

test("a compacted topic names the records that bear no key", () => {
  assert.throws(
    () => admitBatch(batch(["a", null, "b", null]), rules({ "cleanup.policy": "compact" }), clock),
    (error: unknown) => {
      assert.ok(error instanceof KeylessRecords);
      assert.deepEqual(error.recordIndexes, [1, 3]);
      return true;
    },
  );
});

test("a batch over max.message.bytes, and one of a transaction or the broker's own kind", () => {
  assert.throws(
    () => admitBatch(batch(["a"]), rules({ "max.message.bytes": "61" }), clock),
    refused("MESSAGE_TOO_LARGE"),
  );
  const record = { key: null, value: null, timestamp: wall };
  const transactional = encodeBatch([record], {
    transactional: true,
    producerId: 1,
    producerEpoch: 0,
    baseSequence: 0,
  });
  assert.throws(() => admitBatch(transactional, rules(), clock), refused("INVALID_TXN_STATE"));
  const control = encodeBatch([record], { control: true });
  assert.throws(() => admitBatch(control, rules(), clock), refused("INVALID_RECORD"));
});
