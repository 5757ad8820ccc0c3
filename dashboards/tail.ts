// One shared consumer per topic for all browsers: a ring of what came last, and frames encoded once per shape.
import {
  type Admin,
  type Consumer,
  type HubClient,
  type InBatch,
  limits,
  type TopicDescription,
  type Trace,
} from "../hub/mod.ts";
import { type Batcher, type Frame, flush, flushDue, gather, newBatcher } from "./feed.ts";
import { type Subscribe, shapeOf } from "./protocol.ts";
import { type Line, lineOf, type Shown, show } from "./records.ts";

export const frameBounds = { records: limits.browserFrameRecordsMax, bytes: limits.browserFrameBytesMax };

/** Milliseconds over which live records are gathered into one frame when a subscription names no `every`. */
const frameMs = 40;
const pollMs = 500;
const retryMs = 500;
const absentMs = 1000;
const describeMs = 10_000;

/** Who takes what a shape has to send. */
export interface Reader {
  /** `body` is the frame without its subscription id: the same bytes for every reader of the shape. */
  onFrame(frame: Frame<Line>, body: Buffer): void;
  /** The topic was made anew, deleted, or has more partitions: subscribe again. */
  onChanged(): void;
}

/** All subscriptions that want the same of one topic. */
export interface Shape {
  readonly name: string;
  readonly wanted: Subscribe;
  readonly batcher: Batcher<Shown>;
  readonly readers: Set<Reader>;
}

interface Ring {
  oldest: number;
  next: number;
  bytes: number;
  readonly records: Shown[];
}

/** The bytes of a frame from its second field on; the sender puts `{"id":n,` before them. */
export function frameBody(frame: Frame<Line>): Buffer {
  const { partition, first, next, conflated, dropped } = frame;
  let text = `"partition":${partition},"first":${first},"next":${next},`;
  if (conflated > 0) text += `"conflated":${conflated},`;
  if (dropped > 0) text += `"dropped":${dropped},`;
  return Buffer.from(`${text}"records":[${frame.records.map((line) => line.text).join(",")}]}`);
}

/** True when a subscription wants this record. */
export function wants(wanted: Subscribe, shown: Shown): boolean {
  if (wanted.partitions !== null && !wanted.partitions.has(shown.partition)) return false;
  return wanted.keys === null || (shown.key !== null && wanted.keys.has(shown.key));
}

/** The tail of one topic. It waits for a topic that does not exist yet, and survives a hub that comes and goes. */
export class Tail {
  readonly topic: string;
  topicId = "";
  #client: HubClient;
  #trace: Trace;
  #rings = new Map<number, Ring>();
  #shapes = new Map<string, Shape>();
  #closed = false;
  #wake: () => void = () => {};
  #consumer: Consumer | null = null;
  #flusher: ReturnType<typeof setInterval> | null = null;
  #ready: Promise<void>;
  #setReady: () => void = () => {};
  #run: Promise<void>;

  constructor(client: HubClient, topic: string, trace: Trace) {
    this.topic = topic;
    this.#client = client;
    this.#trace = trace;
    this.#ready = new Promise((resolve) => {
      this.#setReady = resolve;
    });
    this.#run = this.#work();
  }

  /** Resolves when the topic exists and its end is known. */
  ready(): Promise<void> {
    return this.#ready;
  }

  get exists(): boolean {
    return this.topicId !== "";
  }

  partitions(): number[] {
    return [...this.#rings.keys()];
  }

  /** First offset from which the ring holds everything. */
  oldest(partition: number): number {
    return this.#rings.get(partition)?.oldest ?? Number.POSITIVE_INFINITY;
  }

  /** Records of the ring in [from, to). */
  since(partition: number, from: number, to: number): Shown[] {
    const records = this.#rings.get(partition)?.records ?? [];
    let low = 0;
    let high = records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (records[middle]!.offset < from) low = middle + 1;
      else high = middle;
    }
    let end = low;
    while (end < records.length && records[end]!.offset < to) end++;
    return records.slice(low, end);
  }

  /** The shape of a subscription, made when it is the first of its kind. */
  join(wanted: Subscribe, reader: Reader): Shape {
    const name = shapeOf(wanted);
    let shape = this.#shapes.get(name);
    if (shape === undefined) {
      const flushed = new Map([...this.#rings].map(([partition, ring]) => [partition, ring.next]));
      const batcher = newBatcher<Shown>(wanted.every || frameMs, wanted.every > 0, flushed);
      shape = { name, wanted, batcher, readers: new Set() };
      this.#shapes.set(name, shape);
    }
    shape.readers.add(reader);
    this.#flusher ??= setInterval(() => this.#flushDue(), frameMs / 2);
    return shape;
  }

  leave(shape: Shape, reader: Reader): void {
    shape.readers.delete(reader);
    if (shape.readers.size === 0 && this.#shapes.get(shape.name) === shape) this.#shapes.delete(shape.name);
    if (this.#shapes.size === 0 && this.#flusher !== null) {
      clearInterval(this.#flusher);
      this.#flusher = null;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#flusher !== null) clearInterval(this.#flusher);
    this.#flusher = null;
    this.#wake();
    await this.#consumer?.close().catch(() => {}); // ends a poll under way
    await this.#run;
  }

  async #work(): Promise<void> {
    const admin = this.#client.admin();
    while (!this.#closed) {
      let consumer: Consumer | null = null;
      try {
        const description = await describe(admin, this.topic);
        if (description === null) {
          this.#forget();
          await this.#pause(absentMs);
          continue;
        }
        await this.#place(admin, description);
        consumer = this.#client.consumer({ clientId: "dashboard-tail", from: "earliest" });
        this.#consumer = consumer;
        const places = [...this.#rings].map(([partition, { next }]) => ({ partition, next }));
        await consumer.assign(places.map(({ partition, next }) => this.#at(partition, next)));
        this.#setReady();
        await this.#follow(admin, consumer, places.length);
      } catch (error) {
        if (this.#closed) break;
        this.#trace.event("warn", "dashboard_tail_failed", { topic: this.topic, error: String(error) });
        await this.#pause(retryMs);
      } finally {
        this.#consumer = null;
        await consumer?.close().catch(() => {});
      }
    }
    await admin.close().catch(() => {});
  }

  #at(partition: number, offset: number): { topic: string; partition: number; from: { offset: number } } {
    return { topic: this.topic, partition, from: { offset } };
  }

  /** Sets the rings to the end of the log; a topic made anew or grown makes its readers subscribe again. */
  async #place(admin: Admin, description: TopicDescription): Promise<void> {
    const anew = this.topicId !== description.topicId;
    const numbers = description.partitions.map(({ partition }) => partition);
    const places = numbers.map((partition) => ({ topic: this.topic, partition }));
    const [starts, ends] = await Promise.all([admin.offsets(places, "earliest"), admin.offsets(places, "latest")]);
    const hadReaders = this.exists;
    let changed = anew || numbers.length !== this.#rings.size;
    if (anew) this.#rings.clear();
    for (const { partition, offset: end } of ends) {
      const ring = this.#rings.get(partition);
      const start = starts.find((entry) => entry.partition === partition)?.offset ?? 0;
      if (ring !== undefined && ring.next >= start && ring.next <= end) continue;
      changed ||= ring !== undefined; // the log moved under the ring: what was kept is of no use
      this.#rings.set(partition, { oldest: end, next: end, bytes: 0, records: [] });
    }
    this.topicId = description.topicId;
    if (changed && hadReaders) this.#tellChanged();
  }

  /** Reads until the topic changes. */
  async #follow(admin: Admin, consumer: Consumer, partitions: number): Promise<void> {
    let described = Date.now();
    while (!this.#closed) {
      for (const batch of await consumer.poll(pollMs)) this.#take(batch);
      if (Date.now() - described < describeMs) continue;
      described = Date.now();
      const description = await describe(admin, this.topic);
      if (description?.topicId !== this.topicId || description.partitions.length !== partitions) return;
    }
  }

  #take(batch: InBatch): void {
    const ring = this.#rings.get(batch.partition);
    if (ring === undefined) return;
    const fresh: Shown[] = [];
    for (const record of batch.records) if (record.offset >= ring.next) fresh.push(show(record));
    ring.next = Math.max(ring.next, batch.nextOffset);
    for (const shown of fresh) {
      ring.records.push(shown);
      ring.bytes += shown.bytes;
    }
    this.#trim(ring);
    for (const shape of this.#shapes.values()) {
      const { wanted, batcher } = shape;
      const all = wanted.keys === null && wanted.partitions === null;
      const records = all ? fresh : fresh.filter((shown) => wants(wanted, shown));
      if (gather(batcher, batch.partition, records, ring.next, frameBounds)) this.#flush(shape);
    }
  }

  #trim(ring: Ring): void {
    const bound = limits.tailRingBytesMax / Math.max(1, this.#rings.size);
    let count = 0;
    while (ring.bytes > bound && count < ring.records.length) ring.bytes -= ring.records[count++]!.bytes;
    if (count === 0) return;
    ring.records.splice(0, count);
    ring.oldest = ring.records[0]?.offset ?? ring.next;
  }

  #flushDue(): void {
    const now = performance.now();
    for (const shape of this.#shapes.values()) if (flushDue(shape.batcher, now)) this.#flush(shape);
  }

  #flush(shape: Shape): void {
    for (const frame of flush(shape.batcher, performance.now(), frameBounds)) {
      const records = frame.records.map((shown) => lineOf(shown, shape.wanted.headers));
      const lines = { ...frame, records };
      const body = frameBody(lines);
      if (frame.conflated > 0) this.#trace.count("browser_conflated_total", frame.conflated);
      for (const reader of [...shape.readers]) reader.onFrame(lines, body);
    }
  }

  #forget(): void {
    if (!this.exists) return;
    this.topicId = "";
    this.#rings.clear();
    this.#ready = new Promise((resolve) => {
      this.#setReady = resolve;
    });
    this.#tellChanged();
  }

  #tellChanged(): void {
    const readers = [...this.#shapes.values()].flatMap((shape) => [...shape.readers]);
    this.#shapes.clear();
    for (const reader of readers) reader.onChanged();
  }

  async #pause(ms: number): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** null when the topic does not exist. */
async function describe(admin: Admin, topic: string): Promise<TopicDescription | null> {
  try {
    return (await admin.topics([topic])).find(({ name }) => name === topic) ?? null;
  } catch (error) {
    if ((error as { kind?: string }).kind === "UNKNOWN_TOPIC_OR_PARTITION") return null;
    throw error;
  }
}

/** The tails of all topics that somebody watches, and for a moment after. */
export class Tails {
  #client: HubClient;
  #trace: Trace;
  #held = new Map<string, { tail: Tail; users: number; timer: ReturnType<typeof setTimeout> | null }>();

  constructor(client: HubClient, trace: Trace) {
    this.#client = client;
    this.#trace = trace;
  }

  /** null when too many topics are watched already. */
  open(topic: string): Tail | null {
    let entry = this.#held.get(topic);
    if (entry === undefined) {
      if (this.#held.size >= limits.tailTopicsMax && !this.#dropUnused()) return null;
      entry = { tail: new Tail(this.#client, topic, this.#trace), users: 0, timer: null };
      this.#held.set(topic, entry);
    }
    entry.users++;
    if (entry.timer !== null) clearTimeout(entry.timer);
    entry.timer = null;
    return entry.tail;
  }

  release(tail: Tail): void {
    const entry = this.#held.get(tail.topic);
    if (entry === undefined || entry.tail !== tail || --entry.users > 0) return;
    entry.timer = setTimeout(() => {
      this.#held.delete(tail.topic);
      void tail.close();
    }, limits.tailLingerMs);
    entry.timer.unref?.();
  }

  #dropUnused(): boolean {
    for (const [topic, { tail, users, timer }] of this.#held) {
      if (users > 0) continue;
      if (timer !== null) clearTimeout(timer);
      this.#held.delete(topic);
      void tail.close();
      return true;
    }
    return false;
  }

  async close(): Promise<void> {
    const entries = [...this.#held.values()];
    this.#held.clear();
    for (const { timer } of entries) if (timer !== null) clearTimeout(timer);
    await Promise.all(entries.map(({ tail }) => tail.close()));
  }
}
