// The client against brokers that are not ours, beside clients that are not ours: librdkafka's broker, kafka-python.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import test from "node:test";
import { connectNet } from "../../../hub/client/client.ts";
import type { HubClient } from "../../../hub/client/faces.ts";
import { openClock } from "../../../hub/io/clock.ts";
import { openNet } from "../../../hub/io/net.ts";
import { fill, names, pollUntil, take, text, withClient } from "./ways.ts";

const works = (command: string, args: readonly string[]): boolean => spawnSync(command, args).status === 0;
const kcat = works("kcat", ["-V"]);
const python = works("/usr/bin/python3", ["-c", "import kafka"]);
const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `v${index}`);

/** A cluster of librdkafka's own broker (three nodes, topics of four partitions, in memory), inside a kcat. */
async function withForeignCluster(use: (client: HubClient) => Promise<void>): Promise<void> {
  const args = ["-b", "none", "-X", "test.mock.num.brokers=3", "-d", "mock", "-C", "-t", "unused", "-o", "end"];
  const child = spawn("kcat", args, { stdio: ["ignore", "ignore", "pipe"] });
  const alive = setInterval(() => {}, 1000);
  let client: HubClient | null = null;
  try {
    const servers = await new Promise<string>((resolve, reject) => {
      let said = "";
      child.stderr.on("data", (chunk) => {
        said = said.length < 100_000 ? said + String(chunk) : said;
        const found = /bootstrap\.servers=(\S+)/.exec(said);
        if (found !== null) resolve(found[1]!);
      });
      child.once("error", reject);
      child.once("exit", () => reject(new Error("kcat ended")));
    });
    const bootstrap = servers.split(",").map((server) => {
      const [host, port] = server.split(":");
      return { host: host!, port: Number(port) };
    });
    const clock = openClock();
    client = connectNet({ net: openNet(clock), clock, bootstrap, clientId: "test" });
    await use(client);
  } finally {
    await client?.close();
    clearInterval(alive);
    child.kill();
  }
}

test("librdkafka's broker: produce, fetch, groups that share and commit", async () => {
  if (!kcat) return console.log("skipped: kcat is not installed (apt-get install kcat)");
  await withForeignCluster(async (client) => {
    await fill(client, "t", numbered(40), 4);
    const reader = client.consumer();
    await reader.assign([0, 1, 2, 3].map((partition) => ({ topic: "t", partition, from: { offset: 0 } })));
    const records = await take(reader, 40);
    assert.deepEqual(records.map(({ value }) => text(value)).sort(), numbered(40).sort());
    const options = { group: "g", sessionTimeoutMs: 4_000, from: { offset: 0 } };
    const members = [client.consumer(options), client.consumer(options)];
    await members[0]!.subscribe(["t"]);
    let count = 0;
    await pollUntil(
      [members[0]!],
      () => count >= 40,
      async ({ topic, partition, nextOffset, records: some }) => {
        count += some.length;
        await members[0]!.commit([{ topic, partition, offset: nextOffset }]);
      },
    );
    await members[1]!.subscribe(["t"]);
    await pollUntil(members, () => members.every((member) => member.assignment().length === 2));
    assert.deepEqual(names(members.flatMap((member) => [...member.assignment()])), ["t-0", "t-1", "t-2", "t-3"]);
    // That broker draws each partition's leader: in 28 draws of three one name alone does not happen.
    const more = ["u", "v", "w", "x", "y", "z"];
    for (const name of more) await fill(client, name, numbered(4), 4);
    const topics = await client.admin().topics(["t", ...more]);
    assert.deepEqual(
      topics.map(({ partitions }) => partitions.length),
      topics.map(() => 4),
    );
    const leaders = new Set(topics.flatMap(({ partitions }) => partitions.map(({ leader }) => leader)));
    assert.ok(leaders.size > 1, `one leader of all: ${[...leaders].join()}`);
  });
});

/** Runs Python; resolves with what it printed. */
function runPython(script: string, args: readonly string[]): { child: ChildProcess; output: Promise<string> } {
  const child = spawn("/usr/bin/python3", ["-u", "-c", script, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const output = new Promise<string>((resolve, reject) => {
    let [said, failed] = ["", ""];
    child.stdout.on("data", (chunk) => (said += String(chunk)));
    child.stderr.on("data", (chunk) => (failed += String(chunk)));
    child.once("exit", (code) => (code === 0 ? resolve(said) : reject(new Error(`python: ${code} ${failed}`))));
  });
  return { child, output };
}

const pythonProduce = `
import sys
from kafka import KafkaProducer
producer = KafkaProducer(bootstrap_servers=[sys.argv[1]])
for index in range(100):
    producer.send(sys.argv[2], key=b'k%d' % (index % 10), value=b'v%d' % index)
producer.flush()
`;

const pythonConsume = `
import sys
from kafka import KafkaConsumer
consumer = KafkaConsumer(sys.argv[2], bootstrap_servers=[sys.argv[1]], auto_offset_reset='earliest',
    group_id='py', consumer_timeout_ms=3000)
for index, record in enumerate(consumer):
    print(record.partition, record.key.decode(), record.value.decode())
    if index == 99: break
consumer.close()
`;

test("kafka-python: one key lies in one partition, whoever writes; each reads what the other wrote", async () => {
  if (!python) return console.log("skipped: kafka-python is not installed (apt-get install python3-kafka)");
  await withClient("over a socket", async (ground) => {
    const { client, kafka } = ground;
    const topic = await ground.topic(5);
    const address = `127.0.0.1:${kafka}`;
    await runPython(pythonProduce, [address, topic]).output;
    const consumer = client.consumer({ from: "earliest" });
    await consumer.assign([{ topic }]);
    const theirs = await take(consumer, 100);
    const places = new Map(theirs.map(({ key, partition }) => [text(key), partition]));
    const other = await ground.topic(5);
    const producer = client.producer();
    const ours = await Promise.all(
      numbered(100).map((value, index) =>
        producer.publish(other, { key: Buffer.from(`k${index % 10}`), value: Buffer.from(value) }),
      ),
    );
    for (const [index, { partition }] of ours.entries()) assert.equal(partition, places.get(`k${index % 10}`));
    const lines = (await runPython(pythonConsume, [address, other]).output).trim().split("\n");
    assert.equal(lines.length, 100);
    for (const line of lines) {
      const [partition, key, value] = line.split(" ");
      assert.equal(Number(partition), places.get(key!));
      assert.equal(key, `k${Number(value!.slice(1)) % 10}`);
    }
  });
});

const pythonMember = `
import sys, time
from kafka import KafkaConsumer
consumer = KafkaConsumer(sys.argv[2], bootstrap_servers=[sys.argv[1]], group_id='mixed', heartbeat_interval_ms=300,
    session_timeout_ms=6000)
end = time.time() + 15
while time.time() < end:
    consumer.poll(timeout_ms=100)
    held = sorted(p.partition for p in consumer.assignment())
    if len(held) == 2: break
print(held)
time.sleep(0.5)
consumer.close()
`;

test("kafka-python and ours in one group share the partitions, and ours takes over when it leaves", async () => {
  if (!python) return console.log("skipped: kafka-python is not installed (apt-get install python3-kafka)");
  await withClient("over a socket", async (ground) => {
    const { client, kafka } = ground;
    const topic = await ground.topic(4);
    const ours = client.consumer({ group: "mixed", sessionTimeoutMs: 6_000 });
    await ours.subscribe([topic]);
    await pollUntil([ours], () => ours.assignment().length === 4);
    const { output } = runPython(pythonMember, [`127.0.0.1:${kafka}`, topic]);
    await pollUntil([ours], () => ours.assignment().length === 2);
    const held = ours.assignment().map(({ partition }) => partition);
    let theirs: number[] | null = null;
    output.then(
      (said) => (theirs = JSON.parse(said) as number[]),
      () => (theirs = []),
    );
    await pollUntil([ours], () => theirs !== null);
    assert.deepEqual([...held, ...theirs!].sort(), [0, 1, 2, 3]);
    await pollUntil([ours], () => ours.assignment().length === 4);
  });
});
