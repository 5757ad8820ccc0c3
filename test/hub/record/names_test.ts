// Names of headers as they are decoded: the same with and without the memory, marks and all.
import assert from "node:assert/strict";
import test from "node:test";
import { nameAt } from "../../../hub/record/names.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

test("any bytes give what a decoder gives, first and again", () => {
  let state = Number(process.env.SEED ?? 7);
  const below = (count: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
  for (let round = 0; round < 20_000; round += 1) {
    // few letters and lengths: names that share a slot are common
    const bytes = Uint8Array.from({ length: below(6) + 2 }, () => [0x61, 0x62, 0x63, 0xc3, 0xa4][below(5)]!);
    const [from, to] = [below(2), bytes.length - below(2)];
    const wanted = decoder.decode(bytes.subarray(from, to));
    assert.equal(nameAt(bytes, from, to), wanted);
    assert.equal(nameAt(bytes, from, to), wanted);
  }
});

test("a byte order mark stays ([MQTT-1.5.4-3]), long names are names, and what is remembered is a copy", () => {
  for (const name of ["\ufeffa", "x".repeat(1_000), "", "ä".repeat(40)]) {
    const bytes = encoder.encode(name);
    assert.equal(nameAt(bytes, 0, bytes.length), name);
    assert.equal(nameAt(bytes, 0, bytes.length), name);
  }
  const bytes = encoder.encode("abc");
  assert.equal(nameAt(bytes, 0, 3), "abc");
  bytes[1] = 0x78;
  assert.equal(nameAt(bytes, 0, 3), "axc");
  bytes[1] = 0x62;
  assert.equal(nameAt(bytes, 0, 3), "abc");
});
