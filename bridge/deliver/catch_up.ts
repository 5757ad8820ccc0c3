// Sessions that are behind the shared tail: from what was handed out lately, else read for each by itself, in turn.
import { type Clock, type InRecord, limits } from "../../hub/mod.ts";
import { type Both, single } from "../match/merged.ts";
import type { Cursor } from "../session/flight.ts";
import type { Message } from "../session/message.ts";
import { fallBehind, type Feed, keepUp, type Member } from "./feed.ts";
import { arrivalOf, messageIn, replayIn, topicIn } from "./reading.ts";
import type { Recent } from "./recent.ts";

export interface CatchUpDeps {
  readonly clock: Clock;
  readonly recent: Recent;
  readonly skewMs: number;
  /** Reads for the member what is not remembered; `add` is called for it afterwards. */
  readonly read: (member: Member) => void;
}

/** How far a batch was taken. `room`: until `more` comes. `pause`: others have their turn. */
export type Taken = "all" | "room" | "pause";

export class CatchUp {
  readonly #deps: CatchUpDeps;
  /** In line, first come first served. */
  #line: Member[] = [];
  #isScheduled = false;
  #left = 0;

  constructor(deps: CatchUpDeps) {
    this.#deps = deps;
  }

  /** Puts a session in the line, unless it is in one, is not behind, or has no room. */
  add(member: Member): void {
    if (member.isWaiting || member.isStarved || !member.isThere || member.behind.size === 0) return;
    member.isWaiting = true;
    this.#line.push(member);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#deps.clock.soon(() => this.#turn());
  }

  /** The next records of a cursor that is behind; those before its place are left out. */
  take(member: Member, feed: Feed, cursor: Cursor, records: readonly InRecord[], nextOffset: number): Taken {
    const { session, sink } = member.subscriber;
    const now = this.#deps.clock.wall();
    const cost = 1 / 16 + session.subscriptions.size / 8;
    for (let at = firstFrom(records, cursor.next); at < records.length; at++) {
      const record = records[at]!;
      if (this.#left <= 0) {
        session.outbound.advance(cursor, record.offset);
        return "pause";
      }
      this.#left -= cost;
      const meaning = this.#meaning(member, feed, record);
      if (meaning === null) continue;
      this.#left -= 1;
      if (session.catchUp(meaning.message, meaning.both, cursor, record.offset, now, sink)) continue;
      if (session.isOpen) member.isStarved = true;
      return "room";
    }
    session.outbound.advance(cursor, nextOffset);
    return "all";
  }

  /** What a record is to the session; null: nothing. */
  #meaning({ stream, subscriber }: Member, feed: Feed, record: InRecord): { message: Message; both: Both } | null {
    if (stream !== null) {
      const message = replayIn(feed, stream, record);
      return message === null ? null : { message, both: single(stream.options) };
    }
    const topic = topicIn(feed, record);
    if (topic === null) return null;
    const both = subscriber.session.subscriptions.match(topic, arrivalOf(feed, record, this.#deps.skewMs));
    return both === null ? null : { message: messageIn(feed, topic, record), both };
  }

  /** Whether the cursor goes on with the shared tail from here on. */
  join(member: Member, feed: Feed, cursor: Cursor): boolean {
    if (!feed.isReading || !member.subscriber.session.outbound.cursors.attach(cursor, feed.next)) return false;
    keepUp(member, feed);
    return true;
  }

  /** Begins a turn of work that `take` may use. */
  refill(): void {
    this.#left = limits.mqttDeliveriesPerTurnMax;
  }

  #turn(): void {
    this.#isScheduled = false;
    this.refill();
    const waiting = this.#line;
    this.#line = [];
    for (const [at, member] of waiting.entries()) {
      if (this.#left <= 0) {
        this.#line = [...waiting.slice(at), ...this.#line];
        break;
      }
      member.isWaiting = false;
      if (member.isThere && !member.isStarved) this.#step(member);
    }
    if (this.#line.length === 0 || this.#isScheduled) return;
    this.#isScheduled = true;
    this.#deps.clock.soon(() => this.#turn());
  }

  #step(member: Member): void {
    let mustRead = false;
    for (const feed of [...member.behind]) {
      const cursor = feed.cursors.get(member);
      if (cursor === undefined) keepUp(member, feed);
      else if (this.#fromRecent(member, feed, cursor)) continue;
      else if (this.#left <= 0 || member.isStarved || !member.isThere) break;
      else mustRead = true;
    }
    member.subscriber.perform();
    if (!member.isThere || member.isStarved || member.behind.size === 0) return;
    if (!mustRead || this.#left <= 0) return this.add(member);
    member.isWaiting = true;
    this.#deps.read(member);
  }

  /** True when it is with the tail, or there is no more to be done now. */
  #fromRecent(member: Member, feed: Feed, cursor: Cursor): boolean {
    for (;;) {
      if (this.join(member, feed, cursor)) return true;
      const batch = this.#deps.recent.find(feed, cursor.next);
      if (batch === null) return false;
      if (this.take(member, feed, cursor, batch.records, batch.nextOffset) !== "all") return false;
    }
  }
}

/** Opens the cursor of a session at a feed; null: it has too many. */
export function openCursor(member: Member, feed: Feed, next: number): Cursor | null {
  const group = member.stream?.name ?? "";
  const cursor = member.subscriber.session.outbound.cursors.open(feed.topic, feed.partition, next, group);
  if (cursor === null) return null;
  feed.cursors.set(member, cursor);
  if (member.stream !== null) feed.streams.add(member);
  member.feeds.add(feed);
  if (!cursor.attached) fallBehind(member, feed);
  return cursor;
}

/** The place of the first record at `offset` or later. */
export function firstFrom(records: readonly InRecord[], offset: number): number {
  let [low, high] = [0, records.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (records[middle]!.offset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
