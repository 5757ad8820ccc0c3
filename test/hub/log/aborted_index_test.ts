// Tests of the aborted transactions of a segment: overlap, cut, and the file.
import assert from "node:assert/strict";
import test from "node:test";
import { AbortedIndex } from "../../../hub/log/aborted_index.ts";
import type { AbortedTransaction } from "../../../hub/log/aborted_index.ts";

const entry = (producerId: number, firstOffset: number, lastOffset: number, stableEnd = lastOffset + 1) => ({
  producerId,
  firstOffset,
  lastOffset,
  stableEnd,
});

function collect(index: AbortedIndex, from: number, to: number): [number[], boolean] {
  const found: AbortedTransaction[] = [];
  const done = index.collect(from, to, found);
  return [found.map(({ producerId }) => producerId), done];
}

test("overlap: a marker in the range counts, a transaction that begins at its end does not", () => {
  const index = new AbortedIndex([entry(1, 0, 4, 2), entry(2, 2, 9), entry(3, 10, 12)]);
  assert.deepEqual(collect(index, 0, 2), [[1], true]);
  assert.deepEqual(collect(index, 4, 5), [[1, 2], true]);
  assert.deepEqual(collect(index, 5, 10), [[2], true]);
  assert.deepEqual(collect(index, 9, 11), [[2, 3], true]);
  assert.deepEqual(collect(index, 13, 20), [[], false]);
});

test("a search looks at few of many: each place finds its own", () => {
  let looks = 0;
  const many = Array.from({ length: 50_000 }, (_, i) => {
    const one = entry(i, i * 2, i * 2 + 1);
    return {
      ...one,
      get lastOffset() {
        looks += 1;
        return one.lastOffset;
      },
    };
  });
  const index = new AbortedIndex(many);
  for (const i of [0, 1, 777, 25_000, 49_998, 49_999]) {
    assert.deepEqual(collect(index, i * 2 + 1, i * 2 + 2), [[i], true]);
  }
  assert.deepEqual(collect(index, 100_000, 100_001), [[], false]);
  assert.ok(looks < 7 * 20, `${looks} looks`);
});

test("a cut takes markers at and above it; compaction those that are gone", () => {
  const index = new AbortedIndex([entry(1, 0, 4), entry(2, 5, 9), entry(3, 10, 12)]);
  index.cutFrom(12);
  assert.deepEqual(collect(index, 0, 20)[0], [1, 2]);
  index.keep((offset) => offset !== 4);
  assert.deepEqual(collect(index, 0, 20)[0], [2]);
});

test("the file reads back; a torn one and another segment's are none", () => {
  const index = new AbortedIndex([entry(2 ** 52 - 1, 100, 104), entry(7, 102, 109, 103)]);
  const bytes = index.encode(100, 110);
  const found = AbortedIndex.decode(bytes, 100)!;
  assert.equal(found.end, 110);
  assert.deepEqual(found.aborted.entries, index.entries);
  assert.equal(AbortedIndex.decode(bytes, 101), null);
  assert.equal(AbortedIndex.decode(bytes.subarray(0, bytes.length - 3), 100), null);
  assert.equal(AbortedIndex.decode(null, 100), null);
});
