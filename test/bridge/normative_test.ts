// The table of normative statements: each has a row or binds clients alone, and each test it names is there.
import assert from "node:assert/strict";
import test from "node:test";
import type { Version } from "../../bridge/wire/packet.ts";
import { clientOnly, sections, statements } from "./normative.ts";
import { tableOf, tableThere, titles } from "./normative_table.ts";
import { refusals, refusalTitle } from "./wire/refusals.ts";

const words = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== "");

/** Every number the standard gives, as it prints them. */
function numbersOf(version: Version): readonly string[] {
  const misprints: Readonly<Record<string, string>> = { "3.1.2-7": "3.1.2.7", "3.8.3-4": "3-8.3-4" };
  const numbers = words(sections[version]).flatMap((entry) => {
    const [section, count] = entry.split(":");
    return Array.from({ length: Number(count) }, (_, at) => `${section}-${at + 1}`);
  });
  // 5 skips one number, and 3.1.1 prints two with other signs
  if (version === 5) return numbers.filter((number) => number !== "2.2.1-1");
  return numbers.map((number) => misprints[number] ?? number);
}

test("every statement of 3.1.1 and 5 has one row, or binds clients alone", () => {
  for (const [version, count] of [
    [4, 141],
    [5, 251],
  ] as const) {
    const numbers = numbersOf(version);
    assert.equal(numbers.length, count);
    const rows = statements.filter((row) => row.version === version).map((row) => row.id);
    const found = [...rows, ...words(clientOnly[version])];
    assert.equal(new Set(found).size, found.length, "no number twice");
    assert.deepEqual([...found].sort(), [...numbers].sort());
  }
});

test("every statement names tests that are there, or is about what the hub does not do", () => {
  const known = titles();
  for (const { version, id, keeper, text, tests } of statements) {
    assert.ok(["codec", "session", "broker", "absent"].includes(keeper), `${id}: ${keeper}`);
    assert.ok(text.length > 0, id);
    assert.equal(tests.length > 0, keeper !== "absent", `${version} ${id}: ${tests.length} tests`);
    for (const title of tests) assert.ok(known.has(title), `${version} ${id} names "${title}", which is no test`);
  }
});

test("the table in bridge/README.md is up to date: npx tsx test/bridge/normative_table.ts", () => {
  assert.equal(tableThere(), tableOf());
});

test("every refusal's statement is one of its version", () => {
  for (const { title, version, statement } of refusals) {
    assert.ok(numbersOf(version).includes(statement), `${title}: ${statement} of ${version}`);
  }
});

test("every statement that refusals show has a row, which names one of them if it is the codec's", () => {
  // any violation ends the connection: what has no statement of its own falls under these
  const general = new Set(["4.8.0-1", "4.13.1-1"]);
  for (const { version, statement } of refusals) {
    if (general.has(statement)) continue;
    const row = statements.find((each) => each.version === version && each.id === statement);
    assert.ok(row !== undefined, `no row for ${version} ${statement}`);
    // what the codec refuses may be one part of what a statement asks of the session
    if (row.keeper !== "codec") continue;
    const shown = refusals.filter((each) => each.version === version && each.statement === statement);
    const named = shown.some(({ title }) => row.tests.includes(refusalTitle(title)));
    assert.ok(named, `${version} ${statement}: ${shown.map(({ title }) => title).join(", ")}`);
  }
});
