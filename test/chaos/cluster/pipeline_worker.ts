// A worker of the pipeline under test, a process of its own: every message of one topic becomes one of another, in a
// transaction with its offset. Ends when something fails, as its clients cannot go on then; to be started again.
//
// A process and not a part of the test: when a consumer of kafkajs 2.2.4 crashes, its fetchers may turn round for ever
// without giving the event loop a turn, and nothing else in that process runs again.
import { createRequire } from "node:module";
import path from "node:path";
import { root } from "../../tools/hub_process.ts";

const require = createRequire(path.join(root, "test/.tools/package.json"));
// biome-ignore lint/suspicious/noExplicitAny: an untyped foreign client
const { Kafka, logLevel } = require("kafkajs") as any;

// biome-ignore lint/suspicious/noExplicitAny: an untyped foreign client
type Client = any;

const [bootstrap = "", transactionalId, groupId, source, sink] = process.argv.slice(2);
const retry = { retries: 8, initialRetryTime: 50, maxRetryTime: 500 };
const kafka = new Kafka({
  clientId: transactionalId,
  brokers: bootstrap.split(","),
  logLevel: logLevel.NOTHING,
  retry: { retries: 30, initialRetryTime: 100, maxRetryTime: 1_000 },
});
const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, heartbeatInterval: 500, retry });
const producer = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1, retry });
const tell = (word: "alive" | "done"): boolean => process.stdout.write(`${word}\n`);

function fail(error: unknown): never {
  console.error(String(error));
  process.exit(1);
}

async function eachMessage({ topic, partition, message }: Client): Promise<void> {
  try {
    const transaction = await producer.transaction();
    await transaction.send({ topic: sink, acks: -1, messages: [{ key: message.key, value: message.value }] });
    const topics = [{ topic, partitions: [{ partition, offset: `${BigInt(message.offset) + 1n}` }] }];
    await transaction.sendOffsets({ consumerGroupId: groupId, topics });
    await transaction.commit();
  } catch (error) {
    fail(error);
  }
  tell("done");
}

setInterval(tell, 500, "alive");
consumer.on("consumer.crash", ({ payload }: Client) => fail(payload.error));
try {
  await producer.connect();
  await consumer.connect();
  await consumer.subscribe({ topics: [source], fromBeginning: true });
  await consumer.run({ autoCommit: false, eachMessage });
} catch (error) {
  fail(error);
}
