// What stands twice in a request is found in one pass.
import assert from "node:assert/strict";
import test from "node:test";
import { doubled } from "../../../../hub/server/handlers/doubled.ts";

test("doubled: each value that stands more than once, once", () => {
  assert.deepEqual([...doubled([])], []);
  assert.deepEqual([...doubled(["a", "b", "a", "c", "b", "a"])], ["a", "b"]);
});

test("doubled: a request of very many names does not hold up the hub", () => {
  const names = Array.from({ length: 300_000 }, (_, i) => `name ${i}`);
  const began = performance.now();
  assert.equal(doubled([...names, "name 7"]).size, 1);
  assert.ok(performance.now() - began < 5_000, "it takes as long as the square of the number");
});
