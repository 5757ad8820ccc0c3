// Runs seeds: one world each, its steps, then calm; what it saw, or which invariant broke.
import { start } from "./faults.ts";
import { heal } from "./heal.ts";
import { step } from "./steps.ts";
import { Violation, World } from "./world.ts";

export interface Outcome {
  readonly seed: number;
  /** null: all invariants hold. */
  readonly violation: string | null;
  /** Of everything that happened: the same seed, the same hash. */
  readonly hash: number;
  readonly steps: number;
  readonly simMs: number;
  readonly commits: number;
  readonly elections: number;
  readonly changes: number;
  readonly losses: number;
}

export function runSeed(seed: number, say: ((text: string) => void) | null = null): Outcome {
  const world = new World(seed);
  world.say = say;
  let violation: string | null = null;
  try {
    const { steps } = world.shape;
    for (const hub of world.hubs) start(world, hub);
    while (world.stepNumber < steps) step(world);
    heal(world);
  } catch (error) {
    // whatever a machine throws is a fault of its own
    violation =
      error instanceof Violation ? error.message : `it threw ${String((error as Error).stack)} (seed ${seed})`;
  }
  const { hash, stepNumber, now, ledger } = world;
  const { commits, elections, changes, losses } = ledger;
  return { seed, violation, hash, steps: stepNumber, simMs: now, commits, elections, changes, losses };
}
