// Tier F of the simulator: whole hubs in one process, seed by seed; a seed says all.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import path from "node:path";
import process from "node:process";
import test from "node:test";
import { runSeed } from "./full/run.ts";

/** Other runtimes show that it runs, the first one searches. */
const few = process.env["SEEDS"] !== undefined;
/** A fixed set; `npm run sim -- --tier f` searches on. */
const perProcess = 6;
const minutesMax = 2;

test("calm runs: everything is acknowledged, read, committed, and equal on all hubs", async () => {
  for (let seed = 1; seed <= (few ? 1 : 4); seed += 1) {
    const { violation, tail, acks, commits } = await runSeed(seed, { faults: [], faultMs: 20_000 });
    assert.equal(violation, null, `SEED=${seed}\n${tail.slice(-20).join("\n")}`);
    assert.ok(acks > 100 && commits > 10, `SEED=${seed}: ${acks} acknowledged, ${commits} commits`);
  }
});

test("a seed tells all: two runs of one seed are the same", async () => {
  for (let seed = 1; seed <= (few ? 1 : 3); seed += 1) {
    const [one, two] = [await runSeed(seed, { faultMs: 20_000 }), await runSeed(seed, { faultMs: 20_000 })];
    assert.equal(one.hash, two.hash, `SEED=${seed}`);
    assert.ok(one.events > 5000, `SEED=${seed}: ${one.events} events`);
  }
});

/** Runs seeds in a process of their own; what it printed, and its exit code. */
function search(from: number): Promise<{ readonly code: number | null; readonly text: string }> {
  const main = path.join(import.meta.dirname, "main.ts");
  const bounds = ["--from", String(from), "--seeds", String(perProcess), "--minutes", String(minutesMax)];
  const child = spawn(process.execPath, ["--import", "tsx", main, "--tier", "f", ...bounds]);
  let text = "";
  child.stdout.on("data", (bytes) => (text += String(bytes)));
  child.stderr.on("data", (bytes) => (text += String(bytes)));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, text })));
}

test("hubs that are killed, cut off, paused and robbed of Redis lose nothing and come back", {
  skip: few,
}, async () => {
  for (const { code, text } of await Promise.all([search(1), search(1 + perProcess)])) {
    assert.equal(code, 0, text);
    assert.match(text, /[1-9]\d* seeds/);
  }
});
