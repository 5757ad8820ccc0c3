// What a publisher is told for each kind of error.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../bridge/server/outcome.ts";
import { isCodeOf } from "../../../bridge/wire/codes.ts";
import { type ErrorName, errorCatalogue, HubError } from "../../../hub/mod.ts";

test("every error of the hub has a reason code that PUBACK and PUBREC may carry", () => {
  for (const kind of Object.keys(errorCatalogue) as ErrorName[]) {
    const code = codeOf(new HubError(kind));
    assert.ok(code >= 0x80 && isCodeOf("puback", code, "server") && isCodeOf("pubrec", code, "server"), kind);
  }
  assert.equal(codeOf(new HubError("TOPIC_AUTHORIZATION_FAILED")), 0x87);
  assert.equal(codeOf(new HubError("THROTTLING_QUOTA_EXCEEDED")), 0x97);
  assert.equal(codeOf(new HubError("MESSAGE_TOO_LARGE")), 0x83);
  assert.equal(codeOf(new HubError("NOT_ENOUGH_REPLICAS")), 0x80);
  assert.equal(codeOf(new Error("something else")), 0x80);
});
