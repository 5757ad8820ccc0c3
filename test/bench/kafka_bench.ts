// Kafka produce (acks=all, 1 KiB records in 64 KiB batches) and fetch of the same: MB/s and CPU seconds per GB.
//   npx tsx test/bench/kafka_bench.ts [--mib 512] [--rounds 3] [--fsync always,interval] [--node24]
import path from "node:path";
import { parseArgs } from "node:util";
import { openClock } from "../../hub/io/clock.ts";
import { openNet } from "../../hub/io/net.ts";
import { encodeBatch } from "../../hub/record/builder.ts";
import { decodeResponse, encodeRequest, peekResponse } from "../../hub/wire/apis.ts";
import { FrameSplitter } from "../../hub/wire/frame.ts";
import { root, scratch } from "../tools/hub_process.ts";
import { machine, median, start, usage } from "./systems.ts";

const { values } = parseArgs({
  options: {
    mib: { type: "string", default: "512" },
    rounds: { type: "string", default: "3" },
    fsync: { type: "string", default: "always,interval" },
    window: { type: "string", default: "16" },
    node24: { type: "boolean", default: false },
  },
});

const topic = "bench";
const partitions = 4;
const recordBytes = 1024;
const batchRecords = 62; // 62 records of 1 KiB make a batch just under 64 KiB
const batches = Math.round((Number(values.mib) * 1024 * 1024) / (batchRecords * recordBytes));

/** One raw connection: `call` sends encoded parts and resolves with the response frame. */
async function dial(port: number) {
  const socket = await openNet(openClock()).dial("127.0.0.1", port, 5000);
  const splitter = new FrameSplitter();
  const waiting: ((frame: Uint8Array) => void)[] = [];
  socket.onData = (bytes) => {
    splitter.push(bytes);
    for (let frame = splitter.next(); frame !== null; frame = splitter.next()) waiting.shift()!(frame);
  };
  return {
    call: (parts: readonly Uint8Array[]) =>
      new Promise<Uint8Array>((resolve) => {
        waiting.push(resolve);
        socket.write(parts);
      }),
    close: () => socket.destroy(),
  };
}

type Connection = Awaited<ReturnType<typeof dial>>;

const encodedBatch = encodeBatch(
  Array.from({ length: batchRecords }, (_, i) => ({
    key: null,
    value: Buffer.alloc(recordBytes - 8, `reading ${i} `),
    headers: [],
    timestamp: Date.now(),
  })),
);

async function produce(connection: Connection): Promise<void> {
  let sent = 0;
  const one = async (): Promise<void> => {
    while (sent < batches) {
      const index = sent++ % partitions;
      const body = {
        acks: -1,
        timeoutMs: 30_000,
        topicData: [{ name: topic, partitionData: [{ index, records: encodedBatch }] }],
      };
      const frame = await connection.call(encodeRequest("produce", 7, 1, "bench", body));
      peekResponse(frame);
      const [answer] = decodeResponse("produce", 7, frame).responses;
      const { errorCode } = answer!.partitionResponses[0]!;
      if (errorCode !== 0) throw new Error(`produce was refused with ${errorCode}`);
    }
  };
  await Promise.all(Array.from({ length: Number(values.window) }, one));
}

async function fetchAll(connection: Connection): Promise<number> {
  const at = new Array<number>(partitions).fill(0);
  let bytes = 0;
  for (;;) {
    const body = {
      replicaId: -1,
      maxWaitMs: 10,
      minBytes: 1,
      maxBytes: 8 << 20,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [
        {
          topic,
          partitions: at.map((fetchOffset, partition) => ({ partition, fetchOffset, partitionMaxBytes: 2 << 20 })),
        },
      ],
      forgottenTopicsData: [],
      rackId: "",
    };
    const frame = await connection.call(encodeRequest("fetch", 11, 1, "bench", body as never));
    const reply = decodeResponse("fetch", 11, frame);
    let got = 0;
    for (const partition of reply.responses[0]?.partitions ?? []) {
      const records = partition.records;
      if (records === null || records.length === 0) continue;
      got += records.length;
      at[partition.partitionIndex]! += Math.floor(records.length / encodedBatch.length) * batchRecords;
    }
    bytes += got;
    if (got === 0) return bytes;
  }
}

const native = path.join(root, "test/.tools/node_modules/.bin/node");
const runtime = values.node24 ? [native] : [process.execPath, "--import", "tsx"];
let port = 23_800;
const rows: Record<string, { mbs: number[]; cpu: number[]; rss: number[] }> = {};

for (let round = 0; round < Number(values.rounds); round++) {
  for (const fsync of values.fsync.split(",")) {
    const { folder, remove } = scratch();
    const kafka = port++;
    const running = await start(
      {
        name: `kafka-${fsync}`,
        command: () => [
          ...runtime,
          path.join(root, "cli/main.ts"),
          "up",
          "--json",
          "--data",
          folder,
          "--listen",
          "127.0.0.1",
          "--mqtt-port",
          "0",
          "--kafka-port",
          String(kafka),
          "--http-port",
          "0",
        ],
      },
      kafka,
    );
    const connection = await dial(kafka);
    const configs = [
      { name: "log.fsync", value: fsync },
      { name: "segment.bytes", value: String(64 << 20) },
    ];
    const wanted = { name: topic, numPartitions: partitions, replicationFactor: 1, assignments: [], configs };
    await connection.call(encodeRequest("createTopics", 4, 1, "bench", { topics: [wanted] }));
    for (const [phase, work] of [
      ["produce", produce],
      ["fetch", fetchAll],
    ] as const) {
      const before = usage(running.pid);
      const began = performance.now();
      await work(connection);
      const seconds = (performance.now() - began) / 1000;
      const after = usage(running.pid);
      const bytes = batches * encodedBatch.length;
      const row = (rows[`${phase}, log.fsync=${fsync}`] ??= { mbs: [], cpu: [], rss: [] });
      row.mbs.push(bytes / 1e6 / seconds);
      row.cpu.push((after.cpuSeconds - before.cpuSeconds) / (bytes / 1e9));
      row.rss.push(after.rssBytes / 2 ** 20);
    }
    connection.close();
    await running.stop();
    remove();
  }
}

console.log(
  `${machine()}; ${values.mib} MiB a run, medians of ${values.rounds} rounds, hub on ${runtime.length > 1 ? "tsx" : "Node 24"}\n`,
);
console.log("| what | MB/s | hub CPU s/GB | RSS MiB |\n|---|---|---|---|");
for (const [name, { mbs, cpu, rss }] of Object.entries(rows)) {
  console.log(`| ${name} | ${Math.round(median(mbs))} | ${median(cpu).toFixed(2)} | ${Math.round(median(rss))} |`);
}
process.exit(0);
