// Writer: every primitive against Reader, parts by reference, growth, and refusal of numbers out of range.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { Reader } from "../../../hub/bytes/reader.ts";
import { Writer } from "../../../hub/bytes/writer.ts";

function written(write: (writer: Writer) => void): Buffer {
  const writer = new Writer();
  write(writer);
  return Buffer.from(writer.join());
}

test("primitives have the documented bytes", () => {
  const hex = (write: (writer: Writer) => void): string => written(write).toString("hex");
  assert.equal(
    hex((writer) => writer.int8(-1)),
    "ff",
  );
  assert.equal(
    hex((writer) => writer.int16(-2)),
    "fffe",
  );
  assert.equal(
    hex((writer) => writer.uint16(0xfffe)),
    "fffe",
  );
  assert.equal(
    hex((writer) => writer.int32(-3)),
    "fffffffd",
  );
  assert.equal(
    hex((writer) => writer.int64(-1)),
    "ffffffffffffffff",
  );
  assert.equal(
    hex((writer) => writer.int64(2 ** 40 + 5)),
    "0000010000000005",
  );
  assert.equal(
    hex((writer) => writer.int64(Number.MIN_SAFE_INTEGER)),
    "ffe0000000000001",
  );
  assert.equal(
    hex((writer) => writer.uvarint(300)),
    "ac02",
  );
  assert.equal(
    hex((writer) => writer.bool(true)),
    "01",
  );
  assert.equal(
    hex((writer) => writer.string("ab", false)),
    "00026162",
  );
  assert.equal(
    hex((writer) => writer.string("ab", true)),
    "036162",
  );
  assert.equal(
    hex((writer) => writer.string("ü", true)),
    "03c3bc",
  );
  assert.equal(
    hex((writer) => writer.uuid("00112233-4455-6677-8899-AABBCCDDEEFF")),
    "00112233445566778899aabbccddeeff",
  );
});

test("numbers out of range and texts that are no UUID throw RangeError", () => {
  const writes: ((writer: Writer) => void)[] = [
    (writer) => writer.int8(128),
    (writer) => writer.int8(-129),
    (writer) => writer.int16(32768),
    (writer) => writer.int16(1.5),
    (writer) => writer.uint16(-1),
    (writer) => writer.int32(2 ** 31),
    (writer) => writer.int32(Number.NaN),
    (writer) => writer.int64(2 ** 53),
    (writer) => writer.int64(0.5),
    (writer) => writer.string("x".repeat(40_000), false),
    (writer) => writer.uuid("not-a-uuid"),
  ];
  for (const write of writes) assert.throws(() => written(write), RangeError, String(write));
});

test("what is written reads back, whatever the mix", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("int32" as const), value: fc.integer() }),
    fc.record({ kind: fc.constant("int64" as const), value: fc.maxSafeInteger().map((value) => value + 0) }),
    fc.record({ kind: fc.constant("uvarint" as const), value: fc.maxSafeNat() }),
    fc.record({ kind: fc.constant("text" as const), value: fc.string({ unit: "grapheme", maxLength: 80 }) }),
    fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array({ maxLength: 3000 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const writer = new Writer(16);
      let size = 0;
      for (const { kind, value } of steps) {
        if (kind === "text") writer.string(value, true);
        else if (kind === "bytes") writer.bytes(value);
        else writer[kind](value);
        assert.ok(writer.size() >= size);
        size = writer.size();
      }
      const whole = writer.join();
      assert.equal(whole.length, size);
      const reader = new Reader(whole);
      for (const { kind, value } of steps) {
        if (kind === "text") assert.equal(reader.string(reader.uvarint() - 1), value);
        else if (kind === "bytes") assert.deepEqual([...reader.view(value.length)], [...value]);
        else assert.equal(reader[kind](), value);
      }
      assert.equal(reader.remaining(), 0);
    }),
    { numRuns: 100 },
  );
});

test("large byte arrays are parts by reference, small ones are copied", () => {
  const large = new Uint8Array(4096).fill(1);
  const small = new Uint8Array(10).fill(2);
  const writer = new Writer();
  writer.int32(1);
  writer.bytes(large);
  writer.bytes(small);
  const parts = writer.parts();
  assert.equal(parts.length, 3);
  assert.equal(parts[1], large);
  small.fill(9);
  assert.deepEqual([...parts[2]!], Array(10).fill(2));
});

test("the first four bytes can be filled in at the end, and only those", () => {
  const writer = new Writer();
  writer.reserveInt32First();
  for (let count = 0; count < 1000; count += 1) writer.int32(count);
  const size = writer.size();
  const parts = writer.parts();
  Writer.patchInt32First(parts, size - 4);
  const reader = new Reader(Buffer.concat(parts));
  assert.equal(reader.int32(), 4000);
  for (let count = 0; count < 1000; count += 1) assert.equal(reader.int32(), count);
  const late = new Writer();
  late.int8(1);
  assert.throws(() => late.reserveInt32First());
});
