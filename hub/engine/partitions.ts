// Runs the partitions this hub leads: appends, commits, reads, and the life of their logs.
import { type Leader, mayCommit, newLoneLeader, onDurable, onMinInSync } from "../cluster/leader.ts";
import { HubError } from "../errors.ts";
import type { Clock } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { PartitionLog } from "../log/log.ts";
import { appendMarker } from "../log/log_transactions.ts";
import type { LogSettings, Store } from "../log/store.ts";
import type { EffectiveSettings } from "../topic_settings.ts";
import { admitBatch, batchRulesOf, inTopicCodec, prepareCodecs } from "./admission.ts";
import { Partition } from "./partition.ts";
import type { Topic, Topics } from "./topics.ts";
import type { Marker, OpenTransaction, TransactionPartitions } from "./transactions_types.ts";
import { Turns } from "./turns.ts";
import { type Committed, FetchRoom } from "./waiting_room.ts";

export { Partition } from "./partition.ts";

/** The epoch of a lone hub: no other ever leads, so it never changes. */
const loneEpoch = 0;

/** Where a write went. `end` is the offset after it: committed when the watermark reaches it. */
export interface Written {
  readonly baseOffset: number;
  readonly end: number;
  readonly logAppendTime: number;
  readonly logStart: number;
}

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

function isSame(one: LogSettings, other: LogSettings): boolean {
  return (Object.keys(other) as (keyof LogSettings)[]).every((name) => one[name] === other[name]);
}

function unlessCompacted(settings: EffectiveSettings, name: string): number {
  return settings.text("cleanup.policy").includes("delete") ? settings.number(name) : -1;
}

function mustCommit(leader: Leader): void {
  if (mayCommit(leader)) return;
  const { inSync, minInSync } = leader;
  throw new HubError("NOT_ENOUGH_REPLICAS", `${inSync.size} in sync, min.insync.replicas is ${minInSync}`);
}

function noteUnread(partition: Partition, bytes: number): void {
  partition.unread.add(bytes);
  partition.unstable.add(bytes);
}

/** What a marker adds to a log, about. */
const markerBytes = 78;

export class Partitions implements TransactionPartitions {
  readonly topics: Topics;
  readonly room: FetchRoom;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #hubId: number;
  /** Produce requests that wait for the disk, as one line; null when nobody waits. */
  #line: Promise<void> | null = null;
  /** Topics whose fact is being written or whose logs are being made. */
  readonly #making = new Map<string, Promise<Topic>>();
  readonly #turns = new Turns();
  readonly #byTopic = new Map<string, Partition[]>();
  readonly #byLog = new Map<PartitionLog, Partition>();

  constructor(store: Store, topics: Topics, clock: Clock, hubId: number) {
    this.#store = store;
    this.topics = topics;
    this.#clock = clock;
    this.#hubId = hubId;
    this.room = new FetchRoom(clock);
  }

  /** Finishes what a crash interrupted, then opens every log. */
  async open(): Promise<void> {
    for (const { topicId } of this.topics.unfinishedDeletions()) await this.#discard(topicId);
    for (const log of [...this.#store.partitions()]) {
      const topic = this.topics.byId(log.topicId);
      if (topic && log.partition >= topic.partitions) await this.#store.deletePartition(log.topicId, log.partition);
    }
    for (const topic of this.topics.all()) await this.#openTopic(topic);
  }

  async #openTopic(topic: Topic): Promise<void> {
    const settings = this.topics.settingsOf(topic);
    const opened = this.#byTopic.get(topic.name) ?? [];
    const logs = await this.#logsOf(topic, opened.length, topic.partitions);
    await prepareCodecs(batchRulesOf(settings));
    for (const log of logs) {
      const leader = newLoneLeader(this.#hubId, loneEpoch, settings.number("min.insync.replicas"), log.durableEnd);
      log.highWatermark = leader.highWatermark;
      const partition = new Partition(topic.name, log, leader, batchRulesOf(settings));
      opened.push(partition);
      this.#byLog.set(log, partition);
    }
    this.#byTopic.set(topic.name, opened);
  }

  /** The logs of some partitions, made where they are missing: all of one turn share a sync. */
  async #logsOf(topic: Topic, from: number, to: number): Promise<PartitionLog[]> {
    const logSettings = logSettingsOf(this.topics.settingsOf(topic));
    const open = async (index: number): Promise<PartitionLog> => {
      const log = this.#store.partition(topic.topicId, index);
      if (!log) return await this.#store.createPartition(topic.topicId, index, topic.name, logSettings);
      if (!isSame(log.settings, logSettings)) await log.configure(logSettings);
      return log;
    };
    // all come to an end before one's failure is told, so that whoever takes back what was made finds all of it
    const ends = await Promise.allSettled(Array.from({ length: to - from }, (_, i) => open(from + i)));
    return ends.map((end) => {
      if (end.status === "rejected") throw end.reason;
      return end.value;
    });
  }

  of(topic: string): readonly Partition[] | undefined {
    return this.#byTopic.get(topic);
  }

  get(topic: string, partition: number): Partition | undefined {
    return this.#byTopic.get(topic)?.[partition];
  }

  /** As `get`, but throws UNKNOWN_TOPIC_OR_PARTITION. */
  must(topic: string, partition: number): Partition {
    const found = this.get(topic, partition);
    if (!found) throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no partition ${topic}-${partition} here`);
    return found;
  }

  all(): Iterable<Partition> {
    return this.#byLog.values();
  }

  async createTopic(name: string, partitions: number, configs: ReadonlyMap<string, string>): Promise<Topic> {
    if (this.#making.has(name)) throw new HubError("TOPIC_ALREADY_EXISTS", `Topic ${name} is being made`);
    return await this.#make(name, async () => {
      const topic = await this.topics.create(name, partitions, configs, this.#clock.wall());
      try {
        await this.#openTopic(topic);
      } catch (error) {
        await this.#takeBack(topic);
        throw error;
      }
      return topic;
    });
  }

  /** Notes for as long as it takes that this topic's logs are being made. */
  #make(name: string, make: () => Promise<Topic>): Promise<Topic> {
    const making = this.#turns.take(name, make);
    this.#making.set(name, making);
    return making.finally(() => this.#making.delete(name));
  }

  /** A topic whose logs could not all be made is none; what the disk refuses now, the next start finishes. */
  async #takeBack(topic: Topic): Promise<void> {
    for (const log of [...this.#byLog.keys()]) if (log.topicId === topic.topicId) this.#byLog.delete(log);
    try {
      await this.topics.remove(topic);
      await this.#discard(topic.topicId);
    } catch {
      // the first error is the one to tell
    }
  }

  /** Resolves when a topic that is known but has no logs yet can be written to. */
  async whenMade(name: string): Promise<void> {
    await this.#making.get(name);
  }

  /**
   * Adds partitions up to `partitions` in all. Their logs are made before the topic tells of them, so a growth that
   * fails leaves the topic as it was; logs that a crash left beyond its count go at the next start.
   */
  async growTopic(name: string, partitions: number, validateOnly: boolean): Promise<void> {
    if (validateOnly) return void (await this.topics.grow(name, partitions, true));
    await this.#turns.take(name, async () => {
      const topic = await this.topics.grow(name, partitions, true);
      try {
        await this.#logsOf(topic, topic.partitions, partitions);
        await this.topics.grow(name, partitions, false);
      } catch (error) {
        await this.#discardFrom(topic.topicId, topic.partitions).catch(() => {}); // the first error is the one to tell
        throw error;
      }
      await this.#openTopic(this.topics.byName(name)!);
    });
  }

  /** Replaces the topic's own settings by what `change` makes of them, and applies them to its logs. */
  async configureTopic(
    name: string,
    change: (own: ReadonlyMap<string, string>) => ReadonlyMap<string, string>,
    validateOnly: boolean,
  ): Promise<void> {
    await this.#turns.take(name, async () => {
      const before = this.topics.byName(name);
      if (!before) throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no topic ${name}`);
      const topic = await this.topics.configure(name, change(before.configs), validateOnly);
      if (!validateOnly) await this.#applySettings(topic);
    });
  }

  /** Applies the hub's settings as they are now to every topic. */
  async applySettings(): Promise<void> {
    await Promise.all([...this.topics.all()].map((topic) => this.#applySettings(topic)));
  }

  async #applySettings(topic: Topic): Promise<void> {
    const settings = this.topics.settingsOf(topic);
    const logSettings = logSettingsOf(settings);
    await prepareCodecs(batchRulesOf(settings));
    const configure = async (partition: Partition): Promise<void> => {
      if (!isSame(partition.log.settings, logSettings)) await partition.log.configure(logSettings);
      partition.rules = batchRulesOf(settings);
      this.#apply(partition, onMinInSync(partition.leader, settings.number("min.insync.replicas")));
    };
    await Promise.all((this.#byTopic.get(topic.name) ?? []).map(configure));
  }

  deleteTopic(name: string): Promise<Topic> {
    return this.#turns.take(name, () => this.#delete(name));
  }

  async #delete(name: string): Promise<Topic> {
    const topic = this.topics.byName(name);
    if (!topic) throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no topic ${name}`);
    const partitions = this.#byTopic.get(name) ?? [];
    this.#byTopic.delete(name);
    const gone = new HubError("UNKNOWN_TOPIC_OR_PARTITION", `Topic ${name} was deleted`);
    for (const partition of partitions) {
      this.#byLog.delete(partition.log);
      partition.writes.fail(gone);
      partition.ownWrites.fail(gone);
      this.#disturbed(partition);
    }
    await this.topics.remove(topic);
    await this.#discard(topic.topicId);
    return topic;
  }

  async #discard(topicId: string): Promise<void> {
    await this.#discardFrom(topicId, 0);
    await this.topics.deleted(topicId);
  }

  async #discardFrom(topicId: string, index: number): Promise<void> {
    const logs = [...this.#store.partitions()].filter((log) => log.topicId === topicId && log.partition >= index);
    for (const log of logs) await this.#store.deletePartition(topicId, log.partition);
  }

  /**
   * Appends one batch, synchronously and in call order; `batch` is the hub's from now on.
   * Throws what a producer gets: CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, NOT_ENOUGH_REPLICAS, KAFKA_STORAGE_ERROR ...
   * @param transactional whether the batch may be one of a transaction (transaction_entry.ts asks before)
   */
  append(partition: Partition, batch: Uint8Array, acks: number, transactional = false): Written {
    if (acks === -1) mustCommit(partition.leader);
    admitBatch(batch, partition.rules, this.#clock, transactional);
    const stored = inTopicCodec(batch, partition.rules);
    const appended = partition.log.append(stored, partition.leader.epoch);
    if (!appended.duplicate) noteUnread(partition, stored.length);
    return {
      baseOffset: appended.baseOffset,
      end: appended.lastOffset + 1,
      logAppendTime: appended.logAppendTime,
      logStart: partition.log.logStart,
    };
  }

  exists(topic: string, partition: number): boolean {
    return this.get(topic, partition) !== undefined;
  }

  *openTransactions(): Iterable<OpenTransaction> {
    for (const { topic, log } of this.all()) {
      for (const { producerId, producerEpoch, openFrom } of log.producers.active()) {
        if (openFrom >= 0) yield { topic, partition: log.partition, producerId, producerEpoch };
      }
    }
  }

  /**
   * Ends a transaction in a partition; resolves when the marker is committed, at once where the partition is gone.
   * @throws HubError INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED, NOT_ENOUGH_REPLICAS, KAFKA_STORAGE_ERROR
   */
  async endTransaction(topic: string, index: number, marker: Marker): Promise<void> {
    const partition = this.get(topic, index);
    if (!partition) return;
    const { log, leader } = partition;
    mustCommit(leader);
    const appended = appendMarker(log, marker, leader.epoch, this.#clock.wall());
    if (appended) noteUnread(partition, markerBytes);
    // One that stands in the log already may not be committed yet.
    const end = appended ? appended.lastOffset + 1 : log.logEnd;
    if (end <= partition.highWatermark) return;
    await new Promise<void>((resolve, reject) => {
      partition.writes.add(end, (error) => {
        if (error === null || !this.exists(topic, index)) resolve();
        else reject(error);
      });
    });
  }

  /** Calls back when a write is committed at this ack level; later, or at once when it already is. */
  whenCommitted(partition: Partition, written: Written, acks: number, committed: Committed): void {
    const [reached, queue] =
      acks === -1 ? [partition.highWatermark, partition.writes] : [partition.log.durableEnd, partition.ownWrites];
    if (acks === 0 || written.end <= reached) committed(null);
    else queue.add(written.end, committed);
  }

  /** The store says: these logs are durable up to their `durableEnd`. */
  durable(logs: readonly PartitionLog[]): void {
    for (const log of logs) {
      const partition = this.#byLog.get(log);
      if (!partition) continue;
      partition.ownWrites.passed(log.durableEnd);
      this.#apply(partition, onDurable(partition.leader, this.#hubId, log.durableEnd));
    }
  }

  #apply(partition: Partition, effects: ReturnType<typeof onDurable>): void {
    for (const effect of effects) {
      partition.log.highWatermark = effect.to;
      partition.writes.passed(effect.to);
      this.room.advanced(partition.place, partition.unread.passed(effect.to, partition.log.logEnd));
    }
    if (effects.length > 0) this.#tellStable(partition);
  }

  /** Wakes readers of committed records when there is more for them. */
  #tellStable(partition: Partition): void {
    const stable = partition.lastStable;
    if (stable <= partition.toldStable) return;
    partition.toldStable = stable;
    this.room.advanced(partition.stablePlace, partition.unstable.passed(stable, partition.log.logEnd));
  }

  #disturbed(partition: Partition): void {
    this.room.disturbed(partition.place);
    this.room.disturbed(partition.stablePlace);
  }

  /** The data folder failed: nothing that waits will be answered well. */
  failAll(error: Error): void {
    for (const partition of this.#byLog.values()) {
      partition.writes.fail(error);
      partition.ownWrites.fail(error);
      this.#disturbed(partition);
    }
  }

  /**
   * null when a produce may append now; else it waits for its turn, because more would only lengthen the queue to the
   * disk. All wait in one line: nobody overtakes an earlier request of the same connection, and each looks at the queue
   * that those before it left.
   */
  enter(): Promise<void> | null {
    const overloaded = (): boolean => this.#store.backlogBytes() > limits.journalBacklogBytesMax;
    if (this.#line === null && !overloaded()) return null;
    const before = this.#line ?? Promise.resolve();
    const turn: Promise<void> = before.then(async () => {
      if (overloaded()) await this.#store.whenRoom();
    });
    this.#line = turn;
    void turn.then(() => {
      if (this.#line === turn) this.#line = null;
    });
    return turn;
  }
}
