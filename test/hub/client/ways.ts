// Both ways to a real hub, with and without a socket, for tests that must hold over both.
import test from "node:test";
import { connectNet } from "../../../hub/client/client.ts";
import type { Consumer, HubClient, InBatch, InRecord, TopicPartition } from "../../../hub/client/faces.ts";
import { openClock } from "../../../hub/io/clock.ts";
import { openNet } from "../../../hub/io/net.ts";
import { withHub } from "../../tools/test_hub.ts";
import type { TestHub, TestHubOptions } from "../../tools/test_hub.ts";

export type Way = "without a socket" | "over a socket";

/** What a test gets. */
export interface Ground extends TestHub {
  readonly client: HubClient;
  /** A topic of its own with so many partitions. */
  topic(partitions?: number, configs?: Record<string, string>): Promise<string>;
}

let count = 0;

/** Runs a test twice, each time on a fresh hub with a client of the other way. */
export function bothWays(name: string, use: (ground: Ground) => Promise<void>, options: TestHubOptions = {}): void {
  for (const way of ["without a socket", "over a socket"] as const) {
    test(`${name} (${way})`, () => withClient(way, use, options));
  }
}

/** A hub and a client of it, both closed whatever happens. */
export async function withClient(way: Way, use: (ground: Ground) => Promise<void>, options: TestHubOptions = {}) {
  const alive = setInterval(() => {}, 1000);
  try {
    await withHub(options, async (opened) => {
      const clock = openClock();
      const bootstrap = [{ host: "127.0.0.1", port: opened.kafka }];
      const client =
        way === "over a socket"
          ? connectNet({ net: openNet(clock), clock, bootstrap, clientId: "net" })
          : opened.hub.client("local");
      try {
        await use({
          ...opened,
          client,
          async topic(partitions = 1, configs = {}) {
            count += 1;
            const name = `topic-${count}`;
            const admin = client.admin();
            await admin.createTopic(name, { partitions, configs });
            await admin.close();
            return name;
          },
        });
      } finally {
        await client.close();
      }
    });
  } finally {
    clearInterval(alive);
  }
}

export const text = (bytes: Uint8Array | null): string => (bytes === null ? "null" : Buffer.from(bytes).toString());

/** Publishes values in order; without a key the partition is the index modulo `partitions`. */
export async function fill(client: HubClient, topic: string, values: readonly string[], partitions = 1): Promise<void> {
  const producer = client.producer();
  const each = values.map((value, index) =>
    producer.publish(topic, { key: null, value: Buffer.from(value), partition: index % partitions }),
  );
  await Promise.all(each);
  await producer.close();
}

/** Polls until `enough` says so; fails after 30 s. */
export async function pollUntil(
  consumers: readonly Consumer[],
  enough: () => boolean,
  each: (batch: InBatch, consumer: Consumer) => void | Promise<void> = () => {},
): Promise<void> {
  const until = performance.now() + 30_000;
  await Promise.all(
    consumers.map(async (consumer) => {
      while (!enough()) {
        if (performance.now() > until) throw new Error("30 s were not enough");
        for (const batch of await consumer.poll(50)) await each(batch, consumer);
      }
    }),
  );
}

/** The next `wanted` records of a consumer. */
export async function take(consumer: Consumer, wanted: number): Promise<InRecord[]> {
  const records: InRecord[] = [];
  await pollUntil(
    [consumer],
    () => records.length >= wanted,
    (batch) => void records.push(...batch.records),
  );
  return records;
}

export const names = (partitions: readonly TopicPartition[]): string[] =>
  partitions.map(({ topic, partition }) => `${topic}-${partition}`).sort();
