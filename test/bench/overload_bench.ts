// Overload: 1,000 connections that publish as fast as they are let, far beyond what the hub takes; its memory stays
// bounded, and every PUBACKed message is in the log.
//   npx tsx test/bench/overload_bench.ts [--conns 1000] [--window 100] [--n 1000000] [--rounds 3] [--node24]
import { execFileSync } from "node:child_process";
import path from "node:path";
import { parseArgs } from "node:util";
import { connect } from "../../hub/mod.ts";
import { root, scratch } from "../tools/hub_process.ts";
import { machine, start, usage } from "./systems.ts";

const { values } = parseArgs({
  options: {
    conns: { type: "string", default: "1000" },
    window: { type: "string", default: "100" },
    n: { type: "string", default: "1000000" },
    rounds: { type: "string", default: "3" },
    node24: { type: "boolean", default: false },
  },
});

const native = path.join(root, "test/.tools/node_modules/.bin/node");
const runtime = values.node24 ? [native] : [process.execPath, "--import", "tsx"];
const { folder, remove } = scratch();
const [mqtt, kafka] = [25_800, 25_801];
const flags = [
  "--json",
  "--data",
  folder,
  "--listen",
  "127.0.0.1",
  "--mqtt-port",
  `${mqtt}`,
  "--kafka-port",
  `${kafka}`,
  "--http-port",
  "0",
];
const hub = await start(
  { name: "overload", command: () => [...runtime, path.join(root, "cli/main.ts"), "up", ...flags] },
  mqtt,
);
await new Promise((resolve) => setTimeout(resolve, 1500));
const idle = usage(hub.pid).rssBytes / 2 ** 20;

console.log(`${machine()}; ${values.conns} connections x window ${values.window}, ${values.n} messages a round\n`);
console.log(
  `idle ${idle.toFixed(0)} MiB\n\n| round | msg/s | hub CPU s/M | p99 ms | peak RSS MiB |\n|---|---|---|---|---|`,
);
for (let round = 1; round <= Number(values.rounds); round++) {
  const load = [
    path.join(import.meta.dirname, "mqtt_load.mjs"),
    "--qos",
    "1",
    "--conns",
    values.conns,
    "--window",
    values.window,
    "--n",
    values.n,
    "--port",
    `${mqtt}`,
    "--pid",
    `${hub.pid}`,
  ];
  const run = JSON.parse(execFileSync(process.execPath, load, { encoding: "utf8", timeout: 300_000 })) as Record<
    string,
    number
  > & { puback_ms: { p99: number } };
  const cells = [round, run.msgs_per_s, run.server_cpu_s_per_million, run.puback_ms.p99, run.server_rss_mib_peak];
  console.log(`| ${cells.join(" | ")} |`);
}

const client = connect({ bootstrap: `127.0.0.1:${kafka}`, clientId: "counter" });
const places = [0, 1, 2, 3].map((partition) => ({ topic: "sensors", partition }));
const stored = (await client.admin().offsets(places, "latest")).reduce((sum, { offset }) => sum + offset, 0);
const acknowledged = Number(values.n) * Number(values.rounds);
console.log(
  `\nacknowledged ${acknowledged}, in the log ${stored}: ${stored >= acknowledged ? "nothing lost" : "LOST"}`,
);
await client.close();
await hub.stop();
remove();
process.exit(stored >= acknowledged ? 0 : 1);
