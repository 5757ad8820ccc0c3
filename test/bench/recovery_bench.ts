// Unclean start: a store filled through its own appends, ended by SIGKILL, opened again: time, and bytes read for it.
//   npx tsx test/bench/recovery_bench.ts [--gib 2] [--partitions 16] [--fsync os|always] [--cold]
// --cold drops the folder's pages from the page cache before the start, as after a power cut.
import { execFileSync, spawn } from "node:child_process";
import { readdirSync, statfsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openClock } from "../../hub/io/clock.ts";
import { openRandom } from "../../hub/io/crypto.ts";
import { openDisk } from "../../hub/io/disk.ts";
import type { Disk } from "../../hub/io/ports.ts";
import { defaultLogSettings, openStore } from "../../hub/log/store.ts";
import type { FsyncPolicy, Store, StoreListener } from "../../hub/log/store.ts";
import { encodeBatch } from "../../hub/record/builder.ts";
import { silentTrace } from "../../hub/trace.ts";
import { root, runner, scratch } from "../tools/hub_process.ts";
import { machine } from "./systems.ts";

const { values } = parseArgs({
  options: {
    gib: { type: "string", default: "2" },
    partitions: { type: "string", default: "16" },
    fsync: { type: "string", default: "os" },
    cold: { type: "boolean", default: false },
    fill: { type: "string" },
  },
});
const GiB = 2 ** 30;
const topicId = "6f1b0d2e-0a3c-4c55-9d7e-1f2a3b4c5d6e";
const bytesWanted = Number(values.gib) * GiB;
const partitions = Number(values.partitions);
const recordBytes = 200;
const recordsPerBatch = 300;

const listener: StoreListener = {
  durable() {},
  stateChanged: (state, why) => console.error(`the store is ${state}: ${why}`),
  possibleLoss: (_log, detail) => console.error(`possible loss: ${detail}`),
};

function open(disk: Disk): Promise<Store> {
  return openStore({ disk, clock: openClock(), random: openRandom(), trace: silentTrace, listener, hubId: 1 });
}

/** The child: appends until the bytes are there, then dies without a word. */
async function fill(folder: string): Promise<void> {
  const store = await open(openDisk(folder));
  const settings = { ...defaultLogSettings, fsync: values.fsync as FsyncPolicy };
  const logs = [];
  for (let i = 0; i < partitions; i += 1) logs.push(await store.createPartition(topicId, i, "readings", settings));
  const value = new Uint8Array(recordBytes).fill(120);
  const batch = encodeBatch(
    Array.from({ length: recordsPerBatch }, () => ({ key: null, value })),
    {},
    Date.now(),
  );
  for (let bytes = 0; bytes < bytesWanted; ) {
    for (const log of logs) {
      log.append(Uint8Array.from(batch), 0);
      bytes += batch.length;
    }
    await store.whenRoom();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await store.flush();
  process.stdout.write(JSON.stringify(logs.map(({ durableEnd }) => durableEnd)), () => {
    process.kill(process.pid, "SIGKILL");
  });
}

function fillInChild(folder: string): Promise<number[]> {
  const args = ["--fill", folder, "--gib", values.gib, "--partitions", values.partitions, "--fsync", values.fsync];
  const child = spawn(process.execPath, [...runner(), fileURLToPath(import.meta.url), ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let ends = "";
  child.stdout.on("data", (bytes: Uint8Array) => (ends += new TextDecoder().decode(bytes)));
  return new Promise((resolve, reject) => {
    child.once("close", (code, signal) => {
      if (signal === "SIGKILL" && ends !== "") resolve(JSON.parse(ends) as number[]);
      else reject(new Error(`the filling process ended with ${code ?? signal}`));
    });
  });
}

interface Traffic {
  readBytes: number;
  writtenBytes: number;
}

/** Counts what is read and written through the disk. */
function counting(disk: Disk, traffic: Traffic): Disk {
  return {
    ...disk,
    open(name, mode) {
      const file = disk.open(name, mode);
      const read = file.read.bind(file);
      const write = file.write.bind(file);
      file.read = (target, position) => {
        const count = read(target, position);
        traffic.readBytes += count;
        return count;
      };
      file.write = (bytes, position) => {
        traffic.writtenBytes += bytes.length;
        return write(bytes, position);
      };
      return file;
    },
  };
}

/** GNU dd drops the cached pages of a file when it copies nothing of it. */
function dropPages(folder: string): void {
  for (const name of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!name.isFile()) continue;
    const file = path.join(name.parentPath, name.name);
    execFileSync("dd", [`of=${file}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"]);
  }
}

async function main(): Promise<void> {
  const { folder, remove } = scratch();
  try {
    const { bavail, bsize } = statfsSync(folder);
    if (bavail * bsize < bytesWanted * 1.2 + 20 * GiB) throw new Error(`too little room below ${folder}`);
    const began = performance.now();
    const ends = await fillInChild(folder);
    const filledMs = performance.now() - began;
    if (values.cold) dropPages(folder);
    const traffic: Traffic = { readBytes: 0, writtenBytes: 0 };
    const openBegan = performance.now();
    const store = await open(counting(openDisk(folder), traffic));
    const openMs = performance.now() - openBegan;
    const missing = ends.reduce((sum, end, i) => sum + end - (store.partition(topicId, i)?.logEnd ?? 0), 0);
    console.log(`machine   ${machine()}`);
    console.log(`folder    ${values.gib} GiB, ${partitions} partitions, log.fsync=${values.fsync}, SIGKILL`);
    console.log(`filled    ${(bytesWanted / 1e3 / filledMs).toFixed(0)} MB/s`);
    console.log(`start     ${Math.round(openMs)} ms${values.cold ? ", page cache dropped" : ""}`);
    console.log(`read      ${(traffic.readBytes / 1e6).toFixed(1)} MB`);
    console.log(`written   ${(traffic.writtenBytes / 1e6).toFixed(1)} MB`);
    console.log(`missing   ${missing} acknowledged records`);
    await store.close();
  } finally {
    remove();
  }
}

if (values.fill === undefined) await main();
else await fill(values.fill);
