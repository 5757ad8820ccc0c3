// TOML text and files.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { parseToml, readTextFile } from "../../../hub/io/config_file.ts";

test("TOML becomes plain data, a mistake names its line", () => {
  const data = parseToml("[mqtt]\nport = 1\n[[routes]]\nmatch = 'a'");
  assert.equal(JSON.stringify(data), '{"mqtt":{"port":1},"routes":[{"match":"a"}]}');
  assert.throws(() => parseToml("[mqtt]\nport = \n"), /line 2, column \d+: /);
});

test("a missing file is null, a folder is an error", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "partidor-"));
  try {
    assert.equal(readTextFile(path.join(folder, "none")), null);
    writeFileSync(path.join(folder, "one"), "text");
    assert.equal(readTextFile(path.join(folder, "one")), "text");
    assert.throws(() => readTextFile(folder), { code: "EISDIR" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
