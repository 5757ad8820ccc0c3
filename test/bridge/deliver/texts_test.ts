// Texts of records: what MQTT could carry, decoded once as long as it is remembered.
import assert from "node:assert/strict";
import test from "node:test";
import { TextMemo, textOf } from "../../../bridge/deliver/texts.ts";

const encoder = new TextEncoder();

test("only text that a packet could carry is text", () => {
  assert.equal(textOf(encoder.encode("é\ufeff😀")), "é\ufeff😀");
  assert.equal(textOf(new Uint8Array()), "");
  for (const bytes of [[0], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xf4, 0x90, 0x80, 0x80]]) {
    assert.equal(textOf(new Uint8Array(bytes)), null, String(bytes));
  }
  assert.equal(textOf(new Uint8Array(65_535).fill(0x61))?.length, 65_535);
  assert.equal(textOf(new Uint8Array(65_536).fill(0x61)), null);
  assert.equal(textOf(null), null);
});

test("a memo answers as if it were none, and asks once for each text", () => {
  let asked = 0;
  const memo = new TextMemo(4, (text) => {
    asked++;
    return text !== "no";
  });
  for (let round = 0; round < 3; round++) {
    assert.equal(memo.of(encoder.encode("yes")), "yes");
    assert.equal(memo.of(encoder.encode("yes")), "yes");
  }
  assert.equal(asked, 1);
  for (let each = 0; each < 100; each++) assert.equal(memo.of(encoder.encode(`t/${each}`)), `t/${each}`);
  assert.equal(memo.of(encoder.encode("no")), null);
  assert.equal(memo.of(encoder.encode("no")), null);
  assert.equal(memo.of(encoder.encode("x".repeat(300))), "x".repeat(300));
  const bytes = encoder.encode("abc");
  assert.equal(memo.of(bytes), "abc");
  bytes[0] = 0x7a;
  assert.equal(memo.of(bytes), "zbc", "the memo does not hold what it was given");
  assert.throws(() => new TextMemo(3, () => true), RangeError);
});
