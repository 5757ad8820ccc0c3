// Compares every schema, field by field and version by version, with Kafka's own message definitions where they are.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import test from "node:test";
import { apiNames, apis, isBetweenHubs } from "../../../hub/wire/apis.ts";
import { consumerProtocolAssignment, consumerProtocolSubscription } from "../../../hub/wire/consumer_protocol.ts";
import { defaultOf, isNullable, isPresent } from "../../../hub/wire/schema.ts";
import type { Field, Fields, Message } from "../../../hub/wire/schema.ts";

const folder = new URL("../../../../shared/data/kafka-messages/", import.meta.url);

interface OracleField {
  readonly name: string;
  readonly type: string;
  readonly versions: string;
  readonly nullableVersions?: string;
  readonly taggedVersions?: string;
  readonly tag?: number;
  readonly default?: unknown;
  readonly fields?: readonly OracleField[];
}

interface Oracle {
  readonly apiKey?: number;
  readonly validVersions: string;
  readonly flexibleVersions: string;
  readonly fields: readonly OracleField[];
  readonly commonStructs?: readonly { readonly name: string; readonly fields: readonly OracleField[] }[];
}

/** Structs that a definition uses in several places, put where they are used. */
function resolved(fields: readonly OracleField[], shared: ReadonlyMap<string, readonly OracleField[]>): OracleField[] {
  return fields.map((field) => {
    const inner = field.fields ?? shared.get(field.type.replace("[]", ""));
    return inner === undefined ? field : { ...field, fields: resolved(inner, shared) };
  });
}

function range(text: string | undefined): [number, number] {
  if (text === undefined || text === "none") return [Infinity, -Infinity];
  if (text.endsWith("+")) return [Number(text.slice(0, -1)), Infinity];
  const [first, last] = text.split("-");
  return [Number(first), Number(last ?? first)];
}

function within(version: number, text: string | undefined): boolean {
  const [first, last] = range(text);
  return version >= first && version <= last;
}

function typeOf(field: Field): string {
  return field.kind === "array" ? `[]${typeOf(field.element!)}` : field.kind;
}

const primitives = new Set([
  "bool",
  "int8",
  "int16",
  "uint16",
  "int32",
  "int64",
  "float64",
  "string",
  "uuid",
  "bytes",
  "records",
]);

function oracleType(type: string): string {
  if (type.startsWith("[]")) return `[]${oracleType(type.slice(2))}`;
  return primitives.has(type) ? type : "struct";
}

/** The oracle's default as our value; undefined where the zero of the type is meant. */
function oracleDefault(field: OracleField): unknown {
  if (field.default === undefined) return undefined;
  if (field.default === "null") return null;
  if (field.type === "bool") return field.default === "true" || field.default === true;
  return field.type.startsWith("int") ? Number(field.default) : field.default;
}

/** 2^63 - 1 cannot be a number here: see the note in 01_fetch.ts. */
const otherDefaults = new Set(["FetchRequest.topics.partitions.highWatermark"]);

/** Tags from 100 on are what hubs say to each other in Kafka's own messages. */
const isOurs = (field: Field): boolean => (field.options.tag ?? 0) >= 100;

function compare(
  path: string,
  fields: Fields,
  oracle: readonly OracleField[],
  version: number,
  flexible: boolean,
): number {
  const named = (name: string): string => name[0]!.toLowerCase() + name.slice(1);
  const theirs = oracle.filter((field) => within(version, field.versions));
  const ours = Object.entries(fields).filter(([, field]) => isPresent(field, version) && !isOurs(field));
  const where = `${path} v${version}`;
  assert.deepEqual(
    ours.map(([name]) => name),
    theirs.map((field) => named(field.name)),
    `${where}: names and order`,
  );
  let count = 0;
  for (const [index, [name, field]] of ours.entries()) {
    const their = theirs[index]!;
    const here = `${path}.${name} v${version}`;
    assert.equal(typeOf(field), oracleType(their.type), `${here}: type`);
    assert.equal(isNullable(field, version), within(version, their.nullableVersions), `${here}: nullable`);
    assert.equal(field.options.tag, within(version, their.taggedVersions) ? their.tag : undefined, `${here}: tag`);
    if (their.taggedVersions !== undefined) assert.ok(flexible, `${here}: tagged in a flexible version`);
    const expected = oracleDefault(their);
    if (expected !== undefined && !otherDefaults.has(`${path}.${name}`)) {
      assert.equal(defaultOf(field), expected, `${here}: default`);
    }
    count += 1;
    const inner = field.fields ?? field.element?.fields;
    if (inner !== undefined) count += compare(`${path}.${name}`, inner, their.fields!, version, flexible);
  }
  return count;
}

/** The oracle of these is older than what is served: its versions are compared, ours go on to `max`. */
const newerThanOracle: ReadonlyMap<string, { readonly max: number }> = new Map([
  // v1 adds MemberType to each member of the answer (KIP-1099).
  ["ConsumerGroupDescribeRequest", { max: 1 }],
  ["ConsumerGroupDescribeResponse", { max: 1 }],
]);

function check(message: Message, key: number | undefined): number {
  const oracle = JSON.parse(readFileSync(new URL(`${message.name}.json`, folder), "utf8")) as Oracle;
  assert.equal(oracle.apiKey, key, `${message.name}: API key`);
  const [first, last] = range(oracle.validVersions);
  assert.equal(message.min, first, `${message.name}: first version`);
  const newer = newerThanOracle.get(message.name);
  assert.equal(message.max, newer?.max ?? last, `${message.name}: last version`);
  assert.equal(message.flexible, range(oracle.flexibleVersions)[0], `${message.name}: flexible from`);
  const shared = new Map(oracle.commonStructs?.map(({ name, fields }) => [name, fields]));
  const fields = resolved(oracle.fields, shared);
  let count = 0;
  for (let version = message.min; version <= last; version += 1) {
    count += compare(message.name, message.fields, fields, version, version >= message.flexible);
  }
  return count;
}

test("every schema has the fields, types, order, nullability, tags and defaults of Kafka's definitions", () => {
  if (!existsSync(folder)) {
    console.log("skipped: the message definitions (../shared/data/kafka-messages) are not here");
    return;
  }
  let count = 0;
  for (const name of apiNames.filter((each) => !isBetweenHubs(each))) {
    count += check(apis[name].request, apis[name].key) + check(apis[name].response, apis[name].key);
  }
  count += check(consumerProtocolSubscription, undefined) + check(consumerProtocolAssignment, undefined);
  assert.ok(count > 2000, `${count} fields compared`);
});

test("few messages bear fields of ours, and none of them costs a Kafka client a byte", () => {
  const bearing = (fields: Fields): string[] =>
    Object.entries(fields).flatMap(([name, field]) => {
      const inner = field.fields ?? field.element?.fields ?? {};
      return isOurs(field) ? [name] : bearing(inner);
    });
  const found = apiNames
    .filter((name) => !isBetweenHubs(name))
    .flatMap((name) => [apis[name].request, apis[name].response])
    .flatMap((schema) => bearing(schema.fields).map((field) => `${schema.name} ${field}`));
  const ofFetch = ["FetchRequest whole", "FetchRequest follower", "FetchResponse word"];
  assert.deepEqual(found, [...ofFetch, "ElectLeadersRequest toHub", "UnregisterBrokerRequest how"]);
});
