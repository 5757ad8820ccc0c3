// Pairs of settings; the verbs themselves run in main_test.ts.
import assert from "node:assert/strict";
import test from "node:test";
import { UsageError } from "../../cli/exit.ts";
import { parsePairs } from "../../cli/topic.ts";

test("NAME=VALUE pairs", () => {
  assert.deepEqual(parsePairs("config", ["a=1", "b=c=d", "e="]), { a: "1", b: "c=d", e: "" });
  for (const bad of ["a", "=1", ""]) assert.throws(() => parsePairs("config", [bad]), UsageError);
});
