// Transactions over three hubs: a pipeline that reads, writes and commits in one, while hub after hub is killed.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import test from "node:test";
import { connect } from "../../hub/mod.ts";
import { root, runner } from "../tools/hub_process.ts";
import { ChaosStage } from "./cluster/stage.ts";

const require = createRequire(path.join(root, "test/.tools/package.json"));
// biome-ignore lint/suspicious/noExplicitAny: an untyped foreign client
const { Kafka, logLevel } = require("kafkajs") as any;

const [source, sink, group] = ["in", "out", "pipeline"];
const inputs = 150;
/** A worker says twice a second that it is alive. */
const silentMsMax = 15_000;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

// biome-ignore lint/suspicious/noExplicitAny: an untyped foreign client
async function fill(kafka: any): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  const topics = [source, sink].map((topic) => ({ topic, numPartitions: 3 }));
  await admin.createTopics({ waitForLeaders: true, topics });
  await admin.disconnect();
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  const messages = Array.from({ length: inputs }, (_, i) => ({ key: `${i}`, value: `${i}` }));
  await producer.send({ topic: source, acks: -1, messages });
  await producer.disconnect();
}

/** A worker's process; started again whenever it ended, and killed when it is silent for as long as no live one is. */
class Worker {
  readonly #args: readonly string[];
  #child: ChildProcess | null = null;
  #open = true;
  #again: NodeJS.Timeout | undefined;
  /** What each life ended with. */
  readonly words: string[] = [];
  done = 0;

  constructor(bootstrap: string, name: string) {
    this.#args = [path.join(import.meta.dirname, "cluster/pipeline_worker.ts"), bootstrap, name, group, source, sink];
  }

  start(): void {
    const child = spawn(process.execPath, [...runner(), ...this.#args], { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    let words = "";
    const hung = setTimeout(() => {
      words += "silent, killed";
      child.kill("SIGKILL");
    }, silentMsMax);
    child.stdout.on("data", (bytes: Buffer) => {
      this.done += bytes.toString().split("done").length - 1;
      hung.refresh();
    });
    child.stderr.on("data", (bytes: Buffer) => (words += bytes.toString()));
    child.once("close", (code) => {
      clearTimeout(hung);
      this.words.push(words.trim() || `ended with ${code}`);
      if (this.#open) this.#again = setTimeout(() => this.start(), 200);
    });
  }

  stop(): void {
    this.#open = false;
    clearTimeout(this.#again);
    this.#child?.kill("SIGKILL");
  }
}

/** What a reader of committed records finds, until all inputs are there or nothing more comes. */
async function results(stage: ChaosStage): Promise<string[]> {
  const client = connect({ bootstrap: stage.bootstrap(), clientId: "results" });
  try {
    const consumer = client.consumer({ isolation: "read_committed" });
    await consumer.assign([{ topic: sink, from: "earliest" }]);
    const found: string[] = [];
    for (const end = performance.now() + 60_000; performance.now() < end; ) {
      const before = found.length;
      for (const { records } of await consumer.poll(1_000)) {
        for (const { value } of records) found.push(Buffer.from(value!).toString());
      }
      if (new Set(found).size === inputs && found.length === before) break;
    }
    await consumer.close();
    return found;
  } finally {
    await client.close();
  }
}

test("exactly once: each input is in the output once, though every hub was killed meanwhile", async () => {
  const env = { PARTIDOR_SETTINGS__GROUP_INITIAL_REBALANCE_DELAY_MS: "0" };
  const stage = await ChaosStage.open(3, { env });
  const brokers = stage.bootstrap().split(",");
  const retry = { retries: 30, initialRetryTime: 100, maxRetryTime: 1_000 };
  const kafka = new Kafka({ clientId: "eos", brokers, logLevel: logLevel.NOTHING, retry });
  const workers = ["one", "two"].map((name) => new Worker(stage.bootstrap(), name));
  try {
    await fill(kafka);
    for (const worker of workers) worker.start();
    const done = (): number => workers.reduce((sum, worker) => sum + worker.done, 0);
    const reach = async (count: number): Promise<void> => {
      for (const end = performance.now() + 60_000; done() < count; await pause(20)) {
        if (performance.now() > end) throw new Error(`only ${done()} of ${count} transactions`);
      }
    };
    for (const [i, hub] of stage.hubs.entries()) {
      await reach(30 * (i + 1));
      await hub.end("SIGKILL");
      await pause(1_500);
      await hub.start();
    }
    const found = await results(stage);
    assert.equal(found.length, new Set(found).size, "none twice");
    assert.equal(found.length, inputs, `${done()} transactions were committed`);
    assert.deepEqual(
      [...found].sort((a, b) => Number(a) - Number(b)),
      Array.from({ length: inputs }, (_, i) => `${i}`),
    );
  } catch (error) {
    const counts = workers.map(({ done, words }) => `${done} done; ${words.join(", ")}`).join("\n");
    const told = stage.hubs.map((hub) => `--- hub ${hub.id}:\n${hub.words.slice(-6000)}`).join("\n");
    throw new Error(`${String(error)}\n${counts}\n${told}`, { cause: error });
  } finally {
    for (const worker of workers) worker.stop();
    await stage.close();
  }
});
