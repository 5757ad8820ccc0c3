// Tier P from the command line: --seeds N [--from S] [--minutes M], or --seed N [--trace] to play one again.
import { type Outcome, runSeed } from "./run.ts";

const usage = "sim --tier p: --seeds N [--from S] [--minutes M] [--keep-going], or --seed N [--trace]";

function numberOf(args: readonly string[], name: string): number | undefined {
  const at = args.indexOf(name);
  if (at < 0) return undefined;
  const value = Number(args[at + 1]);
  if (!Number.isInteger(value) || value < 0) throw new Error(`${name} takes a whole number; ${usage}`);
  return value;
}

export function run(args: readonly string[]): number {
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
