// Reader: every primitive at its edges, and refusal where bytes or bounds end.
import assert from "node:assert/strict";
import test from "node:test";
import { asBuffer, Reader } from "../../../hub/bytes/reader.ts";
import { HubError } from "../../../hub/errors.ts";
import { limits } from "../../../hub/limits.ts";

const from = (hex: string): Reader => new Reader(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const refused = (error: unknown): boolean => error instanceof HubError && error.kind === "INVALID_REQUEST";

test("integers are big-endian and signed where their name says so", () => {
  const reader = from("80 7f 8000 7fff ffff 80000000 7fffffff 01 00");
  assert.equal(reader.int8(), -128);
  assert.equal(reader.int8(), 127);
  assert.equal(reader.int16(), -32768);
  assert.equal(reader.int16(), 32767);
  assert.equal(reader.uint16(), 65535);
  assert.equal(reader.int32(), -2147483648);
  assert.equal(reader.int32(), 2147483647);
  assert.equal(reader.bool(), true);
  assert.equal(reader.bool(), false);
  assert.equal(reader.remaining(), 0);
});

test("int64 is exact below 2^53 and refused from there", () => {
  assert.equal(from("0000000100000000").int64(), 2 ** 32);
  assert.equal(from("fffffffeffffffff").int64(), -(2 ** 32) - 1);
  assert.equal(from("001fffffffffffff").int64(), Number.MAX_SAFE_INTEGER);
  assert.throws(() => from("0020000000000000").int64(), refused);
  assert.throws(() => from("ffe0000000000000").int64(), refused);
});

test("unsigned varints of one to eight bytes", () => {
  assert.equal(from("00").uvarint(), 0);
  assert.equal(from("7f").uvarint(), 127);
  assert.equal(from("8001").uvarint(), 128);
  assert.equal(from("ffffffff0f").uvarint(), 0xffff_ffff);
  assert.equal(from("ffffffffffffff0f").uvarint(), Number.MAX_SAFE_INTEGER);
  assert.throws(() => from("ff").uvarint(), refused);
  assert.throws(() => from("ffffffffffffffffffff01").uvarint(), refused);
});

test("strings: short ASCII, long, UTF-8, and what is not UTF-8", () => {
  for (const text of ["", "a", "sensors-temperature", "x".repeat(1000), "grüß 𝄞", "é".repeat(100)]) {
    const bytes = Buffer.from(text);
    assert.equal(new Reader(bytes).string(bytes.length), text);
  }
  assert.equal(from("61ff62").string(3), "a\ufffdb");
});

test("uuid is canonical lower-case text", () => {
  assert.equal(from("00112233445566778899aabbccddeeff").uuid(), "00112233-4455-6677-8899-aabbccddeeff");
});

test("view shares the frame, copy does not", () => {
  for (const bytes of [Uint8Array.of(1, 2, 3, 4), Buffer.of(1, 2, 3, 4)]) {
    const reader = new Reader(bytes);
    const view = reader.view(2);
    const copy = reader.copy(2);
    bytes.fill(9);
    assert.deepEqual([...view], [9, 9]);
    assert.deepEqual([...copy], [3, 4]);
  }
});

test("every read past the end is refused and leaves the cursor where it was", () => {
  const reads: ((reader: Reader) => unknown)[] = [
    (reader) => reader.int8(),
    (reader) => reader.bool(),
    (reader) => reader.int16(),
    (reader) => reader.uint16(),
    (reader) => reader.int32(),
    (reader) => reader.uuid(),
    (reader) => reader.view(1),
    (reader) => reader.copy(1),
    (reader) => reader.string(1),
    (reader) => reader.uvarint(),
    (reader) => reader.take(-1),
  ];
  for (const read of reads) {
    const reader = new Reader(Uint8Array.of(5), 1);
    assert.throws(() => read(reader), refused, String(read));
    assert.equal(reader.at, 1);
  }
});

test("elements: bounded by the bytes that are left and by the limit for the whole message", () => {
  assert.throws(() => from("00").elements(-1, 1), refused);
  assert.throws(() => from("0000").elements(3, 1), refused);
  assert.throws(() => from("00000000").elements(2, 3), refused);
  const reader = new Reader(new Uint8Array(limits.arrayElementsMax + 10));
  assert.equal(reader.elements(limits.arrayElementsMax, 1), limits.arrayElementsMax);
  assert.throws(() => reader.elements(1, 1), refused);
});

test("asBuffer shares memory", () => {
  const bytes = new Uint8Array(8).subarray(2, 5);
  const buffer = asBuffer(bytes);
  buffer[0] = 7;
  assert.equal(bytes[0], 7);
  assert.equal(buffer.length, 3);
  assert.equal(asBuffer(buffer), buffer);
});
