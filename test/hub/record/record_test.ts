// Tests of records: round trips under every codec, broken contents, bounds.
import assert from "node:assert/strict";
import test from "node:test";
import { setInt32 } from "../../../hub/bytes/fixed.ts";
import { HubError } from "../../../hub/errors.ts";
import { Codec, loadCodec } from "../../../hub/io/compression.ts";
import { At, batchCrc, batchHeaderBytes, checkBatch, setBaseOffsetAndEpoch } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { controlType, decodeRecords } from "../../../hub/record/record.ts";
import type { NewRecord } from "../../../hub/record/record.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

const records: NewRecord[] = [
  { key: bytesOf("a"), value: bytesOf("1"), timestamp: 1000 },
  { key: null, value: null, timestamp: 900 },
  { key: new Uint8Array(0), value: new Uint8Array(0), timestamp: 2_000_000_000_000 },
  {
    key: bytesOf("k".repeat(100)),
    value: bytesOf("v".repeat(70_000)),
    timestamp: 1001,
    headers: [
      { key: "trace", value: bytesOf("abc") },
      { key: "größe", value: null },
      { key: "trace", value: new Uint8Array(0) },
    ],
  },
];

test("records come back as they went in, under every codec", async () => {
  for (const codec of Object.values(Codec)) {
    await loadCodec(codec);
    const batch = encodeBatch(records, { codec });
    assert.equal(checkBatch(batch).codec, codec);
    setBaseOffsetAndEpoch(batch, 500, 0);
    const decoded = decodeRecords(batch);
    assert.equal(decoded.length, records.length);
    decoded.forEach((record, i) => {
      const given = records[i]!;
      assert.equal(record.offset, 500 + i);
      assert.equal(record.timestamp, given.timestamp);
      for (const field of ["key", "value"] as const) {
        assert.deepEqual(record[field] && Buffer.from(record[field]), given[field] && Buffer.from(given[field]));
      }
      assert.deepEqual(
        record.headers.map(({ key, value }) => [key, value && Buffer.from(value)]),
        (given.headers ?? []).map(({ key, value }) => [key, value && Buffer.from(value)]),
      );
    });
  }
});

test("broken contents behind a right CRC end in INVALID_RECORD, never in another exception", () => {
  const whole = encodeBatch(records.slice(0, 3));
  for (let at = batchHeaderBytes; at < whole.length; at += 1) {
    for (const change of [0x01, 0x80, 0xff]) {
      const changed = whole.slice();
      changed[at] = changed[at]! ^ change;
      setInt32(changed, At.crc, batchCrc(changed, 0, changed.length));
      try {
        decodeRecords(changed);
      } catch (error) {
        assert.ok(error instanceof HubError && error.kind === "INVALID_RECORD", String(error));
      }
    }
  }
});

test("a count that the bytes cannot hold is refused before anything is allocated", () => {
  const batch = encodeBatch(records.slice(0, 1));
  setInt32(batch, At.count, 900_000);
  assert.throws(
    () => decodeRecords(batch),
    (error) => error instanceof HubError && error.kind === "INVALID_RECORD",
  );
});

test("control records say commit or abort", () => {
  const marker = (type: number) =>
    encodeBatch([{ key: Uint8Array.of(0, 0, 0, type), value: Uint8Array.of(0, 0, 0, 0, 0, 1), timestamp: 1 }], {
      control: true,
      transactional: true,
    });
  assert.deepEqual(
    [0, 1, 9].map((type) => controlType(decodeRecords(marker(type))[0]!)),
    ["abort", "commit", null],
  );
});
