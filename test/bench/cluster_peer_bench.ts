// Three hubs beside three servers of NATS JetStream (R3) and three brokers of Apache Kafka, all on one machine.
//   npx tsx test/bench/cluster_peer_bench.ts [--rounds 3] [--n 150000] [--systems hubs,nats,kafka]
//
// MQTT with QoS 1 into hubs and NATS by one generator; the same records over the Kafka protocol, acks=all, into hubs and
// Kafka by another: each ratio is of two systems under the same load. Systems take turns round by round, each on empty
// folders; --warm messages go before what is measured. nats-server is on the PATH; `nats-sync` has it flush before it
// answers, as hubs do. NODE_OPTIONS (a profiler's, say) reaches the hubs, not the generators; they are ended in order then.
import { spawn } from "node:child_process";
import path from "node:path";
import { parseArgs } from "node:util";
import { connect } from "../../hub/mod.ts";
import { kafkaVersion } from "../compat/kafka_jars.ts";
import { natsVersion, openHubs, openKafka, openNats, type PeerCluster } from "./peer_clusters.ts";
import { machine, median, usage } from "./systems.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    n: { type: "string", default: "150000" },
    warm: { type: "string", default: "60000" },
    conns: { type: "string", default: "60" },
    window: { type: "string", default: "32" },
    partitions: { type: "string", default: "6" },
    systems: { type: "string", default: "hubs,nats,kafka" },
    loads: { type: "string", default: "mqtt,kafka" },
  },
});

interface Run {
  readonly row: string;
  readonly msgs_per_s: number;
  readonly server_cpu_s_per_million: number;
  readonly beside_cpu_s_per_million: number;
  readonly server_rss_mib_peak: number;
  readonly generator_cpu_s_per_million: number;
  readonly puback_ms: { readonly p50: number; readonly p99: number };
}

const shape = ["--conns", values.conns, "--window", values.window, "--payload", "200"];
const n = Number(values.n);
const warm = Number(values.warm);
const runs: Run[] = [];

/** Runs a generator; resolves with its figures. */
async function generate(script: string, args: readonly string[]): Promise<Omit<Run, "row">> {
  const file = path.join(import.meta.dirname, script);
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(process.execPath, ["--import", "tsx", file, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    env,
    timeout: 180_000,
    killSignal: "SIGKILL",
  });
  let printed = "";
  child.stdout.on("data", (bytes: Buffer) => (printed += bytes.toString()));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`${script} ended with ${code}`);
  return JSON.parse(printed) as Omit<Run, "row">;
}

/** Warms up, measures, and looks whether the cluster has what it acknowledged. */
async function measure(
  row: string,
  cluster: PeerCluster,
  topic: string,
  load: (count: number) => Promise<Omit<Run, "row">>,
): Promise<void> {
  await load(warm);
  const already = await cluster.held(topic);
  const beside = (): number => cluster.besidePids.reduce((sum, pid) => sum + usage(pid).cpuSeconds, 0);
  const before = beside();
  const figures = await load(n);
  const taken = beside() - before;
  const held = (await cluster.held(topic)) - already;
  if (held < n) throw new Error(`${row}: ${n} acknowledged, ${held} held`);
  console.error(`${row}: ${figures.msgs_per_s} msg/s, ${figures.server_cpu_s_per_million} s/M`);
  runs.push({ ...figures, row, beside_cpu_s_per_million: (taken / n) * 1e6 });
}

async function measureMqtt(name: string, cluster: PeerCluster): Promise<void> {
  const ports = ["--port", cluster.mqttPorts.join(","), "--pid", cluster.pids.join(",")];
  await measure(`MQTT | ${name}`, cluster, "sensors", (count) =>
    generate("mqtt_load.mjs", [...shape, ...ports, "--topic", "sensors/{id}/v", "--n", String(count)]),
  );
}

async function measureKafka(name: string, cluster: PeerCluster, configs: Readonly<Record<string, string>>) {
  const topic = `bench-${Object.values(configs).join("-")}`;
  const client = connect({ bootstrap: cluster.bootstrap, clientId: "bench-make" });
  await client.admin().createTopic(topic, { partitions: Number(values.partitions), replicationFactor: 3, configs });
  await client.close();
  const place = ["--bootstrap", cluster.bootstrap, "--topic", topic, "--pid", cluster.pids.join(",")];
  await measure(`Kafka | ${name}`, cluster, topic, (count) =>
    generate("kafka_load.ts", [...shape, ...place, "--n", String(count)]),
  );
}

const over = (load: string): boolean => values.loads.split(",").includes(load);
const twoInSync = { "min.insync.replicas": "2" };
const systems: Readonly<Record<string, { open: () => Promise<PeerCluster>; work: (c: PeerCluster) => Promise<void> }>> =
  {
    hubs: {
      open: openHubs,
      async work(cluster) {
        if (over("mqtt")) await measureMqtt("hubs", cluster);
        if (!over("kafka")) return;
        await measureKafka("hubs", cluster, twoInSync);
        await measureKafka("hubs, log.fsync=interval", cluster, { ...twoInSync, "log.fsync": "interval" });
      },
    },
    nats: { open: () => openNats("default"), work: (cluster) => measureMqtt("NATS R3", cluster) },
    "nats-sync": { open: () => openNats("always"), work: (cluster) => measureMqtt("NATS R3, sync always", cluster) },
    kafka: { open: openKafka, work: (cluster) => measureKafka("Apache Kafka", cluster, twoInSync) },
  };

let serving: readonly number[] = [];
process.once("exit", () => {
  for (const pid of serving) process.kill(pid, "SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
const chosen = values.systems.split(",");
for (let round = 0; round < Number(values.rounds); round++) {
  for (const name of round % 2 === 0 ? chosen : [...chosen].reverse()) {
    const cluster = await systems[name]!.open();
    serving = cluster.pids;
    try {
      await new Promise((resolve) => setTimeout(resolve, 1000)); // start-up work is not what is measured
      await systems[name]!.work(cluster);
    } finally {
      serving = [];
      await cluster.close();
    }
  }
}

const nats = chosen.some((name) => name.startsWith("nats")) ? `${natsVersion()}, ` : "";
console.log(`${machine()}; ${nats}Apache Kafka ${kafkaVersion}; medians of ${values.rounds} rounds`);
console.log(`${values.conns} connections, a third at each node, window ${values.window}, 200 bytes, ${n} messages\n`);
console.log(
  "| load | system | msg/s | server CPU s/M | of it Redis | p50 ms | p99 ms | RSS MiB | generator CPU s/M | msg/s by round |",
);
console.log(`|${"---|".repeat(10)}`);
const rowsOf = (row: string, get: (run: Run) => number): number[] => runs.filter((run) => run.row === row).map(get);
const names = [...new Set(runs.map(({ row }) => row))].sort().reverse();
for (const row of names) {
  const of = (get: (run: Run) => number): number => median(rowsOf(row, get));
  const cells = [
    Math.round(of((run) => run.msgs_per_s)),
    of((run) => run.server_cpu_s_per_million).toFixed(2),
    of((run) => run.beside_cpu_s_per_million).toFixed(2),
    of((run) => run.puback_ms.p50).toFixed(1),
    of((run) => run.puback_ms.p99).toFixed(1),
    Math.round(of((run) => run.server_rss_mib_peak)),
    of((run) => run.generator_cpu_s_per_million).toFixed(2),
    rowsOf(row, (run) => run.msgs_per_s).join(", "),
  ];
  console.log(`| ${row} | ${cells.join(" | ")} |`);
}
console.log("");
for (const [ours, theirs] of names.flatMap((one) => names.map((other) => [one, other] as const))) {
  const [load, system] = ours.split(" | ") as [string, string];
  if (!system.startsWith("hubs") || !theirs.startsWith(`${load} | `) || theirs.includes("| hubs")) continue;
  const ratio = (get: (run: Run) => number): string =>
    (median(rowsOf(ours, get)) / median(rowsOf(theirs, get))).toFixed(2);
  const [speed, cpu] = [ratio((run) => run.msgs_per_s), ratio((run) => run.server_cpu_s_per_million)];
  console.log(`${ours} to ${theirs.split(" | ")[1]}: ${speed}x the msg/s at ${cpu}x the CPU a message`);
}
process.exit(0);
