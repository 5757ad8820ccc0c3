// MQTT ingest beside mosquitto and NATS: rounds in which the systems alternate, medians, throughput and CPU seconds.
//   npx tsx test/bench/mqtt_bench.ts [--systems a,b] [--workloads dense,medium] [--rounds N] [--scale F]
import { execFileSync } from "node:child_process";
import path from "node:path";
import { parseArgs } from "node:util";
import { machine, median, start, systems } from "./systems.ts";

const { values } = parseArgs({
  options: {
    systems: { type: "string", default: "mosquitto,nats,partidor" },
    workloads: { type: "string", default: "dense" },
    rounds: { type: "string", default: "5" },
    scale: { type: "string", default: "1" },
  },
});

const messages = (thousands: number): string => String(Math.round(thousands * 1000 * Number(values.scale)));

const workloads: Readonly<Record<string, () => readonly string[]>> = {
  dense: () => ["--qos", "1", "--conns", "50", "--window", "32", "--n", messages(200)],
  medium: () => ["--qos", "1", "--conns", "200", "--window", "4", "--n", messages(150)],
  sparse: () => ["--qos", "1", "--conns", "1000", "--window", "1", "--n", messages(100)],
  qos0: () => ["--qos", "0", "--conns", "50", "--n", messages(400)],
  single: () => ["--qos", "1", "--conns", "1", "--window", "1", "--n", messages(5)],
  fanout: () => ["--qos", "1", "--conns", "1", "--window", "8", "--subs", "50", "--n", messages(4)],
  forward: () => ["--qos", "1", "--conns", "50", "--window", "32", "--subs", "1", "--n", messages(100)],
};

interface Run {
  readonly system: string;
  readonly workload: string;
  readonly msgs_per_s: number;
  readonly server_cpu_s_per_million: number;
  readonly server_rss_mib_peak: number;
  readonly puback_ms?: { readonly p50: number; readonly p99: number };
}

const load = path.join(import.meta.dirname, "mqtt_load.mjs");
const chosen = values.systems.split(",").map((name) => {
  const system = systems.find((one) => one.name === name);
  if (!system) throw new Error(`no system ${name}: ${systems.map((one) => one.name).join(", ")}`);
  return system;
});
const runs: Run[] = [];
let port = 21_800;
for (let round = 0; round < Number(values.rounds); round++) {
  for (const system of round % 2 === 0 ? chosen : [...chosen].reverse()) {
    const running = await start(system, port++);
    try {
      await new Promise((resolve) => setTimeout(resolve, 1000)); // start-up work is not what is measured
      for (const workload of values.workloads.split(",")) {
        const args = [load, ...workloads[workload]!(), "--port", String(running.port), "--pid", String(running.pid)];
        const line = execFileSync(process.execPath, args, { encoding: "utf8", timeout: 120_000 });
        runs.push({ system: system.name, workload, ...(JSON.parse(line) as Omit<Run, "system" | "workload">) });
      }
    } finally {
      await running.stop();
    }
  }
}

console.log(`${machine()}, medians of ${values.rounds} rounds\n`);
for (const workload of values.workloads.split(",")) {
  console.log(`### ${workload}: ${workloads[workload]!().join(" ")}\n`);
  console.log("| system | msg/s | server CPU s/M | p50 ms | p99 ms | peak RSS MiB |\n|---|---|---|---|---|---|");
  for (const { name } of chosen) {
    const mine = runs.filter((run) => run.system === name && run.workload === workload);
    const of = (get: (run: Run) => number | undefined): number => median(mine.map((run) => get(run) ?? Number.NaN));
    const cells = [
      Math.round(of((run) => run.msgs_per_s)),
      of((run) => run.server_cpu_s_per_million).toFixed(2),
      of((run) => run.puback_ms?.p50).toFixed(2),
      of((run) => run.puback_ms?.p99).toFixed(2),
      Math.round(of((run) => run.server_rss_mib_peak)),
    ];
    console.log(`| ${name} | ${cells.join(" | ")} |`);
  }
  console.log("");
}
process.exit(0);
