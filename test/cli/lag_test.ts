// Lag in records and seconds.
import assert from "node:assert/strict";
import test from "node:test";
import { lagOf } from "../../cli/lag.ts";

test("lag counts from the commit, or from the log start when retention went past it", () => {
  assert.deepEqual(lagOf(5, 0, 10, 1_000, 4_000), { lag: 5, lagSeconds: 3 });
  assert.deepEqual(lagOf(10, 0, 10, undefined, 4_000), { lag: 0, lagSeconds: 0 });
  assert.deepEqual(lagOf(null, 3, 10, undefined, 4_000), { lag: 7, lagSeconds: null });
  assert.deepEqual(lagOf(1, 3, 10, 9_000, 4_000), { lag: 7, lagSeconds: 0 });
});
