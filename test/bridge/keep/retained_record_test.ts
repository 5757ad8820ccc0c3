// Retained messages as bytes: there and back, cut, and garbage.
import assert from "node:assert/strict";
import test from "node:test";
import { decodeRetained, encodeRetained } from "../../../bridge/keep/retained_record.ts";
import type { Message } from "../../../bridge/session/message.ts";
import { HubError } from "../../../hub/mod.ts";

const plain: Message = {
  topic: "a/b",
  payload: Uint8Array.of(1, 2, 255),
  qos: 1,
  retain: true,
  properties: {},
  publisher: "dev-1",
  expiresAt: null,
};
const full: Message = {
  ...plain,
  topic: "ä",
  payload: new Uint8Array(300),
  qos: 2,
  publisher: "",
  expiresAt: 1_790_000_000_000,
  properties: {
    payloadFormat: 1,
    contentType: "text/ü",
    responseTopic: "",
    correlationData: Uint8Array.of(0),
    userProperties: [
      ["a", "1"],
      ["a", ""],
    ],
  },
};

test("a retained message is read as it was written", () => {
  for (const message of [
    plain,
    full,
    { ...plain, expiresAt: 0 },
    { ...plain, properties: { payloadFormat: 0 as const } },
  ]) {
    assert.deepEqual(decodeRetained(message.topic, encodeRetained(message)), message);
  }
});

test("what is cut, longer, newer or garbage is refused, and nothing else is thrown", () => {
  const bytes = encodeRetained(full);
  for (let size = 0; size < bytes.length; size++) {
    assert.throws(() => decodeRetained("t", bytes.subarray(0, size)), { kind: "INVALID_RECORD" });
  }
  assert.throws(() => decodeRetained("t", Uint8Array.of(...bytes, 0)), { kind: "INVALID_RECORD" });
  assert.throws(() => decodeRetained("t", Uint8Array.of(2)), /version 2/);
  for (let at = 0; at < bytes.length; at++) {
    for (const bit of [1, 4, 64, 128]) {
      const changed = bytes.slice();
      changed[at] = changed[at]! ^ bit;
      try {
        decodeRetained("t", changed);
      } catch (error) {
        assert.ok(error instanceof HubError && error.kind === "INVALID_RECORD", String(error));
      }
    }
  }
});
