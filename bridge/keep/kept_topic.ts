// A compacted topic that the bridge keeps state in: read whole, read on when others write it, written in order.
import {
  type Clock,
  type HubClient,
  HubError,
  type InRecord,
  limits,
  type OutRecord,
  type Trace,
} from "../../hub/mod.ts";
import type { KeepingHub } from "./faces.ts";

export interface KeptOptions {
  readonly hub: Pick<KeepingHub, "ensureTopic">;
  readonly client: HubClient;
  readonly topic: string;
  readonly clock: Clock;
  readonly trace: Trace;
  /** Others write it, too: it is read on after `open`. */
  readonly isShared: boolean;
  /** Told every record, in the order of its partition. */
  readonly apply: (record: InRecord) => void;
}

type Consumer = ReturnType<HubClient["consumer"]>;

/** How far a partition was read, and who waits for more. */
interface Place {
  next: number;
  /** By offset. */
  waiting: { readonly offset: number; readonly call: (error: Error | null) => void }[];
}

export class KeptTopic {
  readonly #options: KeptOptions;
  readonly #producer: ReturnType<HubClient["producer"]>;
  readonly #admin: ReturnType<HubClient["admin"]>;
  readonly #places: Place[] = Array.from({ length: limits.mqttKeptPartitions }, () => ({ next: 0, waiting: [] }));
  /** Asks how far the topic goes: at most one question is under way, and who comes meanwhile shares the next one. */
  #asking: Promise<void> = Promise.resolve();
  #nextLook: Promise<void> | null = null;
  #following: Promise<void> = Promise.resolve();
  /** Null: it is there. Else what waits for it to be made, or has begun to make it. */
  #unmade: { made: Promise<void> | null; waiting: number } | null = null;
  #consumer: Consumer | null = null;
  #closed = false;

  constructor(options: KeptOptions) {
    this.#options = options;
    this.#producer = options.client.producer({ acks: -1 });
    this.#admin = options.client.admin();
  }

  /** Resolves when all that was committed before the call was applied. @throws HubError when it cannot be read */
  async open(): Promise<void> {
    const { hub, topic, isShared } = this.#options;
    if (!isShared && !(await this.#patiently(() => this.#isThere()))) {
      this.#unmade = { made: null, waiting: 0 }; // a hub that no client leaves anything on does without
      return;
    }
    await this.#patiently(() => hub.ensureTopic(topic));
    const ends = await this.#patiently(() => this.#ends());
    this.#consumer = await this.#patiently(() => this.#read());
    while (ends.some((end, at) => this.#places[at]!.next < end)) {
      this.#mustBeOpen();
      for (const batch of await this.#consumer.poll(limits.clientFetchWaitMs)) this.#take(batch);
    }
    if (isShared) this.#following = this.#follow();
    else await this.#stopReading();
  }

  /** Which partition all records of a name are in. */
  partitionOf(name: string): number {
    let hash = 0x811c9dc5;
    for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
    return (hash >>> 0) % this.#places.length;
  }

  /** Takes the record now; those of a partition keep the order of the calls. Resolves with its offset: committed. */
  async write(partition: number, record: OutRecord): Promise<number> {
    const unmade = this.#unmade;
    if (unmade !== null) {
      unmade.waiting++;
      unmade.made ??= this.#options.hub.ensureTopic(this.#options.topic);
      try {
        await unmade.made;
      } catch (error) {
        unmade.made = null; // the next one tries again
        throw error;
      } finally {
        // who comes now is behind those that waited
        if (--unmade.waiting === 0 && unmade.made !== null) this.#unmade = null;
      }
    }
    return (await this.#producer.publish(this.#options.topic, { ...record, partition })).offset;
  }

  /** Resolves when all up to this offset was applied; rejects when the topic is closed before. */
  whenRead(partition: number, offset: number): Promise<void> {
    const { next, waiting } = this.#places[partition]!;
    if (next > offset) return Promise.resolve();
    if (this.#closed) return Promise.reject(this.#closedError());
    return new Promise((resolve, reject) => {
      let at = waiting.length;
      while (at > 0 && waiting[at - 1]!.offset > offset) at--;
      waiting.splice(at, 0, { offset, call: (error) => (error === null ? resolve() : reject(error)) });
    });
  }

  /**
   * Resolves when all that anybody was acknowledged before the call was applied.
   * @throws HubError when a leader does not tell
   */
  upToNow(): Promise<void> {
    this.#nextLook ??= this.#asking.then(() => {
      this.#nextLook = null;
      const looking = this.#ends();
      this.#asking = looking.then(
        () => {},
        () => {},
      );
      return looking.then((ends) => this.#whenAllRead(ends));
    });
    return this.#nextLook;
  }

  /**
   * Waits for what opens as long as a start may take; null: it goes on by itself, as a hub that starts before the
   * others of its cluster has to serve them for them to come.
   */
  async inTime<T>(opening: Promise<T>): Promise<T | null> {
    if (!this.#options.isShared) return await opening;
    let timer: { cancel(): void } | null = null;
    const late = new Promise<null>((resolve) => {
      timer = this.#options.clock.after(limits.mqttKeptWaitMsMax, () => resolve(null));
    });
    try {
      return await Promise.race([opening, late]);
    } finally {
      (timer as { cancel(): void } | null)?.cancel();
    }
  }

  /** What is on its way has a little time to get there: where nobody leads it will not. */
  async close(): Promise<void> {
    this.#closed = true;
    const closing = Promise.all([this.#producer.close(), this.#stopReading(), this.#following, this.#admin.close()]);
    closing.catch(() => {}); // it is the end
    await Promise.race([closing, this.#pause(limits.mqttKeptCloseMsMax)]);
    for (const { waiting } of this.#places) for (const { call } of waiting.splice(0)) call(this.#closedError());
  }

  async #isThere(): Promise<boolean> {
    const { topic } = this.#options;
    return (await this.#admin.topics()).some(({ name }) => name === topic);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.after(ms, resolve));
  }

  #mustBeOpen(): void {
    if (this.#closed) throw this.#closedError();
  }

  #closedError(): HubError {
    return new HubError("NETWORK_EXCEPTION", `${this.#options.topic} is closed`);
  }

  /** Of each partition: the offset after the last committed record. */
  async #ends(): Promise<number[]> {
    const { topic } = this.#options;
    const partitions = this.#places.map((_, partition) => ({ topic, partition }));
    const found = await this.#admin.offsets(partitions, "latest");
    const ends = partitions.map(() => 0);
    for (const { partition, offset } of found) ends[partition] = offset;
    return ends;
  }

  async #whenAllRead(ends: readonly number[]): Promise<void> {
    await Promise.all(ends.map((end, partition) => this.whenRead(partition, end - 1)));
  }

  /** A consumer that goes on where the last one stopped. */
  async #read(): Promise<Consumer> {
    const { client, topic } = this.#options;
    const consumer = client.consumer({ from: "earliest" });
    try {
      await consumer.assign(
        this.#places.map(({ next }, partition) => {
          return { topic, partition, from: next === 0 ? "earliest" : { offset: next } };
        }),
      );
    } catch (error) {
      await consumer.close();
      throw error;
    }
    return consumer;
  }

  async #follow(): Promise<void> {
    const { trace, topic } = this.#options;
    while (!this.#closed) {
      try {
        this.#consumer ??= await this.#read();
        for (const batch of await this.#consumer.poll(limits.clientFetchWaitMs)) this.#take(batch);
      } catch (error) {
        if (this.#closed) return;
        trace.event("warn", "mqtt_kept_read_failed", { topic, error: String(error) });
        await this.#stopReading();
        await this.#pause(limits.mqttKeptRetryMs);
      }
    }
  }

  async #stopReading(): Promise<void> {
    const consumer = this.#consumer;
    this.#consumer = null;
    await consumer?.close();
  }

  #take(batch: Awaited<ReturnType<Consumer["poll"]>>[number]): void {
    const place = this.#places[batch.partition];
    if (place === undefined) return;
    for (const record of batch.records) {
      this.#options.apply(record);
      this.#moved(place, record.offset + 1);
    }
    this.#moved(place, batch.nextOffset);
  }

  #moved(place: Place, next: number): void {
    place.next = next;
    let count = 0;
    while (count < place.waiting.length && place.waiting[count]!.offset < next) count++;
    if (count > 0) for (const { call } of place.waiting.splice(0, count)) call(null);
  }

  /** Tries again while it may help; in a cluster that may be until other hubs are there. */
  async #patiently<T>(attempt: () => Promise<T>): Promise<T> {
    const { clock, trace, topic, isShared } = this.#options;
    const until = clock.now() + limits.mqttKeptOpenMsMax;
    for (;;) {
      this.#mustBeOpen();
      try {
        return await attempt();
      } catch (error) {
        const isWorthIt = error instanceof HubError && error.retriable && (isShared || clock.now() < until);
        if (this.#closed || !isWorthIt) throw error;
        trace.event("debug", "mqtt_kept_not_open", { topic, error: error.message });
        await this.#pause(limits.mqttKeptRetryMs);
      }
    }
  }
}
