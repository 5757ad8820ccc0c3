// Deliveries: from the logs, and from no log, to the sessions of this hub. The parts put together.
import { type Clock, type HubClient, limits, type Trace } from "../../hub/mod.ts";
import { isShared } from "../match/filter.ts";
import { FilterTree, type GroupMatch } from "../match/filter_tree.ts";
import type { Both } from "../match/merged.ts";
import type { Cursor } from "../session/flight.ts";
import type { Want } from "../session/cursors.ts";
import type { Message } from "../session/message.ts";
import { isStream } from "../session/stream.ts";
import type { Subscribed } from "../session/subscriptions.ts";
import type { TopicMap } from "../topic_map.ts";
import { Atlas, type News } from "./atlas.ts";
import { CatchUp, openCursor } from "./catch_up.ts";
import { compileDownlinks, type DownlinkConfig } from "./downlink.ts";
import type { Deliveries, Subscriber } from "./faces.ts";
import { FanOut } from "./fan_out.ts";
import { type Feed, keepUp, Member, type Wish } from "./feed.ts";
import { Groups } from "./groups.ts";
import { Interests } from "./interests.ts";
import { type Found, Lookup, type Opening } from "./lookup.ts";
import { Readers } from "./reader.ts";
import { Recent } from "./recent.ts";
import { SharedTail } from "./shared_tail.ts";
import { Streams } from "./streams.ts";

export interface DeliveriesOptions {
  readonly client: HubClient;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly map: TopicMap;
  readonly downlinks?: readonly DownlinkConfig[];
  /** How much other hubs' clocks may differ; 0 where there is one hub. `mqttClockSkewMs` when left out. */
  readonly clockSkewMs?: number;
}

/**
 * Nothing is opened before somebody subscribes.
 * @throws DownlinkError for a downlink that cannot be used
 */
export function openDeliveries(options: DeliveriesOptions): Deliveries {
  return new LogDeliveries(options);
}

class LogDeliveries implements Deliveries {
  readonly #clock: Clock;
  readonly #trace: Trace;
  readonly #skewMs: number;
  readonly #atlas: Atlas;
  readonly #interests: Interests;
  /** Of sessions that are connected: what the logs bring goes to them. */
  readonly #live = new FilterTree<Member>();
  /** Of sessions that are away: what is in no log is kept for them; the logs keep the rest. */
  readonly #away = new FilterTree<Subscriber>();
  readonly #awayFilters = new Map<Subscriber, Set<string>>();
  readonly #members = new Map<Subscriber, Member>();
  readonly #turns = new WeakMap<GroupMatch<Member>, number>();
  readonly #groups: Groups;
  readonly #streams: Streams;
  readonly #lookup: Lookup;
  readonly #tail: SharedTail;
  readonly #catchUp: CatchUp;
  readonly #readers: Readers;
  /** When topics were looked for last. */
  #lookedAt = 0;

  constructor({ client, clock, trace, map, downlinks: configs = [], clockSkewMs }: DeliveriesOptions) {
    const downlinks = compileDownlinks(configs);
    const recent = new Recent();
    this.#clock = clock;
    this.#trace = trace;
    this.#skewMs = clockSkewMs ?? limits.mqttClockSkewMs;
    this.#atlas = new Atlas(downlinks);
    this.#interests = new Interests(this.#atlas, map.routes, downlinks);
    const look = (): Promise<void> => this.#lookup.ask(() => []);
    const base = { client, clock, trace, skewMs: this.#skewMs, atlas: this.#atlas };
    this.#groups = new Groups({ ...base, routes: map.routes, downlinks, look });
    const fanOut = new FanOut({ clock, trace, tree: this.#live, recent });
    const feedOf = (topic: string, partition: number): Feed | undefined => this.#atlas.get(topic, partition);
    this.#tail = new SharedTail({ client, clock, trace, fanOut, feedOf });
    this.#readers = new Readers({
      client,
      clock,
      trace,
      catchUp: () => this.#catchUp,
      optionsOf: (session, group, topic) => this.#groups.optionsOf(session, group, topic),
      feedOf: async (topic, partition) => {
        if (feedOf(topic, partition) === undefined) await look();
        return feedOf(topic, partition) ?? null;
      },
    });
    this.#catchUp = new CatchUp({
      clock,
      recent,
      skewMs: this.#skewMs,
      read: (member) => this.#readers.behind(member),
    });
    this.#lookup = new Lookup({
      client,
      clock,
      trace,
      atlas: this.#atlas,
      onNews: (news) => this.#onNews(news),
      open: (openings, found) => this.#openAll(openings, found),
      isWatching: () => this.#interests.size > 0 || this.#groups.size > 0,
    });
    this.#streams = new Streams({
      atlas: this.#atlas,
      interests: this.#interests,
      lookup: this.#lookup,
      catchUp: this.#catchUp,
      leave: (member, feed) => this.#leave(member, feed),
    });
  }

  get subscriptions(): number {
    return this.#live.size + this.#away.size + this.#streams.size;
  }

  readonly tailOf = ({ topic, partition, group, next }: Cursor): number =>
    group === "" || isStream(group) ? (this.#atlas.get(topic, partition)?.next ?? next) : next;

  subscribe(subscriber: Subscriber, change: Subscribed): Promise<void> {
    const { filter, options } = change;
    if (!subscriber.session.isConnected) return Promise.resolve(); // it goes with what it has when it is back
    if (isStream(filter)) return this.#streams.subscribe(subscriber, change);
    const member = this.#memberOf(subscriber);
    this.#live.set(filter, member, options);
    member.filters.add(filter);
    if (isShared(filter)) return this.#groups.join(filter, member, options);
    const wish = member.wishes.get(filter) ?? this.#wish(member, filter);
    if (wish.interest.reach.length === 0) wish.isInForce = true;
    if (wish.isInForce) return Promise.resolve();
    const openings = (): Opening[] =>
      member.isThere && member.wishes.get(filter) === wish
        ? [...wish.interest.feeds].map((feed) => ({ member, feed, at: "end" }))
        : [];
    return this.#lookup.ask(openings, () => {
      wish.isInForce = true;
    });
  }

  unsubscribe(subscriber: Subscriber, filter: string): void {
    if (isStream(filter)) return this.#streams.unsubscribe(subscriber, filter);
    const member = this.#members.get(subscriber);
    if (member === undefined) {
      this.#away.remove(filter, subscriber);
      this.#awayFilters.get(subscriber)?.delete(filter);
      return;
    }
    this.#live.remove(filter, member);
    member.filters.delete(filter);
    if (isShared(filter)) this.#groups.leave(filter, member);
    const wish = member.wishes.get(filter);
    if (wish === undefined) return;
    member.wishes.delete(filter);
    this.#interests.leave(wish.interest, member);
    const rest = [...member.wishes.values()];
    for (const feed of rest.length === 0 ? [...member.feeds] : wish.interest.feeds) {
      if (rest.some(({ interest }) => interest.feeds.has(feed))) continue;
      const cursor = feed.cursors.get(member);
      if (cursor === undefined) continue;
      subscriber.session.outbound.cursors.close(cursor);
      this.#leave(member, feed);
    }
  }

  restore(subscriber: Subscriber): void {
    const filters = new Set<string>();
    for (const { filter, options } of subscriber.session.subscriptions.list()) {
      if (options.qos === 0 || isStream(filter)) continue; // never kept for who is away
      this.#away.set(filter, subscriber, options);
      filters.add(filter);
    }
    if (filters.size > 0) this.#awayFilters.set(subscriber, filters);
  }

  connected(subscriber: Subscriber): void {
    this.#forgetAway(subscriber);
    const member = this.#memberOf(subscriber);
    this.#streams.resume(subscriber);
    const { session } = subscriber;
    const since = new Map<Wish, number>();
    for (const { filter, options, since: begin } of session.subscriptions.list()) {
      if (member.filters.has(filter) || isStream(filter)) continue;
      this.#live.set(filter, member, options);
      member.filters.add(filter);
      if (isShared(filter)) void this.#groups.join(filter, member, options);
      else since.set(this.#wish(member, filter), begin - this.#skewMs);
    }
    const wishes = [...since.keys()];
    for (const wish of wishes) if (wish.interest.reach.length === 0) wish.isInForce = true;
    if (wishes.every(({ isInForce }) => isInForce)) return;
    const openings = (): readonly Opening[] => (member.isThere ? this.#resumed(member, since) : []);
    void this.#lookup.ask(openings, () => {
      for (const wish of wishes) wish.isInForce = true;
    });
  }

  disconnected(subscriber: Subscriber): void {
    this.#part(subscriber);
    if (!subscriber.session.isOver) this.restore(subscriber);
  }

  forget(subscriber: Subscriber): void {
    this.#part(subscriber);
    this.#forgetAway(subscriber);
  }

  more(subscriber: Subscriber): void {
    const member = this.#members.get(subscriber);
    if (member === undefined) return;
    member.isStarved = false;
    this.#catchUp.add(member);
    this.#groups.more(member);
    this.#streams.more(subscriber);
  }

  fetch(subscriber: Subscriber, wants: readonly Want[]): void {
    if (subscriber.session.isConnected) this.#readers.again(this.#memberOf(subscriber), wants);
  }

  stored(topic: string): void {
    if (this.#interests.size + this.#groups.size > 0 && !this.#atlas.has(topic)) void this.#lookup.ask(() => []);
  }

  publish(message: Message, now: number): void {
    const { subscribers, groups } = this.#live.match(message.topic);
    for (const match of subscribers) give(match.subscriber.subscriber, message, match, now);
    for (const group of groups) {
      const turn = this.#turns.get(group) ?? 0;
      this.#turns.set(group, turn + 1);
      const match = group.members[turn % group.members.length]!;
      give(match.subscriber.subscriber, message, match, now);
    }
    if (message.qos === 0) return;
    for (const match of this.#away.match(message.topic).subscribers) give(match.subscriber, message, match, now);
  }

  async close(): Promise<void> {
    await this.#groups.close();
    await Promise.all([this.#lookup.close(), this.#tail.close(), this.#readers.close()]);
  }

  #memberOf(subscriber: Subscriber): Member {
    let member = this.#members.get(subscriber);
    if (member === undefined) {
      member = new Member(subscriber);
      this.#members.set(subscriber, member);
    }
    return member;
  }

  #wish(member: Member, filter: string): Wish {
    const wish = { interest: this.#interests.join(filter, member), isInForce: false };
    member.wishes.set(filter, wish);
    return wish;
  }

  /** The connection of the session is gone. */
  #part(subscriber: Subscriber): void {
    this.#streams.part(subscriber);
    const member = this.#members.get(subscriber);
    if (member === undefined) return;
    this.#members.delete(subscriber);
    member.isThere = false;
    for (const filter of member.filters) {
      this.#live.remove(filter, member);
      if (isShared(filter)) this.#groups.leave(filter, member);
    }
    for (const { interest } of member.wishes.values()) this.#interests.leave(interest, member);
    for (const feed of [...member.feeds]) this.#leave(member, feed);
  }

  #forgetAway(subscriber: Subscriber): void {
    for (const filter of this.#awayFilters.get(subscriber) ?? []) this.#away.remove(filter, subscriber);
    this.#awayFilters.delete(subscriber);
  }

  #leave(member: Member, feed: Feed): void {
    keepUp(member, feed);
    feed.cursors.delete(member);
    feed.streams.delete(member);
    member.feeds.delete(feed);
    if (feed.cursors.size === 0) this.#tail.stop(feed);
  }

  /** What a session that came back reads: where it has been, and what was made since. */
  #resumed(member: Member, since: ReadonlyMap<Wish, number>): readonly Opening[] {
    const begins = new Map<Feed, number>();
    for (const { topic, partition, group } of member.subscriber.session.outbound.cursors.values()) {
      const feed = group === "" ? this.#atlas.get(topic, partition) : undefined;
      if (feed !== undefined) begins.set(feed, 0);
    }
    for (const [{ interest }, begin] of since) {
      for (const feed of interest.feeds) begins.set(feed, Math.min(begin, begins.get(feed) ?? begin));
    }
    return [...begins].map(([feed, at]) => ({ member, feed, at }));
  }

  #onNews({ made, gone }: News): readonly Opening[] {
    for (const feed of gone) {
      for (const [member, cursor] of [...feed.cursors]) {
        member.subscriber.session.outbound.cursors.close(cursor);
        this.#leave(member, feed);
      }
    }
    this.#groups.refresh();
    const openings: Opening[] = [];
    const before = this.#lookedAt - this.#skewMs - limits.mqttTopicsLookMs;
    for (const [{ filter, members }, feed] of this.#interests.grow(gone)) {
      for (const member of members) {
        if (!member.wishes.get(filter)?.isInForce) continue; // a look for it is to come
        openings.push({ member, feed, at: made.has(feed) ? "start" : before });
      }
    }
    return openings;
  }

  #openAll(openings: readonly Opening[], found: Found): void {
    const isNew = ({ at, member }: Opening): boolean => at === "start" && member.stream === null;
    const fromStart = new Set(openings.filter(isNew).map(({ feed }) => feed));
    for (const opening of openings) {
      const { member, feed } = opening;
      if (!member.isThere || feed.cursors.has(member)) continue;
      if (!feed.isReading) this.#tail.start(feed, fromStart.has(feed) ? 0 : found.end(feed));
      if (!this.#open(opening, found)) {
        this.#trace.count("mqtt_positions_refused_total");
        if (feed.cursors.size === 0) this.#tail.stop(feed);
      } else this.#catchUp.add(member);
    }
    this.#lookedAt = this.#clock.wall();
  }

  #open(opening: Opening, found: Found): boolean {
    const { member, feed, at } = opening;
    const { cursors } = member.subscriber.session.outbound;
    const known = cursors.get(feed.topic, feed.partition, member.stream?.name);
    // the topic is another one of the same name, or was cut: what is there is read, as far as it is new
    if (known !== undefined && known.next > Math.max(found.end(feed), feed.next)) known.next = 0;
    const cursor = openCursor(member, feed, this.#begin(opening, found));
    if (cursor === null) return false;
    // what was published at QoS 0 while its client was away is not for it
    if (typeof at === "number" && member.stream === null) cursor.liveFrom = Math.max(cursor.liveFrom, feed.next);
    this.#catchUp.join(member, feed, cursor);
    return true;
  }

  #begin(opening: Opening, found: Found): number {
    const { feed, at } = opening;
    const end = Math.max(found.end(feed), feed.next);
    if (at === "end") return end;
    if (at === "start") return 0;
    return typeof at === "number" ? found.since(opening, at) : Math.min(at.offset, end);
  }
}

function give(subscriber: Subscriber, message: Message, both: Both, now: number): void {
  subscriber.session.deliverUnlogged(message, both, now, subscriber.sink);
  subscriber.perform();
}
