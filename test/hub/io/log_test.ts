// The log writer.
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { openLogWriter } from "../../../hub/io/log.ts";

test("one JSON line an event, line breaks and colours escaped, lower levels dropped", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "partidor-"));
  const file = path.join(folder, "log");
  const fd = openSync(file, "w");
  try {
    const log = openLogWriter("info", fd);
    log.event("debug", "unseen");
    log.event("warn", "client_closed", { client: "evil\r\n\u001b[31mid", code: 7 });
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    assert.equal(lines.length, 1);
    assert.ok(!lines[0]!.includes("\u001b"));
    const line = JSON.parse(lines[0]!) as Record<string, unknown>;
    assert.deepEqual([line.level, line.event, line.code], ["warn", "client_closed", 7]);
    assert.equal(typeof line.time, "number");
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
});
