// How long a partition cannot be written with acks=all: at rest, and when its leader is killed, cut off, stopped in order,
// when leadership is handed over, and when Redis is emptied.
// npx tsx test/bench/failover_bench.ts [rounds]
import { connect, type HubClient } from "../../hub/mod.ts";
import { type ChaosHub, ChaosStage } from "../chaos/cluster/stage.ts";

const rounds = Number(process.argv[2] ?? 10);
const topic = "failover";
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One writer a partition, one record after the other; remembers when each was acknowledged. */
class Writers {
  readonly acknowledgedAt: number[][];
  readonly errors: string[] = [];
  readonly #clients: HubClient[] = [];
  #open = true;

  constructor(bootstrap: string, partitions: number) {
    this.acknowledgedAt = Array.from({ length: partitions }, () => []);
    for (let partition = 0; partition < partitions; partition++) {
      const client = connect({ bootstrap, clientId: `writer-${partition}` });
      this.#clients.push(client);
      void this.#write(client, partition);
    }
  }

  async #write(client: HubClient, partition: number): Promise<void> {
    const producer = client.producer({ acks: -1 });
    while (this.#open) {
      try {
        await producer.publish(topic, { partition, key: null, value: Buffer.from("x") });
        this.acknowledgedAt[partition]!.push(performance.now());
      } catch (error) {
        this.errors.push(String(error));
        await pause(5);
      }
      await pause(1);
    }
  }

  /** The longest time without an acknowledgement of these partitions since `from`. */
  gap(partitions: readonly number[], from: number): number {
    let longest = 0;
    for (const partition of partitions) {
      const times = this.acknowledgedAt[partition]!;
      let last = times.findLast((time) => time <= from) ?? from;
      for (const time of times) {
        if (time <= from) continue;
        longest = Math.max(longest, time - last);
        last = time;
      }
      longest = Math.max(longest, performance.now() - last);
    }
    return longest;
  }

  async stop(): Promise<void> {
    this.#open = false;
    await pause(50);
    await Promise.race([Promise.all(this.#clients.map((client) => client.close().catch(() => {}))), pause(3000)]);
  }
}

async function leaders(stage: ChaosStage): Promise<number[]> {
  const client = connect({ bootstrap: stage.bootstrap(), clientId: "look" });
  try {
    const [found] = await client.admin().topics([topic]);
    return found!.partitions.map(({ leader }) => leader);
  } finally {
    await client.close();
  }
}

/** Everything leads and everything is in sync. */
async function whole(stage: ChaosStage): Promise<void> {
  const client = connect({ bootstrap: stage.bootstrap(), clientId: "look" });
  try {
    const until = performance.now() + 60_000;
    while (performance.now() < until) {
      const [found] = await client
        .admin()
        .topics([topic])
        .catch(() => []);
      if (found?.partitions.every(({ leader, inSync }) => leader >= 0 && inSync.length === 3)) return;
      await pause(200);
    }
    throw new Error("the cluster did not become whole within 60 s");
  } finally {
    await client.close();
  }
}

const results = new Map<string, { readonly gaps: number[]; errors: number }>();

async function measure(
  stage: ChaosStage,
  writers: Writers,
  name: string,
  hurt: (hub: ChaosHub, led: readonly number[]) => Promise<void>,
  settleMs: number,
): Promise<void> {
  await whole(stage);
  const led = await leaders(stage);
  const id = led[Math.floor(Math.random() * led.length)]!;
  const hub = stage.hubs.find((one) => one.id === id)!;
  const theirs = led.flatMap((leader, partition) => (leader === id ? [partition] : []));
  const [began, errorsBefore] = [performance.now(), writers.errors.length];
  await hurt(hub, theirs);
  await pause(settleMs);
  const gap = writers.gap(theirs, began);
  const result = results.get(name) ?? { gaps: [], errors: 0 };
  results.set(name, result);
  result.gaps.push(gap);
  result.errors += writers.errors.length - errorsBefore;
  console.error(`${name}: ${Math.round(gap)} ms`);
  stage.network.heal();
  if (!hub.up) await hub.start();
}

const stage = await ChaosStage.open(3);
try {
  const client = connect({ bootstrap: stage.bootstrap(), clientId: "prepare" });
  await client.admin().createTopic(topic, { partitions: 6, replicationFactor: 3 });
  await client.close();
  const writers = new Writers(stage.bootstrap(), 6);
  await pause(2000);
  const admin = connect({ bootstrap: stage.bootstrap(), clientId: "elect" }).admin();
  const handOver = async (hub: ChaosHub, led: readonly number[]): Promise<void> => {
    const places = led.map((partition) => ({ topic, partition }));
    const to = stage.hubs[(stage.hubs.indexOf(hub) + 1) % stage.hubs.length]!;
    for (const { error } of await admin.cluster().elect("preferred", places, to.id)) {
      if (error !== "NONE") console.log(`not handed over: ${error}`);
    }
  };
  for (let round = 0; round < rounds; round++) {
    await measure(stage, writers, "at rest", async () => {}, 5_000);
    await measure(stage, writers, "leader kill -9", async (hub) => void (await hub.end("SIGKILL")), 6_000);
    await measure(stage, writers, "leader stopped in order", async (hub) => void (await hub.end("SIGTERM")), 3_000);
    for (let i = 0; i < 3; i++) await measure(stage, writers, "handed over while up", handOver, 2_000);
    if (stage.network.kind === "namespaces") {
      const cut = async (hub: ChaosHub): Promise<void> => {
        for (const other of stage.hubs) if (other !== hub) stage.network.cut(hub.id, other.id);
        stage.network.cut(hub.id, "redis");
        stage.network.cut(hub.id, "clients");
      };
      await measure(stage, writers, "leader cut off", cut, 12_000);
    }
    await measure(stage, writers, "Redis emptied", async () => void (await stage.redis.command("FLUSHALL")), 5_000);
  }
  await admin.close();
  await writers.stop();
  console.log(
    "| what | rounds | p50 ms | p99 ms | longest ms | client errors after retries |\n|---|---|---|---|---|---|",
  );
  for (const [name, { gaps, errors }] of results) {
    const sorted = [...gaps].sort((a, b) => a - b);
    const at = (share: number): number =>
      Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!);
    console.log(`| ${name} | ${sorted.length} | ${at(0.5)} | ${at(0.99)} | ${at(1)} | ${errors} |`);
  }
  console.log(`errors after retries: ${writers.errors.length}`, [...new Set(writers.errors)].slice(0, 5));
} finally {
  await stage.close();
}
process.exit(0);
