// Chance from the operating system.
import assert from "node:assert/strict";
import test from "node:test";
import { openRandom } from "../../../hub/io/crypto.ts";

test("floats are in [0, 1), bytes are as many as asked, bounds are kept", () => {
  const random = openRandom();
  for (let i = 0; i < 1000; i++) {
    const value = random.float();
    assert.ok(value >= 0 && value < 1);
  }
  assert.equal(random.bytes(7).length, 7);
  assert.throws(() => random.bytes(65_537), RangeError);
  assert.throws(() => random.bytes(-1), RangeError);
});

test("a uuid bears version 4 and the RFC's variant, and is drawn anew", () => {
  const random = openRandom();
  const [a, b] = [random.uuid(), random.uuid()];
  assert.equal(a[6]! >> 4, 4);
  assert.equal(a[8]! >> 6, 2);
  assert.notDeepEqual(a, b);
});
