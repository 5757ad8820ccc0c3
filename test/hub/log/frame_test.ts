// Tests of the journal's bytes.
import assert from "node:assert/strict";
import test from "node:test";
import {
  batchEntryOverhead,
  encodeSmallEntry,
  frameHeaderBytes,
  partitionIdBytes,
  readEntries,
  readFrame,
  sealFrame,
  writeBatchEntry,
} from "../../../hub/log/frame.ts";
import type { SmallEntry } from "../../../hub/log/frame.ts";
import { settingsOf, topicId } from "./support.ts";

const life = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const small: SmallEntry[] = [
  { type: "snapshot", chainStart: 12 },
  { type: "partition", topicId, partition: 3, name: "größe", settings: settingsOf(), syncedEnd: 5 },
  { type: "logStart", topicId, partition: 3, offset: 2 ** 40 },
  { type: "truncation", topicId, partition: 3, offset: 9 },
  { type: "tombstone", topicId, partition: 3 },
  { type: "fact", key: "group/é", value: Uint8Array.of(0, 255) },
  { type: "fact", key: "gone", value: null },
];

function sample(): Uint8Array {
  const encoded = small.map(encodeSmallEntry);
  const batch = new Uint8Array(70).fill(9);
  const bytes = encoded.reduce((sum, entry) => sum + entry.length, 0) + batchEntryOverhead + batch.length;
  const frame = new Uint8Array(frameHeaderBytes + bytes);
  let at = frameHeaderBytes;
  for (const entry of encoded) {
    frame.set(entry, at);
    at += entry.length;
  }
  const entry = { type: "batch", topicId, partition: 3, prevEnd: 44, batch } as const;
  writeBatchEntry(frame, at, partitionIdBytes(topicId, 3), entry);
  sealFrame(frame, life, 17, null, small.length + 1);
  return frame;
}

test("a frame and its entries read back, at any place", () => {
  const frame = sample();
  const file = new Uint8Array(frame.length + 300);
  file.set(frame, 100);
  assert.equal(readFrame(file, 0), null);
  assert.deepEqual(readFrame(file, 100), { life: "0102030405060708", sequence: 17, nextLife: "", bytes: frame.length });
  const entries = [...readEntries(file, 100)].map(({ entry }) => entry);
  assert.deepEqual(entries.slice(0, -1), small);
  const last = entries.at(-1)!;
  assert.ok(last.type === "batch");
  assert.deepEqual([last.topicId, last.partition, last.prevEnd, last.batch.length], [topicId, 3, 44, 70]);
});

test("every flipped byte and every cut is no frame", () => {
  const frame = sample();
  for (let at = 0; at < frame.length; at += 1) {
    const torn = frame.slice();
    torn[at] = torn[at]! ^ 0x40;
    assert.equal(readFrame(torn, 0), null, `byte ${at}`);
  }
  for (let length = 0; length < frame.length; length += 1) assert.equal(readFrame(frame.slice(0, length), 0), null);
});

test("the life of the next file is named", () => {
  const frame = new Uint8Array(frameHeaderBytes);
  sealFrame(frame, life, 1, Uint8Array.of(9, 9, 9, 9, 9, 9, 9, 9), 0);
  assert.equal(readFrame(frame, 0)!.nextLife, "0909090909090909");
});

test("only a UUID names a topic", () => {
  assert.throws(() => partitionIdBytes("../../etc", 0), /no lower-case UUID/);
});
