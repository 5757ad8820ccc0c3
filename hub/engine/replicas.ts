// The replicas of this hub: does what their machines want, and tells them what disks, peers and the controller say.
import { compareConfigs, membersOf } from "../cluster/quorum.ts";
import * as machine from "../cluster/replica.ts";
import type {
  Epoch,
  HubId,
  LeaderWord,
  PublishedState,
  ReplicaAlarm,
  ReplicaEffect,
  ReplicaId,
} from "../cluster/types.ts";
import { type ErrorName, HubError } from "../errors.ts";
import type { Clock, Timer } from "../io/ports.ts";
import type { FactStore } from "../io/registry.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import { hubOf } from "./cluster_view.ts";
import type { Elections } from "./elections.ts";
import type { Partition } from "./partition.ts";
import type { Partitions, ReplicaDuties } from "./partitions.ts";
import type { Publication } from "./publisher.ts";
import { encodeReplica, replicaKey } from "./replica_facts.ts";
import type { Followed, Replicator } from "./replicator.ts";

export interface ReplicasOptions {
  readonly partitions: Partitions;
  readonly facts: FactStore;
  readonly replicator: Pick<Replicator, "follow" | "stop" | "kick">;
  readonly elections: Elections;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly me: ReplicaId;
  readonly publish: (topicId: string, partition: number, publication: Publication) => void;
  /** What is known to be published. */
  readonly published: (topicId: string, partition: number) => PublishedState | undefined;
}

const tickMs = 100;

export class Replicas implements ReplicaDuties {
  readonly #options: ReplicasOptions;
  readonly #followed = new Map<Partition, Followed>();
  /** Since when a replica belongs to no config. */
  readonly #outSince = new Map<Partition, number>();
  #lookOutAt = 0;
  #ticking: Timer | null = null;
  #closed = false;

  constructor(options: ReplicasOptions) {
    this.#options = options;
    this.#tick();
  }

  #tick(): void {
    const { clock, partitions } = this.#options;
    const now = clock.now();
    for (const partition of partitions.all()) {
      if (machine.deadline(partition.replica) > now) continue;
      partitions.run(partition, machine.tick(partition.replica, now));
    }
    this.#lookOut(now);
    if (!this.#closed) this.#ticking = clock.after(tickMs, () => this.#tick());
  }

  do(partition: Partition, effect: ReplicaEffect): void {
    const { elections, replicator, publish, trace } = this.#options;
    const { topicId, partition: index } = partition.log;
    switch (effect.kind) {
      case "persist":
        return void this.#persist(partition, effect);
      case "request-votes":
        return elections.request(partition, effect.to, effect.request);
      case "answer-vote":
        return elections.answer(partition, effect.to, effect.reply);
      case "election-failed":
        return elections.ended(partition, { result: "failed", epoch: effect.epoch, why: effect.why });
      case "lead":
        replicator.stop(this.#followedOf(partition));
        trace.count("leaders_elected");
        trace.event("info", "leading", { ...placeOf(partition), epoch: effect.epoch, start: effect.start });
        return elections.ended(partition, { result: "led", epoch: effect.epoch });
      case "resign":
        return trace.event("info", "leads_no_more", { ...placeOf(partition), epoch: effect.epoch, why: effect.why });
      case "follow":
        trace.event("debug", "following", { ...placeOf(partition), leader: effect.leader, epoch: effect.epoch });
        return replicator.follow(this.#followedOf(partition), hubOf(effect.leader));
      case "stop-fetching":
        return replicator.stop(this.#followedOf(partition));
      case "truncate":
        return void this.#truncate(partition, effect.to);
      case "publish":
        return publish(topicId, index, this.#publicationOf(partition, effect));
      case "alarm":
        trace.count(effect.name);
        return trace.event(levelOf(effect.name), effect.name, { ...placeOf(partition), detail: effect.detail });
      case "watermark":
        return;
      default:
        throw new Error(`no such effect: ${JSON.stringify(effect satisfies never)}`);
    }
  }

  moved(partition: Partition): void {
    const followed = this.#followed.get(partition);
    if (followed) this.#options.replicator.kick(followed);
  }

  /** The journal has it before anybody hears of it; what the disk refuses now is tried again. */
  async #persist(partition: Partition, effect: ReplicaEffect & { kind: "persist" }): Promise<void> {
    const { facts, clock, partitions, trace } = this.#options;
    const { topicId, partition: index } = partition.log;
    try {
      await facts.put([[replicaKey(topicId, index), encodeReplica(effect.state)]]);
    } catch (error) {
      trace.event("error", "promise_not_stored", { ...placeOf(partition), error: String(error) });
      if (!this.#closed) clock.after(limits.diskRetryMs, () => void this.#persist(partition, effect));
      return;
    }
    const { config } = partition.replica.stored;
    partitions.run(partition, machine.stored(partition.replica, effect.version, clock.now()));
    // followers hear of another config at once: one that is to be a member may have to stand for election next
    if (partition.leads && partition.replica.stored.config !== config)
      partitions.room.disturbed(partition.replicaPlace);
    if (effect.state.tombstone) return void this.#depart(partition);
    this.moved(partition);
  }

  /**
   * A replica that no config holds any more, as its leader said and the world knows, goes after a while: its promises
   * stay, its data does not (replication.md 2.7 rule 4).
   */
  #lookOut(now: number): void {
    const { partitions, published, me } = this.#options;
    if (now < this.#lookOutAt) return;
    this.#lookOutAt = now + limits.replicaDepartsMs / 5;
    for (const partition of partitions.all()) {
      const { replica, log } = partition;
      const { config, tombstone } = replica.stored;
      const state = published(log.topicId, log.partition);
      const isOut =
        !tombstone &&
        config.next === null &&
        !config.old.members.includes(me) &&
        state !== undefined &&
        compareConfigs(state.config.id, config.id) >= 0 &&
        !membersOf(state.config).includes(me) &&
        !state.learners.includes(me);
      const since = this.#outSince.get(partition) ?? now;
      if (!isOut) this.#outSince.delete(partition);
      else if (now - since < limits.replicaDepartsMs) this.#outSince.set(partition, since);
      else partitions.run(partition, machine.retire(replica));
    }
  }

  async #depart(partition: Partition): Promise<void> {
    const { partitions, trace } = this.#options;
    const { topicId, partition: index } = partition.log;
    trace.event("info", "replica_removed", placeOf(partition));
    this.letGo(partition);
    this.#outSince.delete(partition);
    partitions.removeOne(partition, new HubError("NOT_LEADER_OR_FOLLOWER", "The replica was moved to another hub"));
    try {
      await partitions.logs.discardOne(topicId, index);
    } catch (error) {
      trace.event("error", "replica_not_deleted", { ...placeOf(partition), error: String(error) });
    }
  }

  async #truncate(partition: Partition, to: number): Promise<void> {
    const { clock, partitions, trace } = this.#options;
    trace.count("truncations");
    trace.event("info", "log_truncated", { ...placeOf(partition), to, end: partition.log.logEnd });
    try {
      await partition.log.truncateTo(to);
    } catch (error) {
      trace.event("error", "truncation_failed", { ...placeOf(partition), to, error: String(error) });
      if (!this.#closed) clock.after(limits.diskRetryMs, () => void this.#truncate(partition, to));
      return;
    }
    partitions.run(partition, machine.truncated(partition.replica, clock.now()));
    this.moved(partition);
  }

  #followedOf(partition: Partition): Followed {
    const known = this.#followed.get(partition);
    if (known) return known;
    const followed: Followed = {
      topicId: partition.log.topicId,
      topic: partition.topic,
      partition: partition.log.partition,
      fetchOf: () => machine.fetchOf(partition.replica),
      logEnd: () => partition.log.logEnd,
      answered: (word, diverging, records) => this.#answered(partition, word, diverging, records),
      refused: (epoch, error, hint) => this.#refused(partition, epoch, error, hint),
    };
    this.#followed.set(partition, followed);
    return followed;
  }

  #answered(
    partition: Partition,
    word: LeaderWord,
    diverging: { readonly epoch: Epoch; readonly endOffset: number } | null,
    records: Uint8Array,
  ): void | Promise<void> {
    const { clock, partitions, trace } = this.#options;
    const { log, replica } = partition;
    const { append, effects } = machine.leaderAnswered(replica, word, diverging, clock.now());
    partitions.run(partition, effects);
    if (!append) return;
    try {
      if (word.logStart > log.logEnd) return this.#restartAt(partition, word.logStart);
      if (records.length > 0) log.appendReplicated(records);
    } catch (error) {
      // a full disk, say: nothing is acknowledged that is not written, so the next fetch asks for the same again
      trace.count("replication_refused");
      trace.event("error", "replication_refused", { ...placeOf(partition), error: String(error) });
      const failed = error instanceof HubError ? error.kind : "KAFKA_STORAGE_ERROR";
      this.#refused(partition, word.epoch, failed, null);
      return new Promise((resolve) => void clock.after(limits.replicaRetryMs, resolve));
    }
    partitions.run(partition, machine.durable(replica, clock.now()));
    if (word.logStart > log.logStart && word.logStart <= replica.highWatermark) {
      log.deleteRecordsBefore(word.logStart).catch(() => {}); // the next answer says it again
    }
  }

  /** The leader has dropped what comes next here: the log goes on where the leader's begins. */
  async #restartAt(partition: Partition, offset: number): Promise<void> {
    const { trace, partitions, clock } = this.#options;
    trace.event("warn", "replica_restarted", { ...placeOf(partition), end: partition.log.logEnd, at: offset });
    await partition.log.restartAt(offset);
    partitions.run(partition, machine.durable(partition.replica, clock.now()));
  }

  #refused(
    partition: Partition,
    epoch: Epoch,
    error: ErrorName,
    hint: { readonly leader: HubId; readonly epoch: Epoch } | null,
  ): void {
    const { clock, partitions } = this.#options;
    const now = clock.now();
    partitions.run(partition, machine.leaderRefused(partition.replica, epoch, error, now));
    if (hint) this.#announce(partition, hint.epoch, hint.leader);
  }

  /** What is published of a partition of this hub, or a leader told so. */
  announced(partition: Partition, state: PublishedState): void {
    this.#announce(partition, state.leaderEpoch, state.leader, state);
  }

  /** Another hub told this one that it leads. */
  hinted(partition: Partition, epoch: Epoch, hub: HubId): void {
    this.#announce(partition, epoch, hub);
  }

  #announce(partition: Partition, epoch: Epoch, hub: HubId, state?: PublishedState): void {
    const { clock, partitions, me } = this.#options;
    const { replica } = partition;
    if (hub < 0) return;
    if (hub === hubOf(me)) return void (state && partitions.run(partition, machine.leaderFound(replica, state)));
    const { old, next } = state?.config ?? replica.state.config;
    const leader = [...old.members, ...(next?.members ?? [])].find((member) => hubOf(member) === hub);
    if (leader) partitions.run(partition, machine.leaderAnnounced(replica, epoch, leader, clock.now()));
  }

  #publicationOf(partition: Partition, effect: ReplicaEffect & { kind: "publish" }): Publication {
    const { partitions, clock } = this.#options;
    const { replica } = partition;
    return {
      state: effect.state,
      isClaim: effect.claim ?? false,
      revised: (there) => {
        const state = machine.revised(replica, effect, there);
        if (state === null) partitions.run(partition, machine.notPublished(replica, effect, there, clock.now()));
        return state;
      },
      stored: (state) => partitions.run(partition, machine.published(replica, state, clock.now())),
    };
  }

  /** A hub is gone or silent: it leaves the ISR of everything led here at once. */
  peerLost(hub: HubId): void {
    const { clock, partitions } = this.#options;
    for (const partition of partitions.all()) {
      if (partition.leads) partitions.run(partition, machine.peerLost(partition.replica, hub, clock.now()));
    }
  }

  /** Stops fetching for a partition that goes. */
  letGo(partition: Partition): void {
    const followed = this.#followed.get(partition);
    if (followed) this.#options.replicator.stop(followed);
    this.#followed.delete(partition);
    this.#options.elections.ended(partition, { result: "not-here" });
  }

  close(): void {
    this.#closed = true;
    this.#ticking?.cancel();
    for (const followed of this.#followed.values()) this.#options.replicator.stop(followed);
  }
}

const levelOf = (alarm: ReplicaAlarm): "info" | "error" => (alarm === "config_changed" ? "info" : "error");

function placeOf({ topic, log }: Partition): { topic: string; partition: number } {
  return { topic, partition: log.partition };
}
