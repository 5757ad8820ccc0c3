// Transactions over three hubs: a pipeline that reads, writes and commits in one, while hub after hub is killed.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import test from "node:test";
import { connect } from "../../hub/mod.ts";
import { root } from "../tools/hub_process.ts";
import { ChaosStage } from "./cluster/stage.ts";

const require = createRequire(path.join(root, "test/.tools/package.json"));
// biome-ignore lint/suspicious/noExplicitAny: an untyped foreign client
const { Kafka, logLevel } = require("kafkajs") as any;

const [source, sink, group] = ["in", "out", "pipeline"];
const inputs = 150;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

// biome-ignore lint/suspicious/noExplicitAny: an untyped foreign client
type Client = any;

async function fill(kafka: Client): Promise<void> {
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

/**
 * One worker: every message becomes one of the other topic, in a transaction with its offset. When a transaction fails
 * it starts over with clients of its own, as a process would that is started again: kafkajs's cannot go on.
 */
class Worker {
  readonly #kafka: Client;
  readonly #name: string;
  readonly words: string[] = [];
  #open = true;
  #running: Promise<void> = Promise.resolve();
  done = 0;

  constructor(kafka: Client, name: string) {
    this.#kafka = kafka;
    this.#name = name;
  }

  start(): void {
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (this.#open) {
      const retry = { retries: 8, initialRetryTime: 50, maxRetryTime: 500 };
      const consumer = this.#kafka.consumer({ groupId: group, sessionTimeout: 10_000, heartbeatInterval: 500, retry });
      const producer = this.#kafka.producer({
        transactionalId: this.#name,
        idempotent: true,
        maxInFlightRequests: 1,
        retry,
      });
      try {
        await this.#life(consumer, producer);
      } catch (error) {
        this.words.push(String(error));
        await pause(200);
      }
      for (const client of [consumer, producer])
        await Promise.race([client.disconnect().catch(() => {}), pause(3_000)]);
    }
  }

  /** Until something fails, or there is no more to do. */
  async #life(consumer: Client, producer: Client): Promise<void> {
    await producer.connect();
    await consumer.connect();
    await consumer.subscribe({ topics: [source], fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      consumer.on("consumer.crash", ({ payload }: Client) => {
        if (!payload.restart) reject(payload.error);
      });
      const look = setInterval(() => {
        if (this.#open) return;
        clearInterval(look);
        resolve();
      }, 100);
      const one = async (given: Client): Promise<void> => {
        const { partition, message, topic } = given;
        const transaction = await producer.transaction();
        await transaction.send({ topic: sink, acks: -1, messages: [{ key: message.key, value: message.value }] });
        const topics = [{ topic, partitions: [{ partition, offset: `${BigInt(message.offset) + 1n}` }] }];
        await transaction.sendOffsets({ consumerGroupId: group, topics });
        await transaction.commit();
        this.done += 1;
      };
      const eachMessage = async (given: Client): Promise<void> => {
        try {
          await one(given);
        } catch (error) {
          clearInterval(look);
          reject(error as Error);
          throw error;
        }
      };
      consumer.run({ autoCommit: false, eachMessage }).catch(reject);
    });
  }

  async stop(): Promise<void> {
    this.#open = false;
    await Promise.race([this.#running, pause(10_000)]);
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
  const workers = ["one", "two"].map((name) => new Worker(kafka, name));
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
    await Promise.all(workers.map((worker) => worker.stop()));
    await stage.close();
  }
});
