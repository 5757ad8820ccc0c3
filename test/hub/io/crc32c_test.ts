// Tests of CRC-32C: known sums, and the table against whatever runs natively.
import assert from "node:assert/strict";
import test from "node:test";
import { crc32c, crc32cTable } from "../../../hub/io/crc32c.ts";

test("known sums (RFC 3720 B.4)", () => {
  for (const crc of [crc32c, crc32cTable]) {
    assert.equal(crc(new Uint8Array(32)), 0x8a91_36aa);
    assert.equal(crc(new Uint8Array(32).fill(0xff)), 0x62a8_ab43);
    assert.equal(crc(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd_794e);
    assert.equal(crc(new TextEncoder().encode("123456789")), 0xe306_9283);
    assert.equal(crc(new Uint8Array(0)), 0);
  }
});

test("the two forms agree at every length, and go on from a part", () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 167 + 13) & 0xff);
  for (let length = 0; length <= bytes.length; length += 1) {
    const part = bytes.subarray(0, length);
    assert.equal(crc32c(part), crc32cTable(part));
    const cut = length >> 1;
    assert.equal(crc32c(part.subarray(cut), crc32c(part.subarray(0, cut))), crc32c(part));
    assert.equal(crc32cTable(part.subarray(cut), crc32cTable(part.subarray(0, cut))), crc32c(part));
  }
});
