// Kafka Connect against a hub: file to topic to file, standalone and distributed, over stops and kills of workers.
import assert from "node:assert/strict";
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { runCli, scratch } from "../tools/hub_process.ts";
import { type JavaProcess, startJava } from "./java_process.ts";
import { withHub } from "./program.ts";
import { compat } from "./table.ts";

const cli = "org.apache.kafka.connect.cli";
const converter = "org.apache.kafka.connect.storage.StringConverter";
const source = (file: string): Record<string, string> => ({
  "connector.class": "FileStreamSource",
  file,
  topic: "lines",
});
const sink = (file: string): Record<string, string> => ({ "connector.class": "FileStreamSink", file, topics: "lines" });

function properties(file: string, values: Readonly<Record<string, string>>): string {
  writeFileSync(
    file,
    Object.entries(values)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
  return file;
}

const linesOf = (file: string): string[] =>
  existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== "")
    : [];

async function until(what: string, holds: () => boolean | Promise<boolean>, worker: JavaProcess): Promise<void> {
  for (const end = Date.now() + 60_000; !(await holds()); await new Promise((resolve) => setTimeout(resolve, 50))) {
    if (Date.now() > end) throw new Error(`${what} took longer than 60 s:\n${worker.words().slice(-6_000)}`);
  }
}

/** A port that was free a moment ago: a worker tells others its port, so it has to be a known one. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Place {
  readonly server: string;
  readonly folder: string;
  readonly input: string;
  readonly output: string;
  /** Adds lines to the source's file and waits until the sink's file has them all, each once. */
  flow(from: number, to: number, worker: JavaProcess): Promise<void>;
}

async function withPlace(use: (place: Place) => Promise<void>): Promise<void> {
  await withHub(async (hub) => {
    const { folder, remove } = scratch();
    const [input, output] = [path.join(folder, "in.txt"), path.join(folder, "out.txt")];
    const expected: string[] = [];
    const flow = async (from: number, to: number, worker: JavaProcess): Promise<void> => {
      const added = Array.from({ length: to - from }, (_, i) => `line ${from + i}`);
      expected.push(...added);
      appendFileSync(input, added.map((line) => `${line}\n`).join(""));
      await until(`line ${to}`, () => linesOf(output).length >= expected.length, worker);
      assert.deepEqual(linesOf(output), expected);
    };
    // one partition, so that the lines come out in the order they went in
    await runCli(["topic", "create", "lines", "--partitions", "1", "--bootstrap", `127.0.0.1:${hub().kafka}`]);
    try {
      await use({ server: `127.0.0.1:${hub().kafka}`, folder, input, output, flow });
    } finally {
      remove();
    }
  });
}

const shared = (server: string): Record<string, string> => ({
  "bootstrap.servers": server,
  "key.converter": converter,
  "value.converter": converter,
  "offset.flush.interval.ms": "500",
});

compat("Kafka Connect", "standalone: file to topic to file, offsets kept over a stop", async () => {
  await withPlace(async ({ server, folder, input, output, flow }) => {
    const at = (name: string): string => path.join(folder, name);
    const offsets = {
      "offset.storage.file.filename": at("offsets"),
      listeners: `http://127.0.0.1:${await freePort()}`,
    };
    const files = [
      properties(at("worker.properties"), { ...shared(server), ...offsets }),
      properties(at("source.properties"), { name: "source", ...source(input) }),
      properties(at("sink.properties"), { name: "sink", ...sink(output) }),
    ];
    for (const [from, to] of [
      [0, 50],
      [50, 60],
    ] as const) {
      const worker = await startJava(`${cli}.ConnectStandalone`, files);
      try {
        await flow(from, to, worker);
        await worker.end("SIGTERM");
      } finally {
        await worker.end();
      }
    }
  });
});

/** A distributed worker and its REST interface. */
interface Worker {
  readonly process: JavaProcess;
  readonly port: number;
  call(method: string, route: string, body?: unknown): Promise<{ status: number; body: string }>;
}

async function startWorker(place: Place, name: string, more: Readonly<Record<string, string>>): Promise<Worker> {
  const port = await freePort();
  const settings = {
    ...shared(place.server),
    "group.id": "connect",
    "config.storage.topic": "connect-configs",
    "offset.storage.topic": "connect-offsets",
    "status.storage.topic": "connect-status",
    "offset.storage.partitions": "5",
    listeners: `http://127.0.0.1:${port}`,
    "session.timeout.ms": "6000",
    "heartbeat.interval.ms": "500",
    "scheduled.rebalance.max.delay.ms": "500",
    ...more,
  };
  const file = properties(path.join(place.folder, `${name}.properties`), settings);
  const process = await startJava(`${cli}.ConnectDistributed`, [file]);
  const call: Worker["call"] = async (method, route, body) => {
    const headers = { "content-type": "application/json" };
    const init = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) };
    const answer = await fetch(`http://127.0.0.1:${port}${route}`, init).catch((error: Error) => error);
    return answer instanceof Error
      ? { status: 0, body: answer.message }
      : { status: answer.status, body: await answer.text() };
  };
  const worker = { process, port, call };
  try {
    await until(`${name}'s REST interface`, async () => (await call("GET", "/connectors")).status === 200, process);
    return worker;
  } catch (error) {
    await process.end();
    throw error;
  }
}

/** Which workers run a connector and its task; empty while one of them does not run. */
async function placesOf(worker: Worker, connector: string): Promise<string[]> {
  const { status, body } = await worker.call("GET", `/connectors/${connector}/status`);
  if (status !== 200) return [];
  const told = JSON.parse(body) as {
    connector: { state: string; worker_id: string };
    tasks: (typeof told.connector)[];
  };
  const all = [told.connector, ...told.tasks];
  return all.length === 2 && all.every(({ state }) => state === "RUNNING") ? all.map((one) => one.worker_id) : [];
}

async function create(worker: Worker, name: string, config: Readonly<Record<string, string>>): Promise<void> {
  // a worker that has just joined refuses with 409 until its group is stable
  await until(
    `the connector ${name}`,
    async () => [201, 200].includes((await worker.call("PUT", `/connectors/${name}/config`, config)).status),
    worker.process,
  );
  await until(`${name} to run`, async () => (await placesOf(worker, name)).length > 0, worker.process);
}

async function distributed(place: Place, more: Readonly<Record<string, string>>): Promise<void> {
  const first = await startWorker(place, "first", more);
  let second: Worker | null = null;
  try {
    await create(first, "source", source(place.input));
    await create(first, "sink", sink(place.output));
    await place.flow(0, 20, first.process);
    const other = await startWorker(place, "second", more);
    second = other;
    // the group gives each of the two workers something to do
    const workers = async (): Promise<number> =>
      new Set([...(await placesOf(other, "source")), ...(await placesOf(other, "sink"))]).size;
    await until("two workers to share", async () => (await workers()) === 2, other.process);
    await place.flow(20, 40, other.process);
    // time for the sink's and the source's offsets of what has flowed to be written
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await first.process.end("SIGKILL");
    const alone = `127.0.0.1:${other.port}`;
    const all = async (): Promise<string[]> => [
      ...(await placesOf(other, "source")),
      ...(await placesOf(other, "sink")),
    ];
    const taken = async (): Promise<boolean> => {
      const places = await all();
      return places.length === 4 && places.every((one) => one === alone);
    };
    await until("the second worker to take over", taken, other.process);
    await place.flow(40, 60, other.process);
    await manageOffsets(place, other);
  } finally {
    await first.process.end();
    await second?.process.end();
  }
}

/** Reads the source's offset; forgets the sink's, which then writes everything again. */
async function manageOffsets(place: Place, worker: Worker): Promise<void> {
  const size = readFileSync(place.input).length;
  const told = async (): Promise<boolean> =>
    (await worker.call("GET", "/connectors/source/offsets")).body.includes(`"position":${size}`);
  await until("the source's offset", told, worker.process);
  await worker.call("PUT", "/connectors/sink/stop");
  const forgotten = async (): Promise<boolean> =>
    (await worker.call("DELETE", "/connectors/sink/offsets")).status === 200;
  await until("the sink's offsets to be deleted", forgotten, worker.process);
  const before = linesOf(place.output);
  rmSync(place.output);
  await worker.call("PUT", "/connectors/sink/resume");
  await until("the sink to write again", () => linesOf(place.output).length >= before.length, worker.process);
  assert.deepEqual(linesOf(place.output), before);
}

const topicOf = async (server: string, name: string): Promise<string> =>
  (await runCli(["topic", "describe", name, "--bootstrap", server])).stdout;

compat(
  "Kafka Connect",
  "distributed: two workers share, one is killed, the other goes on; offsets read and reset",
  async () => {
    await withPlace(async (place) => {
      // -1: the hub's default, and its own topics must be compacted or a worker refuses to start
      const factors = ["config", "offset", "status"].map((one) => [`${one}.storage.replication.factor`, "-1"]);
      await distributed(place, Object.fromEntries(factors));
      assert.match(await topicOf(place.server, "connect-configs"), /cleanup\.policy\W+compact/);
    });
  },
);

compat("Kafka Connect", "distributed: an exactly-once source, its zombie tasks fenced", async () => {
  await withPlace(async (place) => {
    const factors = ["config", "offset", "status"].map((one) => [`${one}.storage.replication.factor`, "1"]);
    await distributed(place, { ...Object.fromEntries(factors), "exactly.once.source.support": "enabled" });
  });
});
