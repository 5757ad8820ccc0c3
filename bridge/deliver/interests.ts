// The filters of all connected sessions, each once however many have it, and the partitions each reads. Pure.
import { isStream, parseStream } from "../session/stream.ts";
import type { Route } from "../topic_map.ts";
import type { Atlas } from "./atlas.ts";
import type { Downlink } from "./downlink.ts";
import type { Feed, Member } from "./feed.ts";
import { type Reach, reachOf } from "./reach.ts";

export interface Interest {
  readonly filter: string;
  readonly reach: readonly Reach[];
  readonly members: Set<Member>;
  /** Grows with the topics; a partition whose keys moved on keeps what was written before. */
  readonly feeds: Set<Feed>;
}

export class Interests {
  readonly #byFilter = new Map<string, Interest>();
  readonly #atlas: Atlas;
  readonly #routes: readonly Route[];
  readonly #downlinks: readonly Downlink[];

  constructor(atlas: Atlas, routes: readonly Route[], downlinks: readonly Downlink[]) {
    this.#atlas = atlas;
    this.#routes = routes;
    this.#downlinks = downlinks;
  }

  get size(): number {
    return this.#byFilter.size;
  }

  /** @param filter one that is not shared */
  join(filter: string, member: Member): Interest {
    let interest = this.#byFilter.get(filter);
    if (interest === undefined) {
      const reach = this.#reach(filter);
      interest = { filter, reach, members: new Set(), feeds: this.#atlas.within(reach) };
      this.#byFilter.set(filter, interest);
    }
    interest.members.add(member);
    return interest;
  }

  #reach(filter: string): readonly Reach[] {
    if (!isStream(filter)) return reachOf(filter, this.#routes, this.#downlinks);
    return [{ topic: parseStream(filter)!.topic, isPrefix: false, key: null }];
  }

  leave(interest: Interest, member: Member): void {
    interest.members.delete(member);
    if (interest.members.size === 0) this.#byFilter.delete(interest.filter);
  }

  /** The atlas changed: what each filter reads now that it did not read before. */
  *grow(gone: readonly Feed[]): Generator<readonly [Interest, Feed]> {
    for (const interest of this.#byFilter.values()) {
      for (const feed of gone) interest.feeds.delete(feed);
      for (const feed of this.#atlas.within(interest.reach)) {
        if (interest.feeds.has(feed)) continue;
        interest.feeds.add(feed);
        yield [interest, feed];
      }
    }
  }
}
