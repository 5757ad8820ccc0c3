// Runs the group coordinator: requests become events, effects become answers, timers and writes to the registry.
import type { ErrorName } from "../errors.ts";
import type { Coordinator, Entry } from "../groups/coordinator.ts";
import * as groups from "../groups/coordinator.ts";
import type { GroupEffect, JoinReply, RequestId, SyncReply } from "../groups/group.ts";
import { joinError, nextDeadline, syncError } from "../groups/group.ts";
import { isGone } from "../groups/image.ts";
import { applyCommit } from "../groups/offsets.ts";
import { decodeGroupRecord } from "../groups/record.ts";
import type { Leaver, MemberClaim } from "../groups/syncing.ts";
import type { Millis, Timer } from "../io/ports.ts";
import type { GroupImage } from "../io/registry.ts";
import { limits } from "../limits.ts";
import { GroupOffsets } from "./groups_offsets.ts";
import { GroupStore } from "./groups_store.ts";
import type {
  FetchedOffset,
  GroupEngine,
  GroupEngineOptions,
  JoinRequest,
  ListedGroup,
  OffsetToCommit,
  OfTopic,
  PartitionError,
  SyncRequest,
} from "./groups_types.ts";

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
  readonly #joins = new Map<RequestId, (reply: JoinReply) => void>();
  readonly #syncs = new Map<RequestId, (reply: SyncReply) => void>();
  readonly #timers = new Map<string, { readonly at: Millis; readonly timer: Timer }>();
  #requests = 0;
  #phase: "loading" | "serving" | "closed" = "loading";
  #store: GroupStore | null = null;
  #offsets: GroupOffsets | null = null;
  #sweep: Timer | null = null;
  #stopWaiting: () => void = () => {};

  constructor(options: GroupEngineOptions) {
    this.#options = options;
    this.#coordinator = groups.newCoordinator({ ...limits, ...options.settings });
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
    const { trace, clock } = this.#options;
    let record = null;
    try {
      record = image.record === null ? null : decodeGroupRecord(image.record.record);
    } catch (error) {
      // Its members join anew; what they have committed is kept.
      trace.event("error", "group_record_unreadable", { group: image.group, error: String(error) });
    }
    const { entry, effects } = groups.loadGroup(this.#coordinator, image.group, record, clock.now());
    if (image.record !== null) {
      entry.group.generation = Math.max(entry.group.generation, image.record.generation);
      entry.group.recorded = true;
    }
    // 0 is below every sequence of this epoch.
    applyCommit(entry.offsets, living, 0);
    this.#play(image.group, effects);
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
    const request = this.#nextRequest();
    const event = {
      ...asked,
      request,
      rebalanceTimeoutMs: Math.min(rebalanceTimeoutMs, limits.rebalanceTimeoutMsMax),
      freshMemberId: `${asked.instanceId ?? asked.clientId}-${this.#uuid()}`,
    };
    return new Promise((resolve) => {
      this.#joins.set(request, resolve);
      this.#play(asked.group, groups.join(this.#coordinator, event, clock.now()));
    });
  }

  sync(asked: SyncRequest): Promise<SyncReply> {
    const unready = this.#unready();
    if (unready !== "NONE") return Promise.resolve(syncError(unready));
    const request = this.#nextRequest();
    return new Promise((resolve) => {
      this.#syncs.set(request, resolve);
      this.#play(asked.group, groups.sync(this.#coordinator, { ...asked, request }, this.#options.clock.now()));
    });
  }

  heartbeat(group: string, claim: MemberClaim): ErrorName {
    const unready = this.#unready();
    // Deadlines only move away: the timer that is armed stays and looks again.
    return unready === "NONE" ? groups.heartbeat(this.#coordinator, group, claim, this.#options.clock.now()) : unready;
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
    if (this.#offsets !== null && this.#phase === "serving") return this.#offsets.commit(group, claim, topics);
    const error = this.#unready();
    return topics.map(({ topic, partitions }) => {
      return { topic, partitions: partitions.map(({ partition }) => ({ partition, error })) };
    });
  }

  fetchOffsets(
    group: string,
    topics: readonly OfTopic<number>[] | null,
  ): { error: ErrorName; topics: readonly OfTopic<FetchedOffset>[] } {
    if (this.#offsets === null) return { error: this.#unready(), topics: [] };
    return { error: "NONE", topics: this.#offsets.fetch(group, topics) };
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
    for (const { timer } of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    await this.#store?.settled();
    for (const answer of this.#joins.values()) answer(joinError("COORDINATOR_NOT_AVAILABLE", ""));
    for (const answer of this.#syncs.values()) answer(syncError("COORDINATOR_NOT_AVAILABLE"));
    this.#joins.clear();
    this.#syncs.clear();
  }

  #nextRequest(): RequestId {
    this.#requests += 1;
    return this.#requests;
  }

  #uuid(): string {
    const hex = Array.from(this.#options.random.uuid(), (byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  /** Does what the machine asks, then sets the group's timer. */
  #play(group: string, effects: readonly GroupEffect[]): void {
    for (const effect of effects) this.#do(effect);
    this.#arm(group);
  }

  #do(effect: GroupEffect): void {
    const { trace } = this.#options;
    switch (effect.kind) {
      case "answer-join":
        this.#joins.get(effect.request)?.(effect.reply);
        this.#joins.delete(effect.request);
        return;
      case "answer-sync":
        this.#syncs.get(effect.request)?.(effect.reply);
        this.#syncs.delete(effect.request);
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
    const written = await this.#store?.storeGroup(group, record);
    const error = written?.error ?? "COORDINATOR_NOT_AVAILABLE";
    // Members cannot tell a registry that refuses their coordinator from a coordinator that moved away.
    const told = error === "ILLEGAL_GENERATION" ? "COORDINATOR_NOT_AVAILABLE" : error;
    this.#play(group, groups.stored(this.#coordinator, group, then, told, this.#options.clock.now()));
  }

  #arm(group: string): void {
    if (this.#phase === "closed") return;
    const entry = this.#coordinator.groups.get(group);
    const at = entry === undefined ? Infinity : nextDeadline(entry.group);
    const armed = this.#timers.get(group);
    if (armed !== undefined && armed.at <= at && entry !== undefined) return;
    armed?.timer.cancel();
    this.#timers.delete(group);
    if (at === Infinity) return;
    const { clock } = this.#options;
    const timer = clock.after(Math.max(0, at - clock.now()), () => {
      this.#timers.delete(group);
      this.#play(group, groups.tick(this.#coordinator, group, clock.now()));
    });
    this.#timers.set(group, { at, timer });
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
