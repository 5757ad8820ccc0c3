// Tests of what may be deleted.
import assert from "node:assert/strict";
import test from "node:test";
import { expiredSegments, folderExcess } from "../../../hub/log/retention.ts";

const segments = [1, 2, 3, 4].map((i) => ({ nextOffset: i * 10, bytes: 100, appendedAt: i * 1000 }));
const none = { retentionMs: -1, retentionBytes: -1 };

test("by time: closed segments whose last append is too old, never with an untrusted clock", () => {
  const rules = { ...none, retentionMs: 1500 };
  assert.equal(expiredSegments(segments, rules, 100, 4000), 2);
  assert.equal(expiredSegments(segments, rules, 100, 1_000_000), 3, "never the active one");
  assert.equal(expiredSegments(segments, rules, 100, null), 0);
  const unknown = segments.map((segment) => ({ ...segment, appendedAt: 0 }));
  assert.equal(expiredSegments(unknown, rules, 100, 1_000_000), 0);
  const dated2106 = [{ ...segments[0]!, appendedAt: 9e12 }, ...segments.slice(1)];
  assert.equal(expiredSegments(dated2106, rules, 100, 1_000_000), 0, "only ever a prefix");
});

test("by bytes: what stays still holds as much as is asked", () => {
  assert.equal(expiredSegments(segments, { ...none, retentionBytes: 250 }, 100, null), 1);
  assert.equal(expiredSegments(segments, { ...none, retentionBytes: 0 }, 100, null), 3);
  assert.equal(expiredSegments(segments, { ...none, retentionBytes: 400 }, 100, null), 0);
  assert.equal(expiredSegments(segments, none, 100, 1e12), 0);
});

test("never above the high watermark", () => {
  assert.equal(expiredSegments(segments, { ...none, retentionBytes: 0 }, 25, null), 2);
});

test("the folder's bound: oldest first across logs, prefixes only, pinned logs left alone", () => {
  const log = (name: string, times: number[], pinned = false) => ({
    log: name,
    pinned,
    highWatermark: 1000,
    segments: times.map((appendedAt, i) => ({ nextOffset: i, bytes: 100, appendedAt })),
  });
  const logs = [log("a", [10, 30, 50]), log("b", [20, 15, 99]), log("c", [1, 2, 3], true)];
  assert.deepEqual(
    [...folderExcess(logs, 250)],
    [
      ["a", 2],
      ["b", 1],
    ],
  );
  assert.deepEqual([...folderExcess(logs, 0)], []);
  assert.deepEqual([...folderExcess(logs, 1e9)].map(([name]) => name).sort(), ["a", "b"]);
});
