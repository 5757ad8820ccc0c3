// A few real hubs on loopback around one Redis, started and stopped one by one; each keeps its folder and ports.
import { rmSync } from "node:fs";
import path from "node:path";
import { connect, type HubClient } from "../../hub/mod.ts";
import { type HubProcess, scratch, startHub } from "./hub_process.ts";
import { type RedisServer, startRedis } from "./redis.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export type TopicSeen = Awaited<ReturnType<ReturnType<HubClient["admin"]>["topics"]>>[number];

export class HubCluster {
  readonly redis: RedisServer;
  readonly hubs = new Map<number, HubProcess>();
  readonly #scratch = scratch();
  readonly #ports = new Map<number, { mqtt: number; kafka: number; http: number }>();
  readonly #clients: HubClient[] = [];

  private constructor(redis: RedisServer) {
    this.redis = redis;
  }

  /** Hubs 1 to `count`; `args` of each beyond the usual ones. */
  static async open(count: number): Promise<HubCluster> {
    const cluster = new HubCluster(await startRedis());
    try {
      await Promise.all(Array.from({ length: count }, (_, i) => cluster.start(i + 1)));
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  folder(id: number): string {
    return path.join(this.#scratch.folder, `hub${id}`);
  }

  async start(id: number, args: readonly string[] = []): Promise<HubProcess> {
    const ports = this.#ports.get(id) ?? { mqtt: 0, kafka: 0, http: 0 };
    const all = ["--hub-id", String(id), "--redis", this.redis.url, "--listen", "127.0.0.1", ...args];
    const hub = await startHub({ data: this.folder(id), ports, args: all });
    this.#ports.set(id, { mqtt: hub.mqtt, kafka: hub.kafka, http: hub.http });
    this.hubs.set(id, hub);
    return hub;
  }

  async end(id: number, signal: NodeJS.Signals = "SIGTERM"): Promise<number | string> {
    const code = await this.hubs.get(id)!.end(signal);
    this.hubs.delete(id);
    return code;
  }

  /** Its disk is replaced by an empty one. */
  wipe(id: number): void {
    rmSync(this.folder(id), { recursive: true, force: true });
  }

  bootstrap(): string {
    return [...this.hubs.values()].map(({ kafka }) => `127.0.0.1:${kafka}`).join(",");
  }

  /** Of all hubs that run now; closed with the cluster. */
  client(clientId = "test"): HubClient {
    const client = connect({ bootstrap: this.bootstrap(), clientId });
    this.#clients.push(client);
    return client;
  }

  /** Runs a story; where it fails the words of the hubs are told too. */
  async run(story: () => Promise<void>): Promise<void> {
    try {
      await story();
    } catch (error) {
      const words = [...this.hubs].map(([id, hub]) => `--- hub ${id}:\n${hub.words().slice(-6_000)}`).join("\n");
      throw new Error(`${error instanceof Error ? error.stack : String(error)}\n${words}`, { cause: error });
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    await Promise.race([Promise.all(this.#clients.map((client) => client.close().catch(() => {}))), pause(2_000)]);
    await Promise.all([...this.hubs.values()].map((hub) => hub.end("SIGKILL")));
    await this.redis.remove();
    this.#scratch.remove();
  }
}

/** Asks until the answer is as wanted; rejects after `msMax` with the last one. */
export async function eventually<T>(ask: () => Promise<T>, wanted: (found: T) => boolean, msMax = 30_000): Promise<T> {
  let last: unknown;
  for (const end = performance.now() + msMax; performance.now() < end; await pause(50)) {
    try {
      const found = await ask();
      last = found;
      if (wanted(found)) return found;
    } catch (error) {
      last = String(error);
    }
  }
  throw new Error(`not as wanted within ${msMax} ms: ${JSON.stringify(last)}`);
}

/** The topic, once it is as wanted. */
export async function seen(
  client: HubClient,
  topic: string,
  wanted: (found: TopicSeen) => boolean,
): Promise<TopicSeen> {
  return await eventually(async () => (await client.admin().topics([topic]))[0]!, wanted);
}

/** Writes with acks=all until stopped; every acknowledged value with its place. */
export function load(
  client: HubClient,
  topic: string,
  names: readonly string[] = ["a", "b", "c", "d"],
): { readonly stop: () => Promise<Map<string, string>> } {
  const producer = client.producer({ acks: -1 });
  const written = new Map<string, string>();
  let open = true;
  const one = async (name: string): Promise<void> => {
    for (let i = 0; open; i++) {
      const text = `${name}-${i}`;
      try {
        const record = { key: Buffer.from(text), value: Buffer.from(text) };
        const { partition, offset } = await producer.publish(topic, record);
        written.set(text, `${partition}@${offset}`);
      } catch {
        await pause(50); // unknown: it may be there or not
      }
      await pause(5);
    }
  };
  const running = Promise.all(names.map(one));
  return {
    async stop() {
      open = false;
      await running;
      await producer.close();
      return written;
    },
  };
}

/** Every value of a topic with its place, up to the ends as they are now. */
export async function readAll(client: HubClient, topic: string): Promise<Map<string, string>> {
  const admin = client.admin();
  const { partitions } = await seen(client, topic, ({ partitions: all }) => all.every(({ leader }) => leader > 0));
  const places = partitions.map(({ partition }) => ({ topic, partition }));
  const ends = await admin.offsets(places, "latest");
  const consumer = client.consumer();
  await consumer.assign([{ topic, from: "earliest" }]);
  const found = new Map<string, string>();
  const at = new Map<number, number>();
  for (
    const end = performance.now() + 30_000;
    ends.some(({ partition, offset }) => (at.get(partition) ?? 0) < offset);
  ) {
    if (performance.now() > end) throw new Error(`${topic} cannot be read to its end: ${JSON.stringify([...at])}`);
    for (const batch of await consumer.poll(500)) {
      for (const { partition, offset, value } of batch.records) {
        found.set(Buffer.from(value!).toString(), `${partition}@${offset}`);
      }
      at.set(batch.partition, batch.nextOffset);
    }
  }
  await consumer.close();
  return found;
}
