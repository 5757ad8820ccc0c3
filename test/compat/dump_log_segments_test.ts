// Apache Kafka's own DumpLogSegments reads our segment files: offsets, keys, payloads, codecs, producers, checksums.
//
// Only the .log files are Kafka's format. Our indexes and snapshots are formats of our own (hub/README.md), so each
// .log is copied alone to another folder.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { openClock } from "../../hub/io/clock.ts";
import { type Codec, loadCodec } from "../../hub/io/compression.ts";
import { openRandom } from "../../hub/io/crypto.ts";
import { openDisk } from "../../hub/io/disk.ts";
import { appendMarker } from "../../hub/log/log_transactions.ts";
import { defaultLogSettings, openStore } from "../../hub/log/store.ts";
import { encodeBatch } from "../../hub/record/builder.ts";
import { silentTrace } from "../../hub/trace.ts";
import { type HubProcess, run, runCli, scratch, startHub } from "../tools/hub_process.ts";
import { jarsOnly } from "./clients.ts";
import { compat } from "./table.ts";

interface DumpedRecord {
  readonly offset: number;
  readonly key: string | null;
  readonly payload: string | null;
  readonly sequence: number;
  readonly headers: string;
}

interface DumpedBatch {
  readonly fields: Readonly<Record<string, string>>;
  readonly records: DumpedRecord[];
}

const recordLine = new RegExp(
  [
    /^\| offset: (\d+) \w+: -?\d+ keySize: -?\d+ valueSize: -?\d+ sequence: (-?\d+)/,
    / headerKeys: \[(.*?)\](?: key: (.*?))?(?: payload: (.*))?$/,
  ]
    .map((part) => part.source)
    .join(""),
);

/** One list of batches per file, in the order of the files. */
async function dump(files: readonly string[]): Promise<DumpedBatch[][]> {
  const main = ["-cp", `${await jarsOnly()}/*`, "org.apache.kafka.tools.DumpLogSegments"];
  const flags = ["--deep-iteration", "--print-data-log", "--max-message-size", "10000000"];
  const text = await run("java", ["-Xmx256m", ...main, ...flags, "--files", files.join(",")]);
  const dumped: DumpedBatch[][] = [];
  for (const line of text.split("\n")) {
    const found = recordLine.exec(line);
    if (line.startsWith("Dumping ")) dumped.push([]);
    else if (line.startsWith("baseOffset: ")) {
      const fields = Object.fromEntries([...line.matchAll(/(\w+): (\S+)/g)].map(([, name, value]) => [name!, value!]));
      dumped.at(-1)!.push({ fields, records: [] });
    } else if (found) {
      const [, offset, sequence, headers, key, payload] = found;
      const texts = { key: key ?? null, payload: payload ?? null, headers: headers! };
      dumped
        .at(-1)!
        .at(-1)!
        .records.push({ offset: Number(offset), sequence: Number(sequence), ...texts });
    } else if (/^\| offset: \d+ .* endTxnMarker: (COMMIT|ABORT) /.test(line)) continue;
    else assert.ok(line === "" || line.startsWith("Log starting offset: "), `a line of another kind: ${line}`);
  }
  return dumped;
}

/** Copies the segments of one partition, without their indexes, in the order of their offsets. */
function copySegments(data: string, topic: string, partition: number, to: string): string[] {
  const topics = path.join(data, "topics");
  const folder = readdirSync(topics).find(
    (name) =>
      name.endsWith(`-${partition}`) && readFileSync(path.join(topics, name, "topic.name"), "utf8").trim() === topic,
  );
  assert.ok(folder, `the data folder has no ${topic}-${partition}`);
  mkdirSync(path.join(to, `${topic}-${partition}`), { recursive: true });
  return readdirSync(path.join(topics, folder))
    .filter((name) => name.endsWith(".log"))
    .sort()
    .map((name) => {
      const copy = path.join(to, `${topic}-${partition}`, name);
      copyFileSync(path.join(topics, folder, name), copy);
      return copy;
    });
}

const codecs = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
const values = (codec: string): string[] =>
  Array.from({ length: 300 }, (_, i) => `device-${i % 7}:${codec} reading ${i} ${"of the same words ".repeat(20)}`);

interface Sent {
  readonly key: string | null;
  readonly payload: string;
  readonly headers: string;
  readonly codec: string;
  readonly idempotent: boolean;
}

/** Fills partition 0 of `plain` and of `stamped`; what went in, in order. */
async function fill(hub: HubProcess, topic: string): Promise<Sent[]> {
  const sent: Sent[] = [];
  const target = ["-b", `127.0.0.1:${hub.kafka}`, "-P", "-t", topic, "-p", "0"];
  for (const codec of codecs) {
    for (const idempotent of [false, true]) {
      const lines = values(codec);
      const options = ["-K:", "-z", codec, "-H", "kind=reading", "-X", `enable.idempotence=${idempotent}`];
      await run("kcat", [...target, ...options, "-X", "batch.num.messages=100"], { input: lines.join("\n") });
      for (const line of lines) {
        const [key, payload] = line.split(":") as [string, string];
        sent.push({ key, payload, headers: "kind", codec, idempotent });
      }
    }
  }
  await run("kcat", target, { input: "no key\nno key either" });
  for (const payload of ["no key", "no key either"]) {
    sent.push({ key: null, payload, headers: "", codec: "none", idempotent: false });
  }
  return sent;
}

async function cli(hub: HubProcess, args: readonly string[], input = ""): Promise<void> {
  const { code, stderr } = await runCli([...args, "--bootstrap", `127.0.0.1:${hub.kafka}`], { input });
  assert.equal(code, 0, stderr);
}

compat("console tools", "kafka-dump-log: every record of every codec in our segments, each batch valid", async () => {
  const { folder, remove } = scratch();
  const data = path.join(folder, "data");
  const hub = await startHub({ data });
  const sent = new Map<string, Sent[]>();
  try {
    const small = ["--partitions", "1", "--config", "segment.bytes=65536"];
    await cli(hub, ["topic", "create", "plain", ...small]);
    await cli(hub, ["topic", "create", "stamped", ...small, "--config", "message.timestamp.type=LogAppendTime"]);
    for (const topic of ["plain", "stamped"]) sent.set(topic, await fill(hub, topic));
    await cli(hub, ["topic", "create", "own", "--partitions", "1"]);
    await cli(hub, ["produce", "own", "--key", "me"], "by our own client");
    sent.set("own", [{ key: "me", payload: "by our own client", headers: "", codec: "none", idempotent: true }]);
    assert.equal(await hub.end(), 0);
    const files = [...sent.keys()].map((topic) => copySegments(data, topic, 0, folder));
    assert.ok(files[0]!.length > 2, `${files[0]!.length} segments`);
    const dumped = await dump(files.flat());
    for (const [i, topic] of [...sent.keys()].entries()) {
      const batches = dumped.splice(0, files[i]!.length);
      files[i]!.forEach((file, k) => {
        const base = batches[k]![0]?.fields["baseOffset"] ?? path.basename(file, ".log");
        assert.equal(Number(path.basename(file, ".log")), Number(base), "a segment is named by its first offset");
      });
      compare(batches.flat(), sent.get(topic)!, topic);
    }
  } finally {
    await hub.end("SIGKILL");
    remove();
  }
});

function compare(batches: readonly DumpedBatch[], sent: readonly Sent[], topic: string): void {
  let next = 0;
  for (const { fields, records } of batches) {
    assert.equal(fields["isvalid"], "true", JSON.stringify(fields));
    assert.deepEqual([fields["magic"], fields["partitionLeaderEpoch"], fields["isControl"]], ["2", "0", "false"]);
    assert.equal(fields["LogAppendTime"] !== undefined, topic === "stamped");
    assert.deepEqual([Number(fields["baseOffset"]), Number(fields["count"])], [next, records.length]);
    for (const [i, record] of records.entries()) {
      const wanted = sent[next]!;
      assert.equal(record.offset, next++);
      assert.deepEqual([record.key, record.payload, record.headers], [wanted.key, wanted.payload, wanted.headers]);
      assert.equal(fields["compresscodec"], wanted.codec);
      const first = Number(fields["baseSequence"]);
      assert.equal(first >= 0 && Number(fields["producerId"]) > 0, wanted.idempotent, JSON.stringify(fields));
      assert.equal(record.sequence, wanted.idempotent ? first + i : -1);
    }
  }
  assert.equal(next, sent.length, topic);
}

compat("console tools", "kafka-dump-log: a flipped byte in one of our segments", async () => {
  const { folder, remove } = scratch();
  const data = path.join(folder, "data");
  const hub = await startHub({ data });
  try {
    await run("kcat", ["-b", `127.0.0.1:${hub.kafka}`, "-P", "-t", "t", "-p", "0"], { input: "one" });
    assert.equal(await hub.end(), 0);
    const [file] = copySegments(data, "t", 0, folder);
    const bytes = readFileSync(file!);
    bytes[bytes.indexOf("one")]! ^= 1;
    writeFileSync(file!, bytes);
    const [batches] = await dump([file!]);
    assert.equal(batches![0]!.fields["isvalid"], "false");
  } finally {
    await hub.end("SIGKILL");
    remove();
  }
});

/** A compacted partition, filled and cleaned by the store itself: tombstones, every codec, transactions. */
async function compacted(folder: string): Promise<string> {
  const [clock, disk] = [openClock(), openDisk(folder)];
  const listener = { durable() {}, stateChanged() {}, possibleLoss() {} };
  const store = await openStore({ disk, clock, random: openRandom(), trace: silentTrace, listener, hubId: 1 });
  const topicId = "6f1b0d2e-0a3c-4c55-9d7e-1f2a3b4c5d6e";
  const settings = { ...defaultLogSettings, segmentBytes: 65_536, compacted: true, retentionMs: -1, minDirtyRatio: 0 };
  const log = await store.createPartition(topicId, 0, "table", settings);
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  for (let codec = 0 as Codec; codec <= 4; codec += 1) await loadCodec(codec);
  for (let i = 0; i < 600; i += 1) {
    const records = Array.from({ length: 12 }, (_, k) => {
      const value = (i + k) % 11 === 0 ? null : bytes(`${i} ${k} ${"of the same words ".repeat(20)}`);
      return { key: bytes(`key ${(i * 7 + k) % 97}`), value };
    });
    const producerId = i % 40 === 3 ? 77 : i % 10 === 4 ? 78 : -1;
    const owned = { producerId, producerEpoch: 0, baseSequence: Math.floor(i / (producerId === 77 ? 40 : 10)) * 12 };
    const options = {
      codec: (i % 5) as Codec,
      ...(producerId < 0 ? {} : { ...owned, transactional: producerId === 77 }),
    };
    log.append(encodeBatch(records, options, 1_700_000_000_000 + i), 0);
    const marker = { producerId: 77, producerEpoch: 0, coordinatorEpoch: 0, commit: i % 80 === 3 };
    if (producerId === 77) appendMarker(log, marker, 0, 1_700_000_000_000 + i);
  }
  await store.flush();
  const before = log.sizeBytes;
  await store.checkpoint();
  await store.compact();
  assert.ok(log.sizeBytes < before / 3, `${before} bytes before, ${log.sizeBytes} after`);
  await store.close();
  return path.join(folder, "topics", log.key);
}

compat(
  "console tools",
  "kafka-dump-log: a compacted partition with tombstones, transactions and every codec",
  async () => {
    const { folder, remove } = scratch();
    try {
      const data = await compacted(path.join(folder, "data"));
      const names = readdirSync(data).filter((name) => name.endsWith(".log"));
      const files = names.sort().map((name) => {
        const copy = path.join(folder, name);
        copyFileSync(path.join(data, name), copy);
        return copy;
      });
      assert.ok(files.length > 3, `${files.length} segments`);
      const batches = (await dump(files)).flat();
      let [offset, horizons, emptied] = [-1, 0, 0];
      for (const { fields, records } of batches) {
        assert.equal(fields["isvalid"], "true", JSON.stringify(fields));
        assert.ok(Number(fields["baseOffset"]) > offset, JSON.stringify(fields));
        if (fields["isControl"] === "false") assert.equal(records.length, Number(fields["count"]));
        for (const record of records) assert.ok(record.offset > offset && (offset = record.offset) >= 0, "in order");
        offset = Number(fields["lastOffset"]);
        if (fields["deleteHorizonMs"] !== undefined && fields["deleteHorizonMs"] !== "OptionalLong.empty")
          horizons += 1;
        if (fields["count"] === "0") emptied += 1;
      }
      assert.ok(emptied > 0, "emptied batches");
      assert.ok(horizons > 0, "delete horizons");
    } finally {
      remove();
    }
  },
);
