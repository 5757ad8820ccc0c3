// kafkajs 2.2.4 against a hub: producer, consumer groups that share and rebalance, admin.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import { root, scratch, startHub } from "../tools/hub_process.ts";
import { callsBut, standard } from "./cases.ts";
import { node24 } from "./clients.ts";
import { here, session } from "./program.ts";
import { compat } from "./table.ts";

// It is only here for the tests, so it lies with their tools, and comes without types.
const require = createRequire(path.join(root, "test/.tools/package.json"));
// biome-ignore lint/suspicious/noExplicitAny: an untyped foreign client
const { Kafka, CompressionTypes, logLevel } = require("kafkajs") as any;

async function withClient(use: (kafka: InstanceType<typeof Kafka>) => Promise<void>): Promise<void> {
  const { folder, remove } = scratch();
  const hub = await startHub({ data: folder, env: { PARTIDOR_SETTINGS__GROUP_INITIAL_REBALANCE_DELAY_MS: "300" } });
  try {
    const brokers = [`127.0.0.1:${hub.kafka}`];
    await use(new Kafka({ clientId: "compat", brokers, logLevel: logLevel.NOTHING }));
  } finally {
    await hub.end("SIGKILL");
    remove();
  }
}

compat("kafkajs", "group: keys stay together, two groups each get everything", async () => {
  await withClient(async (kafka) => {
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic: "work", numPartitions: 3 }] });
    const producer = kafka.producer();
    await producer.connect();
    const messages = Array.from({ length: 300 }, (_, i) => ({
      key: `k${i % 30}`,
      value: String(i),
      headers: { n: `${i}` },
    }));
    await producer.send({ topic: "work", acks: -1, compression: CompressionTypes.GZIP, messages });
    const seen = new Map<string, Map<string, Set<number>>>();
    const counts = new Map<string, number>();
    const consumers: { disconnect(): Promise<void> }[] = [];
    const expected = { one: 300, two: 300 } as Record<string, number>;
    await new Promise<void>((resolve, reject) => {
      const start = async (group: string, name: string): Promise<void> => {
        const consumer = kafka.consumer({ groupId: group, sessionTimeout: 10_000 });
        consumers.push(consumer);
        await consumer.connect();
        await consumer.subscribe({ topics: ["work"], fromBeginning: true });
        await consumer.run({
          eachMessage: async ({ partition, message }: { partition: number; message: { key: Buffer } }) => {
            const keys = seen.get(group) ?? new Map<string, Set<number>>();
            seen.set(group, keys);
            const key = message.key.toString();
            keys.set(key, (keys.get(key) ?? new Set()).add(partition));
            counts.set(group, (counts.get(group) ?? 0) + 1);
            counts.set(name, (counts.get(name) ?? 0) + 1);
            if (Object.keys(expected).every((one) => counts.get(one) === expected[one])) resolve();
          },
        });
      };
      Promise.all([start("one", "one-a"), start("one", "one-b"), start("two", "two-a")]).catch(reject);
    });
    for (const keys of seen.values()) {
      assert.equal(keys.size, 30);
      for (const partitions of keys.values()) assert.equal(partitions.size, 1);
    }
    const { groups } = await admin.describeGroups(["one"]);
    assert.equal(groups[0].state, "Stable");
    assert.equal(groups[0].members.length, 2);
    for (const consumer of consumers) await consumer.disconnect();
    await producer.disconnect();
    await admin.disconnect();
  });
});

compat("kafkajs", "admin: a whole life of a topic", async () => {
  await withClient(async (kafka) => {
    const admin = kafka.admin();
    await admin.connect();
    assert.equal(await admin.createTopics({ topics: [{ topic: "a", numPartitions: 2 }] }), true);
    assert.equal(await admin.createTopics({ topics: [{ topic: "a" }] }), false);
    await admin.createPartitions({ topicPartitions: [{ topic: "a", count: 4 }] });
    const { topics } = await admin.fetchTopicMetadata({ topics: ["a"] });
    assert.equal(topics[0].partitions.length, 4);
    const type = 2;
    const configs = async (): Promise<Map<string, string>> => {
      const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type, name: "a" }] });
      return new Map(
        resources[0].configEntries.map((entry: { configName: string; configValue: string }) => [
          entry.configName,
          entry.configValue,
        ]),
      );
    };
    assert.equal((await configs()).get("retention.ms"), "604800000");
    const configEntries = [{ name: "retention.ms", value: "1000" }];
    await admin.alterConfigs({ resources: [{ type, name: "a", configEntries }] });
    assert.equal((await configs()).get("retention.ms"), "1000");
    const broker = { type: 4, name: "1", configNames: ["num.partitions", "node.id"] };
    const hubs = async () => (await admin.describeConfigs({ resources: [broker], includeSynonyms: true })).resources[0];
    const [id, partitionsBefore] = (await hubs()).configEntries;
    assert.deepEqual([id.configName, id.configValue, id.readOnly], ["node.id", "1", true]);
    assert.deepEqual([partitionsBefore.configValue, partitionsBefore.configSource], ["4", 5]);
    const more = [{ name: "num.partitions", value: "6" }];
    await admin.alterConfigs({ resources: [{ type: 4, name: "1", configEntries: more }] });
    const [, partitionsAfter] = (await hubs()).configEntries;
    assert.deepEqual([partitionsAfter.configValue, partitionsAfter.configSource], ["6", 2]);
    assert.equal(await admin.createTopics({ topics: [{ topic: "six" }] }), true);
    assert.equal((await admin.fetchTopicMetadata({ topics: ["six"] })).topics[0].partitions.length, 6);
    await admin.deleteTopics({ topics: ["six"] });
    await admin.setOffsets({ groupId: "g", topic: "a", partitions: [{ partition: 0, offset: "0" }] });
    const [{ partitions }] = await admin.fetchOffsets({ groupId: "g", topics: ["a"] });
    assert.equal(partitions.find((one: { partition: number }) => one.partition === 0).offset, "0");
    const listed = await admin.listGroups();
    assert.deepEqual(
      listed.groups.map((group: { groupId: string }) => group.groupId),
      ["g"],
    );
    await admin.deleteGroups(["g"]);
    assert.deepEqual((await admin.listGroups()).groups, []);
    await admin.deleteTopics({ topics: ["a"] });
    assert.deepEqual(
      (await admin.listTopics()).filter((name: string) => !name.startsWith("__")),
      [],
    );
    await assert.rejects(admin.fetchTopicMetadata({ topics: ["missing-and-not/legal"] }));
    await admin.disconnect();
  });
});

compat("kafkajs", "group: goes on after a restart of its own", async () => {
  await withClient(async (kafka) => {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 5 });
    await producer.connect();
    const read = async (count: number): Promise<string[]> => {
      const consumer = kafka.consumer({ groupId: "resumes" });
      await consumer.connect();
      await consumer.subscribe({ topics: ["numbers"], fromBeginning: true });
      const got: string[] = [];
      await new Promise<void>((resolve) => {
        void consumer.run({
          eachMessage: async ({ message }: { message: { value: Buffer } }) => {
            got.push(message.value.toString());
            if (got.length === count) resolve();
          },
        });
      });
      await consumer.stop();
      await consumer.disconnect();
      return got.sort();
    };
    await producer.send({ topic: "numbers", messages: ["1", "2", "3"].map((value) => ({ value })) });
    assert.deepEqual(await read(3), ["1", "2", "3"]);
    await producer.send({ topic: "numbers", messages: [{ value: "4" }] });
    assert.deepEqual(await read(1), ["4"]);
    await producer.disconnect();
  });
});

const program = session(async (server) => ({ command: node24, args: [path.join(here, "kafkajs/main.ts"), server] }));

// It brings gzip alone; it has no static members, no offsets by time in a consumer, and a smaller admin client.
const missing = /snappy|lz4|zstd|by time|static|^new group|alter, delete$|every kind$|list and describe$/;
standard("kafkajs", program, callsBut(missing, ["admin: group offsets: list, alter"]));
