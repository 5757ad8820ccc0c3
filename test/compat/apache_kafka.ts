// One Apache Kafka broker (KRaft, broker and controller in one process) on a scratch folder and free ports.
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { run, scratch } from "../tools/hub_process.ts";
import { dialWire } from "../tools/wire_client.ts";
import { kafkaJars } from "./kafka_jars.ts";

export const clusterId = "4L6g3nShT-eMCtK--X86sw";
export const quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error";
/** A virtual machine that starts fast and stays small: it is asked little, and never for speed. */
const light = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Djava.awt.headless=true"];

export interface ApacheKafka {
  readonly port: number;
  readonly pid: number;
  /** Ends it and removes its folder. */
  end(): Promise<void>;
}

/** The file a single broker needs; the controller listens on `controllerPort`. */
export function brokerProperties(
  port: number,
  controllerPort: number,
  folder: string,
  more: Readonly<Record<string, string | number>> = {},
): string {
  const values: Record<string, string | number> = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.quorum.bootstrap.servers": `127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "log.dirs": `${folder}/data`,
    // one broker cannot hold three replicas of its internal topics
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    ...more,
  };
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

/** A port that was free a moment ago: a broker and its controller have to know each other's before they start. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** True once the broker answers; a listener that accepts may still refuse to talk. */
async function answers(port: number): Promise<boolean> {
  try {
    const wire = await dialWire(port);
    try {
      const { brokers } = await wire.call("metadata", 12, { topics: [] });
      return brokers.length === 1;
    } finally {
      wire.close();
    }
  } catch {
    return false;
  }
}

/** Formats a folder and starts a broker on it; rejects with its words when it does not answer within a minute. */
export async function startApacheKafka(more: Readonly<Record<string, string | number>> = {}): Promise<ApacheKafka> {
  const classPath = `${await kafkaJars()}/*`;
  const { folder, remove } = scratch();
  const file = path.join(folder, "server.properties");
  const [port, controllerPort] = [await freePort(), await freePort()];
  writeFileSync(file, brokerProperties(port, controllerPort, folder, more));
  const java = ["-Xmx512m", ...light, quiet, "-cp", classPath];
  const format = ["kafka.tools.StorageTool", "format", "-t", clusterId, "-c", file, "--standalone"];
  await run("java", [...java, ...format]);
  const child = spawn("java", [...java, "kafka.Kafka", file], { stdio: ["ignore", "pipe", "pipe"] });
  let words = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (bytes: Buffer) => (words = (words + bytes.toString()).slice(-20_000)));
  }
  const broker = { port, pid: child.pid!, end: ender(child, remove) };
  for (const late = Date.now() + 60_000; !(await answers(port)); await new Promise((go) => setTimeout(go, 50))) {
    if (child.exitCode === null && Date.now() < late) continue;
    await broker.end();
    throw new Error(`Apache Kafka did not come up:\n${words}`);
  }
  return broker;
}

/** Data does not matter afterwards, so it is not asked to shut down in order. */
function ender(child: ChildProcess, remove: () => void): () => Promise<void> {
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  return async () => {
    kill();
    await gone;
    process.off("exit", kill);
    remove();
  };
}
