// The table of README.md against the tests it names.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

test("every row of the README names a test that is there", () => {
  const text = readFileSync(new URL("README.md", import.meta.url), "utf8");
  const rows = [...text.matchAll(/^\| [^|]+ \| ([\w/]+_test\.ts) \| ([^|]+) \|$/gm)];
  assert.ok(rows.length > 50, `${rows.length} rows`);
  const missing = rows.filter(([, file, title]) => {
    const source = readFileSync(new URL(`../${file}`, import.meta.url), "utf8");
    return !source.includes(`test("${title!.trim()}`);
  });
  assert.deepEqual(
    missing.map(([row]) => row),
    [],
  );
});
