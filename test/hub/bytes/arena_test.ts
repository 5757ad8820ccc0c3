// The arena: slabs go round, copies stay within it, strangers are let pass.
import assert from "node:assert/strict";
import test from "node:test";
import { Arena } from "../../../hub/bytes/arena.ts";

test("slabs are taken until there are none, and taken again when they came back", () => {
  const arena = new Arena(100, 3);
  assert.equal(arena.free, 3);
  const slabs = [arena.take()!, arena.take()!, arena.take()!];
  assert.equal(arena.take(), null);
  for (const [index, slab] of slabs.entries()) slab.fill(index + 1);
  for (const [index, slab] of slabs.entries())
    assert.ok(
      slab.every((byte) => byte === index + 1),
      "none overlaps",
    );
  arena.give(slabs[1]!.subarray(10, 20)); // any part names its slab
  assert.equal(arena.free, 1);
  const again = arena.take()!;
  assert.deepEqual([again.length, again[0]], [100, 2]);
  arena.give(new Uint8Array(100));
  assert.equal(arena.free, 0, "what is not of the arena is let pass");
});

test("copies from its source to a place of a slab, and from nothing else", () => {
  const arena = new Arena(64, 4);
  const source = arena.takeSource()!;
  assert.equal(arena.takeSource(), source, "one source");
  source.write("a reading of 21.5", 3);
  const slab = arena.take()!;
  assert.ok(arena.copy(arena.placeOf(slab) + 5, source, 3, 20));
  assert.equal(Buffer.from(slab.subarray(5, 22)).toString(), "a reading of 21.5");
  assert.equal(arena.copy(arena.placeOf(slab), Buffer.from("elsewhere"), 0, 4), false);
  assert.equal(arena.placeOf(new Uint8Array(4)), -1);
});

test("an arena whose slabs do not come back begins anew, and those of before stay what they were", () => {
  const arena = new Arena(16, 2);
  const source = arena.takeSource()!;
  const lost = arena.take()!.fill(7);
  let misses = 0;
  let fresh: Uint8Array | null = null;
  while (fresh === null) {
    fresh = arena.take();
    misses++;
    assert.ok(misses < 10_000);
  }
  assert.ok(misses > 1_000, "not at the first miss: most come back soon");
  fresh.fill(9);
  assert.ok(lost.every((byte) => byte === 7));
  arena.give(lost);
  assert.equal(arena.free, 1, "it is of no use any more");
  assert.equal(arena.copy(arena.placeOf(fresh), source, 0, 4), false, "nor is the source: it is copied from otherwise");
  assert.equal(arena.takeSource(), null, "nor is there a new one: what was begun before it must not be copied into");
});
