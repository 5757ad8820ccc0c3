// Apache Kafka's console tools that read and write records, and look after groups, offsets and transactions.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { apis } from "../../hub/wire/apis.ts";
import { scratch } from "../tools/hub_process.ts";
import { withHub } from "./program.ts";
import { compat } from "./table.ts";
import { startTools, type Tools } from "./tool_server.ts";

/** What each tool printed, by a name for the call; a tool that ended with another code than 0 says so. */
type Told = ReadonlyMap<string, string>;

const words = (line: string): string[] => line.split(" ").filter((word) => word !== "");

async function records(
  tell: (name: string, tool: Parameters<Tools["run"]>[0], line: string, input?: string) => Promise<void>,
): Promise<void> {
  const keyed =
    "--reader-property parse.key=true --reader-property key.separator=: --reader-property parse.headers=true";
  await tell("create", "topics", "--create --topic lines --partitions 2");
  for (const topic of ["packed", "fast"]) await tell(topic, "topics", `--create --topic ${topic} --partitions 1`);
  await tell("produce", "produce", `--topic lines ${keyed}`, "h:1\ta:1\nh:2\tb:2\nh:3\ta:3\n");
  await tell("produce zstd", "produce", "--topic packed --compression-codec zstd", "packed\n");
  const shown = ["key", "headers", "partition", "offset"]
    .map((one) => `--formatter-property print.${one}=true`)
    .join(" ");
  await tell("consume", "consume", `--topic lines --from-beginning --max-messages 3 ${shown}`);
  await tell("consume packed", "consume", "--topic packed --partition 0 --offset earliest --max-messages 1");
  const member = "--topic lines --group readers --from-beginning --max-messages 3";
  await tell("consume in a group", "consume", member);
  const next = "--topic lines --group next --from-beginning --max-messages 3";
  await tell("consume in a new group", "consume", `${next} --command-property group.protocol=consumer`);
  await tell("new group", "groups", "--describe --group next --state");
}

async function rest(tell: Parameters<typeof records>[0], folder: string): Promise<void> {
  await tell("list groups", "groups", "--list");
  await tell("describe group", "groups", "--describe --group readers");
  await tell("group state", "groups", "--describe --group readers --state");
  await tell("reset", "groups", "--reset-offsets --group readers --topic lines --to-earliest --execute");
  await tell("reset by", "groups", "--reset-offsets --group readers --topic lines:0 --shift-by 2 --execute");
  await tell("delete offsets", "groups", "--delete-offsets --group readers --topic lines:0");
  await tell("delete group", "groups", "--delete --group readers");
  await tell("list all groups", "allGroups", "--list");
  await tell("latest", "offsets", "--topic lines");
  await tell("earliest", "offsets", "--topic lines --time earliest");
  const file = path.join(folder, "delete.json");
  writeFileSync(file, JSON.stringify({ version: 1, partitions: [{ topic: "lines", partition: 0, offset: 1 }] }));
  await tell("delete records", "deleteRecords", `--offset-json-file ${file}`);
  await tell("earliest then", "offsets", "--topic lines --time earliest");
  await tell("api versions", "apiVersions", "");
  await tell("cluster id", "cluster", "cluster-id");
  await tell("end points", "cluster", "list-endpoints");
  await tell(
    "producer speed",
    "producerPerformance",
    "--topic fast --num-records 1000 --record-size 100 --throughput -1",
  );
  await tell("consumer speed", "consumerPerformance", "--topic fast --num-records 1000 --timeout 20000");
  await tell("latency", "endToEndLatency", "--topic fast --num-records 20 --record-size 100 --producer-acks all");
  await tell("streams reset", "streamsReset", "--application-id app --input-topics lines");
  const open = "--topic fast --num-records 5 --record-size 10 --throughput -1 --transactional-id tx";
  await tell("transactions", "producerPerformance", open);
  await tell("list transactions", "transactions", "list");
  await tell("describe transaction", "transactions", "describe --transactional-id tx");
  await tell("producers", "transactions", "describe-producers --topic fast --partition 0");
  await tell("hanging", "transactions", "find-hanging --broker-id 1");
}

let running: Promise<Told> | null = null;

function told(): Promise<Told> {
  running ??= withHub(async (hub) => {
    const { folder, remove } = scratch();
    const all = new Map<string, string>();
    const tools = await startTools(`127.0.0.1:${hub().kafka}`);
    const tell: Parameters<typeof records>[0] = async (name, tool, line, input) => {
      const { code, text } = await tools.run(tool, words(line), input);
      all.set(name, code === 0 ? text : `${tool} ${line} ended with ${code}:\n${text}`);
    };
    try {
      await records(tell);
      await rest(tell, folder);
      return all;
    } finally {
      await tools.end();
      remove();
    }
  });
  return running;
}

/** The tools ran once for all; each check is a test of its own. */
function check(call: `${string}: ${string}`, body: (text: (name: string) => string) => void): void {
  compat("console tools", call, async () => {
    const all = await told();
    body((name) => all.get(name) ?? `${name} was not run`);
  });
}

check("kafka-console-producer and -consumer: keys, headers, a codec, one partition", (text) => {
  const line = /Partition:(\d)\tOffset:\d\th:(\d)\t(\w)\t(\d)/g;
  const read = [...text("consume").matchAll(line)].map(([, , header, key, value]) => `${header}${key}${value}`);
  assert.deepEqual(read.sort(), ["1a1", "2b2", "3a3"], text("consume"));
  assert.match(text("consume packed"), /^packed$/m);
  assert.match(text("consume in a group"), /Processed a total of 3 messages/);
});

check("kafka-console-consumer: a group of the new protocol", (text) => {
  assert.match(text("consume in a new group"), /Processed a total of 3 messages/);
  assert.match(text("new group"), /next .* uniform +Empty/);
});

check("kafka-consumer-groups: list, describe, reset, delete; kafka-groups", (text) => {
  assert.match(text("list groups"), /^readers$/m);
  const rows = [...text("describe group").matchAll(/^readers +lines +(\d) +(\d+) +(\d+) +0 /gm)];
  assert.equal(rows.length, 2, text("describe group"));
  assert.equal(
    rows.reduce((sum, [, , offset]) => sum + Number(offset), 0),
    3,
  );
  assert.match(text("group state"), /readers .*Empty +0/);
  assert.match(text("reset"), /readers +lines +0 +0\nreaders +lines +1 +0/);
  assert.match(text("reset by"), /readers +lines +0 +\d/);
  assert.match(text("delete offsets"), /lines +0 +Successful/);
  assert.match(text("delete group"), /was successful/);
  assert.doesNotMatch(text("list all groups"), /readers/);
});

check("kafka-get-offsets, kafka-delete-records: ends, starts, a cut", (text) => {
  const ends = [...text("latest").matchAll(/^lines:\d:(\d)$/gm)].map(([, end]) => Number(end));
  assert.equal(ends[0]! + ends[1]!, 3);
  assert.match(text("earliest"), /^lines:0:0\nlines:1:0$/m);
  assert.match(text("delete records"), /partition: lines-0\s+low_watermark: 1/);
  assert.match(text("earliest then"), /^lines:0:1\nlines:1:0$/m);
});

check("kafka-broker-api-versions: every API at its newest usable version; kafka-cluster", (text) => {
  for (const api of Object.values(apis)) {
    if (api.max < 0 || api.key >= 1000) continue; // not served, or for hubs alone
    assert.match(text("api versions"), new RegExp(`\\(${api.key}\\): .*\\[usable: \\d+\\]`), `API ${api.key}`);
  }
  assert.match(text("cluster id"), /^Cluster ID: [\w-]{22}$/m);
  assert.match(text("end points"), /^1 +127\.0\.0\.1 +\d+ +null +unfenced +broker/m);
});

check("kafka-producer-perf-test, kafka-consumer-perf-test, EndToEndLatency: measure", (text) => {
  assert.match(text("producer speed"), /^1000 records sent/);
  assert.match(text("consumer speed"), /, 1000, /);
  assert.match(text("latency"), /^Avg latency: \d/m);
});

check("kafka-streams-application-reset: input topics", (text) => {
  assert.match(text("streams reset"), /Topic: lines Partition: 0 Offset: 1\nTopic: lines Partition: 1 Offset: 0/);
});

check("kafka-transactions: list, describe, producers, hanging ones", (text) => {
  assert.match(text("transactions"), /^5 records sent/);
  assert.match(text("list transactions"), /^tx\s+1\s+\d+\s+CompleteCommit/m);
  assert.match(text("describe transaction"), /^1\s+tx\s+\d+\s+\d+\s+CompleteCommit\s+\d+\s+None\s+None/m);
  assert.match(text("producers"), /^\d+\s+1\s+0\s+-1\s+\d+\s+None/m);
  assert.equal(text("hanging").trim().split("\n").length, 1, text("hanging"));
});
