// Which part of a log is worth a cleaning, and which segments become one.
import assert from "node:assert/strict";
import test from "node:test";
import { chooseCleaning, groupsOf, isRollDue } from "../../../hub/log/cleaning.ts";

const rules = { minCompactionLagMs: 0, maxCompactionLagMs: 2 ** 63, minDirtyRatio: 0.5 };
const never = Number.POSITIVE_INFINITY;
const segment = (base: number, bytes: number, appendedAt = 1000) => {
  return { base, nextOffset: base + 10, bytes, size: bytes, appendedAt };
};
const log = [segment(0, 100), segment(10, 100), segment(20, 100), segment(30, 100)];
const state = (dirtyFrom: number, horizonAt = never) => ({ dirtyFrom, horizonAt });

test("dirty bytes over all cleanable bytes, the active segment left out", () => {
  assert.deepEqual(chooseCleaning(log, state(0), rules, 100, 5000), { from: 0, end: 30, ratio: 1 });
  assert.deepEqual(chooseCleaning(log, state(10), rules, 100, 5000), { from: 10, end: 30, ratio: 2 / 3 });
  assert.equal(chooseCleaning(log, state(20), rules, 100, 5000), null);
  assert.deepEqual(chooseCleaning(log, state(20), { ...rules, minDirtyRatio: 0.3 }, 100, 5000), {
    from: 20,
    end: 30,
    ratio: 1 / 3,
  });
  assert.equal(chooseCleaning([segment(0, 100)], state(0), rules, 100, 5000), null);
});

test("never above the bound, nor what is younger than the smallest lag", () => {
  assert.equal(chooseCleaning(log, state(0), rules, 19, 5000)!.end, 10);
  assert.equal(chooseCleaning(log, state(0), rules, 9, 5000), null);
  const young = [segment(0, 100), segment(10, 100, 4500), segment(20, 100), segment(30, 100)];
  assert.equal(chooseCleaning(young, state(0), { ...rules, minCompactionLagMs: 1000 }, 100, 5000)!.end, 10);
  assert.equal(chooseCleaning(young, state(0), { ...rules, minCompactionLagMs: 1000 }, 100, null), null);
});

test("the largest lag and a due tombstone need no ratio, but a clock that may be believed", () => {
  const lag = { ...rules, minDirtyRatio: 1, maxCompactionLagMs: 1000 };
  assert.ok(chooseCleaning(log, state(20), lag, 100, 2001), "overdue");
  assert.equal(chooseCleaning(log, state(20), lag, 100, 2000), null);
  assert.equal(chooseCleaning(log, state(20), lag, 100, null), null);
  assert.deepEqual(chooseCleaning(log, state(30, 5000), rules, 100, 5000), { from: 30, end: 30, ratio: 0 });
  assert.equal(chooseCleaning(log, state(30, 5001), rules, 100, 5000), null);
});

test("a segment is closed at the smaller of segment.ms and max.compaction.lag.ms", () => {
  assert.equal(isRollDue(500, 1000, rules), false);
  assert.equal(isRollDue(1001, 1000, rules), true);
  assert.equal(isRollDue(500, 1000, { ...rules, maxCompactionLagMs: 400 }), true);
});

test("neighbours become one up to the size of a segment, and within 31 bits of offsets", () => {
  const sizes = (bound: number) => groupsOf(log, bound).map((group) => group.map(({ base }) => base));
  assert.deepEqual(sizes(250), [
    [0, 10],
    [20, 30],
  ]);
  assert.deepEqual(sizes(99), [[0], [10], [20], [30]]);
  assert.deepEqual(sizes(1000), [[0, 10, 20, 30]]);
  const far = [segment(0, 1), segment(2 ** 31 - 11, 1), segment(2 ** 31, 1)];
  assert.deepEqual(
    groupsOf(far, 100).map((group) => group.length),
    [2, 1],
  );
});
