// npm run sim -- --tier f --seeds N | --minutes M [--from S] [--trace] [--faults kill,power]: whole hubs, seed by seed.
import { parseArgs } from "node:util";
import { runSeed } from "./run.ts";

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
      "keep-going": { type: "boolean", default: false },
    },
  });
  const from = Number(values.from);
  const seeds = values.seeds === undefined ? (values.minutes === undefined ? 1 : Infinity) : Number(values.seeds);
  const began = Date.now();
  const end = values.minutes === undefined ? Infinity : began + Number(values.minutes) * 60_000;
  const faults = values.faults === undefined ? {} : { faults: values.faults.split(",") };
  const print = values.trace ? { print: console.log } : {};
  const sum = { seeds: 0, acks: 0, reads: 0, commits: 0, events: 0, faults: 0, simulatedMs: 0 };
  let failed = 0;
  for (let seed = from; seed < from + seeds && Date.now() < end; seed += 1) {
    const result = await runSeed(seed, { ...faults, ...print });
    sum.seeds += 1;
    for (const key of ["acks", "reads", "commits", "events", "faults", "simulatedMs"] as const) sum[key] += result[key];
    if (result.violation === null) continue;
    failed += 1;
    console.log(`SEED=${seed} ${result.violation}`);
    console.log(`  npm run sim -- --tier f --from ${seed} --seeds 1 --trace`);
    if (!values.trace && !values["keep-going"]) for (const line of result.tail.slice(-30)) console.log(`    ${line}`);
    if (!values["keep-going"]) break;
  }
  const minutes = (Date.now() - began) / 60_000;
  const hours = (sum.simulatedMs / 3_600_000).toFixed(1);
  console.log(
    `${sum.seeds} seeds (${(sum.seeds / minutes).toFixed(0)} a minute), ${hours} simulated hours, ${sum.events} events, ` +
      `${sum.faults} faults, ${sum.acks} acknowledged, ${sum.reads} read, ${sum.commits} commits; ${failed} failed`,
  );
  return failed === 0 ? 0 : 1;
}
