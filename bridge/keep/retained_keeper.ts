// The newest retained message of each topic: in `__mqtt_retained`, and in memory for those who subscribe.
import { HubError, type InRecord, limits, mqttRetainedTopic, type OutRecord } from "../../hub/mod.ts";
import { Retained, weightOf } from "../match/retained.ts";
import { hasExpired, type Message, weight } from "../session/message.ts";
import { Reason, type ReasonCode } from "../wire/packet.ts";
import type { RetainedKeeper } from "./faces.ts";
import { KeptTopic } from "./kept_topic.ts";
import { decodeRetained, encodeRetained } from "./retained_record.ts";
import type { KeeperOptions } from "./session_keeper.ts";

interface Kept {
  readonly message: Message;
  readonly offset: number;
  /** A record that does not count came after it: compaction does not know, and would keep that one. */
  isShadowed: boolean;
}

/**
 * Header of what a hub writes by itself, such as the tombstone of an expired message: the offset of the message it is
 * about. Where a newer one came to the log before, the record does not count.
 */
const baseHeader = "base";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class KeptRetained implements RetainedKeeper {
  readonly #options: KeeperOptions;
  readonly #topic: KeptTopic;
  readonly #tree = new Retained<Kept>();
  /** Writes under way, by topic. */
  readonly #coming = new Map<string, number>();
  readonly #reserved = { count: 0, bytes: 0 };
  #sweeping: { cancel(): void } | null = null;
  #isClosed = false;
  #opening: Promise<void> = Promise.resolve();

  constructor(options: KeeperOptions) {
    this.#options = options;
    const { hub, client, clock, trace } = options;
    const isShared = hub.isClustered;
    const apply = (record: InRecord): void => this.#apply(record);
    this.#topic = new KeptTopic({ hub, client, topic: mqttRetainedTopic, clock, trace, isShared, apply });
  }

  get count(): number {
    return this.#tree.count;
  }

  async open(): Promise<void> {
    this.#opening = this.#topic.open();
    this.#opening.then(
      () => this.#sweepLater(),
      (error: unknown) => this.#failed(error),
    );
    await this.#topic.inTime(this.#opening);
  }

  async set(message: Message): Promise<ReasonCode> {
    const { topic, payload } = message;
    if (payload.length === 0) {
      // in a cluster one may be on its way from another hub
      const isThere = this.#options.hub.isClustered || this.#coming.has(topic) || this.#tree.peek(topic) !== null;
      if (isThere) await this.#write(topic, null);
      return Reason.success;
    }
    const bytes = weight(message);
    if (!this.#tree.hasRoom(topic, bytes, this.#reserved)) return Reason.quotaExceeded;
    const weighed = weightOf(topic, bytes);
    this.#reserved.count++;
    this.#reserved.bytes += weighed;
    try {
      await this.#write(topic, message);
    } finally {
      this.#reserved.count--;
      this.#reserved.bytes -= weighed;
    }
    return Reason.success;
  }

  match(filter: string, now: number): readonly Message[] | Promise<readonly Message[]> {
    const found = (): readonly Message[] => this.#tree.match(filter, now).map(({ message }) => message);
    if (!this.#options.hub.isClustered) return found();
    return this.#opening.then(() => this.#topic.upToNow()).then(found);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#sweeping?.cancel();
    await this.#topic.close();
  }

  /** Writes of one topic take effect in the order of the calls. */
  async #write(topic: string, message: Message | null, base: number | null = null): Promise<void> {
    const headers: OutRecord["headers"] =
      base === null ? [] : [{ key: baseHeader, value: encoder.encode(String(base)) }];
    const record = { key: encoder.encode(topic), value: message === null ? null : encodeRetained(message), headers };
    this.#coming.set(topic, (this.#coming.get(topic) ?? 0) + 1);
    try {
      const offset = await this.#topic.write(this.#topic.partitionOf(topic), record);
      // in a cluster the log gives the order
      if (!this.#options.hub.isClustered) this.#put(topic, message, offset);
    } finally {
      const left = this.#coming.get(topic)! - 1;
      if (left > 0) this.#coming.set(topic, left);
      else this.#coming.delete(topic);
    }
  }

  #put(topic: string, message: Message | null, offset: number): void {
    if (message === null) this.#tree.delete(topic);
    else this.#tree.put(topic, { message, offset, isShadowed: false }, weight(message), message.expiresAt);
  }

  #apply({ key, value, headers, offset }: InRecord): void {
    if (key === null) return;
    const topic = decoder.decode(key);
    const base = headers.find((header) => header.key === baseHeader)?.value;
    const before = this.#tree.peek(topic);
    if (base && before !== null && before.offset > Number(decoder.decode(base))) {
      before.isShadowed = true;
      return;
    }
    try {
      this.#put(topic, value === null ? null : decodeRetained(topic, value), offset);
    } catch (error) {
      const why = error instanceof HubError ? error.message : String(error);
      this.#options.trace.event("error", "mqtt_kept_unreadable", { topic: mqttRetainedTopic, where: offset, why });
    }
  }

  /** Each hub a little later than the one before: mostly one of them finds something. */
  #sweepLater(): void {
    const { clock, hub } = this.#options;
    const afterMs = limits.mqttRetainedSweepMs + (hub.isClustered ? (hub.hubId % 16) * limits.mqttRetainedStepMs : 0);
    this.#sweeping = clock.after(afterMs, () => {
      this.#sweep();
      if (!this.#isClosed) this.#sweepLater();
    });
  }

  /** Removes what has expired, and writes again what is shadowed. */
  #sweep(): void {
    const now = this.#options.clock.wall();
    for (const [topic, { message, offset, isShadowed }] of this.#tree.all()) {
      const isOver = hasExpired(message, now);
      if ((!isOver && !isShadowed) || this.#coming.has(topic)) continue; // it is being replaced
      this.#write(topic, isOver ? null : message, offset).catch((error: unknown) => this.#failed(error));
    }
  }

  #failed(error: unknown): void {
    const { trace } = this.#options;
    trace.count("mqtt_keep_failures_total");
    trace.event("warn", "mqtt_keep_failed", { topic: mqttRetainedTopic, error: String(error) });
  }
}
