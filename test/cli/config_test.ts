// What `config show` shows.
import assert from "node:assert/strict";
import test from "node:test";
import { rowsOf, withoutSecret } from "../../cli/config.ts";

test("secrets are not shown", () => {
  assert.equal(withoutSecret("redis.url", "redis://u:p@h:1/0"), "redis://(hidden)@h:1/0");
  assert.equal(withoutSecret("redis.password", "x"), "(hidden)");
  assert.deepEqual(rowsOf({ a: { b: 1 }, c: new Map([["d.e", "2"]]), f: null }), [
    { setting: "a.b", value: 1 },
    { setting: "d.e", value: "2" },
    { setting: "f", value: null },
  ]);
});
