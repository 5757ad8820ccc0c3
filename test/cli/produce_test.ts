// Lines of stdin as records.
import assert from "node:assert/strict";
import test from "node:test";
import { recordOf } from "../../cli/produce.ts";

const text = (value: Uint8Array | null): string | null => (value === null ? null : new TextDecoder().decode(value));
const plain = { key: undefined, separator: undefined, headers: [], partition: undefined };

test("a line becomes key and value at the first separator", () => {
  const split = (line: string, separator: string): (string | null)[] => {
    const { key, value } = recordOf(line, { ...plain, key: "d", separator });
    return [text(key), text(value)];
  };
  assert.deepEqual(split("k:v:w", ":"), ["k", "v:w"]);
  assert.deepEqual(split("no", ":"), ["d", "no"]);
  assert.deepEqual(split(":v", ":"), ["", "v"]);
  assert.deepEqual(split("a=>b", "=>"), ["a", "b"]);
  assert.equal(recordOf("x", plain).key, null);
  assert.equal(recordOf("x", { ...plain, partition: 3 }).partition, 3);
});
