// Three hubs under load while faults drawn from a seed hurt them: nothing acknowledged is lost, doubled or reordered.
import test from "node:test";
import { chaos } from "./cluster/run.ts";

// The same seed each time, so that a red run says something about a change; `npm run chaos` searches others.
const seed = Number(process.env["CHAOS_SEED"] ?? 20_261);
const minutes = Number(process.env["CHAOS_MINUTES"] ?? 5);

test(`chaos for ${minutes} minutes, seed ${seed}`, async (context) => {
  const began = performance.now();
  const say = (line: string): void => {
    context.diagnostic(`${((performance.now() - began) / 1000).toFixed(1)} s  ${line}`);
  };
  const { history, ...report } = await chaos({ minutes, seed, say });
  context.diagnostic(JSON.stringify(report));
  history.assertClean(seed);
});
