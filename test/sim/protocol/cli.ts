// Tier P from the command line: --seeds N [--from S] [--minutes M], or --seed N [--trace] to play one again.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { mutated, mutations } from "./mutations.ts";
import { type Outcome, runSeed } from "./run.ts";

const usage =
  "sim --tier p: --seeds N [--from S] [--minutes M] [--keep-going], --seed N [--trace], or --mutations [--seeds N]";

function numberOf(args: readonly string[], name: string): number | undefined {
  const at = args.indexOf(name);
  if (at < 0) return undefined;
  const value = Number(args[at + 1]);
  if (!Number.isInteger(value) || value < 0) throw new Error(`${name} takes a whole number; ${usage}`);
  return value;
}

export function run(args: readonly string[]): Promise<number> | number {
  if (args.includes("--mutations")) return hunt(numberOf(args, "--seeds") ?? 200_000, args);
  const seed = numberOf(args, "--seed");
  if (seed !== undefined) return replay(seed, args.includes("--trace"));
  const minutes = numberOf(args, "--minutes");
  const seeds = numberOf(args, "--seeds") ?? (minutes === undefined ? 10_000 : Number.POSITIVE_INFINITY);
  return search(numberOf(args, "--from") ?? 1, seeds, minutes, args.includes("--keep-going"));
}

function replay(seed: number, trace: boolean): number {
  const outcome = runSeed(seed, trace ? (text) => console.log(text) : null);
  const again = runSeed(seed);
  console.log(JSON.stringify(outcome));
  if (again.hash !== outcome.hash) console.log(`NOT THE SAME TWICE: hash ${again.hash}`);
  return outcome.violation === null && again.hash === outcome.hash ? 0 : 1;
}

function search(from: number, seeds: number, minutes: number | undefined, keepsGoing: boolean): number {
  const began = process.hrtime.bigint();
  const seconds = (): number => Number(process.hrtime.bigint() - began) / 1e9;
  const until = minutes === undefined ? Number.POSITIVE_INFINITY : minutes * 60;
  const sum = { seeds: 0, simMs: 0, commits: 0, elections: 0, changes: 0, losses: 0, violations: 0 };
  let told = 0;
  for (let seed = from; sum.seeds < seeds && seconds() < until; seed++) {
    const outcome = runSeed(seed);
    add(sum, outcome);
    if (outcome.violation !== null) {
      console.log(`VIOLATION ${outcome.violation}`);
      if (!keepsGoing) break;
    }
    if (seconds() - told < 10) continue;
    told = seconds();
    console.log(summary(sum, told));
  }
  console.log(summary(sum, seconds()));
  return sum.violations === 0 ? 0 : 1;
}

/** Looks for the first seed that shows each mutation, or those that are named. */
async function hunt(seeds: number, args: readonly string[]): Promise<number> {
  const scratch = mkdtempSync(path.join(tmpdir(), "partidor-sim-"));
  const named = mutations.filter(({ id }) => args.includes(id));
  let missed = 0;
  for (const mutation of named.length > 0 ? named : mutations) {
    const copy = await mutated(mutation, scratch);
    let seed = 1;
    let violation: string | null = null;
    for (; seed <= seeds && violation === null; seed++) {
      violation = copy.runSeed(seed).violation;
      if (violation !== null && !mutation.breaks.test(violation)) violation = null;
    }
    if (violation === null) missed += 1;
    console.log(
      `${mutation.id} ${mutation.name}: ${violation === null ? `not in ${seeds} seeds` : `seed ${seed - 1}, ${violation.slice(0, 150)}`}`,
    );
  }
  rmSync(scratch, { recursive: true, force: true });
  return missed === 0 ? 0 : 1;
}

type Sum = Record<"seeds" | "simMs" | "commits" | "elections" | "changes" | "losses" | "violations", number>;

function add(sum: Sum, outcome: Outcome): void {
  sum.seeds += 1;
  for (const key of ["simMs", "commits", "elections", "changes", "losses"] as const) sum[key] += outcome[key];
  if (outcome.violation !== null) sum.violations += 1;
}

function summary(sum: Sum, seconds: number): string {
  const per = (count: number): string => (count / sum.seeds).toFixed(2);
  return (
    `${sum.seeds} seeds in ${seconds.toFixed(1)} s (${Math.round((sum.seeds / seconds) * 60)} a minute), ` +
    `${(sum.simMs / 3_600_000).toFixed(1)} simulated hours; a seed: ${per(sum.commits)} commits, ` +
    `${per(sum.elections)} elections, ${per(sum.changes)} changes of the set, ${per(sum.losses)} losses that may be; ` +
    `${sum.violations} violations`
  );
}
