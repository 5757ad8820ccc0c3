// Runs one subscriber as a process of its own: `main.ts --group ml|analytics --bootstrap host:port`.
import { parseArgs } from "node:util";
import { connect, type Fields, type Trace } from "../hub/mod.ts";
import { startAnalytics } from "./analytics/analytics.ts";
import { startMl } from "./ml/ml.ts";
import type { Subscriber } from "./subscriber.ts";

const usage = "usage: main.ts --group ml|analytics [--bootstrap host:port]";

/** JSON lines on stderr; counters stay with the process. */
const trace: Trace = {
  event(level, event, fields: Fields = {}) {
    process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level, event, ...fields })}\n`);
  },
  count() {},
  gauge() {},
  observe() {},
};

function readArguments(): { group: string; bootstrap: string } | string {
  try {
    const { values } = parseArgs({ options: { group: { type: "string" }, bootstrap: { type: "string" } } });
    const { group = "", bootstrap = "127.0.0.1:9092" } = values;
    if (group !== "ml" && group !== "analytics") return "--group is ml or analytics";
    return { group, bootstrap };
  } catch (thrown) {
    return (thrown as Error).message.split(". ")[0]!;
  }
}

async function main(): Promise<number> {
  const given = readArguments();
  if (typeof given === "string") {
    process.stderr.write(`${given}\n${usage}\n`);
    return 2;
  }
  const client = connect({ bootstrap: given.bootstrap, clientId: `partidor-${given.group}` });
  const start = given.group === "ml" ? startMl : startAnalytics;
  const subscriber: Subscriber = start({ client, trace });
  trace.event("info", "subscriber_started", { group: given.group, bootstrap: given.bootstrap });
  // The client's timers do not keep a process alive.
  const awake = setInterval(() => {}, 60_000);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", () => resolve());
    process.once("SIGTERM", () => resolve());
  });
  // A second signal ends at once: what is not committed is read again by the next owner.
  process.once("SIGINT", () => process.exit(1));
  process.once("SIGTERM", () => process.exit(1));
  await subscriber.stop();
  await client.close();
  clearInterval(awake);
  return 0;
}

try {
  process.exitCode = await main();
} catch (thrown) {
  process.stderr.write(`${(thrown as Error).message}\n`);
  process.exitCode = 5;
}
