// Chance from the operating system, and hash functions.
import assert from "node:assert/strict";
import test from "node:test";
import { openHashing, openRandom } from "../../../hub/io/crypto.ts";

test("floats are in [0, 1), bytes are as many as asked, bounds are kept", () => {
  const random = openRandom();
  for (let i = 0; i < 1000; i++) {
    const value = random.float();
    assert.ok(value >= 0 && value < 1);
  }
  assert.equal(random.bytes(7).length, 7);
  assert.throws(() => random.bytes(65_537), RangeError);
  assert.throws(() => random.bytes(-1), RangeError);
});

test("a uuid bears version 4 and the RFC's variant, and is drawn anew", () => {
  const random = openRandom();
  const [a, b] = [random.uuid(), random.uuid()];
  assert.equal(a[6]! >> 4, 4);
  assert.equal(a[8]! >> 6, 2);
  assert.notDeepEqual(a, b);
});

test("hashes answer the vectors of their RFCs, and equal is about content", async () => {
  const hashing = openHashing();
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");
  assert.match(hex(hashing.digest("sha256", bytes("abc"))), /^ba7816bf8f01cfea.*f20015ad$/); // FIPS 180-4
  const data = bytes("what do ya want for nothing?"); // RFC 4231 case 2
  assert.match(hex(hashing.hmac("sha256", bytes("Jefe"), data)), /^5bdcc146bf60754e.*64ec3843$/);
  assert.match(hex(hashing.hmac("sha512", bytes("Jefe"), data)), /^164b7a7bfcf819e2.*38bce737$/);
  const stretched = await hashing.stretch("sha256", bytes("passwd"), bytes("salt"), 1); // RFC 7914 section 11
  assert.match(hex(stretched), /^55ac046e56e3089fec1691c22544b605/);
  assert.equal((await hashing.stretch("sha512", bytes("p"), bytes("s"), 1)).length, 64);
  assert.equal(hashing.equal(bytes("ab"), bytes("ab")), true);
  assert.equal(hashing.equal(bytes("ab"), bytes("ac")), false);
  assert.equal(hashing.equal(bytes("ab"), bytes("abc")), false);
});
