// The end of a chaos run, seen by others than our own client: by librdkafka, and on the disk of every replica.
import { existsSync } from "node:fs";
import { connect, openLogTools } from "../../../hub/mod.ts";
import { run } from "../../tools/hub_process.ts";
import { logsOf } from "./disks.ts";
import type { History } from "./history.ts";
import type { ChaosStage } from "./stage.ts";
import { readAll } from "./workload.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Everything of a topic as kcat reads it. */
export async function readByLibrdkafka(stage: ChaosStage, topic: string, history: History): Promise<void> {
  if (!existsSync("/usr/bin/kcat")) return;
  const args = ["-C", "-b", stage.bootstrap(), "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%p %o %k:%s\\n"];
  const text = await run("kcat", [...args, "-X", "check.crcs=true"], { timeoutMs: 60_000 });
  for (const line of text.split("\n").filter((one) => one !== "")) {
    const [partition, offset, value] = line.split(" ");
    history.saw(Number(partition), Number(offset), value!, "librdkafka");
  }
}

/**
 * Lets each hub in turn lead everything, and reads all of it there: what rotted on a copy that nobody had read shows
 * then, and is repaired from the others.
 */
export async function readEveryCopy(stage: ChaosStage, topics: readonly string[], history: History): Promise<void> {
  for (const { id } of stage.hubs) {
    await leadAll(stage, topics, id);
    for (const name of topics) {
      for (const { partition, offset, key, number } of await readAll(stage, name)) {
        if (name === topics[0]) history.saw(partition, offset, `${key}:${number}`, `the copy of hub ${id}`);
      }
    }
  }
}

async function leadAll(stage: ChaosStage, topics: readonly string[], id: number): Promise<void> {
  const client = connect({ bootstrap: stage.bootstrap(), clientId: "leading" });
  const until = performance.now() + 60_000;
  try {
    for (;;) {
      const found = await client.admin().topics([...topics]);
      const others = found.flatMap(({ name, partitions }) => {
        return partitions.flatMap(({ partition, leader }) => (leader === id ? [] : { topic: name, partition }));
      });
      if (others.length === 0) return;
      if (performance.now() > until) throw new Error(`hub ${id} does not come to lead ${JSON.stringify(others)}`);
      await client
        .admin()
        .cluster()
        .elect("preferred", others, id)
        .catch(() => {}); // not in sync yet, say
      await pause(300);
    }
  } finally {
    await client.close();
  }
}

/**
 * Stops every hub in order and compares what the replicas of each log hold, byte by byte as far as all of them go:
 * records are stored as the leader stored them. Answers how many bytes were the same.
 */
export async function compareReplicas(stage: ChaosStage, topics: readonly string[], history: History): Promise<number> {
  for (const hub of stage.hubs) await hub.end("SIGTERM");
  for (const { id, data } of stage.hubs) {
    for (const { name, damage } of openLogTools(data).verify().logs) {
      const isRead = topics.includes(name.replace(/-\d+$/, ""));
      if (isRead && damage.length > 0) history.differ(name, `damaged on hub ${id}, though all of it was read there`);
    }
  }
  const replicas = stage.hubs.map(({ data }) => logsOf(data, topics));
  let bytes = 0;
  for (const name of new Set(replicas.flatMap((logs) => [...logs.keys()]))) {
    const copies = replicas.flatMap((logs) => logs.get(name) ?? []);
    const common = Math.min(...copies.map(({ length }) => length));
    for (const [i, copy] of copies.slice(1).entries()) {
      if (copies[0]!.subarray(0, common).equals(copy.subarray(0, common))) bytes += common;
      else history.differ(name, `copies 1 and ${i + 2} of ${copies.length}, within their first ${common} bytes`);
    }
  }
  return bytes;
}

/** Every batch that lies around these offsets on each replica: who wrote it, in which epoch, with which sequence. */
export function batchesAround(stage: ChaosStage, topic: string, places: readonly string[]): string[] {
  const lines: string[] = [];
  for (const { id, data } of stage.hubs) {
    for (const [name, bytes] of logsOf(data, [topic])) {
      const wanted = places.flatMap((place) =>
        `${topic}-${place.split("@")[0]}` === name ? [place.split("@")[1]] : [],
      );
      for (let at = 0; at + 61 <= bytes.length; at += 12 + bytes.readInt32BE(at + 8)) {
        const first = Number(bytes.readBigInt64BE(at));
        const last = first + bytes.readInt32BE(at + 23);
        if (!wanted.some((offset) => Number(offset) >= first - 8 && Number(offset) <= last + 8)) continue;
        const producer = `${bytes.readBigInt64BE(at + 43)}/${bytes.readInt16BE(at + 51)}`;
        const sequence = bytes.readInt32BE(at + 53);
        const epoch = bytes.readInt32BE(at + 12);
        lines.push(`hub ${id} ${name} ${first}..${last} epoch ${epoch} producer ${producer} sequence ${sequence}`);
      }
    }
  }
  return lines;
}
