// The clients of a chaos run: producers, devices, a consumer group and a reader, all noting what they do and see.
import mqtt, { type MqttClient } from "mqtt";
import { type Consumer, connect, type HubClient, type InRecord } from "../../../hub/mod.ts";
import { browse, type ForeignWorld, kafkajs, librdkafka, listen } from "./foreign.ts";
import { type History, Ranges } from "./history.ts";
import type { ChaosStage } from "./stage.ts";

export const topic = "events";
export const deviceTopic = "sensors";
const group = "chaos";

const text = (bytes: Uint8Array | null): string => Buffer.from(bytes ?? []).toString();
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Workload {
  readonly #stage: ChaosStage;
  readonly #history: History;
  readonly #began = performance.now();
  readonly #clients: HubClient[] = [];
  readonly #devices: MqttClient[] = [];
  readonly #running: Promise<void>[] = [];
  readonly handled = new Map<number, Ranges>();
  readonly firstHandled = new Map<number, number>();
  #open = true;

  constructor(stage: ChaosStage, history: History) {
    this.#stage = stage;
    this.#history = history;
  }

  #client(id: string): HubClient {
    const client = connect({ bootstrap: this.#stage.bootstrap(), clientId: id });
    this.#clients.push(client);
    return client;
  }

  start(producers: number, devices: number, members: number): void {
    for (let i = 0; i < producers; i++) this.#running.push(this.#produce(`producer-${i}`));
    for (let i = 0; i < devices; i++) this.#running.push(this.#device(`device-${i}`, i, i % 3 === 2 ? 2 : 1));
    for (let i = 0; i < members; i++) this.#running.push(this.#member(`member-${i}`));
    const world: ForeignWorld = {
      stage: this.#stage,
      history: this.#history,
      topic,
      deviceTopic,
      isOpen: () => this.#open,
      now: () => performance.now() - this.#began,
    };
    this.#running.push(this.#watch(), kafkajs(world, "kafkajs"), librdkafka(world, "librdkafka"));
    this.#running.push(browse(world, this.#stage.hubs[0]!));
    this.#devices.push(listen(world, "listener"));
  }

  /** acks=all, idempotent, a few in flight; order within the key is the producer's. */
  async #produce(key: string): Promise<void> {
    const producer = this.#client(key).producer({ acks: -1 });
    const send = async (): Promise<void> => {
      while (this.#open) {
        const number = this.#history.attempt(key);
        try {
          const record = { key: Buffer.from(key), value: Buffer.from(String(number)) };
          const { partition, offset } = await producer.publish(topic, record);
          this.#history.acknowledge(key, { number, partition, offset }, performance.now() - this.#began);
        } catch {
          await pause(100); // unknown: it may be there or not
        }
        await pause(2);
      }
    };
    await Promise.all([send(), send(), send()]);
  }

  /** To whatever hub answers; on a lost connection the client sends again what was not acknowledged. */
  async #device(name: string, index: number, qos: 1 | 2): Promise<void> {
    const { hubs } = this.#stage;
    const turned = [...hubs.slice(index % hubs.length), ...hubs.slice(0, index % hubs.length)];
    const client = mqtt.connect({
      servers: turned.map(({ host, ports }) => ({ host, port: ports.mqtt, protocol: "mqtt" as const })),
      protocolVersion: 4,
      clientId: name,
      reconnectPeriod: 200,
      connectTimeout: 2_000,
      keepalive: 5,
      clean: true,
    });
    client.on("error", () => {});
    this.#devices.push(client);
    let number = 0;
    while (this.#open) {
      const mine = number++;
      this.#history.published(name, mine);
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, 15_000);
        client.publish(`${deviceTopic}/${name}/count`, String(mine), { qos }, (error) => {
          clearTimeout(late);
          if (!error) this.#history.puback(name, mine);
          resolve();
        });
      });
      await pause(20);
    }
  }

  /** A member of the group: handles, then commits what it handled. */
  async #member(id: string): Promise<void> {
    while (this.#open) {
      const consumer = this.#client(id).consumer({ group, from: "earliest", sessionTimeoutMs: 10_000 });
      try {
        await consumer.subscribe([topic]);
        while (this.#open) await this.#handle(consumer);
      } catch {
        await pause(200);
      } finally {
        await Promise.race([consumer.close().catch(() => {}), pause(2_000)]);
      }
    }
  }

  async #handle(consumer: Consumer): Promise<void> {
    const batches = await consumer.poll(500);
    if (batches.length === 0) return;
    for (const { partition, records, nextOffset } of batches) {
      this.#see(records, "a member");
      const ranges = this.handled.get(partition) ?? new Ranges();
      this.handled.set(partition, ranges);
      const first = records[0]?.offset ?? nextOffset;
      ranges.add(first, nextOffset);
      this.firstHandled.set(partition, Math.min(first, this.firstHandled.get(partition) ?? Infinity));
    }
    await consumer.commit(batches.map((one) => ({ topic, partition: one.partition, offset: one.nextOffset })));
  }

  /** Reads along without a group. */
  async #watch(): Promise<void> {
    const consumer = this.#client("watcher").consumer();
    while (this.#open) {
      try {
        await consumer.assign([{ topic, from: "earliest" }]);
        while (this.#open) for (const { records } of await consumer.poll(500)) this.#see(records, "a watcher");
      } catch {
        await pause(200);
      }
    }
  }

  #see(records: readonly InRecord[], who: string): void {
    for (const { partition, offset, key, value } of records) {
      this.#history.saw(partition, offset, `${text(key)}:${text(value)}`, who);
    }
  }

  async stop(): Promise<void> {
    this.#open = false;
    const late = pause(20_000);
    await Promise.race([Promise.all(this.#running), late]);
    for (const device of this.#devices) device.end(true);
    await Promise.race([Promise.all(this.#clients.map((client) => client.close().catch(() => {}))), pause(5_000)]);
  }

  /** What the group has committed, by partition. */
  async committed(): Promise<Map<number, number>> {
    const client = connect({ bootstrap: this.#stage.bootstrap(), clientId: "checker" });
    try {
      const offsets = await client.admin().groupOffsets(group);
      return new Map(offsets.filter((one) => one.topic === topic).map(({ partition, offset }) => [partition, offset]));
    } finally {
      await client.close();
    }
  }
}

/** Everything committed of a topic, in order within each partition. */
export async function readAll(
  stage: ChaosStage,
  name: string,
): Promise<{ key: string; number: number; partition: number; offset: number }[]> {
  const client = connect({ bootstrap: stage.bootstrap(), clientId: "final" });
  try {
    const [description] = await client.admin().topics([name]);
    const places = description!.partitions.map(({ partition }) => ({ topic: name, partition }));
    const ends = await client.admin().offsets(places, "latest");
    const consumer = client.consumer();
    await consumer.assign([{ topic: name, from: "earliest" }]);
    const records: { key: string; number: number; partition: number; offset: number }[] = [];
    const at = new Map<number, number>();
    const until = performance.now() + 60_000;
    while (ends.some(({ partition, offset }) => (at.get(partition) ?? 0) < offset)) {
      if (performance.now() > until) throw new Error(`${name} cannot be read to its end: ${JSON.stringify([...at])}`);
      for (const batch of await consumer.poll(1000)) {
        for (const { partition, offset, key, value } of batch.records) {
          records.push({ key: text(key), number: Number(text(value)), partition, offset });
        }
        at.set(batch.partition, batch.nextOffset);
      }
    }
    return records;
  } finally {
    await client.close();
  }
}
