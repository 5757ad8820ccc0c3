// Runs the group coordinator: requests become events, effects become answers, timers and writes to the registry.
import type { ErrorName } from "../errors.ts";
import type { Coordinator, Entry, ListedGroup } from "../groups/coordinator.ts";
import * as groups from "../groups/coordinator.ts";
import * as consumers from "../groups/consumer_coordinator.ts";
import { nextConsumerDeadline, paceOf } from "../groups/consumer_group.ts";
import { isConsumerRecord } from "../groups/consumer_record.ts";
import type { GroupEffect, HeartbeatReply, JoinReply, SyncReply } from "../groups/group.ts";
import { joinError, nextDeadline, syncError } from "../groups/group.ts";
import { heartbeatError } from "../groups/heartbeating.ts";
import { isGone } from "../groups/image.ts";
import { applyCommit } from "../groups/offsets.ts";
import { decodeGroupRecord, encodeGroupRecord } from "../groups/record.ts";
import type { Leaver, MemberClaim } from "../groups/syncing.ts";
import type { Millis, Timer } from "../io/ports.ts";
import type { CommittedOffset, GroupImage } from "../io/registry.ts";
import { limits } from "../limits.ts";
import { GroupOffsets } from "./groups_offsets.ts";
import { ParkedMembers } from "./groups_parked.ts";
import { GroupStore, type Written } from "./groups_store.ts";
import { GroupTimers } from "./groups_timers.ts";
import type {
  FetchedOffset,
  GroupEngine,
  GroupEngineOptions,
  HeartbeatRequest,
  JoinRequest,
  OffsetToCommit,
  OfTopic,
  PartitionError,
  SyncRequest,
} from "./groups_types.ts";
import { consumerWorldOf } from "./groups_world.ts";

export type { GroupEngine, GroupEngineOptions } from "./groups_types.ts";

/**
 * Starts the coordinator and waits until its groups are loaded, but no longer than `groupLoadWaitMsMax`: a registry
 * that is not there yet must not keep the rest of the hub from serving. Loading goes on meanwhile.
 * What cannot be loaded now (a full disk, say) is tried again, for as long as it takes.
 */
export async function openGroupEngine(options: GroupEngineOptions): Promise<GroupEngine> {
  const engine = new Engine(options);
  let timer: Timer | null = null;
  const patience = new Promise<void>((resolve) => {
    timer = options.clock.after(limits.groupLoadWaitMsMax, resolve);
  });
  await Promise.race([engine.loaded, patience]);
  (timer as Timer | null)?.cancel();
  return engine;
}

class Engine implements GroupEngine {
  readonly loaded: Promise<void>;
  readonly #options: GroupEngineOptions;
  readonly #coordinator: Coordinator;
  readonly #parked = new ParkedMembers();
  readonly #timers: GroupTimers;
  #phase: "loading" | "serving" | "closed" = "loading";
  #store: GroupStore | null = null;
  #offsets: GroupOffsets | null = null;
  #sweep: Timer | null = null;
  #stopWaiting: () => void = () => {};

  constructor(options: GroupEngineOptions) {
    this.#options = options;
    this.#coordinator = groups.newCoordinator({ ...limits, ...options.settings }, consumerWorldOf(options));
    this.#timers = new GroupTimers(options.clock, (group) => {
      this.#play(group, groups.tick(this.#coordinator, group, options.clock.now()));
    });
    this.loaded = this.#loadUntilDone();
  }

  async #loadUntilDone(): Promise<void> {
    const { clock, trace } = this.#options;
    while (this.#phase === "loading") {
      try {
        await this.#load();
      } catch (error) {
        if (this.#phase !== "loading") return;
        trace.event("error", "groups_load_failed", { error: String(error) });
        await new Promise<void>((resolve) => {
          const timer = clock.after(limits.diskRetryMs, resolve);
          this.#stopWaiting = () => {
            timer.cancel();
            resolve();
          };
        });
      }
    }
  }

  async #load(): Promise<void> {
    const { registry, trace, topics, clock } = this.#options;
    const epoch = await registry.beginEpoch(this.#options.coordinatorEpoch);
    const images = await registry.loadGroups();
    if (this.#phase === "closed") return;
    this.#store = new GroupStore(registry, trace, epoch);
    this.#offsets = new GroupOffsets(this.#coordinator, this.#store, topics, clock);
    for (const image of images) if (!isGone(image)) this.#loadGroup(image);
    this.#phase = "serving";
    trace.event("info", "groups_loaded", { groups: this.#coordinator.groups.size, coordinatorEpoch: epoch });
    this.#armSweep();
  }

  #loadGroup(image: GroupImage): void {
    const living = image.offsets.flatMap(({ value }) => (value === null ? [] : [value]));
    if (image.record === null && living.length === 0) return;
    const { entry, effects } = this.#restore(image);
    if (image.record !== null) {
      entry.group.generation = Math.max(entry.group.generation, image.record.generation);
      entry.group.recorded = true;
    }
    // 0 is below every sequence of this epoch.
    applyCommit(entry.offsets, living, 0);
    this.#play(image.group, effects);
  }

  #restore({ group, record }: GroupImage): { entry: Entry; effects: readonly GroupEffect[] } {
    const { trace, clock } = this.#options;
    const now = clock.now();
    try {
      if (record !== null && isConsumerRecord(record.record)) {
        return { entry: consumers.loadConsumerGroup(this.#coordinator, group, record.record, now), effects: [] };
      }
      const stored = record === null ? null : decodeGroupRecord(record.record);
      return groups.loadGroup(this.#coordinator, group, stored, now);
    } catch (error) {
      // Its members join anew; what they have committed is kept.
      trace.event("error", "group_record_unreadable", { group, error: String(error) });
      return groups.loadGroup(this.#coordinator, group, null, now);
    }
  }

  /** Why nothing can be answered at this moment, or NONE. */
  #unready(): ErrorName {
    if (this.#phase === "serving") return "NONE";
    return this.#phase === "loading" ? "COORDINATOR_LOAD_IN_PROGRESS" : "COORDINATOR_NOT_AVAILABLE";
  }

  join(asked: JoinRequest): Promise<JoinReply> {
    const unready = this.#unready();
    if (unready !== "NONE") return Promise.resolve(joinError(unready, asked.memberId));
    const { clock } = this.#options;
    const rebalanceTimeoutMs = asked.rebalanceTimeoutMs < 0 ? asked.sessionTimeoutMs : asked.rebalanceTimeoutMs;
    const event = {
      ...asked,
      rebalanceTimeoutMs: Math.min(rebalanceTimeoutMs, limits.rebalanceTimeoutMsMax),
      freshMemberId: `${asked.instanceId ?? asked.clientId}-${this.#uuid()}`,
    };
    return this.#parked.join((request) => {
      this.#play(asked.group, groups.join(this.#coordinator, { ...event, request }, clock.now()));
    });
  }

  sync(asked: SyncRequest): Promise<SyncReply> {
    const unready = this.#unready();
    if (unready !== "NONE") return Promise.resolve(syncError(unready));
    return this.#parked.sync((request) => {
      this.#play(asked.group, groups.sync(this.#coordinator, { ...asked, request }, this.#options.clock.now()));
    });
  }

  heartbeat(group: string, claim: MemberClaim): ErrorName {
    const unready = this.#unready();
    if (unready !== "NONE") return unready;
    const error = groups.heartbeat(this.#coordinator, group, claim, this.#options.clock.now());
    // Other deadlines only move away: the timer that is armed stays and looks again. One that is called back has a new.
    if (error === "REBALANCE_IN_PROGRESS") this.#play(group, []);
    return error;
  }

  consumerHeartbeat(asked: HeartbeatRequest): Promise<HeartbeatReply> {
    const unready = this.#unready();
    if (unready !== "NONE") return Promise.resolve(heartbeatError(unready));
    const event = { ...asked, freshMemberId: asked.memberId === "" ? this.#uuid() : "" };
    return this.#parked.beat((request) => {
      const now = this.#options.clock.now();
      const effects = consumers.consumerHeartbeat(this.#coordinator, { ...event, request }, now);
      if (effects.length !== 1 || effects[0]!.kind !== "answer-heartbeat") return this.#play(asked.group, effects);
      // Nothing changed but a deadline. Most often it moved away, and the timer that is armed looks again.
      this.#do(effects[0]!);
      const { groups: all, world } = this.#coordinator;
      if (all.has(asked.group)) this.#timers.arm(asked.group, now + paceOf(world, asked.group).sessionMs);
    });
  }

  describeConsumer(group: string): ReturnType<GroupEngine["describeConsumer"]> {
    const error = this.#unready();
    return { error, found: error === "NONE" ? consumers.describeConsumer(this.#coordinator, group) : null };
  }

  checkFetch(group: string, memberId: string | null, memberEpoch: number): ErrorName {
    const unready = this.#unready();
    return unready === "NONE" ? consumers.checkFetch(this.#coordinator, group, memberId, memberEpoch) : unready;
  }

  leave(group: string, leavers: readonly Leaver[]): { error: ErrorName; errors: readonly ErrorName[] } {
    const error = this.#unready();
    if (error !== "NONE") return { error, errors: leavers.map(() => error) };
    const { errors, effects } = groups.leave(this.#coordinator, group, leavers, this.#options.clock.now());
    this.#play(group, effects);
    return { error: "NONE", errors };
  }

  async commit(
    group: string,
    claim: MemberClaim,
    topics: readonly OfTopic<OffsetToCommit>[],
  ): Promise<readonly OfTopic<PartitionError>[]> {
    const waiting = this.#settled(group);
    const settled = waiting === true || (await waiting);
    if (settled && this.#offsets !== null && this.#phase === "serving") {
      return this.#offsets.commit(group, claim, topics);
    }
    const error = settled ? this.#unready() : "COORDINATOR_NOT_AVAILABLE";
    return topics.map(({ topic, partitions }) => {
      return { topic, partitions: partitions.map(({ partition }) => ({ partition, error })) };
    });
  }

  /** Waits a little for what transactions decided for this group; false when that takes too long. */
  #settled(group: string): true | Promise<boolean> {
    const settled = this.#options.unstable?.settled(group) ?? null;
    if (settled === null) return true;
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(limits.transactionWaitMsMax, () => resolve(false));
      void settled.then(() => {
        timer.cancel();
        resolve(true);
      });
    });
  }

  checkTransactional(
    group: string,
    claim: MemberClaim,
    topics: readonly OfTopic<OffsetToCommit>[],
  ): { wanted: readonly CommittedOffset[]; answers: readonly OfTopic<PartitionError>[] } {
    if (this.#offsets !== null && this.#phase === "serving") {
      return this.#offsets.checkTransactional(group, claim, topics);
    }
    const error = this.#unready();
    const refused = ({ partition }: OffsetToCommit): PartitionError => ({ partition, error });
    return { wanted: [], answers: topics.map((of) => ({ topic: of.topic, partitions: of.partitions.map(refused) })) };
  }

  async commitDecided(group: string, offsets: readonly CommittedOffset[]): Promise<ErrorName> {
    const unready = this.#unready();
    if (unready !== "NONE" || this.#offsets === null) return unready;
    return this.#offsets.commitDecided(group, offsets);
  }

  fetchOffsets(
    group: string,
    topics: readonly OfTopic<number>[] | null,
    requireStable = false,
  ): { error: ErrorName; topics: readonly OfTopic<FetchedOffset>[] } {
    if (this.#offsets === null) return { error: this.#unready(), topics: [] };
    const unstable = requireStable ? (this.#options.unstable ?? null) : null;
    return { error: "NONE", topics: this.#offsets.fetch(group, topics, unstable) };
  }

  list(states: readonly string[]): { error: ErrorName; groups: readonly ListedGroup[] } {
    const error = this.#unready();
    return { error, groups: error === "NONE" ? groups.list(this.#coordinator, states) : [] };
  }

  describe(group: string): ReturnType<GroupEngine["describe"]> {
    return { ...groups.describe(this.#coordinator, group), error: this.#unready() };
  }

  async delete(group: string): Promise<ErrorName> {
    const unready = this.#unready();
    if (unready !== "NONE") return unready;
    const begun = groups.beginDeletion(this.#coordinator, group);
    return typeof begun === "string" ? begun : this.#delete(begun);
  }

  async #delete(entry: Entry): Promise<ErrorName> {
    const { group, offsets } = entry;
    const known = group.recorded || offsets.size > 0 || entry.commitsUnderWay > 0;
    const error = known ? ((await this.#store?.deleteGroup(group.id))?.error ?? "NONE") : "NONE";
    groups.endDeletion(this.#coordinator, entry, error === "NONE", this.#options.clock.now());
    return error;
  }

  async deleteOffsets(
    group: string,
    topics: readonly OfTopic<number>[],
  ): Promise<{ error: ErrorName; topics: readonly OfTopic<PartitionError>[] }> {
    const error = this.#unready();
    if (error !== "NONE" || this.#offsets === null) return { error, topics: [] };
    return this.#offsets.delete(group, topics);
  }

  async topicDeleted(topicId: string): Promise<void> {
    await this.loaded;
    await this.#offsets?.topicDeleted(topicId);
  }

  async close(): Promise<void> {
    this.#phase = "closed";
    this.#stopWaiting();
    this.#sweep?.cancel();
    this.#timers.close();
    await this.#store?.settled();
    this.#parked.close();
  }

  #uuid(): string {
    const hex = Array.from(this.#options.random.uuid(), (byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  /** Does what the machine asks, then sets the group's timer. */
  #play(group: string, effects: readonly GroupEffect[]): void {
    for (const effect of effects) this.#do(effect);
    const entry = this.#coordinator.groups.get(group);
    this.#timers.arm(group, entry === undefined ? Infinity : deadlineOf(entry));
  }

  #do(effect: GroupEffect): void {
    const { trace } = this.#options;
    switch (effect.kind) {
      case "answer-join":
      case "answer-sync":
      case "answer-heartbeat":
        this.#parked.answer(effect);
        return;
      case "store-consumer":
        void this.#storeConsumer(effect);
        return;
      case "store":
        void this.#storeGroup(effect);
        return;
      case "member-gone":
        trace.event("info", "group_member_gone", {
          group: effect.group,
          member: effect.memberId,
          reason: effect.reason,
        });
        return;
      case "rebalance":
        trace.count("group_rebalances");
        trace.event("info", "group_rebalance", {
          group: effect.group,
          generation: effect.generation,
          reason: effect.reason,
        });
        return;
      default: {
        const never: never = effect;
        throw new Error(`unknown effect ${JSON.stringify(never)}`);
      }
    }
  }

  async #storeGroup(effect: GroupEffect & { kind: "store" }): Promise<void> {
    const { group, record, then } = effect;
    const told = toldOf(await this.#store?.storeGroup(group, record.generation, encodeGroupRecord(record)));
    this.#play(group, groups.stored(this.#coordinator, group, then, told, this.#options.clock.now()));
  }

  async #storeConsumer(effect: GroupEffect & { kind: "store-consumer" }): Promise<void> {
    const { group, epoch, record, life, change } = effect;
    const told = toldOf(await this.#store?.storeGroup(group, epoch, record));
    this.#play(group, consumers.consumerStored(this.#coordinator, group, life, change, told));
  }

  #armSweep(): void {
    if (this.#phase !== "serving") return;
    this.#sweep = this.#options.clock.after(limits.groupSweepMs, () => {
      this.#sweepOnce();
      this.#armSweep();
    });
  }

  #sweepOnce(): void {
    const { clock, trace } = this.#options;
    const { expired, store } = groups.sweep(this.#coordinator, clock.now(), limits.groupEmptyStoreMs);
    for (const effect of store) this.#do(effect);
    for (const { group } of expired) {
      trace.event("info", "group_expired", { group: group.id });
      void this.delete(group.id);
    }
  }
}

/** Members cannot tell a registry that refuses their coordinator from a coordinator that moved away. */
function toldOf(written: Written | undefined): ErrorName {
  const error = written?.error ?? "COORDINATOR_NOT_AVAILABLE";
  return error === "ILLEGAL_GENERATION" ? "COORDINATOR_NOT_AVAILABLE" : error;
}

function deadlineOf({ group, consumer }: Entry): Millis {
  return consumer === null ? nextDeadline(group) : nextConsumerDeadline(consumer);
}
