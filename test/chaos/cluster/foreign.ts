// Clients of a chaos run that are not ours: kafkajs and librdkafka write, an MQTT subscriber and a browser look on.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import mqtt, { type MqttClient } from "mqtt";
import { WebSocket } from "ws";
import { root, run } from "../../tools/hub_process.ts";
import type { History } from "./history.ts";
import type { ChaosHub, ChaosStage } from "./stage.ts";

interface KafkaJs {
  readonly Kafka: new (
    settings: object,
  ) => {
    producer(settings: object): {
      connect(): Promise<void>;
      disconnect(): Promise<void>;
      send(what: object): Promise<{ readonly partition: number; readonly baseOffset: string }[]>;
    };
  };
  readonly logLevel: { readonly NOTHING: number };
}

/** What these clients share with the rest of the load. */
export interface ForeignWorld {
  readonly stage: ChaosStage;
  readonly history: History;
  readonly topic: string;
  readonly deviceTopic: string;
  readonly isOpen: () => boolean;
  /** ms of the run. */
  readonly now: () => number;
}

const linesPerRun = 40;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** kafkajs, one record after the other; a producer that fails for good is replaced. */
export async function kafkajs({ stage, history, topic, isOpen, now }: ForeignWorld, key: string): Promise<void> {
  // It is only here for the tests, so it lies with their tools, and comes without types.
  const require = createRequire(path.join(root, "test/.tools/package.json"));
  const { Kafka, logLevel } = require("kafkajs") as KafkaJs;
  const settings = { clientId: key, brokers: stage.bootstrap().split(","), logLevel: logLevel.NOTHING };
  while (isOpen()) {
    const producer = new Kafka(settings).producer({ idempotent: true, maxInFlightRequests: 1 });
    try {
      await producer.connect();
      while (isOpen()) {
        const number = history.attempt(key);
        const [place] = await producer.send({ topic, acks: -1, messages: [{ key, value: String(number) }] });
        const at = { number, partition: place!.partition, offset: Number(place!.baseOffset) };
        history.acknowledge(key, at, now());
        await pause(5);
      }
    } catch {
      await pause(200); // unknown: it may be there or not
    } finally {
      await Promise.race([producer.disconnect().catch(() => {}), pause(2_000)]);
    }
  }
}

/** librdkafka through kcat: some lines a process, all of them delivered when it ends with 0; else each may be or not. */
export async function librdkafka({ stage, history, topic, isOpen }: ForeignWorld, key: string): Promise<void> {
  if (!existsSync("/usr/bin/kcat")) return;
  const args = ["-P", "-b", stage.bootstrap(), "-t", topic, "-K", ":", "-X", "enable.idempotence=true"];
  while (isOpen()) {
    const numbers = Array.from({ length: linesPerRun }, () => history.attempt(key));
    const input = numbers.map((number) => `${key}:${number}\n`).join("");
    try {
      await run("kcat", [...args, "-X", "message.timeout.ms=60000"], { input, timeoutMs: 90_000 });
      for (const number of numbers) history.stored(key, number);
    } catch {
      await pause(200); // unknown: they may be there or not
    }
    await pause(500);
  }
}

/** Hears what devices publish, from one hub after the other; nobody may hear what was never sent. */
export function listen({ stage, history, deviceTopic }: ForeignWorld, name: string): MqttClient {
  const servers = stage.hubs.map(({ host, ports }) => ({ host, port: ports.mqtt, protocol: "mqtt" as const }));
  const client = mqtt.connect({ servers, clientId: name, reconnectPeriod: 200, connectTimeout: 2_000, keepalive: 5 });
  client.on("error", () => {});
  client.on("message", (topic, payload) => history.heard(topic.split("/")[1]!, Number(payload.toString())));
  client.subscribe(`${deviceTopic}/+/count`, { qos: 1 }, () => {});
  return client;
}

/** A browser that watches the topic at one hub, and connects anew when that hub is gone. */
export async function browse(world: ForeignWorld, hub: ChaosHub): Promise<void> {
  while (world.isOpen()) {
    await new Promise<void>((resolve) => watchOnce(world, hub, resolve));
    await pause(500);
  }
}

function watchOnce({ history, topic, isOpen }: ForeignWorld, hub: ChaosHub, done: () => void): void {
  const socket = new WebSocket(`ws://${hub.host}:${hub.ports.http}/ws`, { handshakeTimeout: 3_000 });
  // a hub that is paused or cut off says nothing: on to the next connection
  const silent = setTimeout(() => socket.terminate(), 15_000);
  const closes = setInterval(() => {
    if (!isOpen()) socket.terminate();
  }, 500);
  socket.on("open", () => {
    socket.send(JSON.stringify({ type: "subscribe", id: 1, topic, from: "latest", credit: 100_000 }));
  });
  socket.on("message", (data) => {
    silent.refresh();
    const { partition, records } = JSON.parse(String(data)) as { partition?: number; records?: unknown[][] };
    for (const [offset, , key, value] of records ?? []) {
      history.saw(partition!, Number(offset), `${String(key)}:${String(value)}`, "a browser");
    }
    if (records) socket.send(JSON.stringify({ type: "credit", id: 1, n: records.length }));
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    clearTimeout(silent);
    clearInterval(closes);
    done();
  });
}
