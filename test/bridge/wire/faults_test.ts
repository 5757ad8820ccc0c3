// Errors name their reason code and the statement of the version.
import assert from "node:assert/strict";
import test from "node:test";
import { anyViolation, fault, malformed, protocolError } from "../../../bridge/wire/faults.ts";
import { MqttProblem, Reason } from "../../../bridge/wire/packet.ts";

test("fault names the statement of its version", () => {
  const both = fault(4, Reason.banned, "1.2.3-4", "no");
  assert.ok(both instanceof MqttProblem);
  assert.deepEqual([both.code, both.message], [0x8a, "no [MQTT-1.2.3-4]"]);
  assert.equal(malformed(4, anyViolation, "a").message, "a [MQTT-4.8.0-1]");
  assert.equal(malformed(5, anyViolation, "a").message, "a [MQTT-4.13.1-1]");
  assert.deepEqual([malformed(5, "1.0.0-1", "").code, protocolError(5, "1.0.0-1", "").code], [0x81, 0x82]);
});
