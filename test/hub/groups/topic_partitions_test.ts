// Sets of partitions as values: the algebra that reconciliation stands on.
import assert from "node:assert/strict";
import test from "node:test";
import {
  common,
  countOf,
  holds,
  isWithin,
  meet,
  partitionsFrom,
  samePartitions,
  together,
  without,
} from "../../../hub/groups/topic_partitions.ts";

const some = partitionsFrom([
  ["t", [3, 1, 1]],
  ["u", []],
  ["t", [2]],
  ["v", [0]],
]);
const other = partitionsFrom([
  ["t", [2, 9]],
  ["w", [4]],
]);

test("topic partitions: sorted, merged, without doubles or empty topics", () => {
  assert.deepEqual(
    [...some],
    [
      ["t", [1, 2, 3]],
      ["v", [0]],
    ],
  );
  assert.equal(countOf(some), 4);
});

test("topic partitions: common, without, together, meet, within, same", () => {
  assert.deepEqual([...common(some, other)], [["t", [2]]]);
  assert.deepEqual(
    [...without(some, other)],
    [
      ["t", [1, 3]],
      ["v", [0]],
    ],
  );
  assert.deepEqual(
    [...together(some, other)],
    [
      ["t", [1, 2, 3, 9]],
      ["v", [0]],
      ["w", [4]],
    ],
  );
  assert.deepEqual([meet(some, other), meet(some, partitionsFrom([["t", [9]]]))], [true, false]);
  assert.deepEqual([isWithin(common(some, other), some), isWithin(other, some)], [true, false]);
  assert.equal(samePartitions(some, partitionsFrom(some)), true);
  assert.equal(samePartitions(some, other), false);
  assert.equal(samePartitions(partitionsFrom([["t", [1]]]), partitionsFrom([["u", [1]]])), false);
  assert.equal(samePartitions(partitionsFrom([["t", [1, 2]]]), partitionsFrom([["t", [1, 3]]])), false);
  assert.deepEqual([holds([1, 5, 9], 5), holds([1, 5, 9], 6), holds(undefined, 0)], [true, false, false]);
});
