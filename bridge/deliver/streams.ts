// The replays of this hub's sessions, each a reader of its own beside the session's other subscriptions.
import type { Cursor } from "../session/flight.ts";
import { isStream, parseStream, type StreamStart } from "../session/stream.ts";
import type { Subscribed } from "../session/subscriptions.ts";
import type { Atlas } from "./atlas.ts";
import type { CatchUp } from "./catch_up.ts";
import type { Subscriber } from "./faces.ts";
import { type Feed, Member, type Wish } from "./feed.ts";
import type { Interests } from "./interests.ts";
import type { Lookup, Opening } from "./lookup.ts";

export interface StreamsDeps {
  readonly atlas: Atlas;
  readonly interests: Interests;
  readonly lookup: Lookup;
  readonly catchUp: CatchUp;
  /** The partition is not read for the replay any more. */
  readonly leave: (member: Member, feed: Feed) => void;
}

export class Streams {
  readonly #deps: StreamsDeps;
  readonly #bySubscriber = new Map<Subscriber, Map<string, Member>>();
  #size = 0;

  constructor(deps: StreamsDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#size;
  }

  /** As `Deliveries.subscribe`. */
  subscribe(subscriber: Subscriber, { filter, options, stream: start }: Subscribed): Promise<void> {
    const known = this.#bySubscriber.get(subscriber)?.get(filter);
    if (known !== undefined && start === null) {
      known.stream!.options = options;
      return Promise.resolve();
    }
    if (known !== undefined) this.unsubscribe(subscriber, filter);
    const { member, wish } = this.#add(subscriber, filter, options);
    const at = placeOf(start ?? { kind: "latest" });
    return this.#open(member, wish, () => [...wish.interest.feeds].map((feed) => ({ member, feed, at })));
  }

  /** The session came back: its replays go on where they were. */
  resume(subscriber: Subscriber): void {
    const { subscriptions, outbound } = subscriber.session;
    for (const { filter, options, since } of subscriptions.list()) {
      if (!isStream(filter) || this.#bySubscriber.get(subscriber)?.has(filter)) continue;
      const { member, wish } = this.#add(subscriber, filter, options);
      const openings = (): Opening[] => {
        const feeds = new Set(wish.interest.feeds);
        for (const cursor of outbound.cursors.values()) this.#keep(cursor, filter, feeds);
        return [...feeds].map((feed) => ({ member, feed, at: since }));
      };
      void this.#open(member, wish, openings);
    }
  }

  unsubscribe(subscriber: Subscriber, filter: string): void {
    const member = this.#bySubscriber.get(subscriber)?.get(filter);
    if (member === undefined) return;
    for (const feed of member.feeds) subscriber.session.outbound.cursors.close(feed.cursors.get(member)!);
    this.#remove(subscriber, member);
  }

  /** The connection is gone; the session may come back. */
  part(subscriber: Subscriber): void {
    for (const member of [...(this.#bySubscriber.get(subscriber)?.values() ?? [])]) this.#remove(subscriber, member);
  }

  /** There is room again. */
  more(subscriber: Subscriber): void {
    for (const member of this.#bySubscriber.get(subscriber)?.values() ?? []) {
      member.isStarved = false;
      this.#deps.catchUp.add(member);
    }
  }

  #add(subscriber: Subscriber, filter: string, options: Subscribed["options"]): { member: Member; wish: Wish } {
    const member = new Member(subscriber, { ...parseStream(filter)!, name: filter, options });
    const wish = { interest: this.#deps.interests.join(filter, member), isInForce: false };
    member.wishes.set(filter, wish);
    const own = this.#bySubscriber.get(subscriber) ?? new Map<string, Member>();
    this.#bySubscriber.set(subscriber, own.set(filter, member));
    this.#size++;
    return { member, wish };
  }

  #open(member: Member, wish: Wish, openings: () => readonly Opening[]): Promise<void> {
    return this.#deps.lookup.ask(
      () => (member.isThere ? openings() : []),
      () => {
        wish.isInForce = true;
      },
    );
  }

  #keep({ topic, partition, group }: Cursor, filter: string, feeds: Set<Feed>): void {
    const feed = group === filter ? this.#deps.atlas.get(topic, partition) : undefined;
    if (feed !== undefined) feeds.add(feed);
  }

  #remove(subscriber: Subscriber, member: Member): void {
    const { name } = member.stream!;
    member.isThere = false;
    const own = this.#bySubscriber.get(subscriber)!;
    own.delete(name);
    if (own.size === 0) this.#bySubscriber.delete(subscriber);
    this.#size--;
    for (const { interest } of member.wishes.values()) this.#deps.interests.leave(interest, member);
    for (const feed of [...member.feeds]) this.#deps.leave(member, feed);
  }
}

function placeOf(start: StreamStart): Opening["at"] {
  switch (start.kind) {
    case "earliest":
      return 0; // the time of the first record there is
    case "latest":
      return "end";
    case "time":
      return start.time;
    case "offset":
      return { offset: start.offset };
  }
}
