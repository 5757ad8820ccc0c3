// The page's files: the allow-list, the size of it all, and that nothing points outside.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { Assets } from "../../dashboards/assets.ts";

const folder = path.resolve(import.meta.dirname, "../../dashboards/page");

test("all of it is below 150 KB compressed", () => {
  const bytes = new Assets(folder).gzipBytes();
  assert.ok(bytes > 5_000 && bytes < 150_000, `${bytes} bytes`);
});

test("an asset is named by its content", () => {
  const [one, two] = [new Assets(folder), new Assets(folder)];
  assert.equal(one.get("/app.js")!.etag, two.get("/app.js")!.etag);
  assert.notEqual(one.get("/app.js")!.etag, one.get("/link.js")!.etag);
  assert.equal(one.get("/topics")!.etag, one.get("/")!.etag);
  assert.equal(one.get("/tsconfig.json"), null);
  assert.equal(one.get("/../mod.ts"), null);
});

test("no file names another host, makes markup of text, or runs text", () => {
  const banned = [
    /https?:\/\/(?!www\.w3\.org)/,
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write/,
    /\beval\(|new Function/,
  ];
  for (const name of readdirSync(folder)) {
    const text = readFileSync(path.join(folder, name), "utf8");
    for (const form of banned) assert.ok(!form.test(text), `${name}: ${form}`);
  }
});

test("the page loads every module it needs at once", () => {
  const page = readFileSync(path.join(folder, "page.html"), "utf8");
  for (const name of readdirSync(folder).filter((each) => each.endsWith(".js") && each !== "theme.js")) {
    assert.ok(page.includes(`<link rel="modulepreload" href="/${name}">`), name);
  }
});
