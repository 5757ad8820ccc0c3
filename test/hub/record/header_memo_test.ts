// Headers of records as they are decoded: the same with and without the memory, marks and all.
import assert from "node:assert/strict";
import test from "node:test";
import { headersAt, nameAt } from "../../../hub/record/header_memo.ts";
import type { RecordHeader } from "../../../hub/record/record.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const seed = Number(process.env.SEED ?? 7);

function dice(): (count: number) => number {
  let state = seed;
  return (count) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
}

/** Stands for a decoder: the block as its one header. */
const plain = (bytes: Uint8Array, from: number, to: number): RecordHeader[] => [
  { key: String(to - from), value: bytes.subarray(from, to) },
];

test(`any bytes give what a decoder gives, first and again (SEED=${seed})`, () => {
  const below = dice();
  for (let round = 0; round < 20_000; round += 1) {
    // few letters and lengths: the same name comes often
    const bytes = Uint8Array.from({ length: below(6) + 2 }, () => [0x61, 0x62, 0x63, 0xc3, 0xa4][below(5)]!);
    const [from, to] = [below(2), bytes.length - below(2)];
    const wanted = decoder.decode(bytes.subarray(from, to));
    assert.equal(nameAt(bytes, from, to), wanted);
    assert.equal(nameAt(Buffer.from(bytes), from, to), wanted);
    const [header] = headersAt(bytes, from, to, plain);
    assert.deepEqual([header!.key, [...header!.value!]], [String(to - from), [...bytes.subarray(from, to)]]);
  }
});

test("a byte order mark stays ([MQTT-1.5.4-3]), and long names are names", () => {
  for (const name of ["\ufeffa", "x".repeat(1_000), "", "ä".repeat(40)]) {
    const bytes = encoder.encode(name);
    assert.equal(nameAt(bytes, 0, bytes.length), name);
    assert.equal(nameAt(bytes, 0, bytes.length), name);
  }
});

for (const kind of ["array", "Buffer"] as const) {
  test(`what is remembered are copies, whatever the bytes are (${kind})`, () => {
    const bytes = kind === "array" ? encoder.encode("abc") : Buffer.from("abc");
    const value = (): string => decoder.decode(headersAt(bytes, 0, 3, plain)[0]!.value!);
    for (let look = 0; look < 4; look += 1) assert.deepEqual([nameAt(bytes, 0, 3), value()], ["abc", "abc"]);
    const kept = headersAt(bytes, 0, 3, plain);
    assert.equal(headersAt(bytes, 0, 3, plain), kept, "decoded once");
    assert.ok(Object.isFrozen(kept));
    bytes[1] = 0x78;
    assert.deepEqual([nameAt(bytes, 0, 3), value()], ["axc", "axc"]);
    assert.equal(decoder.decode(kept[0]!.value!), "abc");
    bytes[1] = 0x62;
    assert.deepEqual([nameAt(bytes, 0, 3), value()], ["abc", "abc"]);
  });
}
