// The topics and partitions there are, as they were told last, and which of them a reach holds. Pure.
import { choosePartition, limits } from "../../hub/mod.ts";
import type { Downlink } from "./downlink.ts";
import { Feed } from "./feed.ts";
import { type Reach, reachesTopic } from "./reach.ts";

/** What the atlas needs to know of a topic. */
export interface Told {
  readonly name: string;
  readonly topicId: string;
  readonly internal: boolean;
  readonly partitions: readonly { readonly partition: number; readonly leader: number }[];
}

interface Topic {
  readonly id: string;
  readonly feeds: readonly Feed[];
  /** Times in a row that it was not told of. */
  missed: number;
}

export interface News {
  /** Feeds of partitions that were not there before. */
  readonly made: ReadonlySet<Feed>;
  /** Their topics are gone, or are others of the same name. */
  readonly gone: readonly Feed[];
  /** Whether anything changed. */
  readonly isAny: boolean;
}

const encoder = new TextEncoder();

export class Atlas {
  readonly #topics = new Map<string, Topic>();
  readonly #downlinks: ReadonlyMap<string, Downlink>;

  constructor(downlinks: readonly Downlink[]) {
    this.#downlinks = new Map(downlinks.map((downlink) => [downlink.topic, downlink]));
  }

  has(topic: string): boolean {
    return this.#topics.has(topic);
  }

  get(topic: string, partition: number): Feed | undefined {
    return this.#topics.get(topic)?.feeds[partition];
  }

  /** Takes what is there now. A topic that is not told of may have no leader: it is gone when that lasts. */
  learn(told: readonly Told[]): News {
    const made = new Set<Feed>();
    const gone: Feed[] = [];
    const names = new Set<string>();
    for (const { name, topicId, internal, partitions } of told) {
      if (internal || name.startsWith("__")) continue;
      names.add(name);
      let known = this.#topics.get(name);
      if (known !== undefined && known.id !== topicId) {
        gone.push(...known.feeds);
        known = undefined;
      }
      if (known !== undefined) known.missed = 0;
      const feeds = [...(known?.feeds ?? [])];
      while (feeds.length < partitions.length) {
        const feed = this.#feed(name, feeds.length);
        feeds.push(feed);
        made.add(feed);
      }
      for (const { partition, leader } of partitions) {
        const feed = feeds[partition];
        if (feed !== undefined) feed.isLed = leader >= 0;
      }
      if (feeds.length > (known?.feeds.length ?? -1)) this.#topics.set(name, { id: topicId, feeds, missed: 0 });
    }
    for (const [name, topic] of this.#topics) {
      if (names.has(name)) continue;
      for (const feed of topic.feeds) feed.isLed = false;
      if (++topic.missed < limits.mqttTopicMissedMax) continue;
      gone.push(...topic.feeds);
      this.#topics.delete(name);
    }
    return { made, gone, isAny: made.size > 0 || gone.length > 0 };
  }

  /** The partitions that a reach holds. */
  within(reaches: readonly Reach[]): Set<Feed> {
    const found = new Set<Feed>();
    for (const reach of reaches) {
      if (reach.isPrefix) {
        for (const [name, topic] of this.#topics) if (reachesTopic(reach, name)) collect(reach, topic.feeds, found);
      } else collect(reach, this.#topics.get(reach.topic)?.feeds ?? [], found);
    }
    return found;
  }

  #feed(topic: string, partition: number): Feed {
    return new Feed(topic, partition, this.#downlinks.get(topic) ?? null);
  }
}

function collect({ key }: Reach, feeds: readonly Feed[], found: Set<Feed>): void {
  if (key === null) for (const feed of feeds) found.add(feed);
  else if (feeds.length > 0) found.add(feeds[choosePartition(encoder.encode(key), feeds.length)]!);
}
