// The shared tail: each record that was read is matched once and handed to all connected sessions it is for.
import { type Clock, type InBatch, type InRecord, limits, type Trace } from "../../hub/mod.ts";
import type { FilterTree } from "../match/filter_tree.ts";
import { single } from "../match/merged.ts";
import { fallBehind, type Feed, type Member } from "./feed.ts";
import { isUnaddressed, messageIn, replayIn, topicIn } from "./reading.ts";
import type { Recent } from "./recent.ts";

export interface FanOutDeps {
  readonly clock: Clock;
  readonly trace: Trace;
  readonly tree: FilterTree<Member>;
  readonly recent: Recent;
}

/** What a record costs that is for nobody, in deliveries. */
const emptyCost = 1 / 16;

export class FanOut {
  readonly #deps: FanOutDeps;
  /** Deliveries that may be made before others have their turn. */
  #left: number = limits.mqttDeliveriesPerTurnMax;
  #touched: Member[] = [];

  constructor(deps: FanOutDeps) {
    this.#deps = deps;
  }

  /** Hands out a batch; pauses where publishers would starve. */
  async handOut(feed: Feed, batch: InBatch): Promise<void> {
    const { clock, recent } = this.#deps;
    const { turn, next: from } = feed;
    let now = clock.wall();
    if (feed.behind > 0) recent.keep(feed, from, batch);
    for (const record of batch.records) {
      if (record.offset < feed.next) continue;
      const behind = feed.behind;
      this.#left -= this.#give(feed, record, now);
      if (feed.behind > behind) recent.keep(feed, from, batch);
      feed.next = record.offset + 1;
      if (this.#left > 0) continue;
      this.flush();
      await new Promise<void>((resolve) => clock.soon(resolve));
      if (feed.turn !== turn) return;
      this.#left = limits.mqttDeliveriesPerTurnMax;
      now = clock.wall();
    }
    if (batch.nextOffset > feed.next) feed.next = batch.nextOffset;
    if (feed.behind === 0 && feed.recent.length > 0) recent.drop(feed);
  }

  /** Carries out what was handed out: one write for each session. */
  flush(): void {
    const touched = this.#touched;
    this.#touched = [];
    for (const member of touched) {
      member.isTouched = false;
      member.subscriber.perform();
    }
  }

  /** What it cost, in deliveries. */
  #give(feed: Feed, record: InRecord, now: number): number {
    for (const member of feed.streams) this.#replay(member, feed, record, now);
    const topic = topicIn(feed, record);
    if (topic === null) {
      if (isUnaddressed(feed, record)) this.#deps.trace.count("mqtt_downlink_unaddressed_total");
      return emptyCost + feed.streams.size;
    }
    const { subscribers } = this.#deps.tree.match(topic);
    if (subscribers.length === 0) return emptyCost + feed.streams.size;
    const { offset } = record;
    const message = messageIn(feed, topic, record);
    for (const match of subscribers) {
      const member = match.subscriber;
      const cursor = feed.cursors.get(member);
      if (cursor === undefined || !cursor.attached || offset < cursor.next) continue;
      const { session, sink } = member.subscriber;
      this.#took(member, feed, session.deliver(message, match, cursor, offset, now, sink));
    }
    return emptyCost + subscribers.length + feed.streams.size;
  }

  #replay(member: Member, feed: Feed, record: InRecord, now: number): void {
    const cursor = feed.cursors.get(member);
    if (cursor === undefined || !cursor.attached || record.offset < cursor.next) return;
    const message = replayIn(feed, member.stream!, record);
    if (message === null) return;
    const { session, sink } = member.subscriber;
    const both = single(member.stream!.options);
    this.#took(member, feed, session.deliver(message, both, cursor, record.offset, now, sink));
  }

  #took(member: Member, feed: Feed, isTaken: boolean): void {
    if (!member.isTouched) {
      member.isTouched = true;
      this.#touched.push(member);
    }
    if (isTaken || !member.subscriber.session.isOpen) return;
    member.isStarved = true; // goes on after `more`
    fallBehind(member, feed);
  }
}
