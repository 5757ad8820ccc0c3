// Tests of the batch header, its checks and the two fields outside the CRC.
import assert from "node:assert/strict";
import test from "node:test";
import { setInt32, setInt64 } from "../../../hub/bytes/fixed.ts";
import { HubError } from "../../../hub/errors.ts";
import {
  At,
  batchCrc,
  checkBatch,
  checkStoredBatch,
  readBatchHeader,
  setBaseOffsetAndEpoch,
  setLogAppendTime,
} from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { decodeRecords } from "../../../hub/record/record.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const sample = (): Uint8Array =>
  encodeBatch(
    [
      { key: bytesOf("device-7"), value: bytesOf("21.5"), timestamp: 1_700_000_000_000 },
      { key: null, value: bytesOf("x".repeat(300)), timestamp: 1_700_000_000_250 },
    ],
    { producerId: 4_000_000_001, producerEpoch: 3, baseSequence: 17 },
  );

function refuses(kind: string, bytes: Uint8Array): void {
  assert.throws(
    () => checkBatch(bytes),
    (error) => {
      assert.ok(error instanceof HubError, String(error));
      assert.equal(error.kind, kind, error.message);
      return true;
    },
  );
}

function resealed(change: (bytes: Uint8Array) => void): Uint8Array {
  const bytes = sample();
  change(bytes);
  setInt32(bytes, At.crc, batchCrc(bytes, 0, bytes.length));
  return bytes;
}

test("a header reads as it was written", () => {
  const header = checkBatch(sample());
  assert.equal(header.producerId, 4_000_000_001);
  assert.equal(header.producerEpoch, 3);
  assert.equal(header.baseSequence, 17);
  assert.equal(header.count, 2);
  assert.equal(header.lastOffset, 1);
  assert.equal(header.baseTimestamp, 1_700_000_000_000);
  assert.equal(header.maxTimestamp, 1_700_000_000_250);
  assert.equal(header.codec, 0);
  assert.equal(header.control || header.transactional || header.logAppendTime, false);
});

test("the golden batch: bytes as Kafka 3.x writes them", () => {
  // One record, key "k", value "v", header h=1, at timestamp 1000.
  const golden =
    "0000000000000000" +
    "0000003f" +
    "ffffffff" +
    "02" +
    "crc-----" +
    "0000" +
    "00000000" +
    "00000000000003e8" +
    "00000000000003e8" +
    "ffffffffffffffff" +
    "ffff" +
    "ffffffff" +
    "00000001" +
    "1a" +
    "00" +
    "00" +
    "00" +
    "026b" +
    "0276" +
    "02" +
    "0268" +
    "0431" +
    "32";
  const batch = encodeBatch([
    { key: bytesOf("k"), value: bytesOf("v"), timestamp: 1000, headers: [{ key: "h", value: bytesOf("12") }] },
  ]);
  const hex = Buffer.from(batch).toString("hex");
  assert.equal(hex.slice(0, 34) + "crc-----" + hex.slice(42), golden);
});

test("base offset and epoch lie outside the CRC, the log append time inside", () => {
  const batch = sample();
  setBaseOffsetAndEpoch(batch, 2 ** 40 + 5, 129);
  let header = checkBatch(batch);
  assert.equal(header.baseOffset, 2 ** 40 + 5);
  assert.equal(header.lastOffset, 2 ** 40 + 6);
  assert.equal(header.leaderEpoch, 129);
  setLogAppendTime(batch, 1_800_000_000_000);
  header = checkBatch(batch);
  assert.equal(header.logAppendTime, true);
  assert.equal(header.maxTimestamp, 1_800_000_000_000);
  assert.deepEqual(
    decodeRecords(batch).map((record) => record.timestamp),
    [1_800_000_000_000, 1_800_000_000_000],
  );
});

test("every prefix and every flipped bit of what the CRC covers is refused", () => {
  const whole = sample();
  for (let length = 0; length < whole.length; length += 1) {
    assert.throws(() => checkBatch(whole.slice(0, length)), HubError);
  }
  for (let at = At.length; at < whole.length; at += 1) {
    if (at >= At.leaderEpoch && at < At.magic) continue;
    for (let bit = 0; bit < 8; bit += 1) {
      const changed = whole.slice();
      changed[at] = changed[at]! ^ (1 << bit);
      assert.throws(() => checkBatch(changed), HubError, `byte ${at} bit ${bit}`);
    }
  }
});

test("what a client may not send is refused with its own code", () => {
  const old = sample();
  old[At.magic] = 1;
  refuses("UNSUPPORTED_FOR_MESSAGE_FORMAT", old);
  refuses("UNSUPPORTED_FOR_MESSAGE_FORMAT", old.subarray(0, 30));
  refuses("CORRUPT_MESSAGE", sample().subarray(0, 70));
  refuses("INVALID_RECORD", Buffer.concat([sample(), sample()]));
  refuses(
    "INVALID_RECORD",
    resealed((bytes) => setInt32(bytes, At.count, 3)),
  );
  refuses(
    "CORRUPT_MESSAGE",
    resealed((bytes) => setInt32(bytes, At.count, -1)),
  );
  refuses(
    "INVALID_RECORD",
    resealed((bytes) => (bytes[At.attributes + 1] = 0x20)),
  );
  refuses(
    "UNSUPPORTED_COMPRESSION_TYPE",
    resealed((bytes) => (bytes[At.attributes + 1] = 6)),
  );
  refuses(
    "INVALID_RECORD",
    resealed((bytes) => setInt32(bytes, At.baseSequence, -1)),
  );
  refuses(
    "INVALID_TIMESTAMP",
    resealed((bytes) => setInt64(bytes, At.maxTimestamp, 2 ** 60)),
  );
  refuses(
    "CORRUPT_MESSAGE",
    resealed((bytes) => setInt32(bytes, At.length, -5)),
  );
  refuses(
    "CORRUPT_MESSAGE",
    resealed((bytes) => setInt32(bytes, At.length, 2 ** 31 - 1)),
  );
});

test("a stored batch may have fewer records than offsets, and be a control batch", () => {
  const compacted = resealed((bytes) => {
    setInt32(bytes, At.lastOffsetDelta, 9);
    bytes[At.attributes + 1] = 0x30;
  });
  const header = checkStoredBatch(compacted);
  assert.equal(header.lastOffset, 9);
  assert.equal(header.control && header.transactional, true);
});

test("a header is read at any place", () => {
  const two = Buffer.concat([sample(), sample()]);
  assert.deepEqual(readBatchHeader(two, sample().length), readBatchHeader(two));
});
