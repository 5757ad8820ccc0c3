// Tests of the sparse index and its two files.
import assert from "node:assert/strict";
import test from "node:test";
import { decodeIndex, OffsetIndex, readSummary } from "../../../hub/log/offset_index.ts";

const summary = { generation: 0, logBytes: 9000, base: 1000, nextOffset: 1090, maxTimestamp: 77, appendedAt: 5 };

function sample(): OffsetIndex {
  const index = new OffsetIndex(1000);
  for (let i = 0; i < 40; i += 1) index.add(1000 + i * 2, i * 200, i === 0 ? -1 : i * 10);
  return index;
}

test("lookups give a place at or before what is asked for", () => {
  const index = sample();
  assert.equal(index.placeOf(1000), 0);
  assert.equal(index.placeOf(1001), 0);
  assert.equal(index.placeOf(1002), 200);
  assert.equal(index.placeOf(5000), 39 * 200);
  assert.equal(index.placeOf(3), 0);
  assert.deepEqual(index.entryBelow(1005), { offset: 1004, place: 400, timeBefore: 20 });
  assert.equal(index.entryBelow(999), null);
  assert.equal(index.placeOfTime(0), 0);
  assert.equal(index.placeOfTime(10), 0, "before entry 1 nothing is above 10, so 10 may stand before it");
  assert.equal(index.placeOfTime(11), 200);
  assert.equal(index.placeOfTime(10_000), 39 * 200);
  assert.equal(index.placeAfter(0), 200);
  assert.equal(index.placeAfter(199), 200);
  assert.equal(index.placeAfter(39 * 200), -1);
  assert.equal(new OffsetIndex(5).placeOf(9), 0);
});

test("a cut drops what lies behind it", () => {
  const index = sample();
  index.truncate(400);
  assert.equal(index.count, 2);
  assert.equal(index.lastPlace, 200);
});

test("the files read back; torn, mixed and foreign ones are refused", () => {
  const { index, timeIndex } = sample().encode(summary);
  const decoded = decodeIndex(index, timeIndex)!;
  assert.deepEqual(decoded.summary, summary);
  assert.deepEqual(decoded.index, sample());
  assert.deepEqual(readSummary(index.subarray(0, 64)), summary);
  assert.equal(decodeIndex(index, null), null);
  assert.equal(decodeIndex(timeIndex, index), null);
  assert.equal(decodeIndex(index, sample().encode({ ...summary, logBytes: 1 }).timeIndex), null);
  for (const file of [index, timeIndex]) {
    for (let at = 0; at < file.length; at += 1) {
      const torn = file.slice();
      torn[at] = torn[at]! ^ 1;
      assert.equal(file === index ? decodeIndex(torn, timeIndex) : decodeIndex(index, torn), null, `byte ${at}`);
    }
    for (let length = 0; length < file.length; length += 7) {
      const cut = file.slice(0, length);
      assert.equal(file === index ? decodeIndex(cut, timeIndex) : decodeIndex(index, cut), null);
    }
  }
});
