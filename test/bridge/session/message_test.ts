// Lifetimes and the properties that go on.
import assert from "node:assert/strict";
import test from "node:test";
import { hasExpired, messageOfWill, secondsLeft } from "../../../bridge/session/message.ts";

test("a will's lifetime begins when it is published, and its delay goes no further", () => {
  const payload = new Uint8Array();
  const properties = { willDelay: 5, messageExpiry: 2, contentType: "x" };
  const message = messageOfWill({ topic: "w", payload, qos: 1, retain: true, properties }, "c", 10_000);
  assert.equal(message.expiresAt, 12_000);
  assert.deepEqual(message.properties, { contentType: "x" });
});

test("what is left of a lifetime is rounded up: 0 is told of nothing that lives", () => {
  const message = {
    ...messageOfWill({ topic: "", payload: new Uint8Array(), qos: 0, retain: false, properties: {} }, "", 0),
  };
  assert.equal(secondsLeft(message, 5), undefined);
  const mortal = { ...message, expiresAt: 2_000 };
  assert.deepEqual(
    [0, 1, 1_000, 1_999, 2_000, 9_000].map((now) => secondsLeft(mortal, now)),
    [2, 2, 1, 1, 0, 0],
  );
  assert.deepEqual(
    [1_999, 2_000].map((now) => hasExpired(mortal, now)),
    [false, true],
  );
});
