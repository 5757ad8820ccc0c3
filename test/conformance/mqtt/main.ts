// npm run conformance:mqtt -- [--steps N] [--minutes M] [--subject partidor|mosquitto] [--versions 4,5] [--from SEED]
// [--keep-going]
// Random scenarios on mosquitto and on a hub. SEED=n plays one seed, shrinks it and prints what is left.
import { parseArgs } from "node:util";
import type { Version } from "../../../bridge/wire/packet.ts";
import { startMosquitto, startPartidor } from "./brokers.ts";
import { rules } from "./compare.ts";
import { play, type Ports } from "./differential.ts";
import { type Found, scenarioOf, search, shrink, tell, watcherVersion } from "./search.ts";

const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "100000" },
    minutes: { type: "string", default: "60" },
    subject: { type: "string", default: "partidor" },
    versions: { type: "string", default: "4,5" },
    from: { type: "string", default: "1" },
    "keep-going": { type: "boolean", default: false },
  },
});
const versions = values.versions.split(",").map(Number) as Version[];
const only = process.env.SEED;

/** Finds the shortest scenario that still differs, and prints it. */
async function tellShortest(ports: Ports, found: Found): Promise<void> {
  const { seed } = found;
  const version = watcherVersion(versions);
  const left = await shrink(ports, scenarioOf(seed, versions), version);
  const { difference } = await play(ports, left, version);
  console.log(`\nSEED=${seed}, ${left.length} steps are enough`);
  if (difference !== null) return console.log(tell(difference, left));
  console.log(`it did not differ again; it had been\n${tell(found.difference, found.steps)}`);
}

async function run(ports: Ports): Promise<number> {
  const began = Date.now();
  const from = Number(only ?? values.from);
  const steps = only === undefined ? Number(values.steps) : 1;
  const stopAtFirst = !values["keep-going"];
  const report = await search(ports, { from, steps, versions, stopAtFirst, withinMs: Number(values.minutes) * 60_000 });
  const minutes = (Date.now() - began) / 60_000;
  for (const found of report.found.slice(0, 20)) await tellShortest(ports, found);
  const rate = Math.round(report.steps / minutes);
  console.log(`\n${report.steps} steps of ${report.seeds} scenarios (from seed ${from}), ${rate} a minute`);
  const seen = [...report.seen].sort(([, a], [, b]) => b - a).map(([name, count]) => `${name} ${count}`);
  console.log(`sent to clients: ${seen.join(", ")}`);
  for (const { name, reason } of rules) {
    console.log(`${String(report.explained.get(name)).padStart(8)}  explained: ${name} (${reason})`);
  }
  console.log(`${String(report.found.length).padStart(8)}  not explained`);
  return report.found.length === 0 ? 0 : 1;
}

const reference = await startMosquitto();
const subject = await (values.subject === "mosquitto" ? startMosquitto() : startPartidor());
const stop = async (): Promise<void> => {
  await subject.stop();
  await reference.stop();
};
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void stop().then(() => process.exit(1)));
try {
  process.exitCode = await run({ reference: reference.port, subject: subject.port });
} finally {
  await stop();
}
