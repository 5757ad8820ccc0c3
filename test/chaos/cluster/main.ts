// `npm run chaos -- --minutes N --seed S [--redis sentinel] [--only "kill,pause"]`: a chaos run, with a report.
import { parseArgs } from "node:util";
import { chaos } from "./run.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string" },
    seed: { type: "string" },
    hubs: { type: "string" },
    redis: { type: "string" },
    only: { type: "string" },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const began = performance.now();
const say = (line: string): void => console.error(`${((performance.now() - began) / 1000).toFixed(1)} s  ${line}`);
say(`seed ${seed}`);
const { history, ...report } = await chaos({
  minutes: Number(values.minutes ?? 5),
  seed,
  hubs: Number(values.hubs ?? 3),
  redis: values.redis === "sentinel" ? "sentinel" : "server",
  only: values.only?.split(",") ?? [],
  say,
});
console.log(JSON.stringify({ ...report, violations: history.violations.length }, null, 2));
for (const { name, detail } of history.violations) console.log(`VIOLATION ${name}: ${detail}`);
process.exit(history.violations.length === 0 ? 0 : 1);
