// Tests of the fixed-width integers.
import assert from "node:assert/strict";
import test from "node:test";
import { getInt16, getInt32, getInt64, getUint32, setInt16, setInt32, setInt64 } from "../../../hub/bytes/fixed.ts";

test("integers come back, and stand as DataView reads them", () => {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  for (const value of [0, 1, -1, 127, 128, 255, 256, 32767, -32768]) {
    setInt16(bytes, 3, value);
    assert.equal(getInt16(bytes, 3), value);
    assert.equal(view.getInt16(3), value);
  }
  for (const value of [0, 1, -1, 65536, 2 ** 31 - 1, -(2 ** 31)]) {
    setInt32(bytes, 5, value);
    assert.equal(getInt32(bytes, 5), value);
    assert.equal(view.getInt32(5), value);
  }
  setInt32(bytes, 5, 0xfedc_ba98);
  assert.equal(getUint32(bytes, 5), 0xfedc_ba98);
  for (const edge of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER]) {
    for (const value of [edge, -edge]) {
      setInt64(bytes, 7, value);
      assert.equal(getInt64(bytes, 7) + 0, value + 0);
      assert.equal(view.getBigInt64(7), BigInt(value));
    }
  }
});
