// npm run sim -- --tier f --seeds N | --minutes M [--from S] [--step 2] [--faults kill,power] [--only 3,7] [--trace]
// [--keep-going]: whole hubs, seed by seed; a seed that fails is shrunk to the faults that are enough.
import { parseArgs } from "node:util";
import { type RunOptions, type RunResult, runSeed } from "./run.ts";
import { shrink } from "./shrink.ts";

/** Resolves with the exit code: 1 when a seed broke an invariant. */
export async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: "string" },
      minutes: { type: "string" },
      from: { type: "string", default: "1" },
      trace: { type: "boolean", default: false },
      faults: { type: "string" },
      only: { type: "string" },
      step: { type: "string", default: "1" },
      "keep-going": { type: "boolean", default: false },
    },
  });
  const from = Number(values.from);
  const seeds = values.seeds === undefined ? (values.minutes === undefined ? 1 : Infinity) : Number(values.seeds);
  const began = Date.now();
  const cpuBegan = process.cpuUsage();
  const end = values.minutes === undefined ? Infinity : began + Number(values.minutes) * 60_000;
  const faults: RunOptions = values.faults === undefined ? {} : { faults: values.faults.split(",") };
  const only: RunOptions = values.only === undefined ? {} : { only: new Set(values.only.split(",").map(Number)) };
  const step = Number(values.step);
  const print = values.trace ? { print: console.log } : {};
  const sum = { seeds: 0, acks: 0, reads: 0, commits: 0, events: 0, faults: 0, simulatedMs: 0 };
  let failed = 0;
  for (let seed = from; seed < from + seeds * step && Date.now() < end; seed += step) {
    const result = await runSeed(seed, { ...faults, ...only, ...print });
    sum.seeds += 1;
    for (const key of ["acks", "reads", "commits", "events", "faults", "simulatedMs"] as const) sum[key] += result[key];
    if (result.violation === null) continue;
    failed += 1;
    await tell(result, values.trace || only.only ? null : faults);
    if (!values["keep-going"]) break;
  }
  const minutes = (Date.now() - began) / 60_000;
  const cpu = (process.cpuUsage(cpuBegan).user + process.cpuUsage(cpuBegan).system) / 60e6;
  const hours = (sum.simulatedMs / 3_600_000).toFixed(1);
  console.log(
    `${sum.seeds} seeds (${(sum.seeds / minutes).toFixed(0)} a minute, ${(sum.seeds / cpu).toFixed(0)} a minute of ` +
      `a core), ${hours} simulated hours, ${sum.events} events, ` +
      `${sum.faults} faults, ${sum.acks} acknowledged, ${sum.reads} read, ${sum.commits} commits; ${failed} failed`,
  );
  return failed === 0 ? 0 : 1;
}

/** What broke, how to see it again, and with how few faults (null: it is not shrunk). */
async function tell(result: RunResult, options: RunOptions | null): Promise<void> {
  const { seed } = result;
  const again = `npm run sim -- --tier f --from ${seed} --seeds 1`;
  console.log(`SEED=${seed} ${result.violation}`);
  if (options === null) return;
  console.log(`  ${again} --trace`);
  const left = await shrink(result, (only) => runSeed(seed, { ...options, only }));
  const kinds = options.faults ? ` --faults ${options.faults.join(",")}` : "";
  console.log(`  with ${left.length} of ${result.faults} faults:`);
  console.log(`  ${again}${kinds} --only ${left.join(",") || 0} --trace`);
  const { tail, violation } = await runSeed(seed, { ...options, only: new Set(left) });
  for (const line of [`${violation}`, ...tail.slice(-30)]) console.log(`    ${line}`);
}
