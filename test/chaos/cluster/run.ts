// A chaos run: load, faults drawn from a seed, healing, and then everything is checked.
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { connect } from "../../../hub/mod.ts";
import { History } from "./history.ts";
import { batchesAround, compareReplicas, readByLibrdkafka, readEveryCopy } from "./final_read.ts";
import { chanceOf, Faults } from "./faults.ts";
import { ChaosStage, type RedisKind } from "./stage.ts";
import { deviceTopic, readAll, topic, Workload } from "./workload.ts";

export interface ChaosOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly hubs?: number;
  readonly redis?: RedisKind;
  /** Kinds of faults to draw from; all when left out. */
  readonly only?: readonly string[];
  readonly say?: (line: string) => void;
}

export interface ChaosReport {
  readonly seed: number;
  readonly seconds: number;
  readonly network: string;
  readonly faults: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly pubacked: number;
  /** Deliveries to the MQTT subscriber. */
  readonly heard: number;
  readonly committedOffsets: number;
  /** Longest time without an acknowledged acks=all write of a partition, milliseconds. */
  readonly longestGapMs: number;
  readonly history: History;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs for about `minutes`; rejects when the cluster does not come back, returns what was found otherwise. */
export async function chaos(options: ChaosOptions): Promise<ChaosReport> {
  const { minutes, seed, hubs = 3, redis = "server", only = [], say = () => {} } = options;
  const began = performance.now();
  const stage = await ChaosStage.open(hubs, { redis, disks: true });
  const history = new History();
  const faults = new Faults(stage, chanceOf(seed), say, only);
  try {
    await prepare(stage);
    const workload = new Workload(stage, history);
    workload.start(4, 6, 2);
    await pause(3_000);
    while (performance.now() - began < minutes * 60_000) {
      await faults.next();
      await pause(1000 + faults.chance() * 6000);
    }
    await faults.heal();
    await acknowledgedAgain(history);
    await workload.stop();
    history.checkLog(await readAll(stage, topic));
    history.checkDevices(await readAll(stage, deviceTopic));
    const committed = await workload.committed();
    history.checkGroup(committed, workload.firstHandled, workload.handled);
    await readByLibrdkafka(stage, topic, history);
    await readEveryCopy(stage, [topic, deviceTopic], history);
    const compared = await compareReplicas(stage, [topic, deviceTopic], history);
    say(`replicas compared byte by byte: ${compared} bytes`);
    if (history.violations.length > 0) explain(stage, history, say);
    const { acknowledged, pubacked, heard } = history.counts;
    return {
      seed,
      seconds: (performance.now() - began) / 1000,
      network: stage.network.kind,
      faults: faults.counts,
      acknowledged,
      pubacked,
      heard,
      committedOffsets: [...committed.values()].reduce((sum, offset) => sum + offset, 0),
      longestGapMs: longestGap(history),
      history,
    };
  } catch (error) {
    for (const { id, words } of stage.hubs) say(`--- hub ${id}:\n${words.slice(-6000)}`);
    throw error;
  } finally {
    faults.forget();
    await stage.close();
  }
}

/** What the checkers cannot tell: which batches doubled records came in, and what the hubs said. */
function explain(stage: ChaosStage, history: History, say: (line: string) => void): void {
  for (const line of batchesAround(stage, topic, history.doubled.slice(0, 20))) say(line);
  for (const { id, words } of stage.hubs) {
    const file = path.join(mkdtempSync(path.join(tmpdir(), "partidor-chaos-words-")), `hub-${id}.log`);
    writeFileSync(file, words);
    say(`hub ${id} said: ${file}`);
  }
}

async function prepare(stage: ChaosStage): Promise<void> {
  const client = connect({ bootstrap: stage.bootstrap(), clientId: "prepare" });
  try {
    const until = performance.now() + 30_000;
    // Small segments: closed ones are there soon.
    const configs = { "segment.bytes": String(1 << 16) };
    for (const name of [topic, deviceTopic]) {
      for (;;) {
        try {
          await client.admin().createTopic(name, { partitions: 4, replicationFactor: 3, configs });
          break;
        } catch (error) {
          if (/ALREADY_EXISTS/.test(String(error))) break;
          if (performance.now() > until) throw error;
          await pause(300);
        }
      }
    }
  } finally {
    await client.close();
  }
}

/** I16 Liveness: writes are acknowledged again within 30 s of the healing. */
async function acknowledgedAgain(history: History): Promise<void> {
  const before = new Map([...history.acknowledgedAt].map(([partition, times]) => [partition, times.length]));
  const until = performance.now() + 30_000;
  for (;;) {
    const all = [...history.acknowledgedAt].every(
      ([partition, times]) => times.length > (before.get(partition) ?? 0) + 2,
    );
    if (all && before.size > 0) return;
    if (performance.now() > until) throw new Error("I16 Liveness: no acknowledgement within 30 s of the healing");
    await pause(200);
  }
}

function longestGap(history: History): number {
  let longest = 0;
  for (const times of history.acknowledgedAt.values()) {
    for (let i = 1; i < times.length; i++) longest = Math.max(longest, times[i]! - times[i - 1]!);
  }
  return Math.round(longest);
}
