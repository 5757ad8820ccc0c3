// Tier F of the simulator: whole hubs in one process, seed by seed; a seed says all.
import assert from "node:assert/strict";
import test from "node:test";
import { runSeed } from "./full/run.ts";

const seeds = process.env["SEEDS"] === undefined ? 10 : 2;

test(`${seeds} calm runs: everything is acknowledged, read, committed, and equal on all hubs`, async () => {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const { violation, tail, acks, commits } = await runSeed(seed, { faults: [], faultMs: 20_000 });
    assert.equal(violation, null, `SEED=${seed}\n${tail.slice(-20).join("\n")}`);
    assert.ok(acks > 100 && commits > 10, `SEED=${seed}: ${acks} acknowledged, ${commits} commits`);
  }
});

test("a seed tells all: two runs of one seed are the same", async () => {
  for (let seed = 1; seed <= 3; seed += 1) {
    const [one, two] = [await runSeed(seed, { faultMs: 20_000 }), await runSeed(seed, { faultMs: 20_000 })];
    assert.equal(one.hash, two.hash, `SEED=${seed}`);
    assert.ok(one.events > 5000, `SEED=${seed}: ${one.events} events`);
  }
});
