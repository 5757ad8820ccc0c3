// The consumer: by hand or as a member of a group; polls hand out what the fetcher read ahead.
import { HubError } from "../errors.ts";
import type { Clock } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Consumer, ConsumerOptions, InBatch, StartAt, TopicPartition } from "./faces.ts";
import { Fetcher } from "./fetcher.ts";
import { Membership } from "./membership.ts";
import { findStarts } from "./places.ts";
import type { Place } from "./places.ts";
import type { Routes } from "./routes.ts";

/** Opens a consumer on routes of its own (its long polls block its connections); `close` closes them. */
export function openConsumer(routes: Routes, options: ConsumerOptions = {}): Consumer {
  return new PollingConsumer(routes, options);
}

class PollingConsumer implements Consumer {
  readonly #routes: Routes;
  readonly #clock: Clock;
  readonly #options: ConsumerOptions;
  readonly #from: StartAt;
  readonly #committedOnly: boolean;
  readonly #fetcher: Fetcher;
  readonly #member: Membership | null;
  #subscribed = false;
  /** The rebalance under way. It begins only inside `subscribe` or `poll`, so that nobody is disturbed at work. */
  #rebalance: Promise<void> | null = null;
  #failure: Error | null = null;
  #closed: Promise<void> | null = null;
  /** Wakes the poll that waits. */
  #wake: (() => void) | null = null;

  constructor(routes: Routes, options: ConsumerOptions) {
    this.#routes = routes;
    this.#clock = routes.clock;
    this.#options = options;
    this.#from = options.from ?? "latest";
    this.#committedOnly = options.isolation === "read_committed";
    this.#fetcher = new Fetcher(routes, {
      fetchWaitMs: options.fetchWaitMs ?? limits.clientFetchWaitMs,
      fetchBytesMax: Math.min(options.fetchBytesMax ?? limits.clientFetchBytes, limits.fetchBytesMax),
      committedOnly: this.#committedOnly,
      reset: this.#from,
      onMoved: options.onMoved,
      onBroken: options.onBroken,
      onNews: () => this.#wake?.(),
    });
    this.#member =
      options.group === undefined
        ? null
        : new Membership(routes, {
            group: options.group,
            instanceId: options.instanceId ?? null,
            sessionTimeoutMs: options.sessionTimeoutMs ?? limits.clientSessionMs,
            rebalanceTimeoutMs: Math.max(limits.clientRebalanceMs, options.sessionTimeoutMs ?? 0),
            onDisturbed: () => this.#wake?.(),
          });
  }

  async subscribe(topics: readonly string[]): Promise<void> {
    this.#mustBeOpen();
    const member = this.#member;
    if (member === null) throw new HubError("INVALID_GROUP_ID", "subscribe needs a group; assign reads without one");
    if (topics.length === 0) throw new HubError("INVALID_REQUEST", "subscribe needs at least one topic");
    this.#subscribed = true;
    member.want(topics);
    this.#beginRebalance(member);
  }

  #beginRebalance(member: Membership): void {
    this.#rebalance ??= this.#runRebalance(member)
      .catch((error: unknown) => {
        if (this.#closed === null) this.#failure = error as Error;
      })
      .then(() => {
        this.#rebalance = null;
        this.#wake?.();
      });
  }

  /** Gives everything back, joins, and begins at the committed offsets (KIP-429 calls this the eager way). */
  async #runRebalance(member: Membership): Promise<void> {
    const held = this.#fetcher.assignment();
    if (held.length > 0) {
      await this.#options.onRevoked?.(held);
      this.#fetcher.assign([]);
    }
    const assigned = await member.join();
    const committed = await member.committed(assigned);
    const places = assigned.map(({ topic, partition }): Place => {
      const at = committed.find((other) => other.topic === topic && other.partition === partition);
      return { topic, partition, at: at === undefined ? this.#from : { offset: at.offset } };
    });
    const starts = await findStarts(this.#routes, places, this.#committedOnly);
    if (this.#closed !== null) return;
    await this.#routes.refresh([...new Set(assigned.map(({ topic }) => topic))]);
    this.#fetcher.assign(starts);
    await this.#options.onAssigned?.(assigned);
  }

  async assign(topics: readonly { topic: string; partition?: number; from?: StartAt }[]): Promise<void> {
    this.#mustBeOpen();
    if (this.#subscribed) throw new HubError("INVALID_REQUEST", "this consumer is subscribed already");
    await this.#routes.refresh([...new Set(topics.map(({ topic }) => topic))]);
    const places = topics.flatMap(({ topic, partition, from }): Place[] => {
      const count = this.#routes.topic(topic)?.leaders.length ?? 0;
      const at = from ?? this.#from;
      if (count === 0 || (partition !== undefined && !(partition >= 0 && partition < count))) {
        throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `${topic}${partition === undefined ? "" : `-${partition}`}`);
      }
      if (partition !== undefined) return [{ topic, partition, at }];
      return Array.from({ length: count }, (_, each) => ({ topic, partition: each, at }));
    });
    this.#fetcher.assign(await findStarts(this.#routes, places, this.#committedOnly));
  }

  add(places: readonly (TopicPartition & { readonly offset: number })[]): void {
    this.#mustBeOpen();
    if (this.#subscribed) throw new HubError("INVALID_REQUEST", "this consumer is subscribed already");
    this.#fetcher.add(places);
  }

  remove(partitions: readonly TopicPartition[]): void {
    this.#fetcher.remove(partitions);
  }

  async poll(waitMs: number): Promise<InBatch[]> {
    const until = this.#clock.now() + waitMs;
    for (;;) {
      this.#mustBeOpen();
      const failure = this.#failure ?? this.#fetcher.failure;
      if (failure !== null) throw failure;
      if (this.#subscribed && this.#member!.disturbed && this.#rebalance === null) this.#beginRebalance(this.#member!);
      const batches = this.#rebalance === null ? this.#fetcher.take() : [];
      if (batches.length > 0) return batches;
      const left = until - this.#clock.now();
      if (left <= 0) return [];
      await this.#news(left);
      if (this.#closed !== null) return [];
    }
  }

  #news(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(waitMs, () => this.#wake?.());
      this.#wake = () => {
        this.#wake = null;
        timer.cancel();
        resolve();
      };
    });
  }

  #mustBeOpen(): void {
    if (this.#closed !== null) throw new HubError("NETWORK_EXCEPTION", "the consumer is closed");
  }

  assignment(): readonly TopicPartition[] {
    return this.#fetcher.assignment();
  }

  async commit(
    offsets: readonly (TopicPartition & { readonly offset: number; readonly metadata?: string })[],
  ): Promise<void> {
    this.#mustBeOpen();
    if (this.#member === null) throw new HubError("INVALID_GROUP_ID", "a consumer without a group does not commit");
    if (offsets.length > 0) await this.#member.commit(offsets);
  }

  async seek(partition: TopicPartition, at: StartAt): Promise<void> {
    this.#mustBeOpen();
    const [start] = await findStarts(this.#routes, [{ ...partition, at }], this.#committedOnly);
    this.#fetcher.seek(partition, start!.offset);
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#fetcher.setPaused(partitions, true);
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#fetcher.setPaused(partitions, false);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#wake?.();
    this.#fetcher.close();
    if (this.#subscribed) await this.#member!.leave();
    this.#routes.close();
  }
}
