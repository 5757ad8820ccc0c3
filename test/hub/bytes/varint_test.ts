// Tests of the variable-length integers.
import assert from "node:assert/strict";
import test from "node:test";
import {
  readSigned,
  readUnsigned,
  signedSize,
  unsignedSize,
  writeSigned,
  writeUnsigned,
} from "../../../hub/bytes/varint.ts";
import { HubError } from "../../../hub/errors.ts";

const edges = [0, 1, 63, 64, 127, 128, 8191, 8192, 16383, 16384, 2 ** 20, 2 ** 21 - 1, 2 ** 21, 2 ** 27, 2 ** 28 - 1];
for (const power of [28, 29, 30, 31, 32, 33, 34, 35, 41, 42, 48, 49, 50, 51, 52]) {
  edges.push(2 ** power - 1, 2 ** power, 2 ** power + 1);
}
edges.push(Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER);

test("unsigned numbers come back, at the size foretold", () => {
  for (const value of edges) {
    const bytes = new Uint8Array(12);
    const end = writeUnsigned(bytes, 1, value);
    assert.equal(end - 1, unsignedSize(value), `size of ${value}`);
    const cursor = { at: 1 };
    assert.equal(readUnsigned(bytes, cursor), value);
    assert.equal(cursor.at, end);
  }
});

test("signed numbers come back, at the size foretold", () => {
  for (const edge of edges) {
    for (const value of [edge, -edge]) {
      const bytes = new Uint8Array(12);
      const end = writeSigned(bytes, 1, value);
      assert.equal(end - 1, signedSize(value), `size of ${value}`);
      const cursor = { at: 1 };
      assert.equal(readSigned(bytes, cursor) + 0, value + 0);
      assert.equal(cursor.at, end);
    }
  }
});

test("known encodings", () => {
  const bytes = new Uint8Array(10);
  assert.deepEqual([...bytes.subarray(0, writeUnsigned(bytes, 0, 300))], [0xac, 0x02]);
  assert.deepEqual([...bytes.subarray(0, writeSigned(bytes, 0, -1))], [0x01]);
  assert.deepEqual([...bytes.subarray(0, writeSigned(bytes, 0, 1))], [0x02]);
  assert.deepEqual([...bytes.subarray(0, writeSigned(bytes, 0, -65))], [0x81, 0x01]);
});

test("cut, endless and too large integers are refused with the caller's code", () => {
  const refused = (bytes: number[], read: typeof readSigned) =>
    assert.throws(
      () => read(Uint8Array.from(bytes), { at: 0 }, "INVALID_RECORD"),
      (error) => error instanceof HubError && error.kind === "INVALID_RECORD",
    );
  for (const read of [readUnsigned, readSigned]) {
    refused([], read);
    refused([0x80], read);
    refused([0x80, 0x80, 0x80, 0x80, 0x80], read);
    refused(new Array(11).fill(0x80), read);
    refused([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], read);
  }
});
