// Tables, safe text, durations, progress.
import assert from "node:assert/strict";
import test from "node:test";
import { durationText, grouped, Progress, printRows, progressText, safeText, tableOf } from "../../cli/output.ts";

test("a table aligns numbers right, text left, and cuts lines to the width", () => {
  const rows = [
    { topic: "a", partitions: 1234567 },
    { topic: "longer", partitions: 8 },
  ];
  assert.equal(tableOf(["topic", "partitions"], rows), "TOPIC   PARTITIONS\na        1 234 567\nlonger           8\n");
  assert.equal(tableOf(["topic", "partitions"], rows, 10).split("\n")[2], "longer   \u2026");
  assert.match(tableOf(["topic"], rows, Infinity, true), /^\u001b\[1mTOPIC/);
  assert.equal(tableOf(["underReplicated"], [{ underReplicated: null }]), "UNDER REPLICATED\n               -\n");
});

test("control characters and direction marks are shown, not obeyed", () => {
  assert.equal(safeText("a\u001b[31mb\r\n\t\u202ec"), "a\\x1b[31mb\\r\\n\\t\\u202ec");
  assert.equal(safeText("gr\u00fc\u00df dich \u{1f600}"), "gr\u00fc\u00df dich \u{1f600}");
});

test("--json prints one object a line with every field; an empty list prints nothing", () => {
  let out = "";
  let said = "";
  const terminal = {
    color: false,
    width: 80,
    write: (text: string) => void (out += text),
    note: (text: string) => void (said += text),
  };
  printRows({ ...terminal, json: true }, ["a"], [{ a: 1, b: 2 }, { a: "x\n" }], "none");
  assert.equal(out, '{"a":1,"b":2}\n{"a":"x\\n"}\n');
  out = "";
  printRows({ ...terminal, json: true }, ["a"], [], "none");
  assert.deepEqual([out, said], ["", ""]);
  printRows({ ...terminal, json: false }, ["a"], [], "none");
  assert.deepEqual([out, said], ["", "none\n"]);
});

test("durations and numbers read well", () => {
  const times = [0, 999, 1_000, 59_999, 61_000, 3_600_000, 90_061_000];
  assert.deepEqual(times.map(durationText), ["0ms", "999ms", "1s", "1m", "1m 1s", "1h", "1d 1h"]);
  assert.equal(grouped(1234), "1 234");
});

test("progress is quiet for two seconds, then shows rate and ETA", () => {
  let now = 0;
  let out = "";
  const progress = new Progress(
    "records",
    100,
    (text) => void (out += text),
    () => now,
  );
  progress.at(10);
  now = 1_999;
  progress.at(20);
  assert.equal(out, "");
  now = 5_000;
  progress.at(50);
  assert.ok(out.includes("50 of 100 (50%)  10/s  ETA 5s"), out);
  const drawn = out.length;
  now = 5_100;
  progress.at(51);
  assert.equal(out.length, drawn);
  progress.end();
  assert.ok(out.endsWith("\r\u001b[K"));
  assert.equal(progressText("x", 10, null, 1_000), "x  10  10/s");
});
