// Apache Kafka beside a hub, with Kafka's own performance tools: throughput, CPU per GB, latency and memory.
//   npm run bench:kafka -- [--rounds 3] [--records 3000000] [--sizes 100,1024] [--systems kafka,interval,always] [--node24]
//
// One Apache Kafka broker (KRaft, broker and controller in one process, its own defaults, the heap and collector options
// of its start script) and one hub take turns, each on an empty folder, with 4 partitions and acks=all.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { openClock } from "../../hub/io/clock.ts";
import { openNet } from "../../hub/io/net.ts";
import { decodeResponse, encodeRequest } from "../../hub/wire/apis.ts";
import { FrameSplitter } from "../../hub/wire/frame.ts";
import { brokerProperties, clusterId, quiet } from "../compat/apache_kafka.ts";
import { kafkaJars, kafkaVersion } from "../compat/kafka_jars.ts";
import { root } from "../tools/hub_process.ts";
import { machine, median, type Running, type System, start, usage } from "./systems.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    records: { type: "string", default: "3000000" },
    sizes: { type: "string", default: "100,1024" },
    systems: { type: "string", default: "kafka,interval,always" },
    node24: { type: "boolean", default: false },
    port: { type: "string", default: "23600" },
  },
});

const classPath = `${await kafkaJars()}/*`;
const native = path.join(root, "test/.tools/node_modules/.bin/node");
const runtime = values.node24 ? [native] : [process.execPath, "--import", "tsx"];
/** What Kafka's start scripts give the broker. */
const brokerJava = [
  "-Xmx1G",
  "-Xms1G",
  "-server",
  "-XX:+UseG1GC",
  "-XX:MaxGCPauseMillis=20",
  "-XX:InitiatingHeapOccupancyPercent=35",
  "-XX:+ExplicitGCInvokesConcurrent",
  "-Djava.awt.headless=true",
];

const formatThenServe = `
java ${quiet} -cp "$1" kafka.tools.StorageTool format -t ${clusterId} -c "$2" --standalone >/dev/null &&
exec java ${brokerJava.join(" ")} ${quiet} -cp "$1" kafka.Kafka "$2" >/dev/null`;

function systemOf(name: string): System {
  if (name === "kafka") {
    return {
      name,
      command: (port, folder) => {
        const file = `${folder}/server.properties`;
        writeFileSync(file, brokerProperties(port, port + 1, folder));
        return ["sh", "-c", formatThenServe, "sh", classPath, file];
      },
    };
  }
  return {
    name: `partidor-${name}`,
    command: (port, folder) => [
      ...runtime,
      ...[path.join(root, "cli/main.ts"), "up", "--json", "--data", `${folder}/data`, "--listen", "127.0.0.1"],
      ...["--mqtt-port", "0", "--http-port", "0", "--kafka-port", String(port)],
    ],
  };
}

/** Runs one of Kafka's tools; resolves with what it printed. */
async function tool(main: string, ...args: readonly string[]): Promise<string> {
  const child = spawn("java", [quiet, "-cp", classPath, `org.apache.kafka.tools.${main}`, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  child.stdout.on("data", (bytes: Buffer) => (printed += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (printed += bytes.toString()));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`${main} ended with ${code}: ${printed.slice(-2000)}`);
  return printed;
}

async function createTopic(port: number, name: string, fsync: string | null): Promise<void> {
  const socket = await openNet(openClock()).dial("127.0.0.1", port, 5000);
  const splitter = new FrameSplitter();
  const answer = new Promise<Uint8Array>((resolve) => {
    socket.onData = (bytes) => {
      splitter.push(bytes);
      const frame = splitter.next();
      if (frame !== null) resolve(frame);
    };
  });
  const configs = fsync === null ? [] : [{ name: "log.fsync", value: fsync }];
  const topic = { name, numPartitions: 4, replicationFactor: 1, assignments: [], configs };
  socket.write(encodeRequest("createTopics", 4, 1, "bench", { topics: [topic], timeoutMs: 30_000 }));
  const [made] = decodeResponse("createTopics", 4, await answer).topics;
  socket.destroy();
  if (made!.errorCode !== 0) throw new Error(`the topic was refused with ${made!.errorCode}`);
}

interface Produced {
  readonly mbs: number;
  readonly p50: number;
  readonly p99: number;
}

/** The steady state after `warm` records: a client on a cold virtual machine measures itself. */
async function produce(
  port: number,
  topic: string,
  [records, warm]: readonly [number, number],
  size: number,
  rate: number,
): Promise<Produced> {
  const printed = await tool(
    "ProducerPerformance",
    ...[
      "--topic",
      topic,
      "--num-records",
      String(records),
      "--record-size",
      String(size),
      "--throughput",
      String(rate),
    ],
    ...["--producer-props", `bootstrap.servers=127.0.0.1:${port}`, "acks=all"],
  );
  const last = printed
    .trim()
    .split("\n")
    .map((line) => /([\d.]+) records\/sec .* (\d+) ms 50th, \d+ ms 95th, (\d+) ms 99th/.exec(line))
    .findLast((found) => found !== null);
  if (last === undefined || last === null) throw new Error(`no figures in: ${printed.slice(-500)}`);
  return { mbs: (Number(last[1]) * size) / 1e6, p50: Number(last[2]), p99: Number(last[3]) };
}

async function consume(port: number, topic: string, records: number): Promise<number> {
  const printed = await tool(
    "ConsumerPerformance",
    ...["--bootstrap-server", `127.0.0.1:${port}`, "--topic", topic, "--num-records", String(records)],
  );
  const columns = printed.trim().split("\n").at(-1)!.split(", ");
  return (Number(columns[8]) * 2 ** 20) / 1e6; // fetch.MB.sec: the three seconds before the group stands are not in it
}

async function endToEnd(port: number, topic: string, size: number): Promise<{ avg: number; p99: number }> {
  const printed = await tool(
    "EndToEndLatency",
    ...["--bootstrap-server", `127.0.0.1:${port}`, "--topic", topic, "--num-records", "5000"],
    ...["--producer-acks", "all", "--record-size", String(size)],
  );
  const avg = Number(/Avg latency: ([\d.]+)/.exec(printed)?.[1]);
  return { avg, p99: Number(/99th = (\d+)/.exec(printed)?.[1]) };
}

const rows = new Map<string, Map<string, number[]>>();
function note(row: string, column: string, value: number): void {
  const columns = rows.get(row) ?? new Map<string, number[]>();
  rows.set(row, columns);
  columns.set(column, [...(columns.get(column) ?? []), value]);
}

/** CPU seconds that the broker used meanwhile, per GB of payload. */
async function costed<T>(running: Running, gigabytes: number, work: () => Promise<T>): Promise<[T, number]> {
  const before = usage(running.pid).cpuSeconds;
  const result = await work();
  return [result, (usage(running.pid).cpuSeconds - before) / gigabytes];
}

async function measure(name: string, running: Running, port: number, size: number): Promise<void> {
  const records = Math.round((Number(values.records) * 100) / (size >= 1000 ? size / 3 : size));
  const gigabytes = (records * size) / 1e9;
  const row = `${size} B | ${name}`;
  const fsync = name === "kafka" ? null : name;
  for (const kind of ["warm", "fast", "paced"]) await createTopic(port, `${kind}-${size}`, fsync);
  await produce(port, `warm-${size}`, [Math.round(records / 4), 0], size, -1);
  const [fast, produceCpu] = await costed(running, gigabytes, () =>
    produce(port, `fast-${size}`, [records, 0], size, -1),
  );
  note(row, "produce MB/s", fast.mbs);
  note(row, "CPU s/GB", produceCpu);
  note(row, "p99 ms at full rate", fast.p99);
  const [read, consumeCpu] = await costed(running, gigabytes, () => consume(port, `fast-${size}`, records));
  note(row, "consume MB/s", read);
  note(row, "consume CPU s/GB", consumeCpu);
  const rate = size >= 1000 ? 10_000 : 50_000;
  const paced = await produce(port, `paced-${size}`, [rate * 15, rate * 5], size, rate);
  note(row, "p50 ms paced", paced.p50);
  note(row, "p99 ms paced", paced.p99);
  const ends = await endToEnd(port, `warm-${size}`, size);
  note(row, "end to end avg ms", ends.avg);
  note(row, "end to end p99 ms", ends.p99);
  note(row, "RSS MiB", usage(running.pid).rssBytes / 2 ** 20);
}

let port = Number(values.port);
for (let round = 0; round < Number(values.rounds); round++) {
  for (const name of values.systems.split(",")) {
    for (const size of values.sizes.split(",").map(Number)) {
      port += 2;
      const running = await start(systemOf(name), port);
      try {
        await measure(name, running, port, size);
      } finally {
        await running.stop();
      }
    }
  }
}

const hubRuntime = values.node24 ? "Node 24" : "Node 20 through tsx";
console.log(`${machine()}; Apache Kafka ${kafkaVersion}; hub on ${hubRuntime}; medians of ${values.rounds} rounds\n`);
const columns = [...rows.values().next().value!.keys()];
console.log(`| size | system | ${columns.join(" | ")} |\n|${"---|".repeat(columns.length + 2)}`);
for (const [row, figures] of [...rows].sort()) {
  const cells = columns.map((column) => {
    const value = median(figures.get(column) ?? []);
    return value >= 100 ? String(Math.round(value)) : value.toFixed(2);
  });
  console.log(`| ${row} | ${cells.join(" | ")} |`);
}
process.exit(0);
