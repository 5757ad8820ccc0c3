// The formats of `consume`.
import assert from "node:assert/strict";
import test from "node:test";
import { UsageError } from "../../cli/exit.ts";
import { formatOf } from "../../cli/record_format.ts";
import type { InRecord } from "../../hub/client/faces.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const record: InRecord = {
  topic: "t",
  partition: 1,
  offset: 7,
  timestamp: 1_700_000_000_000,
  key: bytes("k"),
  value: bytes("a\u001b[2J"),
  headers: [{ key: "h", value: bytes("1") }],
};

test("formats print what they say, and a terminal is not commanded by a payload", () => {
  assert.equal(formatOf("value", true)(record), "a\u001b[2J");
  assert.equal(formatOf("value", false)(record), "a\\x1b[2J");
  assert.equal(formatOf("full", false)(record), "2023-11-14T22:13:20.000Z  t/1/7  k  a\\x1b[2J");
  assert.equal(formatOf("hex", false)(record), "t/1/7  6b  611b5b324a");
  assert.equal(formatOf("%t-%p-%o %k=%v %h%%", false)(record), "t-1-7 k=a\\x1b[2J h=1%");
  assert.equal(formatOf("%k %v", false)({ ...record, value: bytes("$& %k") }), "k $& %k");
  const { key, headers } = JSON.parse(formatOf("json", false)(record)) as { key: string; headers: unknown };
  assert.deepEqual([key, headers], ["k", [["h", "1"]]]);
  const binary = JSON.parse(formatOf("json", false)({ ...record, value: Uint8Array.of(255) })) as { value: unknown };
  assert.deepEqual(binary.value, { base64: "/w==" });
  for (const name of ["nope", "%x", "100%"]) assert.throws(() => formatOf(name, false), UsageError);
});
