// Compaction: bytes cleaned a second, and the longest time the event loop was held up meanwhile.
//   npx tsx test/bench/compaction_bench.ts [--mib 256] [--keys 20000] [--codec 0..4]
import { readdirSync } from "node:fs";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { openClock } from "../../hub/io/clock.ts";
import { type Codec, loadCodec } from "../../hub/io/compression.ts";
import { openRandom } from "../../hub/io/crypto.ts";
import { openDisk } from "../../hub/io/disk.ts";
import { defaultLogSettings, openStore } from "../../hub/log/store.ts";
import { encodeBatch } from "../../hub/record/builder.ts";
import { silentTrace } from "../../hub/trace.ts";
import { scratch } from "../tools/hub_process.ts";
import { machine } from "./systems.ts";

const { values } = parseArgs({
  options: {
    mib: { type: "string", default: "256" },
    keys: { type: "string", default: "20000" },
    codec: { type: "string", default: "0" },
  },
});
const bytesWanted = Number(values.mib) * 2 ** 20;
const keys = Number(values.keys);
const codec = Number(values.codec) as Codec;

const { folder, remove } = scratch();
try {
  await loadCodec(codec);
  const clock = openClock();
  const listener = { durable() {}, stateChanged() {}, possibleLoss() {} };
  const disk = openDisk(path.join(folder, "data"));
  const store = await openStore({ disk, clock, random: openRandom(), trace: silentTrace, listener, hubId: 1 });
  const settings = { ...defaultLogSettings, fsync: "os", compacted: true, retentionMs: -1 } as const;
  const log = await store.createPartition("6f1b0d2e-0a3c-4c55-9d7e-1f2a3b4c5d6e", 0, "table", settings);
  const payload = Buffer.alloc(200);
  for (let i = 0; i < payload.length; i += 1) payload[i] = 97 + ((i * i) % 23);
  const records = [];
  let next = 0;
  for (let bytes = 0; bytes < bytesWanted; ) {
    const batch = Array.from({ length: 100 }, () => {
      next += 1;
      return { key: Buffer.from(`device-${(next * 7919) % keys}`), value: payload };
    });
    const encoded = encodeBatch(batch, { codec }, Date.now());
    bytes += encoded.length;
    log.append(encoded, 0);
    records.push(batch.length);
    if (records.length % 200 === 0) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  await store.flush();
  await store.checkpoint();
  const before = log.sizeBytes;
  let [longest, at, running] = [0, performance.now(), true];
  const watch = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - at - 1);
    at = now;
    if (running) setTimeout(watch, 1);
  };
  setTimeout(watch, 1);
  const cpu = process.cpuUsage();
  const began = performance.now();
  await store.compact();
  const seconds = (performance.now() - began) / 1000;
  running = false;
  const { user, system } = process.cpuUsage(cpu);
  const megabytes = before / 1e6;
  const cleaned = (before - log.active.size) / 1e6;
  console.log(
    JSON.stringify({
      machine: machine(),
      codec,
      keys,
      records: next,
      megabytesBefore: Math.round(megabytes),
      megabytesAfter: Math.round(log.sizeBytes / 1e6),
      segments: readdirSync(path.join(folder, "data/topics", log.key)).filter((name) => name.endsWith(".log")).length,
      seconds: Number(seconds.toFixed(2)),
      megabytesPerSecond: Math.round(cleaned / seconds),
      cpuSecondsPerGigabyte: Number((((user + system) / 1e6 / cleaned) * 1000).toFixed(2)),
      longestBlockMs: Number(longest.toFixed(1)),
      rssMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
    }),
  );
  await store.close();
} finally {
  remove();
}
