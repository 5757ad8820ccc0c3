// Where hubs form a cluster: MQTT subscribers get what was published on any of them from the log, once it is committed.
import type { Admin, Clock, Consumer, HubClient, InRecord, Trace } from "../hub/mod.ts";

/** A stored message as a subscriber is to get it. */
export interface Delivery {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
}

export interface TailOptions {
  readonly client: HubClient;
  readonly clock: Clock;
  readonly trace: Trace;
  /** Resolves when more may come. */
  readonly deliver: (delivery: Delivery) => Promise<void>;
}

const decoder = new TextDecoder();
/** How often topics and partitions are looked for that were made since. */
const lookMs = 1_000;
const pollMs = 500;
const retryMs = 200;

/**
 * Reads every topic from the moment of the first subscription on: what was there at that moment from its end, what is
 * made afterwards from its beginning. A leader that fails delays it; nothing is left out.
 */
export class Tail {
  readonly #options: TailOptions;
  /** "<topic>/<partition>" -> the next offset. */
  readonly #places = new Map<string, number>();
  /** One for all it asks: each has connections of its own. */
  #admin: Admin | null = null;
  #consumer: Consumer | null = null;
  #ready: Promise<void> | null = null;
  #running: Promise<void> = Promise.resolve();
  #lookedAt = 0;
  #closed = false;

  constructor(options: TailOptions) {
    this.#options = options;
  }

  /** Resolves when what is published from now on will be delivered; begins to read when called first. */
  ready(): Promise<void> {
    this.#ready ??= this.#begin();
    return this.#ready;
  }

  async #begin(): Promise<void> {
    const admin = this.#options.client.admin();
    this.#admin = admin;
    await this.#persist(async () => {
      const places = (await this.#partitions()).map(({ topic, partition }) => ({ topic, partition }));
      for (const { topic, partition, offset } of await admin.offsets(places, "latest")) {
        this.#places.set(`${topic}/${partition}`, offset);
      }
      await this.#assign();
    });
    this.#running = this.#run();
  }

  /** What fails is tried again: leaders move. */
  async #persist(attempt: () => Promise<void>): Promise<void> {
    const { clock, trace } = this.#options;
    while (!this.#closed) {
      try {
        return await attempt();
      } catch (error) {
        if (this.#closed) return;
        trace.event("debug", "mqtt_tail_retries", { error: String(error) });
        await new Promise<void>((resolve) => void clock.after(retryMs, resolve));
      }
    }
  }

  async #partitions(): Promise<{ readonly topic: string; readonly partition: number }[]> {
    const topics = await this.#admin!.topics();
    return topics
      .filter(({ internal }) => !internal)
      .flatMap(({ name, partitions }) => partitions.map(({ partition }) => ({ topic: name, partition })));
  }

  async #assign(): Promise<void> {
    await this.#consumer?.close();
    this.#consumer = this.#options.client.consumer();
    const places = [...this.#places].map(([place, offset]) => {
      const at = place.lastIndexOf("/");
      return { topic: place.slice(0, at), partition: Number(place.slice(at + 1)), from: { offset } };
    });
    if (places.length > 0) await this.#consumer.assign(places);
    this.#lookedAt = this.#options.clock.now();
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      await this.#persist(async () => {
        for (const { topic, partition, records, nextOffset } of (await this.#consumer?.poll(pollMs)) ?? []) {
          for (const record of records) await this.#deliver(record);
          this.#places.set(`${topic}/${partition}`, nextOffset);
        }
        if (this.#options.clock.now() - this.#lookedAt >= lookMs) await this.#look();
      });
    }
  }

  async #look(): Promise<void> {
    const there = await this.#partitions();
    const names = new Set(there.map(({ topic, partition }) => `${topic}/${partition}`));
    const news = [...names].filter((name) => !this.#places.has(name));
    const gone = [...this.#places.keys()].filter((name) => !names.has(name));
    for (const name of news) this.#places.set(name, 0);
    for (const name of gone) this.#places.delete(name);
    if (news.length > 0 || gone.length > 0) await this.#assign();
    else this.#lookedAt = this.#options.clock.now();
  }

  async #deliver({ headers, value }: InRecord): Promise<void> {
    const told = new Map(headers.map((header) => [header.key, header.value]));
    const topic = told.get("mqtt.topic");
    if (!topic || value === null) return; // not from a device
    const digit = (name: string): number => (told.get(name)?.[0] ?? 48) - 48;
    const qos = Math.min(2, Math.max(0, digit("mqtt.qos"))) as 0 | 1 | 2;
    await this.#options.deliver({
      topic: decoder.decode(topic),
      payload: value,
      qos,
      retain: digit("mqtt.retain") === 1,
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    // both end what they wait for, a leader that is gone, say
    await Promise.all([this.#consumer?.close().catch(() => {}), this.#admin?.close().catch(() => {})]);
    await this.#ready;
    await this.#running;
    await this.#consumer?.close().catch(() => {}); // a look may have opened another one meanwhile
  }
}
