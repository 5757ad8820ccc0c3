// Rules a batch has to meet, out of a topic's settings.
import assert from "node:assert/strict";
import test from "node:test";
import { setInt32 } from "../../../hub/bytes/fixed.ts";
import {
  admitBatch,
  batchRulesOf,
  inTopicCodec,
  KeylessRecords,
  prepareCodecs,
} from "../../../hub/engine/admission.ts";
import { type ErrorName, HubError } from "../../../hub/errors.ts";
import { Codec } from "../../../hub/io/compression.ts";
import { At, batchCrc, checkBatch } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { decodeRecords } from "../../../hub/record/record.ts";
import { EffectiveSettings } from "../../../hub/topic_settings.ts";

const wall = 1_800_000_000_000;
const clock = {
  now: () => 0,
  wall: () => wall,
  wallTrusted: () => true,
  after: () => ({ cancel() {} }),
  soon() {},
};
const rules = (own: Record<string, string> = {}) =>
  batchRulesOf(new EffectiveSettings(new Map(Object.entries(own)), new Map()));
const batch = (keys: readonly (string | null)[], timestamp = wall) =>
  encodeBatch(
    keys.map((key) => ({
      key: key === null ? null : new TextEncoder().encode(key),
      value: new Uint8Array(3),
      timestamp,
    })),
  );
const refused = (name: ErrorName) => (error: unknown) => error instanceof HubError && error.kind === name;

test("a plain batch enters a plain topic, whatever its times", () => {
  admitBatch(batch(["a", null], 5), rules(), clock);
  admitBatch(batch(["a"], wall * 2), rules(), clock);
});

test("times outside the topic's bounds are refused, unless the hub stamps them", () => {
  const own = { "message.timestamp.before.max.ms": "1000", "message.timestamp.after.max.ms": "1000" };
  admitBatch(batch(["a"], wall - 1000), rules(own), clock);
  assert.throws(() => admitBatch(batch(["a"], wall - 1001), rules(own), clock), refused("INVALID_TIMESTAMP"));
  assert.throws(() => admitBatch(batch(["a"], wall + 1001), rules(own), clock), refused("INVALID_TIMESTAMP"));
  admitBatch(batch(["a"], 5), rules({ ...own, "message.timestamp.type": "LogAppendTime" }), clock);
});

test("a compacted topic names the records that bear no key", () => {
  assert.throws(
    () => admitBatch(batch(["a", null, "b", null]), rules({ "cleanup.policy": "compact" }), clock),
    (error: unknown) => {
      assert.ok(error instanceof KeylessRecords);
      assert.deepEqual(error.recordIndexes, [1, 3]);
      return true;
    },
  );
});

test("a batch over max.message.bytes, and one of a transaction or the broker's own kind", () => {
  assert.throws(
    () => admitBatch(batch(["a"]), rules({ "max.message.bytes": "61" }), clock),
    refused("MESSAGE_TOO_LARGE"),
  );
  const record = { key: null, value: null, timestamp: wall };
  const transactional = encodeBatch([record], {
    transactional: true,
    producerId: 1,
    producerEpoch: 0,
    baseSequence: 0,
  });
  assert.throws(() => admitBatch(transactional, rules(), clock), refused("INVALID_TXN_STATE"));
  const control = encodeBatch([record], { control: true });
  assert.throws(() => admitBatch(control, rules(), clock), refused("INVALID_RECORD"));
});

const plain = (bytes: Uint8Array) =>
  decodeRecords(bytes.slice()).map(({ offset, timestamp, key, value }) => {
    return [offset, timestamp, new TextDecoder().decode(key!), new TextDecoder().decode(value!)];
  });

test("compression.type of a topic: every codec in, the topic's codec out, offsets, times and producer as they were", async () => {
  const names = ["uncompressed", "gzip", "snappy", "lz4", "zstd"];
  const records = Array.from({ length: 50 }, (_, i) => ({
    key: new TextEncoder().encode(`key ${i % 5}`),
    value: new TextEncoder().encode(`the same words again and again ${i}`),
    timestamp: wall + i,
  }));
  for (const [target, name] of names.entries()) {
    const wanted = rules({ "compression.type": name, "compression.gzip.level": "1", "compression.zstd.level": "9" });
    await prepareCodecs(wanted);
    for (const codec of [Codec.None, Codec.Gzip, Codec.Snappy, Codec.Lz4, Codec.Zstd]) {
      const given = encodeBatch(records, { codec, producerId: 5, producerEpoch: 1, baseSequence: 7 });
      const before = plain(given);
      admitBatch(given, wanted, clock);
      const made = inTopicCodec(given, wanted);
      const header = checkBatch(made);
      assert.equal(header.codec, target);
      if (codec === target) assert.equal(made, given, "a batch in the topic's codec is not opened");
      assert.deepEqual(plain(made), before);
      assert.deepEqual(
        [header.producerId, header.producerEpoch, header.baseSequence, header.baseTimestamp, header.maxTimestamp],
        [5, 1, 7, wall, wall + 49],
      );
    }
  }
  const asSent = encodeBatch(records, { codec: Codec.Gzip });
  assert.equal(inTopicCodec(asSent, rules()), asSent);
});

test("a batch that opens to too much, does not open, or does not fit uncompressed is refused", async () => {
  const wanted = rules({ "compression.type": "uncompressed" });
  await prepareCodecs(wanted);
  for (const codec of [Codec.Gzip, Codec.Snappy, Codec.Lz4, Codec.Zstd]) {
    const value = Uint8Array.from({ length: 1_200_000 }, (_, i) => (Math.imul(i, 0x9e37_79b1) >>> 28) & (i >> 9) & 15);
    const large = encodeBatch([{ key: null, value, timestamp: wall }], { codec });
    assert.ok(large.length < 1 << 20, `codec ${codec}: ${large.length} bytes`);
    assert.throws(() => inTopicCodec(large, wanted), refused("MESSAGE_TOO_LARGE"));
    const broken = encodeBatch([{ key: null, value: new Uint8Array(100), timestamp: wall }], { codec });
    broken.fill(0xff, 61);
    setInt32(broken, At.crc, batchCrc(broken, 0, broken.length));
    assert.throws(() => inTopicCodec(broken, wanted), refused("CORRUPT_MESSAGE"), `codec ${codec}`);
  }
  const bomb = encodeBatch([{ key: null, value: new Uint8Array(60 << 20), timestamp: wall }], { codec: Codec.Gzip });
  const small = bomb.slice(0, 61 + 2000); // the first bytes of a bomb: the gzip stream ends early
  setInt32(small, At.length, small.length - 12);
  setInt32(small, At.crc, batchCrc(small, 0, small.length));
  assert.throws(() => inTopicCodec(small, wanted), refused("CORRUPT_MESSAGE"));
});
