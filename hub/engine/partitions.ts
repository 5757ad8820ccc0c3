// Runs the partitions this hub has replicas of: appends, commits, reads, and who is told when leadership moves.
import { durable, mayCommit, setMinInSync } from "../cluster/replica.ts";
import type { ReplicaEffect, ReplicaId } from "../cluster/types.ts";
import { HubError } from "../errors.ts";
import type { Clock } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { PartitionLog } from "../log/log.ts";
import { appendMarker } from "../log/log_transactions.ts";
import type { Store } from "../log/store.ts";
import { admitBatch, inTopicCodec } from "./admission.ts";
import type { Partition } from "./partition.ts";
import { LoneTopics, type Placement, type TopicChanges } from "./topic_changes.ts";
import { TopicLogs } from "./topic_logs.ts";
import type { Topic, Topics } from "./topics.ts";
import type { Marker, OpenTransaction, TransactionPartitions } from "./transactions_types.ts";
import { type Committed, FetchRoom } from "./waiting_room.ts";

export { Partition } from "./partition.ts";

/** Where a write went. `end` is the offset after it: committed when the watermark reaches it. */
export interface Written {
  readonly baseOffset: number;
  readonly end: number;
  readonly logAppendTime: number;
  readonly logStart: number;
}

function notLeader({ topic, log }: Partition): HubError {
  return new HubError("NOT_LEADER_OR_FOLLOWER", `This hub does not lead ${topic}-${log.partition}`);
}

function mustCommit({ replica, topic, log }: Partition): void {
  if (mayCommit(replica)) return;
  throw new HubError(
    "NOT_ENOUGH_REPLICAS",
    `${topic}-${log.partition}: fewer in sync than min.insync.replicas asks for`,
  );
}

function noteUnread(partition: Partition, bytes: number): void {
  partition.unread.add(bytes);
  partition.unstable.add(bytes);
}

/** What a marker adds to a log, about. */
const markerBytes = 78;

/** Told when this hub begins to lead a partition, and when it ceases to. */
export type LeadershipListener = (partition: Partition, leads: boolean) => void;

/** Does what a replica's machine wants beyond what this file does itself (engine/replicas.ts). */
export interface ReplicaDuties {
  do(partition: Partition, effect: ReplicaEffect): void;
  /** The log's durable end moved on a replica that does not lead. */
  moved(partition: Partition): void;
}

export class Partitions implements TransactionPartitions {
  readonly topics: Topics;
  readonly room: FetchRoom;
  readonly logs: TopicLogs;
  readonly #store: Store;
  readonly #clock: Clock;
  /** Produce requests that wait for the disk, as one line; null when nobody waits. */
  #line: Promise<void> | null = null;
  #changes: TopicChanges;
  #duties: ReplicaDuties | null = null;
  readonly #leadership: LeadershipListener[] = [];
  /** By partition number; a hole where another hub's replicas are the only ones. */
  readonly #byTopic = new Map<string, (Partition | undefined)[]>();
  readonly #byLog = new Map<PartitionLog, Partition>();

  constructor(store: Store, topics: Topics, clock: Clock, me: ReplicaId) {
    this.#store = store;
    this.topics = topics;
    this.#clock = clock;
    this.room = new FetchRoom(clock);
    this.logs = new TopicLogs(store, topics);
    this.#changes = new LoneTopics(this, this.logs, clock, me);
  }

  /** In a cluster: who changes topics, and who does what replicas want. Called before anything is added. */
  join(changes: TopicChanges, duties: ReplicaDuties): void {
    this.#changes = changes;
    this.#duties = duties;
  }

  /** A lone hub: finishes what a crash interrupted, then opens every log. */
  async open(): Promise<void> {
    if (this.#changes instanceof LoneTopics) await this.#changes.open();
  }

  /** Takes partitions in, by their numbers. */
  add(topic: string, partitions: readonly Partition[]): void {
    const known = this.#byTopic.get(topic) ?? [];
    for (const partition of partitions) {
      known[partition.log.partition] = partition;
      this.#byLog.set(partition.log, partition);
    }
    this.#byTopic.set(topic, known);
    for (const partition of partitions) if (partition.leads) this.#tellLeadership(partition, true);
  }

  /** Lets go of a topic's partitions; what waits on them is told why. Returns them. */
  remove(name: string, topicId: string, why: HubError): Partition[] {
    const gone = (this.#byTopic.get(name) ?? []).filter((one) => one !== undefined && one.log.topicId === topicId);
    if (gone.length > 0) this.#byTopic.delete(name);
    const partitions = gone as Partition[];
    for (const partition of partitions) this.#letGo(partition, why);
    return partitions;
  }

  /** Lets go of one partition. */
  removeOne(partition: Partition, why: HubError): void {
    const known = this.#byTopic.get(partition.topic);
    if (known?.[partition.log.partition] === partition) known[partition.log.partition] = undefined;
    this.#letGo(partition, why);
  }

  #letGo(partition: Partition, why: HubError): void {
    this.#byLog.delete(partition.log);
    this.#disturb(partition, why);
    if (partition.leads) this.#tellLeadership(partition, false);
    partition.leads = false;
  }

  /** What waits here is answered with the error, or looks again. */
  #disturb(partition: Partition, why: Error): void {
    partition.writes.fail(why);
    partition.ownWrites.fail(why);
    this.disturbed(partition);
  }

  onLeadership(listener: LeadershipListener): void {
    this.#leadership.push(listener);
  }

  #tellLeadership(partition: Partition, leads: boolean): void {
    for (const listener of this.#leadership) listener(partition, leads);
  }

  /** The partitions of a topic that this hub has a replica of; undefined when there is none. */
  of(topic: string): readonly Partition[] | undefined {
    const known = this.#byTopic.get(topic);
    return known?.includes(undefined) ? known.filter((one) => one !== undefined) : (known as Partition[] | undefined);
  }

  get(topic: string, partition: number): Partition | undefined {
    return this.#byTopic.get(topic)?.[partition];
  }

  /** As `get`, but throws UNKNOWN_TOPIC_OR_PARTITION, or NOT_LEADER_OR_FOLLOWER where only other hubs have it. */
  must(topic: string, partition: number): Partition {
    const found = this.get(topic, partition);
    if (found) return found;
    const known = this.topics.byName(topic);
    if (this.#duties && known && partition >= 0 && partition < known.partitions) {
      throw new HubError("NOT_LEADER_OR_FOLLOWER", `This hub has no replica of ${topic}-${partition}`);
    }
    throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no partition ${topic}-${partition} here`);
  }

  /** As `must`, but throws NOT_LEADER_OR_FOLLOWER where another hub leads. */
  mustLead(topic: string, partition: number): Partition {
    const found = this.must(topic, partition);
    if (!found.leads) throw notLeader(found);
    return found;
  }

  ofLog(log: PartitionLog): Partition | undefined {
    return this.#byLog.get(log);
  }

  /** What waits here looks again. */
  disturbed({ place, stablePlace, replicaPlace }: Partition): void {
    for (const one of [place, stablePlace, replicaPlace]) this.room.disturbed(one);
  }

  all(): Iterable<Partition> {
    return this.#byLog.values();
  }

  createTopic(
    name: string,
    partitions: number,
    configs: ReadonlyMap<string, string>,
    placement: Placement = {},
  ): Promise<Topic> {
    return this.#changes.create(name, partitions, configs, placement);
  }

  /** Resolves when a topic that is known but has no logs yet can be written to. */
  whenMade(name: string): Promise<void> {
    return this.#changes.whenMade(name);
  }

  /** Adds partitions up to `partitions` in all. */
  growTopic(name: string, partitions: number, validateOnly: boolean, placement: Placement = {}): Promise<void> {
    return this.#changes.grow(name, partitions, validateOnly, placement);
  }

  /** Replaces the topic's own settings by what `change` makes of them, and applies them to its logs. */
  configureTopic(
    name: string,
    change: (own: ReadonlyMap<string, string>) => ReadonlyMap<string, string>,
    validateOnly: boolean,
  ): Promise<void> {
    return this.#changes.configure(name, change, validateOnly);
  }

  deleteTopic(name: string): Promise<Topic> {
    return this.#changes.delete(name);
  }

  /** Applies the hub's settings as they are now to every topic. */
  async applySettings(): Promise<void> {
    await Promise.all([...this.topics.all()].map((topic) => this.applySettingsOf(topic)));
  }

  async applySettingsOf(topic: Topic): Promise<void> {
    const minInSync = this.topics.settingsOf(topic).number("min.insync.replicas");
    const configure = async (partition: Partition): Promise<void> => {
      await this.logs.configure(topic, partition);
      // in a cluster the number belongs to the config of the replicas, and changes with it (replication.md 2.7)
      if (!this.#duties) this.run(partition, setMinInSync(partition.replica, minInSync, this.#clock.now()));
    };
    await Promise.all((this.of(topic.name) ?? []).map(configure));
  }

  /**
   * Appends one batch, synchronously and in call order; `batch` is the hub's from now on.
   * Throws what a producer gets: CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, NOT_ENOUGH_REPLICAS, KAFKA_STORAGE_ERROR ...
   * @param transactional whether the batch may be one of a transaction (transaction_entry.ts asks before)
   */
  append(partition: Partition, batch: Uint8Array, acks: number, transactional = false): Written {
    if (!partition.leads || partition.handover !== null) throw notLeader(partition);
    if (acks === -1) mustCommit(partition);
    admitBatch(batch, partition.rules, this.#clock, transactional);
    const stored = inTopicCodec(batch, partition.rules);
    const appended = partition.log.append(stored, partition.replica.epoch);
    if (!appended.duplicate) {
      noteUnread(partition, stored.length);
      if (this.#duties) this.room.advanced(partition.replicaPlace, stored.length);
    }
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
    const { log, replica } = partition;
    if (!partition.leads) throw notLeader(partition);
    mustCommit(partition);
    const guard = partition.guards.get(marker.producerId);
    if (guard) guard.ended = true;
    const appended = appendMarker(log, marker, replica.epoch, this.#clock.wall());
    if (appended) {
      noteUnread(partition, markerBytes);
      if (this.#duties) this.room.advanced(partition.replicaPlace, markerBytes);
    }
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
    const now = this.#clock.now();
    for (const log of logs) {
      const partition = this.#byLog.get(log);
      if (!partition) continue;
      partition.ownWrites.passed(log.durableEnd);
      this.run(partition, durable(partition.replica, now));
      if (!partition.leads) this.#duties?.moved(partition);
    }
  }

  /** Does what a replica's machine wants done, in its order. */
  run(partition: Partition, effects: readonly ReplicaEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "watermark") this.#watermark(partition, effect.to);
      else if (effect.kind === "lead") this.#lead(partition, effect);
      else if (effect.kind === "resign") this.#resigned(partition, effect);
      else this.#duties?.do(partition, effect);
    }
  }

  #watermark(partition: Partition, to: number): void {
    partition.log.highWatermark = to;
    if (!partition.leads) return;
    partition.writes.passed(to);
    this.room.advanced(partition.place, partition.unread.passed(to, partition.log.logEnd));
    this.#tellStable(partition);
  }

  #lead(partition: Partition, effect: ReplicaEffect & { kind: "lead" }): void {
    partition.leads = true;
    this.#duties?.do(partition, effect);
    this.#tellLeadership(partition, true);
  }

  #resigned(partition: Partition, effect: ReplicaEffect & { kind: "resign" }): void {
    partition.leads = false;
    this.#disturb(partition, notLeader(partition));
    this.#duties?.do(partition, effect);
    this.#tellLeadership(partition, false);
  }

  /**
   * Resolves when everything that was committed before this hub began to lead can be read here (KIP-207).
   * @throws HubError NOT_LEADER_OR_FOLLOWER when leadership goes before
   */
  whenReadable(partition: Partition): Promise<void> {
    if (!partition.leads) return Promise.reject(notLeader(partition));
    const { replica } = partition;
    if (replica.highWatermark >= replica.epochStart) return Promise.resolve();
    return new Promise((resolve, reject) => {
      partition.writes.add(replica.epochStart, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Wakes readers of committed records when there is more for them. */
  #tellStable(partition: Partition): void {
    const stable = partition.lastStable;
    if (stable <= partition.toldStable) return;
    partition.toldStable = stable;
    this.room.advanced(partition.stablePlace, partition.unstable.passed(stable, partition.log.logEnd));
  }

  /** The data folder failed: nothing that waits will be answered well. */
  failAll(error: Error): void {
    for (const partition of this.#byLog.values()) this.#disturb(partition, error);
  }

  /** Whether a produce may append now: nobody waits, and the disk keeps up. */
  get isFree(): boolean {
    return this.#line === null && this.#store.backlogBytes() <= limits.journalBacklogBytesMax;
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
