// Random values for a schema, version by version, for property tests.
import process from "node:process";
import fc from "fast-check";
import { defaultOf, isNullable, isPresent } from "../../../hub/wire/schema.ts";
import type { Field, Fields, Message } from "../../../hub/wire/schema.ts";

const text = fc.oneof(
  fc.string({ unit: "grapheme-ascii", maxLength: 12 }),
  fc.string({ unit: "grapheme", maxLength: 6 }),
  fc.constantFrom("", "sensors", "a".repeat(200), "naïve-ü-𝄞"),
);
const octets = fc.uint8Array({ maxLength: 40 });

function anyOf(field: Field, version: number): fc.Arbitrary<unknown> {
  const plain = plainOf(field, version);
  if (!isNullable(field, version) || field.options.tag !== undefined) return plain;
  return fc.oneof({ weight: 4, arbitrary: plain }, { weight: 1, arbitrary: fc.constant(null) });
}

function plainOf(field: Field, version: number): fc.Arbitrary<unknown> {
  switch (field.kind) {
    case "bool":
      return fc.boolean();
    case "int8":
      return fc.integer({ min: -0x80, max: 0x7f });
    case "int16":
      return fc.integer({ min: -0x8000, max: 0x7fff });
    case "uint16":
      return fc.integer({ min: 0, max: 0xffff });
    case "int32":
      return fc.integer();
    case "int64":
      return fc.maxSafeInteger().map((value) => (Object.is(value, -0) ? 0 : value));
    case "float64":
      return fc.double({ noNaN: true });
    case "string":
      return text;
    case "uuid":
      return fc.uuid();
    case "bytes":
    case "records":
      return octets;
    case "array":
      return fc.array(anyOf(field.element!, version), { maxLength: 3 });
    case "struct":
      return structOf(field.fields!, version);
  }
}

/** Fields that the version does not have are at their defaults, as after decoding. */
function structOf(fields: Fields, version: number): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(
    Object.fromEntries(
      Object.entries(fields).map(([name, field]) => [
        name,
        isPresent(field, version) ? anyOf(field, version) : fc.constant(defaultOf(field)),
      ]),
    ),
    { noNullPrototype: true },
  );
}

/** Values of a message that `version` can carry, complete as decoding gives them. */
export function messageValues(message: Message, version: number): fc.Arbitrary<Record<string, unknown>> {
  return structOf(message.fields, version);
}

/** Copies with every Uint8Array (or Buffer) as a plain array, so that deepEqual compares contents alone. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
  }
  return value;
}

/** Options of every property here: the seed comes from SEED and stands in fast-check's failure message. */
export function runs(count: number): { numRuns: number; seed?: number } {
  const seed = process.env.SEED;
  return seed === undefined ? { numRuns: count } : { numRuns: count, seed: Number(seed) };
}
