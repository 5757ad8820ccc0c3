// Batches with records taken out of them: what stays stays as it was.
import assert from "node:assert/strict";
import test from "node:test";
import { Codec, loadCodec } from "../../../hub/io/compression.ts";
import { checkStoredBatch, readBatchHeader } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import {
  choose,
  deleteHorizonOf,
  emptyBatch,
  RecordWalk,
  recodeBatch,
  rewriteBatch,
} from "../../../hub/record/filter.ts";
import { decodeRecords, openRecords } from "../../../hub/record/record.ts";

const encoder = new TextEncoder();
const records = Array.from({ length: 40 }, (_, i) => ({
  key: i % 9 === 8 ? null : encoder.encode(`key ${i}`),
  value: i % 5 === 4 ? null : encoder.encode("v".repeat((i * 37) % 300)),
  headers: i % 3 === 0 ? [{ key: "kind", value: encoder.encode("reading") }] : [],
  timestamp: 1_700_000_000_000 + ((i * 7919) % 5000) - 2500,
}));
const options = { producerId: 9, producerEpoch: 2, baseSequence: 5, baseOffset: 1000, leaderEpoch: 3 };
const plain = (batch: Uint8Array) =>
  decodeRecords(batch).map(({ offset, timestamp, key, value, headers }) => {
    const text = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString());
    return [offset, timestamp, text(key), text(value), headers.map((header) => [header.key, text(header.value)])];
  });

test("what stays has its offset, time, key, value and headers; base and last offset and producer are the batch's", async () => {
  for (const codec of [Codec.None, Codec.Gzip, Codec.Snappy, Codec.Lz4, Codec.Zstd]) {
    await loadCodec(codec);
    const batch = encodeBatch(records, { ...options, codec });
    const header = readBatchHeader(batch);
    const all = plain(batch);
    const opened = openRecords(batch, header);
    for (const horizon of [-1, 1_700_000_100_000, 5]) {
      const kept = choose(opened, header, ({ offset }) => offset % 3 === 1);
      assert.equal(kept.count, 13 + Number(1039 % 3 === 1));
      assert.ok(kept.tombstones, "tombstones are among them");
      const made = rewriteBatch(batch, header, opened, kept, horizon);
      const now = checkStoredBatch(made);
      assert.deepEqual(
        plain(made),
        all.filter(([offset]) => (offset as number) % 3 === 1),
      );
      assert.equal(deleteHorizonOf(made), horizon);
      const same = ["baseOffset", "lastOffset", "codec", "producerId", "producerEpoch", "baseSequence"] as const;
      for (const field of same) assert.equal(now[field], header[field], field);
      assert.equal(now.maxTimestamp, Math.max(...plain(made).map(([, time]) => time as number)));
      const again = rewriteBatch(
        made,
        now,
        openRecords(made, now),
        choose(openRecords(made, now), now, ({ offset }) => offset > 1020),
        -1,
      );
      assert.equal(deleteHorizonOf(again), horizon, "the horizon outlives another cleaning");
      assert.deepEqual(
        plain(again),
        plain(made).filter(([offset]) => (offset as number) > 1020),
      );
    }
  }
});

test("a walk names the places of keys, tells tombstones, and refuses what is no record", () => {
  const batch = encodeBatch(records, options);
  const header = readBatchHeader(batch);
  const opened = openRecords(batch, header);
  const walk = new RecordWalk(opened, header);
  for (const { key, value } of records) {
    assert.ok(walk.next(), "a record more");
    const found = walk.keyFrom < 0 ? null : Buffer.from(opened.subarray(walk.keyFrom, walk.keyTo)).toString();
    assert.equal(found, key === null ? null : Buffer.from(key).toString());
    assert.equal(walk.hasValue, value !== null);
  }
  assert.equal(walk.next(), false);
  for (let cut = 1; cut < 400; cut += 7) {
    assert.throws(() => choose(opened.subarray(0, opened.length - cut), header, () => true), {
      kind: "INVALID_RECORD",
    });
  }
});

test("an emptied batch is a valid header of 61 bytes that still tells producer, sequence and offsets", () => {
  const batch = encodeBatch(records, { ...options, codec: Codec.Gzip, transactional: true });
  const made = emptyBatch(batch);
  const header = checkStoredBatch(made);
  assert.deepEqual(decodeRecords(made), []);
  assert.deepEqual([made.length, header.count, header.codec, header.transactional], [61, 0, 0, true]);
  assert.deepEqual([header.baseOffset, header.lastOffset, header.producerId, header.baseSequence], [1000, 1039, 9, 5]);
});

test("another codec: the same records", async () => {
  await loadCodec(Codec.Zstd);
  const batch = encodeBatch(records, { ...options, codec: Codec.Snappy });
  const opened = openRecords(batch, readBatchHeader(batch));
  for (const codec of [Codec.None, Codec.Gzip, Codec.Lz4, Codec.Zstd]) {
    const made = recodeBatch(batch, opened, codec, codec === Codec.Gzip ? 9 : null);
    assert.equal(checkStoredBatch(made).codec, codec);
    assert.deepEqual(plain(made), plain(batch));
  }
});
