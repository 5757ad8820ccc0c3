// kill -9 of a process that appends to a compacted log and cleans it all the time: no key loses its last value.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import path from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { openClock } from "../../hub/io/clock.ts";
import { openRandom } from "../../hub/io/crypto.ts";
import { openDisk } from "../../hub/io/disk.ts";
import { defaultLogSettings, openStore, type PartitionLog, type Store } from "../../hub/log/store.ts";
import { batchSize, readBatchHeader } from "../../hub/record/batch.ts";
import { encodeBatch } from "../../hub/record/builder.ts";
import { decodeRecords } from "../../hub/record/record.ts";
import { silentTrace } from "../../hub/trace.ts";
import { runner, scratch } from "../tools/hub_process.ts";

const rounds = Number(process.env["ROUNDS"] ?? 4);
const topicId = "6f1b0d2e-0a3c-4c55-9d7e-1f2a3b4c5d6e";
const settings = {
  ...defaultLogSettings,
  segmentBytes: 65_536,
  compacted: true,
  retentionMs: -1,
  minDirtyRatio: 0,
  deleteRetentionMs: 200,
};
const losses: string[] = [];

function open(folder: string): Promise<Store> {
  const listener = {
    durable() {},
    stateChanged() {},
    possibleLoss: (_: unknown, why: string) => void losses.push(why),
  };
  const [disk, clock, random] = [openDisk(folder), openClock(), openRandom()];
  return openStore({ disk, clock, random, trace: silentTrace, listener, hubId: 1 });
}

/** The record at an offset is the same in every run, so what is in a log can be told from its end alone. */
const keyOf = (offset: number): string => `key ${(offset * 7919) % 61}`;
const textOf = (offset: number): string | null =>
  offset % 13 === 5 ? null : `${offset} ${"x".repeat((offset * 31) % 300)}`;

function batchAt(offset: number): Uint8Array {
  const encoder = new TextEncoder();
  const records = Array.from({ length: 1 + (offset % 9) }, (_, i) => {
    const value = textOf(offset + i);
    return { key: encoder.encode(keyOf(offset + i)), value: value === null ? null : encoder.encode(value) };
  });
  return encodeBatch(records, { codec: offset % 2 === 0 ? 0 : 1 }, 1_700_000_000_000);
}

/** The child: appends and cleans until it is killed. */
async function run(folder: string): Promise<void> {
  const store = await open(folder);
  const log = await store.createPartition(topicId, 0, "table", settings);
  process.stdout.write("ready\n");
  for (;;) {
    const cleaned = store.compact();
    for (let i = 0; i < 150; i += 1) log.append(batchAt(log.logEnd), 0);
    await store.flush();
    await cleaned;
    await store.checkpoint();
    process.stdout.write(`${log.segments.length} segments\n`);
  }
}

async function readAll(log: PartitionLog): Promise<Map<string, string>> {
  const table = new Map<string, string>();
  const decoder = new TextDecoder();
  for (let offset = log.logStart; offset < log.logEnd; ) {
    const bytes = await log.read(offset, 1 << 20, log.logEnd);
    assert.ok(bytes.length > 0, `nothing comes at ${offset} of ${log.logEnd}`);
    for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) {
      for (const { offset: place, key, value } of decodeRecords(bytes.subarray(at))) {
        const [name, text] = [decoder.decode(key!), value === null ? null : decoder.decode(value)];
        assert.deepEqual([name, text], [keyOf(place), textOf(place)], `the record at ${place}`);
        if (text === null) table.delete(name);
        else table.set(name, text);
      }
      offset = readBatchHeader(bytes, at).lastOffset + 1;
    }
  }
  return table;
}

function wanted(end: number): Map<string, string> {
  const table = new Map<string, string>();
  for (let offset = 0; offset < end; offset += 1) {
    const value = textOf(offset);
    if (value === null) table.delete(keyOf(offset));
    else table.set(keyOf(offset), value);
  }
  return table;
}

const sorted = (table: Map<string, string>): string[] => [...table].map(([key, value]) => `${key}=${value}`).sort();

async function killedRun(folder: string, afterMs: number): Promise<void> {
  const child = spawn(process.execPath, [...runner(), fileURLToPath(import.meta.url), "--child", folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await new Promise<void>((resolve) => child.stdout.once("data", () => resolve()));
  setTimeout(() => child.kill("SIGKILL"), afterMs);
  child.stdout.resume();
  await ended;
}

if (process.argv.includes("--child")) {
  await run(process.argv.at(-1)!);
} else {
  test(`${rounds} kills amid cleanings: every key has its last value, every record that is left is what it was`, async () => {
    const { folder, remove } = scratch();
    try {
      const data = path.join(folder, "data");
      for (let round = 0; round < rounds; round += 1) {
        await killedRun(data, 300 + ((round * 7919) % 400));
        const store = await open(data);
        const log = store.partition(topicId, 0)!;
        assert.deepEqual(sorted(await readAll(log)), sorted(wanted(log.logEnd)), `round ${round}, end ${log.logEnd}`);
        assert.ok(log.logEnd > 500, `${log.logEnd} records`);
        assert.ok(log.segments[0]!.size < settings.segmentBytes, "the first segment was cleaned");
        await store.close();
      }
      assert.deepEqual(losses, []);
    } finally {
      remove();
    }
  });
}
