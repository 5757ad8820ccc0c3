// Topics of a cluster: changed through the controller, learnt by every hub, their replicas opened where they belong.
import { foundState, newReplica, publishedOf, reconfigure, returnedState } from "../cluster/replica.ts";
import type { PartitionConfig, PublishedState, ReplicaId, ReplicaSettings } from "../cluster/types.ts";
import { HubError } from "../errors.ts";
import type { Clock, Timer } from "../io/ports.ts";
import type { FactStore } from "../io/registry.ts";
import { limits } from "../limits.ts";
import type { PartitionLog } from "../log/log.ts";
import { shortKey } from "../log/settings.ts";
import type { Trace } from "../trace.ts";
import { batchRulesOf } from "./admission.ts";
import { hubOf } from "./cluster_view.ts";
import { Partition } from "./partition.ts";
import type { Partitions } from "./partitions.ts";
import { decodeReplica, encodeReplica, replicaKey } from "./replica_facts.ts";
import type { Placement, TopicChanges } from "./topic_changes.ts";
import { indexesFrom } from "./topic_logs.ts";
import { encodeTopic, minInSyncOf, type Topic, topicOf, topicPrefix, uuidText } from "./topics.ts";
import { Turns } from "./turns.ts";

type Values = ReadonlyMap<string, string>;

/** Metadata that all hubs share (engine/governor.ts). */
export interface SharedMetadata {
  /** Resolves when a majority of hubs has it. */
  change(entries: readonly { readonly key: string; readonly value: string | null }[]): Promise<void>;
  place(partitions: number, factor: number, from: number): ReplicaId[][];
  replicaIdOf(hub: number): ReplicaId | undefined;
  published(topicId: string, partition: number): PublishedState | undefined;
  hubCount(): number;
  /** Keys of metadata that end with a topic. */
  movesOf(topicId: string): readonly string[];
}

export interface ClusterTopicsOptions {
  readonly partitions: Partitions;
  readonly shared: SharedMetadata;
  readonly facts: FactStore;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly me: ReplicaId;
  readonly uuid: () => Uint8Array;
  readonly settings: ReplicaSettings;
  /** Stops what runs for a partition that goes. */
  readonly letGo: (partition: Partition) => void;
  /** Told when a topic is gone from this hub: what its groups committed for it goes too. */
  readonly deleted: (topicId: string) => void;
  /** Tells a partition that was opened what is published of it. */
  readonly announced: (partition: Partition, state: PublishedState) => void;
}

export class ClusterTopics implements TopicChanges {
  readonly #options: ClusterTopicsOptions;
  /** What is learnt of one topic is applied in its order. */
  readonly #learning = new Turns();
  readonly #changing = new Turns();
  /** Called after each thing learnt. */
  readonly #watchers = new Set<() => void>();

  constructor(options: ClusterTopicsOptions) {
    this.#options = options;
  }

  async create(name: string, partitions: number, configs: Values, placement: Placement): Promise<Topic> {
    const { topics } = this.#options.partitions;
    return await this.#changing.take(name, async () => {
      topics.check(name, partitions, configs);
      const assignment = this.#assign(partitions, 0, placement);
      const m = this.#minInSync(configs, assignment[0]!.length);
      const topic = {
        ...topics.draft(name, uuidText(this.#options.uuid()), partitions, configs, this.#options.clock.wall()),
        assignment,
        m,
      };
      await this.#options.shared.change([{ key: topicPrefix + name, value: encodeTopic(topic) }]);
      await this.#learnt(() => topics.byName(name)?.topicId === topic.topicId);
      return topic;
    });
  }

  /** min.insync.replicas as asked, or 2 where there are at least 3 replicas. */
  #minInSync(configs: Values, replicas: number): number {
    const asked =
      configs.get("min.insync.replicas") ?? this.#options.partitions.topics.hubSettings.get("min.insync.replicas");
    return Math.min(asked === undefined ? (replicas >= 3 ? 2 : 1) : Number(asked), replicas);
  }

  #assign(partitions: number, from: number, { replicationFactor, assignments }: Placement): ReplicaId[][] {
    const { shared } = this.#options;
    if (!assignments || assignments.length === 0) {
      const hubs = shared.hubCount();
      const factor = replicationFactor ?? Math.min(3, hubs);
      if (factor > hubs) {
        throw new HubError(
          "INVALID_REPLICATION_FACTOR",
          `${factor} replicas need as many hubs; ${hubs} are registered`,
        );
      }
      return shared.place(partitions - from, factor, from);
    }
    return assignments.map((hubs) =>
      hubs.map((hub) => {
        const replica = shared.replicaIdOf(hub);
        if (!replica) throw new HubError("INVALID_REPLICA_ASSIGNMENT", `There is no hub ${hub}`);
        return replica;
      }),
    );
  }

  async whenMade(name: string): Promise<void> {
    await this.#learnt(() => this.#options.partitions.topics.byName(name) !== undefined);
  }

  async grow(name: string, partitions: number, validateOnly: boolean, placement: Placement): Promise<void> {
    const { topics } = this.#options.partitions;
    await this.#changing.take(name, async () => {
      const topic = await topics.grow(name, partitions, true);
      const factor = topic.assignment?.[0]?.length ?? 1;
      const more = this.#assign(partitions, topic.partitions, { replicationFactor: factor, ...placement });
      if (validateOnly) return;
      const next = { ...topic, partitions, assignment: [...(topic.assignment ?? []), ...more] };
      await this.#options.shared.change([{ key: topicPrefix + name, value: encodeTopic(next) }]);
      await this.#learnt(() => (topics.byName(name)?.partitions ?? 0) >= partitions);
    });
  }

  async configure(name: string, change: (own: Values) => Values, validateOnly: boolean): Promise<void> {
    const { topics } = this.#options.partitions;
    await this.#changing.take(name, async () => {
      const before = topics.byName(name);
      if (!before) throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no topic ${name}`);
      const configs = change(before.configs);
      await topics.configure(name, configs, true);
      if (validateOnly) return;
      const m = this.#minInSync(configs, before.assignment?.[0]?.length ?? 1);
      const seen = topics.changes;
      await this.#options.shared.change([{ key: topicPrefix + name, value: encodeTopic({ ...before, configs, m }) }]);
      await this.#learnt(() => topics.changes > seen);
    });
  }

  delete(name: string): Promise<Topic> {
    const { topics } = this.#options.partitions;
    return this.#changing.take(name, async () => {
      const topic = topics.byName(name);
      if (!topic) throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no topic ${name}`);
      const moves = this.#options.shared.movesOf(topic.topicId).map((key) => ({ key, value: null }));
      await this.#options.shared.change([{ key: topicPrefix + name, value: null }, ...moves]);
      await this.#learnt(() => topics.byName(name)?.topicId !== topic.topicId);
      return topic;
    });
  }

  /** Resolves when this hub has learnt it; rejects when that takes longer than a change may. */
  #learnt(done: () => boolean): Promise<void> {
    if (done()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!done()) return;
        this.#watchers.delete(look);
        timer.cancel();
        resolve();
      };
      const timer: Timer = this.#options.clock.after(limits.metadataChangeMsMax, () => {
        this.#watchers.delete(look);
        reject(new HubError("REQUEST_TIMED_OUT", "The change was made; this hub has not seen it yet"));
      });
      this.#watchers.add(look);
    });
  }

  /** A topic's entry as all hubs share it; null: it was deleted. Resolves when its replicas here are open. */
  learn(name: string, value: string | null): Promise<void> {
    return this.#learning.take(name, async () => {
      try {
        await (value === null ? this.#forget(name) : this.#apply(topicOf(name, value)));
      } catch (error) {
        this.#options.trace.event("error", "topic_not_opened", { topic: name, error: String(error) });
        this.#options.clock.after(limits.diskRetryMs, () => void this.learn(name, value));
      }
      for (const watcher of [...this.#watchers]) watcher();
    });
  }

  /** The only deletion there is: an entry that says so. A topic that is merely absent stays (I14 NoImplicitDelete). */
  async #forget(name: string): Promise<void> {
    const { partitions, letGo } = this.#options;
    const topic = partitions.topics.byName(name);
    if (!topic) return;
    const gone = partitions.remove(
      name,
      topic.topicId,
      new HubError("UNKNOWN_TOPIC_OR_PARTITION", `Topic ${name} was deleted`),
    );
    for (const partition of gone) letGo(partition);
    partitions.topics.learn(name, null);
    await partitions.logs.discard(topic.topicId);
    this.#options.deleted(topic.topicId);
  }

  async #apply(topic: Topic): Promise<void> {
    const { partitions } = this.#options;
    const before = partitions.topics.byName(topic.name);
    if (before && before.topicId !== topic.topicId) await this.#forget(topic.name);
    partitions.topics.learn(topic.name, topic);
    const missing = indexesFrom(0, topic.partitions).filter((index) => !partitions.get(topic.name, index));
    await this.#open(
      topic,
      missing.filter((index) => this.#belongs(topic, index)),
    );
    await partitions.applySettingsOf(topic);
    for (const partition of partitions.of(topic.name) ?? []) this.#reconsider(topic, partition);
  }

  /** True where this hub has, or is to have, a replica. */
  #belongs(topic: Topic, index: number): boolean {
    const { me, partitions, shared, facts } = this.#options;
    const fact = facts.get(replicaKey(topic.topicId, index));
    if (fact) return !decodeReplica(fact).tombstone;
    if (partitions.logs.has(topic.topicId, index)) return true;
    const published = shared.published(topic.topicId, index);
    if (published) return membersOf(published).includes(me);
    return topic.assignment?.[index]?.includes(me) ?? false;
  }

  /** What is published of a partition that has no replica here: this hub may be about to get one. */
  async published(topicId: string, index: number, state: PublishedState): Promise<void> {
    const { partitions, me } = this.#options;
    const topic = partitions.topics.byId(topicId);
    if (!topic || partitions.get(topic.name, index) || !membersOf(state).includes(me)) return;
    await this.#learning.take(topic.name, async () => {
      if (!partitions.get(topic.name, index)) await this.#open(topic, [index]);
    });
  }

  async #open(topic: Topic, indexes: readonly number[]): Promise<void> {
    if (indexes.length === 0) return;
    const { partitions, shared, announced } = this.#options;
    const logs = await partitions.logs.open(topic, indexes);
    const rules = batchRulesOf(partitions.topics.settingsOf(topic));
    const made = logs.map((log) => new Partition(topic.name, log, this.#replicaOf(topic, log), rules, false));
    await this.#rememberShort(made);
    partitions.add(topic.name, made);
    for (const partition of made) {
      partition.log.highWatermark = partition.highWatermark;
      const state = shared.published(topic.topicId, partition.log.partition);
      if (state) announced(partition, state);
    }
  }

  #replicaOf(topic: Topic, log: PartitionLog): ReturnType<typeof newReplica> {
    const { facts, me, settings, clock, shared } = this.#options;
    const { partition: index } = log;
    const fact = facts.get(replicaKey(topic.topicId, index));
    const initial: PartitionConfig = {
      id: { epoch: 0, n: 0 },
      old: { members: topic.assignment?.[index] ?? [me], m: topic.m ?? 1 },
      next: null,
    };
    const published = shared.published(topic.topicId, index);
    const stored = fact && decodeReplica(fact);
    const known = stored?.tombstone ? returnedState(stored) : stored;
    const state = foundState(me, known, initial, published, log.recovered === "short");
    return newReplica(me, log, state, settings, log.recoveredWatermark, clock.now());
  }

  /** That a log is short is the replica's own state from here on (replication.md 2.1). */
  async #rememberShort(made: readonly Partition[]): Promise<void> {
    const short = made.filter(({ log }) => log.recovered === "short");
    if (short.length === 0) return;
    await this.#options.facts.put(
      short.flatMap(({ log, replica }) => [
        [replicaKey(log.topicId, log.partition), encodeReplica(replica.stored)],
        [shortKey(log.key), null],
      ]),
    );
  }

  /** min.insync.replicas of the topic may have changed: the leader carries it into the config (replication.md 2.7). */
  #reconsider(topic: Topic, partition: Partition): void {
    const { clock, partitions, trace } = this.#options;
    const { old, next } = partition.replica.state.config;
    const m = minInSyncOf(topic, partitions.topics.hubSettings, old.members.length);
    const { target } = publishedOf(partition.replica);
    if (!partition.leads || next !== null || target !== undefined || old.m === m) return;
    try {
      partitions.run(partition, reconfigure(partition.replica, { members: old.members, m }, clock.now()));
    } catch (error) {
      trace.event("warn", "config_not_changed", { topic: topic.name, error: String(error) });
    }
  }
}

function membersOf({ config, learners }: PublishedState): ReplicaId[] {
  return [...config.old.members, ...(config.next?.members ?? []), ...learners];
}

/** The hubs of some replicas. */
export const hubsOf = (replicas: readonly ReplicaId[]): number[] => replicas.map(hubOf);
