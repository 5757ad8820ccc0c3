// The logs of topics: opened, configured and discarded as the catalogue of topics says.
import type { Store } from "../log/store.ts";
import type { LogSettings } from "../log/store.ts";
import type { PartitionLog } from "../log/log.ts";
import type { EffectiveSettings } from "../topic_settings.ts";
import { batchRulesOf, prepareCodecs } from "./admission.ts";
import type { Partition } from "./partition.ts";
import type { Topic, Topics } from "./topics.ts";

/** Topic settings as the log understands them. */
export function logSettingsOf(settings: EffectiveSettings): LogSettings {
  return {
    fsync: settings.text("log.fsync") as LogSettings["fsync"],
    segmentBytes: settings.number("segment.bytes"),
    segmentMs: settings.number("segment.ms"),
    indexIntervalBytes: settings.number("index.interval.bytes"),
    retentionMs: unlessCompacted(settings, "retention.ms"),
    retentionBytes: unlessCompacted(settings, "retention.bytes"),
    timestampType: settings.text("message.timestamp.type") as LogSettings["timestampType"],
    compacted: settings.text("cleanup.policy").includes("compact"),
    deleteRetentionMs: settings.number("delete.retention.ms"),
    minCompactionLagMs: settings.number("min.compaction.lag.ms"),
    maxCompactionLagMs: settings.number("max.compaction.lag.ms"),
    minDirtyRatio: settings.number("min.cleanable.dirty.ratio"),
    corruptRead: settings.text("corrupt.read") as LogSettings["corruptRead"],
    pinned: settings.flag("retention.pin"),
  };
}

function unlessCompacted(settings: EffectiveSettings, name: string): number {
  return settings.text("cleanup.policy").includes("delete") ? settings.number(name) : -1;
}

function isSame(one: LogSettings, other: LogSettings): boolean {
  return (Object.keys(other) as (keyof LogSettings)[]).every((name) => one[name] === other[name]);
}

export class TopicLogs {
  readonly #store: Store;
  readonly #topics: Topics;

  constructor(store: Store, topics: Topics) {
    this.#store = store;
    this.#topics = topics;
  }

  /** The logs of some partitions, made where they are missing: all of one turn share a sync. */
  async open(topic: Topic, indexes: readonly number[]): Promise<PartitionLog[]> {
    const settings = this.#topics.settingsOf(topic);
    const logSettings = logSettingsOf(settings);
    const open = async (index: number): Promise<PartitionLog> => {
      const log = this.#store.partition(topic.topicId, index);
      if (!log) return await this.#store.createPartition(topic.topicId, index, topic.name, logSettings);
      if (!isSame(log.settings, logSettings)) await log.configure(logSettings);
      return log;
    };
    // all come to an end before one's failure is told, so that whoever takes back what was made finds all of it
    const ends = await Promise.allSettled(indexes.map(open));
    await prepareCodecs(batchRulesOf(settings));
    return ends.map((end) => {
      if (end.status === "rejected") throw end.reason;
      return end.value;
    });
  }

  /** Applies the topic's settings as they are now to a partition of it. */
  async configure(topic: Topic, partition: Partition): Promise<void> {
    const settings = this.#topics.settingsOf(topic);
    const logSettings = logSettingsOf(settings);
    await prepareCodecs(batchRulesOf(settings));
    if (!isSame(partition.log.settings, logSettings)) await partition.log.configure(logSettings);
    partition.rules = batchRulesOf(settings);
  }

  /** Deletes the logs of a topic from a partition on. */
  async discard(topicId: string, from = 0): Promise<void> {
    const logs = [...this.#store.partitions()].filter((log) => log.topicId === topicId && log.partition >= from);
    for (const log of logs) await this.#store.deletePartition(topicId, log.partition);
  }

  /** Deletes the log of one partition; what is known of its replica stays. */
  async discardOne(topicId: string, partition: number): Promise<void> {
    await this.#store.deletePartition(topicId, partition);
  }

  has(topicId: string, partition: number): boolean {
    return this.#store.partition(topicId, partition) !== undefined;
  }

  /** Every log that is there, whatever topics are known. */
  all(): PartitionLog[] {
    return [...this.#store.partitions()];
  }
}

/** 0 .. count-1, from `from` on. */
export function indexesFrom(from: number, count: number): number[] {
  return Array.from({ length: Math.max(0, count - from) }, (_, i) => from + i);
}
