// Random scenarios on mosquitto and on a hub: what clients are sent is the same, or differs for a reason that is listed.
// SEED=n begins there; npm run conformance:mqtt is the long form.
import assert from "node:assert/strict";
import test from "node:test";
import { type RunningBroker, startMosquitto, startPartidor } from "./brokers.ts";
import { play } from "./differential.ts";
import { type Report, search, type Search, shrink, tell, watcherVersion } from "./search.ts";
import { startWrongProxy, wrongs } from "./wrong_proxy.ts";

const from = Number(process.env.SEED ?? 1);
const both = { from, versions: [4, 5] } as const;

async function between<T>(
  starts: readonly (() => Promise<RunningBroker>)[],
  body: (brokers: readonly RunningBroker[]) => Promise<T>,
): Promise<T> {
  const brokers: RunningBroker[] = [];
  try {
    for (const start of starts) brokers.push(await start());
    return await body(brokers);
  } finally {
    for (const broker of brokers.reverse()) await broker.stop();
  }
}

/**
 * One difference that does not come again when its scenario is played again is told and passed over. After all that was
 * found and mended one came in 455,730 steps (SEED=3752); what it was is not known.
 */
const passedOverMax = 1;

/** No difference; of the first one there is, the shortest scenario. */
async function alike(
  reference: RunningBroker,
  subject: RunningBroker,
  options: Search,
  passedOver = 0,
): Promise<Report> {
  const ports = { reference: reference.port, subject: subject.port };
  const report = await search(ports, { ...options, stopAtFirst: true });
  const [first] = report.found;
  if (first === undefined) return report;
  const again = await play(ports, first.steps, watcherVersion(options.versions));
  if (again.difference === null && passedOver < passedOverMax) {
    console.log(`SEED=${first.seed} did not differ again; it had been\n${tell(first.difference, first.steps)}`);
    return await alike(reference, subject, { ...options, from: first.seed + 1 }, passedOver + 1);
  }
  const left = await shrink(ports, first.steps, watcherVersion(options.versions));
  assert.fail(`SEED=${first.seed}\n${tell(first.difference, first.steps)}\nshorter:\n${JSON.stringify(left)}`);
}

test("two of the same broker differ in nothing, also through a proxy that changes nothing", async () => {
  await between([startMosquitto, startMosquitto], async ([reference, other]) => {
    const { seen } = await alike(reference!, other!, { ...both, steps: 2_000 });
    // scenarios come to what they are for
    const kinds = ["session present", "session new", "taken over", "RETAIN", "DUP", "QoS 0", "QoS 1", "QoS 2"];
    const others = ["pubrel", "suback", "unsuback", "with identifiers", "with properties"];
    for (const kind of [...kinds, ...others]) assert.ok((seen.get(kind) ?? 0) >= 10, `${kind}: ${seen.get(kind)}`);
    const proxy = await startWrongProxy(other!, null);
    try {
      await alike(reference!, proxy, { ...both, steps: 2_000 });
    } finally {
      await proxy.stop();
    }
  });
});

test("a broker that gets one thing wrong differs, whatever it is", async () => {
  await between([startMosquitto, startMosquitto], async ([reference, other]) => {
    for (const wrong of wrongs) {
      const proxy = await startWrongProxy(other!, wrong);
      try {
        const ports = { reference: reference!.port, subject: proxy.port };
        const bounds = { steps: 4_000, stopAtFirst: true, patienceMs: 300 };
        const { found } = await search(ports, { from: 1, versions: [4, 5], ...bounds });
        assert.equal(found.length, 1, `a broker that ${wrong.what} is not told from one that does not`);
      } finally {
        await proxy.stop();
      }
    }
  });
});

test("a hub sends clients what mosquitto sends them, or differs for a reason that is listed", async () => {
  await between([startMosquitto, startPartidor], async ([reference, hub]) => {
    await alike(reference!, hub!, { ...both, steps: 20_000, withinMs: 60_000 });
  });
});
