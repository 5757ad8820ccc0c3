// The producer: records go straight into the open batch of their partition, which leaves at the end of the turn.
import type { Arena } from "../bytes/arena.ts";
import { HubError } from "../errors.ts";
import type { Clock } from "../io/ports.ts";
import { limits } from "../limits.ts";
import { type CopySource, type EncodedRecord, encodeSame } from "../record/builder.ts";
import type { Acks, Delivered, Header, OutRecord, Prepared, Producer, ProducerOptions } from "./faces.ts";
import { Lane } from "./lane.ts";
import { choosePartition } from "./partitioner.ts";
import type { Routes } from "./routes.ts";
import { Sender } from "./sender.ts";
import { slabs } from "./slabs.ts";

/** Records for a topic whose partitions are not known yet, in order. */
interface Pending {
  readonly record: OutRecord;
  readonly size: number;
  readonly delivered: Delivered | undefined;
}

interface Topic {
  readonly name: string;
  lanes: Lane[];
  /** Of keyless records: goes round the partitions. */
  turn: number;
  pending: Pending[];
  finding: Promise<void> | null;
}

interface PreparedRecord extends Prepared {
  readonly entry: Topic;
  readonly key: Uint8Array;
  readonly headers: readonly Header[];
  readonly encoded: EncodedRecord;
  /** What it takes from the buffer, without the value. */
  readonly size: number;
  /** Of `lanes`; found anew when the topic has more of them. */
  lane: Lane | null;
  lanes: readonly Lane[];
}

/** What a record takes from the buffer besides its bytes. */
const recordOverheadBytes = 32;

function sizeOf(record: OutRecord): number {
  const { key, value, headers } = record;
  let size = recordOverheadBytes + (key === null ? 0 : key.length) + (value === null ? 0 : value.length);
  if (headers !== undefined) for (const header of headers) size += 8 + header.key.length + (header.value?.length ?? 0);
  return size;
}

/** Not `slice`: a Buffer's shares its memory. */
function copyOf(bytes: Uint8Array | null): Uint8Array | null {
  return bytes === null ? null : new Uint8Array(bytes);
}

/** Opens a producer on the routes of a client. */
export function openProducer(routes: Routes, options: ProducerOptions = {}): Producer {
  return new BatchingProducer(routes, options);
}

class BatchingProducer implements Producer {
  readonly #routes: Routes;
  readonly #clock: Clock;
  readonly #sender: Sender;
  /** Nobody says when a batch with acks=0 was sent. */
  readonly #arena: Arena | null;
  readonly #lingerMs: number;
  readonly #batchBytes: number;
  readonly #topics = new Map<string, Topic>();
  #lastTopic: Topic | null = null;
  /** Lanes with an open batch. */
  #dirty: Lane[] = [];
  #buffered = 0;
  #flushing = false;
  /** The wall clock of this turn; -1 when it is to be read. */
  #wall = -1;
  #draining: (() => void)[] = [];
  #closed = false;

  constructor(routes: Routes, options: ProducerOptions) {
    this.#routes = routes;
    this.#clock = routes.clock;
    const acks: Acks = options.acks ?? -1;
    this.#lingerMs = options.lingerMs ?? 0;
    this.#batchBytes = Math.min(options.batchBytes ?? limits.clientBatchBytes, limits.batchBytesMax);
    this.#arena = acks === 0 ? null : slabs;
    this.#sender = new Sender(routes, acks, options.idempotent, (batch) => this.#release(batch.taken));
  }

  send(topic: string, record: OutRecord, delivered?: Delivered): void {
    const size = sizeOf(record);
    if (this.#closed) {
      this.#refuse(delivered, new HubError("NETWORK_EXCEPTION", "the producer is closed"));
      return;
    }
    if (this.#buffered + size > limits.clientBufferBytesMax) {
      const detail = `${this.#buffered} bytes wait for their answer already`;
      this.#refuse(delivered, new HubError("THROTTLING_QUOTA_EXCEEDED", detail));
      return;
    }
    const last = this.#lastTopic;
    const entry = last !== null && last.name === topic ? last : this.#topicOf(topic);
    this.#buffered += size;
    if (entry.lanes.length === 0 || entry.pending.length > 0) this.#hold(entry, { record, size, delivered });
    else this.#append(entry, record, size, delivered);
  }

  #topicOf(name: string): Topic {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = { name, lanes: [], turn: 0, pending: [], finding: null };
      this.#topics.set(name, topic);
      if (!this.#routes.isStale(name)) this.#spread(topic);
    }
    this.#lastTopic = topic;
    return topic;
  }

  #append(topic: Topic, record: OutRecord, size: number, delivered: Delivered | undefined): void {
    const { lanes } = topic;
    const partition =
      record.partition ?? choosePartition(record.key, lanes.length, record.key === null ? topic.turn++ : 0);
    const lane = lanes[partition];
    if (lane === undefined) {
      this.#release(size);
      const detail = `${topic.name} has no partition ${partition}`;
      this.#refuse(delivered, new HubError("UNKNOWN_TOPIC_OR_PARTITION", detail));
      return;
    }
    this.#makeRoom(lane, size);
    try {
      lane.add(record, record.timestamp ?? this.#now(), size, delivered);
    } catch (error) {
      this.#release(size);
      this.#refuse(delivered, error as Error);
      return;
    }
    if (!lane.dirty) this.#markDirty(lane);
  }

  /** Seals the open batch if it would be too large with so much more. */
  #makeRoom(lane: Lane, size: number): void {
    const open = lane.openBytes;
    if (open === 0 || open + size <= this.#batchBytes) return;
    lane.seal();
    this.#sender.offer(lane);
    if (this.#lingerMs > 0) this.#clock.soon(() => this.#sender.pump());
  }

  prepare(topic: string, key: Uint8Array, headers: readonly Header[]): Prepared {
    const entry = this.#topicOf(topic);
    const encoded = encodeSame(key, headers);
    const size = sizeOf({ key, value: null, headers });
    const prepared: PreparedRecord = { topic, entry, key, headers, encoded, size, lane: null, lanes: [] };
    return prepared;
  }

  sendPrepared(prepared: Prepared, bytes: CopySource, start: number, end: number, delivered: Delivered): void {
    const own = prepared as PreparedRecord;
    const { entry } = own;
    const size = own.size + end - start;
    const isOpen = !this.#closed && this.#buffered + size <= limits.clientBufferBytesMax;
    if (!isOpen || entry.lanes.length === 0 || entry.pending.length > 0) {
      const { topic, key, headers } = own;
      return this.send(topic, { key, value: bytes.subarray(start, end), headers }, delivered);
    }
    if (own.lanes !== entry.lanes) {
      own.lanes = entry.lanes;
      own.lane = entry.lanes[choosePartition(own.key, entry.lanes.length, 0)]!;
    }
    const lane = own.lane!;
    this.#makeRoom(lane, size);
    try {
      lane.addEncoded(own.encoded, bytes, start, end, this.#now(), size, delivered);
    } catch (error) {
      return this.#refuse(delivered, error as Error);
    }
    this.#buffered += size;
    if (!lane.dirty) this.#markDirty(lane);
  }

  #markDirty(lane: Lane): void {
    lane.dirty = true;
    this.#dirty.push(lane);
    if (this.#flushing) return;
    this.#flushing = true;
    if (this.#lingerMs > 0) this.#clock.after(this.#lingerMs, () => this.#flushTurn());
    else this.#clock.soon(() => this.#flushTurn());
  }

  /** The time of the turn: one look at the clock for all its records. */
  #now(): number {
    if (this.#lingerMs > 0) return this.#clock.wall();
    if (this.#wall < 0) this.#wall = this.#clock.wall();
    return this.#wall;
  }

  #flushTurn(): void {
    this.#flushing = false;
    this.#wall = -1;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const lane of dirty) {
      lane.dirty = false;
      lane.due = true;
      this.#sender.offer(lane);
    }
    this.#sender.pump();
    this.#look(dirty);
  }

  /** Topics grow: their metadata are asked for again from time to time, beside the sending. */
  #look(lanes: readonly Lane[]): void {
    let before = "";
    for (const { topic } of lanes) {
      if (topic === before) continue;
      before = topic;
      if (!this.#routes.isStale(topic)) continue;
      const entry = this.#topics.get(topic)!;
      this.#routes.refresh([topic], true).then(
        () => this.#spread(entry),
        () => {},
      );
    }
  }

  /** Makes lanes for the partitions that are known; those that are there stay. */
  #spread(topic: Topic): void {
    const count = this.#routes.topic(topic.name)?.leaders.length ?? 0;
    if (count <= topic.lanes.length) return;
    const more = Array.from({ length: count - topic.lanes.length }, (_, index) => {
      return new Lane(topic.name, topic.lanes.length + index, this.#arena);
    });
    topic.lanes = [...topic.lanes, ...more];
  }

  /** Keeps a record, with its bytes copied as a batch would, until the topic's partitions are known. */
  #hold(topic: Topic, { record, size, delivered }: Pending): void {
    const { key, value } = record;
    const timestamp = record.timestamp ?? this.#clock.wall();
    const copy = { ...record, timestamp, key: copyOf(key), value: copyOf(value) };
    topic.pending.push({ record: copy, size, delivered });
    topic.finding ??= this.#find(topic).finally(() => {
      topic.finding = null;
    });
  }

  async #find(topic: Topic): Promise<void> {
    try {
      await this.#sender.find(topic.name);
      this.#spread(topic);
      const pending = topic.pending;
      topic.pending = [];
      for (const { record, size, delivered } of pending) this.#append(topic, record, size, delivered);
    } catch (error) {
      const pending = topic.pending;
      topic.pending = [];
      for (const { size, delivered } of pending) {
        this.#release(size);
        this.#refuse(delivered, error as Error);
      }
    }
  }

  #release(bytes: number): void {
    this.#buffered -= bytes;
    if (this.#draining.length === 0 || this.#buffered >= limits.clientBufferBytesMax / 2) return;
    const waiting = this.#draining;
    this.#draining = [];
    for (const resolve of waiting) resolve();
  }

  #refuse(delivered: Delivered | undefined, error: Error): void {
    if (delivered !== undefined) this.#clock.soon(() => delivered(error, -1, -1));
  }

  publish(topic: string, record: OutRecord): Promise<{ readonly partition: number; readonly offset: number }> {
    return new Promise((resolve, reject) => {
      this.send(topic, record, (error, offset, partition) => {
        if (error === null) resolve({ partition, offset });
        else reject(error);
      });
    });
  }

  bufferedBytes(): number {
    return this.#buffered;
  }

  whenDrained(): Promise<void> {
    if (this.#buffered < limits.clientBufferBytesMax / 2) return Promise.resolve();
    return new Promise((resolve) => this.#draining.push(resolve));
  }

  async flush(): Promise<void> {
    await Promise.all([...this.#topics.values()].map(({ finding }) => finding));
    this.#flushTurn();
    const lanes = [...this.#topics.values()].flatMap((topic) => topic.lanes);
    for (const lane of lanes) {
      lane.seal();
      this.#sender.offer(lane);
    }
    await Promise.all(lanes.flatMap((lane) => [...lane.waiting, ...lane.underWay]).map(this.#sender.whenDone));
    // What was refused is told at the end of this turn.
    await new Promise<void>((resolve) => this.#clock.soon(resolve));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }
}
