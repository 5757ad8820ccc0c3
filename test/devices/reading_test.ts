// Readings: the round trip, what may be missing, and what is refused.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { decodeReading, encodeReading, ReadingError } from "../../devices/reading.ts";

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("encodeReading and decodeReading are each other's inverse", () => {
  const reading = fc.record({
    t: fc.maxSafeNat(),
    v: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
    u: fc.string({ maxLength: 16, unit: "grapheme" }).filter((unit) => unit.length <= 16),
    seq: fc.maxSafeNat(),
  });
  fc.assert(
    fc.property(reading, (value) => {
      assert.deepEqual(decodeReading(encodeReading(value)), { ...value, v: value.v === 0 ? 0 : value.v });
    }),
    { seed },
  );
});

test("decodeReading takes what a person types and ignores what it does not know", () => {
  assert.deepEqual(decodeReading(bytes('{"t":1,"v":21.5}')), { t: 1, v: 21.5, u: "", seq: 0 });
  assert.deepEqual(decodeReading(bytes('{"t":1,"v":2,"battery":3}')), { t: 1, v: 2, u: "", seq: 0 });
});

test("decodeReading refuses everything else with a ReadingError that says why", () => {
  const bad: [string, RegExp][] = [
    ["", /not JSON/],
    ["{", /not JSON/],
    ["[1]", /not a JSON object/],
    ["null", /not a JSON object/],
    ["21.5", /not a JSON object/],
    ['{"v":1}', /"t"/],
    ['{"t":-1,"v":1}', /"t"/],
    ['{"t":1.5,"v":1}', /"t"/],
    ['{"t":"1","v":1}', /"t"/],
    ['{"t":1}', /"v"/],
    ['{"t":1,"v":"1"}', /"v"/],
    ['{"t":1,"v":1e999}', /"v"/],
    ['{"t":1,"v":1,"u":7}', /"u"/],
    [`{"t":1,"v":1,"u":"${"x".repeat(17)}"}`, /"u"/],
    ['{"t":1,"v":1,"seq":-1}', /"seq"/],
    [`{"t":1,"v":1,"x":"${"y".repeat(600)}"}`, /bytes/],
  ];
  for (const [text, why] of bad) {
    assert.throws(
      () => decodeReading(bytes(text)),
      (error) => error instanceof ReadingError && why.test(error.message),
    );
  }
  assert.throws(() => decodeReading(Uint8Array.of(0x22, 0xff, 0x22)), /not JSON in UTF-8/);
});

test("encodeReading refuses a value that has no JSON form", () => {
  for (const v of [Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => encodeReading({ t: 0, v, u: "", seq: 0 }), ReadingError);
  }
});

test("decodeReading ends in a reading or a ReadingError for any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (payload) => {
      try {
        decodeReading(payload);
      } catch (error) {
        assert.ok(error instanceof ReadingError);
      }
    }),
    { seed },
  );
});
