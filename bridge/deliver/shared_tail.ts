// Reads the end of every partition that a connected session wants, once for all of them, and hands it out.
import { type Clock, type Consumer, type HubClient, limits, type Trace } from "../../hub/mod.ts";
import type { FanOut } from "./fan_out.ts";
import type { Feed } from "./feed.ts";

export interface SharedTailDeps {
  readonly client: HubClient;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly fanOut: FanOut;
  readonly feedOf: (topic: string, partition: number) => Feed | undefined;
}

const pollMs = 500;

export class SharedTail {
  readonly #deps: SharedTailDeps;
  readonly #reading = new Set<Feed>();
  #consumer: Consumer | null = null;
  #running: Promise<void> | null = null;
  /** Wakes the loop that has nothing to read. */
  #wake: (() => void) | null = null;
  #closed = false;

  constructor(deps: SharedTailDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#reading.size;
  }

  /** Hands out the partition from this offset on. */
  start(feed: Feed, next: number): void {
    feed.next = next;
    feed.turn++;
    feed.isReading = true;
    this.#reading.add(feed);
    this.#consumer?.add([placeOf(feed)]);
    this.#running ??= this.#run();
    this.#wake?.();
  }

  stop(feed: Feed): void {
    if (!this.#reading.delete(feed)) return;
    feed.turn++;
    feed.isReading = false;
    this.#consumer?.remove([feed]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake?.();
    await this.#consumer?.close().catch(() => {});
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, trace } = this.#deps;
    while (!this.#closed) {
      try {
        await this.#read(this.#open());
      } catch (error) {
        if (this.#closed) break;
        // leaders move; what cannot be healed so is tried again all the same
        trace.event("debug", "mqtt_deliver_retries", { error: String(error) });
        await this.#consumer?.close().catch(() => {});
        this.#consumer = null;
        await new Promise<void>((resolve) => void clock.after(limits.mqttDeliverRetryMs, resolve));
      }
    }
  }

  #open(): Consumer {
    if (this.#consumer !== null) return this.#consumer;
    const { client, trace } = this.#deps;
    const consumer = client.consumer({
      from: "earliest",
      isolation: "read_committed",
      onMoved: ({ topic, partition }, wanted, next) => this.#moved(topic, partition, wanted, next),
      onBroken: () => trace.count("mqtt_deliver_broken_batches_total"),
    });
    this.#consumer = consumer;
    consumer.add([...this.#reading].map(placeOf));
    return consumer;
  }

  async #read(consumer: Consumer): Promise<void> {
    const { fanOut, feedOf } = this.#deps;
    while (!this.#closed) {
      if (this.#reading.size === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
      for (const batch of await consumer.poll(pollMs)) {
        const feed = feedOf(batch.topic, batch.partition);
        if (feed?.isReading) await fanOut.handOut(feed, batch);
      }
      fanOut.flush();
    }
  }

  /** Retention took what was not handed out yet, or the log was cut and goes on from there. */
  #moved(topic: string, partition: number, wanted: number, next: number): void {
    const feed = this.#deps.feedOf(topic, partition);
    if (!feed?.isReading) return;
    if (next > wanted) this.#deps.trace.count("mqtt_deliver_gone_total", next - wanted);
    else for (const cursor of feed.cursors.values()) cursor.next = Math.min(cursor.next, next);
    feed.next = next;
    feed.turn++;
  }
}

function placeOf({ topic, partition, next }: Feed): { topic: string; partition: number; offset: number } {
  return { topic, partition, offset: next };
}
