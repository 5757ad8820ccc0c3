// The real store on a simulated disk: thousands of random lives with crashes and faults, and the invariants after each.
import assert from "node:assert/strict";
import test from "node:test";
import { LogWorld } from "../../sim/log_world.ts";
import type { LifeOptions } from "../../sim/log_world.ts";

const seeds = Number(process.env["SEEDS"] ?? 2000);
const only = process.env["SEED"] === undefined ? null : Number(process.env["SEED"]);
const life: LifeOptions = { boots: 3, turnsPerBoot: 32 };

async function run(seed: number, options: LifeOptions): Promise<LogWorld> {
  const world = new LogWorld(seed, options);
  try {
    await world.live();
  } catch (error) {
    const tail = world.trace.slice(-12).join(" | ");
    throw new Error(`SEED=${seed}: ${(error as Error).message}\n${tail}`, { cause: error });
  }
  return world;
}

test(`${seeds} lives: what was acknowledged is there, in order, once, with the same bytes`, async () => {
  let acks = 0;
  let crashes = 0;
  const failed: string[] = [];
  for (let seed = only ?? 1; seed <= (only ?? seeds); seed += 1) {
    try {
      const world = await run(seed, life);
      acks += world.acks;
      crashes += world.crashes;
    } catch (error) {
      failed.push((error as Error).message);
      if (failed.length >= 10) break;
    }
  }
  assert.deepEqual(failed, []);
  assert.ok(only !== null || acks > seeds * 20, `${acks} acknowledgements, ${crashes} crashes`);
});

test("a seed tells all: two lives of one seed are the same", async () => {
  for (let seed = 1; seed <= 8; seed += 1) {
    const [one, two] = [await run(seed, life), await run(seed, life)];
    assert.deepEqual(one.trace, two.trace);
    assert.deepEqual([one.acks, one.crashes], [two.acks, two.crashes]);
  }
});
