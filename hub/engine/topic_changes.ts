// How topics come, change and go: the interface, and how a hub by itself does it.
import { newLoneReplica } from "../cluster/replica.ts";
import { HubError } from "../errors.ts";
import type { Clock } from "../io/ports.ts";
import type { ReplicaId } from "../cluster/types.ts";
import { batchRulesOf } from "./admission.ts";
import { Partition } from "./partition.ts";
import type { Partitions } from "./partitions.ts";
import { indexesFrom, type TopicLogs } from "./topic_logs.ts";
import type { Topic } from "./topics.ts";
import { Turns } from "./turns.ts";

/** Where the replicas of new partitions go; left out, the cluster chooses. */
export interface Placement {
  readonly replicationFactor?: number;
  /** Hub ids of each new partition, the preferred leader first. */
  readonly assignments?: readonly (readonly number[])[];
}

type Values = ReadonlyMap<string, string>;

/** Changes of topics; those of one name take turns. Each resolves when this hub serves what changed. */
export interface TopicChanges {
  create(name: string, partitions: number, configs: Values, placement: Placement): Promise<Topic>;
  /** Resolves when a topic that is known but has no logs yet can be written to. */
  whenMade(name: string): Promise<void>;
  /** Adds partitions up to `partitions` in all. */
  grow(name: string, partitions: number, validateOnly: boolean, placement: Placement): Promise<void>;
  /** Replaces the topic's own settings by what `change` makes of them. */
  configure(name: string, change: (own: Values) => Values, validateOnly: boolean): Promise<void>;
  delete(name: string): Promise<Topic>;
}

/** A hub by itself: topics are facts in its journal, and it leads every partition. */
export class LoneTopics implements TopicChanges {
  readonly #partitions: Partitions;
  readonly #logs: TopicLogs;
  readonly #clock: Clock;
  readonly #me: ReplicaId;
  /** Topics whose fact is being written or whose logs are being made. */
  readonly #making = new Map<string, Promise<Topic>>();
  readonly #turns = new Turns();

  constructor(partitions: Partitions, logs: TopicLogs, clock: Clock, me: ReplicaId) {
    this.#partitions = partitions;
    this.#logs = logs;
    this.#clock = clock;
    this.#me = me;
  }

  /** Finishes what a crash interrupted, then opens every log. */
  async open(): Promise<void> {
    const { topics } = this.#partitions;
    for (const { topicId } of topics.unfinishedDeletions()) await this.#discard(topicId);
    for (const log of this.#logs.all()) {
      const topic = topics.byId(log.topicId);
      if (topic && log.partition >= topic.partitions) await this.#logs.discard(log.topicId, topic.partitions);
    }
    for (const topic of topics.all()) await this.#openTopic(topic);
  }

  async #openTopic(topic: Topic): Promise<void> {
    const settings = this.#partitions.topics.settingsOf(topic);
    const opened = this.#partitions.of(topic.name)?.length ?? 0;
    const logs = await this.#logs.open(topic, indexesFrom(opened, topic.partitions));
    const minInSync = settings.number("min.insync.replicas");
    const made = logs.map((log) => {
      const replica = newLoneReplica(this.#me, log, minInSync);
      log.highWatermark = replica.highWatermark;
      return new Partition(topic.name, log, replica, batchRulesOf(settings), true);
    });
    this.#partitions.add(topic.name, made);
  }

  async create(name: string, partitions: number, configs: Values): Promise<Topic> {
    if (this.#making.has(name)) throw new HubError("TOPIC_ALREADY_EXISTS", `Topic ${name} is being made`);
    const making = this.#turns.take(name, async () => {
      const topic = await this.#partitions.topics.create(name, partitions, configs, this.#clock.wall());
      try {
        await this.#openTopic(topic);
      } catch (error) {
        await this.#takeBack(topic);
        throw error;
      }
      return topic;
    });
    this.#making.set(name, making);
    return await making.finally(() => this.#making.delete(name));
  }

  /** A topic whose logs could not all be made is none; what the disk refuses now, the next start finishes. */
  async #takeBack(topic: Topic): Promise<void> {
    this.#partitions.remove(topic.name, topic.topicId, new HubError("UNKNOWN_TOPIC_OR_PARTITION"));
    try {
      await this.#partitions.topics.remove(topic);
      await this.#discard(topic.topicId);
    } catch {
      // the first error is the one to tell
    }
  }

  async whenMade(name: string): Promise<void> {
    await this.#making.get(name);
  }

  /**
   * The logs are made before the topic tells of them, so a growth that fails leaves the topic as it was; logs that a
   * crash left beyond its count go at the next start.
   */
  async grow(name: string, partitions: number, validateOnly: boolean): Promise<void> {
    const { topics } = this.#partitions;
    if (validateOnly) return void (await topics.grow(name, partitions, true));
    await this.#turns.take(name, async () => {
      const topic = await topics.grow(name, partitions, true);
      try {
        await this.#logs.open(topic, indexesFrom(topic.partitions, partitions));
        await topics.grow(name, partitions, false);
      } catch (error) {
        await this.#logs.discard(topic.topicId, topic.partitions).catch(() => {}); // the first error is the one to tell
        throw error;
      }
      await this.#openTopic(topics.byName(name)!);
    });
  }

  async configure(name: string, change: (own: Values) => Values, validateOnly: boolean): Promise<void> {
    const { topics } = this.#partitions;
    await this.#turns.take(name, async () => {
      const before = topics.byName(name);
      if (!before) throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no topic ${name}`);
      const topic = await topics.configure(name, change(before.configs), validateOnly);
      if (!validateOnly) await this.#partitions.applySettingsOf(topic);
    });
  }

  delete(name: string): Promise<Topic> {
    return this.#turns.take(name, async () => {
      const { topics } = this.#partitions;
      const topic = topics.byName(name);
      if (!topic) throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no topic ${name}`);
      const gone = new HubError("UNKNOWN_TOPIC_OR_PARTITION", `Topic ${name} was deleted`);
      this.#partitions.remove(name, topic.topicId, gone);
      await topics.remove(topic);
      await this.#discard(topic.topicId);
      return topic;
    });
  }

  async #discard(topicId: string): Promise<void> {
    await this.#logs.discard(topicId);
    await this.#partitions.topics.deleted(topicId);
  }
}
