// Apache Kafka's admin tools against a hub: topics, settings, log dirs, features, quorum, elections, reassignments.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { run, scratch, startHub } from "../tools/hub_process.ts";
import { jarsOnly } from "./clients.ts";
import { compat } from "./table.ts";

const tools = {
  topics: "org.apache.kafka.tools.TopicCommand",
  configs: "kafka.admin.ConfigCommand",
  logDirs: "org.apache.kafka.tools.LogDirsCommand",
  features: "org.apache.kafka.tools.FeatureCommand",
  quorum: "org.apache.kafka.tools.MetadataQuorumCommand",
  election: "org.apache.kafka.tools.LeaderElectionCommand",
  reassign: "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
} as const;

interface Bench {
  readonly folder: string;
  readonly data: string;
  readonly kafka: number;
  /** Runs a tool with one line of arguments; what it printed, also when it failed. */
  tool(name: keyof typeof tools, args: string): Promise<string>;
  /** Writes a JSON file for a tool. */
  file(name: string, content: unknown): string;
}

async function withTools(use: (bench: Bench) => Promise<void>): Promise<void> {
  const jars = await jarsOnly();
  const { folder, remove } = scratch();
  const data = path.join(folder, "data");
  const hub = await startHub({ data });
  const quick = ["-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];
  const quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error";
  const server = ["--bootstrap-server", `127.0.0.1:${hub.kafka}`];
  try {
    await use({
      folder,
      data,
      kafka: hub.kafka,
      async tool(name, args) {
        const all = [...quick, quiet, "-cp", `${jars}/*`, tools[name], ...server, ...args.split(" ")];
        return await run("java", all).catch((error: Error) => error.message);
      },
      file(name, content) {
        const place = path.join(folder, name);
        writeFileSync(place, JSON.stringify(content));
        return place;
      },
    });
  } finally {
    await hub.end("SIGKILL");
    remove();
  }
}

compat("console tools", "kafka-topics: create, alter, describe, delete", async () => {
  await withTools(async ({ tool }) => {
    await tool("topics", "--create --topic t --partitions 2 --config retention.ms=100000");
    await tool("topics", "--alter --topic t --partitions 4");
    const told = await tool("topics", "--describe --topic t");
    assert.match(told, /PartitionCount: 4\s+ReplicationFactor: 1\s+Configs: retention\.ms=100000/);
    assert.match(told, /Partition: 3\s+Leader: 1\s+Replicas: 1\s+Isr: 1/);
    assert.match(await tool("topics", "--alter --topic t --partitions 1"), /4/);
    await tool("topics", "--delete --topic t");
    assert.equal((await tool("topics", "--list --exclude-internal")).trim(), "");
  });
});

compat("console tools", "kafka-configs: topics, brokers, groups, each with its sources", async () => {
  await withTools(async ({ tool }) => {
    await tool("topics", "--create --topic t --partitions 1 --config retention.ms=100000");
    const own = await tool("configs", "--describe --entity-type topics --entity-name t");
    assert.match(own, /retention\.ms=100000 .*DYNAMIC_TOPIC_CONFIG:.*DEFAULT_CONFIG:log\.retention\.ms=604800000/);
    await tool("configs", "--alter --entity-type brokers --entity-name 1 --add-config log.segment.bytes=1000000");
    await tool("configs", "--alter --entity-type brokers --entity-default --add-config message.max.bytes=2000000");
    const brokers = await tool("configs", "--describe --entity-type brokers");
    assert.match(brokers, /log\.segment\.bytes=1000000 .*DYNAMIC_BROKER_CONFIG/);
    assert.match(brokers, /message\.max\.bytes=2000000 .*DYNAMIC_DEFAULT_BROKER_CONFIG/);
    const all = await tool("configs", "--describe --entity-type topics --entity-name t --all");
    assert.match(all, /max\.message\.bytes=2000000 .*DYNAMIC_DEFAULT_BROKER_CONFIG:message\.max\.bytes=2000000/);
    const refused = await tool("configs", "--alter --entity-type brokers --entity-name 1 --add-config node.id=5");
    assert.match(refused, /node\.id cannot be changed/);
    await tool("configs", "--alter --entity-type brokers --entity-name 1 --delete-config log.segment.bytes");
    assert.doesNotMatch(await tool("configs", "--describe --entity-type brokers --entity-name 1"), /segment/);
    const session = "consumer.session.timeout.ms=50000";
    await tool("configs", `--alter --entity-type groups --entity-name g --add-config ${session}`);
    assert.match(await tool("configs", "--describe --entity-type groups"), /timeout\.ms=50000 .*DYNAMIC_GROUP_CONFIG/);
    assert.equal((await tool("configs", "--describe --entity-type client-metrics")).trim(), "");
  });
});

compat("console tools", "kafka-log-dirs, kafka-metadata-quorum, kafka-features: what one hub has to say", async () => {
  await withTools(async ({ tool, data, kafka }) => {
    await tool("topics", "--create --topic t --partitions 2");
    const dirs = await tool("logDirs", "--describe");
    const { brokers } = JSON.parse(dirs.split("\n").find((line) => line.startsWith("{"))!) as {
      brokers: { broker: number; logDirs: { logDir: string; error: null; partitions: { partition: string }[] }[] }[];
    };
    const [{ logDir, error, partitions }] = brokers[0]!.logDirs as [(typeof brokers)[0]["logDirs"][0]];
    const own = partitions.filter(({ partition }) => !partition.startsWith("__"));
    assert.deepEqual([brokers[0]!.broker, logDir, error, own.length], [1, data, null, 2]);
    const status = await tool("quorum", "describe --status");
    assert.match(status, /LeaderId:\s+1\n/);
    assert.match(status, new RegExp(`CurrentVoters:.*"id": 1.*CONTROLLER://127\\.0\\.0\\.1:${kafka}`));
    assert.match(await tool("quorum", "describe --replication"), /^1\s.*Leader\s*$/m);
    await tool("features", "describe");
    const upgrade = await tool("features", "upgrade --feature share.version=99");
    assert.match(upgrade, /Could not upgrade share\.version to 99/);
  });
});

compat("console tools", "kafka-leader-election, kafka-reassign-partitions: nothing to move, and said so", async () => {
  await withTools(async ({ tool, file }) => {
    await tool("topics", "--create --topic t --partitions 2");
    const elected = await tool("election", "--election-type preferred --topic t --partition 1");
    assert.match(elected, /Valid replica already elected for partitions t-1/);
    const partitions = [0, 1].map((partition) => ({ topic: "t", partition, replicas: [1] }));
    const moves = file("moves.json", { version: 1, partitions });
    const begun = await tool("reassign", `--reassignment-json-file ${moves} --execute --throttle 1000000`);
    assert.match(begun, /Successfully started partition reassignments for t-0,t-1/);
    const done = await tool("reassign", `--reassignment-json-file ${moves} --verify`);
    assert.match(done, /Reassignment of partition t-1 is completed[\s\S]*Clearing topic-level throttles on topic t/);
    assert.match(await tool("reassign", "--list"), /No partition reassignments found/);
    const own = await tool("configs", "--describe --entity-type topics --entity-name t");
    assert.doesNotMatch(own, /throttled/);
  });
});
