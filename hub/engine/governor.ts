// A hub's part in governing its cluster: beats, polls, registration, shared metadata, and the seat of the controller.
//
// DESIGN. Redis proposes and publishes; nothing here decides whether data is safe. With every beat this hub publishes
// that it lives (pulse.ts) and polls what changed. Metadata change through the hub on the controller's seat (seat.ts)
// and count once a majority of hubs has them in its journal. A Redis that was emptied or put back is filled from the
// hubs' memory, under a higher incarnation that voids whatever was under way (mending.ts).
import { placeReplicas } from "../cluster/placement.ts";
import type { HubId, PublishedState, ReplicaId } from "../cluster/types.ts";
import { HubError } from "../errors.ts";
import type { Coordination, HubEntry, Poll } from "../io/coordination.ts";
import type { Clock, Millis, Random } from "../io/ports.ts";
import type { FactStore } from "../io/registry.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import { ClusterMemory } from "./cluster_memory.ts";
import type { ClusterView, HubView } from "./cluster_view.ts";
import { join } from "./joining.ts";
import { type Led, Mending } from "./mending.ts";
import { type Publication, Publisher } from "./publisher.ts";
import { Pulse } from "./pulse.ts";
import { Seat } from "./seat.ts";
import { type Change, SharedChanges } from "./shared_changes.ts";
import { uuidText } from "./topics.ts";

export interface GovernorOptions {
  readonly coordination: Coordination;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  /** This hub's journal. */
  readonly facts: FactStore;
  readonly me: HubEntry;
  readonly session: string;
  /** Of the data folder. */
  readonly clusterId: string;
  /** The folder holds data already. */
  readonly hasData: boolean;
  /** `cluster.bootstrap`: whether this hub may make a cluster where there is none. */
  readonly bootstrap: boolean;
  readonly beatMs: Millis;
  readonly sessionMs: Millis;
  /** The data folder takes over the id of the cluster it joins. */
  readonly adopt: (clusterId: string) => void;
  /** What this hub leads now: asserted when Redis may have forgotten it. */
  readonly led: () => Iterable<Led>;
}

export class Governor {
  readonly view: ClusterView;
  readonly #options: GovernorOptions;
  readonly #memory: ClusterMemory;
  readonly #publisher: Publisher;
  readonly #pulse: Pulse;
  readonly #seat: Seat;
  readonly #mending: Mending;
  readonly #metaListeners: ((key: string, value: string | null) => void)[] = [];
  readonly #partitionListeners: ((topicId: string, partition: number, state: PublishedState) => void)[] = [];
  readonly #changeListeners: (() => void)[] = [];
  readonly #changes: SharedChanges;
  #polling: Promise<boolean> | null = null;
  #pollAgain = false;
  #joined = false;
  #joining: Promise<void> | null = null;
  #closed = false;
  #clusterId: string;

  constructor(options: GovernorOptions) {
    this.#options = options;
    const { coordination, facts, me } = options;
    const { hubId } = me;
    this.#clusterId = options.clusterId;
    this.#memory = new ClusterMemory(facts, {
      meta: (key, value) => {
        for (const listener of this.#metaListeners) listener(key, value);
      },
      partition: (topicId, partition, state) => {
        for (const listener of this.#partitionListeners) listener(topicId, partition, state);
      },
      changed: () => this.#changed(),
    });
    const memory = this.#memory;
    this.#publisher = new Publisher({ ...options, memory });
    this.#pulse = new Pulse({ ...options, memory, onHeard: (news) => this.#heard(news), onBeat: () => this.#beaten() });
    const pulse = this.#pulse;
    const poll = (): Promise<boolean> => this.#poll();
    this.#seat = new Seat({ ...options, memory, pulse, hubId, poll, changed: () => this.#changed() });
    const isController = (): boolean => this.isController();
    this.#changes = new SharedChanges({ ...options, memory, pulse, hubId, poll, isController });
    this.#mending = new Mending({ ...options, memory, pulse, clusterId: () => this.#clusterId });
    // before it has joined a hub takes nothing over: Redis may hold somebody else's cluster
    coordination.onHint(() => {
      if (this.#joined) void this.#poll();
    });
    coordination.watch((up) => this.#reachable(up));
    this.view = {
      lone: false,
      hubId,
      replicaId: `${hubId}:${me.dirId}`,
      hubs: () => this.#hubs(),
      controllerId: () => memory.ctl.hubId,
      partition: (topicId, partition) => memory.partitions.get(`${topicId}/${partition}`)?.state,
      onChange: (listener) => void this.#changeListeners.push(listener),
    };
  }

  #reachable(up: boolean): void {
    if (!up) return this.#pulse.forgive();
    if (this.#joined) void this.#poll().then(() => this.#publisher.retry());
    else if (this.#memory.seen !== null) void this.#join().catch((error: unknown) => this.#notJoined(error));
  }

  /** Started without Redis, and Redis belongs to somebody else: the hub goes on alone and says so. */
  #notJoined(error: unknown): void {
    this.#options.trace.event("error", "cluster_not_joined", { error: String(error) });
  }

  #heard(news: boolean): void {
    if (news) this.#changed();
    this.#changes.heard();
  }

  #beaten(): void {
    void this.#poll();
    if (this.#joined) this.#seat.watch();
  }

  onMetadata(listener: (key: string, value: string | null) => void): void {
    this.#metaListeners.push(listener);
  }

  onPartition(listener: (topicId: string, partition: number, state: PublishedState) => void): void {
    this.#partitionListeners.push(listener);
  }

  onChange(listener: () => void): void {
    this.#changeListeners.push(listener);
  }

  #changed(): void {
    for (const listener of this.#changeListeners) listener();
  }

  /**
   * Finds or makes the cluster and registers this hub. While Redis is away a hub that belongs to a cluster starts from
   * its journal and joins when it can.
   * @throws HubError INCONSISTENT_CLUSTER_ID, DUPLICATE_BROKER_REGISTRATION, COORDINATOR_NOT_AVAILABLE
   */
  async start(): Promise<string> {
    if (this.#memory.seen !== null) this.#memory.replay();
    await this.#meet();
    this.#pulse.start();
    return this.#clusterId;
  }

  /** A slow machine that has just started, or a Redis that starts beside it, is no reason to give up. */
  async #meet(): Promise<void> {
    const { clock, coordination, trace } = this.#options;
    const until = clock.now() + limits.clusterMeetMsMax;
    for (;;) {
      if (coordination.state() === "up") {
        try {
          return await this.#join();
        } catch (error) {
          const away = error instanceof HubError && error.kind === "COORDINATOR_NOT_AVAILABLE";
          if (!away || clock.now() > until) throw error;
          trace.event("warn", "cluster_join_repeated", { error: error.message });
        }
      } else if (this.#memory.seen !== null) {
        return trace.event("warn", "started_without_redis", {});
      } else if (clock.now() > until) {
        throw new HubError("COORDINATOR_NOT_AVAILABLE", "Redis cannot be reached, and this hub never met its cluster");
      }
      await new Promise<void>((resolve) => void clock.after(limits.clusterMeetRetryMs, resolve));
    }
  }

  #join(): Promise<void> {
    this.#joining ??= this.#joinOnce().finally(() => {
      this.#joining = null;
    });
    return this.#joining;
  }

  async #joinOnce(): Promise<void> {
    const { adopt, trace, me } = this.#options;
    const poll = (): Promise<boolean> => this.#poll();
    const parts = { memory: this.#memory, pulse: this.#pulse, poll };
    const mend = (found: Poll): Promise<void> => this.#mending.mend(found);
    const clusterId = await join({ ...this.#options, ...parts, mend }, this.#clusterId);
    if (clusterId !== this.#clusterId) adopt(clusterId);
    this.#clusterId = clusterId;
    this.#joined = true;
    await this.#poll();
    trace.event("info", "cluster_joined", { clusterId, hub: me.hubId });
  }

  /** This hub's connection to another is open, closed for good, or does not answer. */
  suspect(hub: HubId, state: "open" | "gone" | "silent"): void {
    this.#pulse.suspect(hub, state);
    this.#changed();
    if (this.#joined) this.#seat.watch();
  }

  isDown = (hub: HubId): boolean => this.#pulse.isDown(hub);

  isDraining(hub: HubId): boolean {
    return this.#pulse.isDraining(hub);
  }

  drain(): void {
    this.#pulse.drain();
  }

  /** Beats say from now on where MQTT clients of other hubs may come. */
  offerMqtt(address: () => string | null): void {
    this.#pulse.mqtt = address;
    this.#pulse.say();
  }

  #hubs(): HubView[] {
    return [...this.#memory.hubs.values()].map(({ hubId, dirId, host, port, rack }) => {
      const [alive, draining] = [!this.isDown(hubId), this.isDraining(hubId)];
      return { hubId, dirId, host, port, rack, alive, draining, mqtt: this.#pulse.beatOf(hubId)?.mqtt ?? null };
    });
  }

  /** False when Redis did not answer. One at a time; what comes meanwhile asks once more. */
  #poll(): Promise<boolean> {
    if (this.#polling !== null) {
      this.#pollAgain = true;
      return this.#polling;
    }
    this.#polling = this.#pollOnce().finally(() => {
      this.#polling = null;
      if (!this.#pollAgain || this.#closed) return;
      this.#pollAgain = false;
      void this.#poll();
    });
    return this.#polling;
  }

  async #pollOnce(): Promise<boolean> {
    const { coordination, trace } = this.#options;
    try {
      let poll = await coordination.poll(this.#memory.seq, this.#memory.mark);
      const isUnknown = !poll.known;
      if (isUnknown) poll = await coordination.poll(-1);
      const lost = poll.inc === null || this.#memory.isStale(poll) || (isUnknown && this.#memory.isAheadOf(poll));
      if (lost && !this.#joined && poll.inc !== null) {
        // who has not joined mends nothing: it goes by what stands there now, as if it had started after that
        this.#memory.partitions.clear();
        if (!isUnknown) poll = await coordination.poll(-1);
      }
      if (this.#joined && lost) {
        await this.#mending.mend(poll);
        this.#pollAgain = true;
        return true;
      }
      if (this.#joined && poll.inc !== null && poll.inc.clusterId !== this.#clusterId) {
        trace.event("error", "foreign_cluster", { theirs: poll.inc.clusterId, ours: this.#clusterId });
        return false;
      }
      await this.#take(poll);
      return true;
    } catch (error) {
      trace.event("debug", "poll_failed", { error: String(error) });
      return false;
    }
  }

  async #take(poll: Poll): Promise<void> {
    const before = this.#memory.inc?.incarnation;
    const { storedSeq } = this.#memory;
    await this.#memory.apply(poll);
    if (this.#memory.storedSeq > storedSeq) this.#pulse.say();
    this.#changes.heard();
    if (before !== undefined && poll.inc !== null && before < poll.inc.incarnation) {
      await this.#mending.reassert();
      this.#publisher.retry();
    }
  }

  isController(): boolean {
    return this.#joined && this.#memory.ctl.hubId === this.view.hubId && this.#options.coordination.state() === "up";
  }

  /** Resolves when this hub is the controller, whoever was. @throws HubError COORDINATOR_NOT_AVAILABLE */
  async takeSeat(): Promise<void> {
    const until = this.#options.clock.now() + limits.controllerWaitMsMax;
    while (!this.isController()) {
      if (this.#options.clock.now() > until) throw new HubError("COORDINATOR_NOT_AVAILABLE", "Redis gives no seat");
      await this.#seat.take();
    }
  }

  /** The metadata have an entry of this key, a deleted one too. */
  knows(key: string): boolean {
    return this.#memory.meta.has(key);
  }

  get ctlEpoch(): number {
    return this.#memory.ctl.ctlEpoch;
  }

  *metadata(prefix: string): Iterable<readonly [string, string]> {
    for (const { key, value } of this.#memory.meta.values())
      if (value !== null && key.startsWith(prefix)) yield [key, value];
  }

  /** Changes shared metadata (engine/shared_changes.ts). */
  change(entries: readonly Change[]): Promise<void> {
    return this.#changes.change(entries);
  }

  /** Replicas of new partitions, over hubs that live and stay. */
  place(partitions: number, factor: number, from: number, leaves: (hub: HubId) => boolean): ReplicaId[][] {
    const hubs = this.#hubs().filter(({ hubId, alive, draining }) => alive && !draining && !leaves(hubId));
    const all = hubs.length >= factor ? hubs : this.#hubs();
    const placed = placeReplicas(all, partitions, factor, from);
    return placed.map((replicas) => replicas.map((hub) => this.replicaIdOf(hub)!));
  }

  replicaIdOf(hub: HubId): ReplicaId | undefined {
    const entry = this.#memory.hubs.get(hub);
    return entry && `${hub}:${entry.dirId}`;
  }

  /** A hub as it is registered; undefined for one that is not, or was removed. */
  entryOf(hub: HubId): HubEntry | undefined {
    return this.#memory.hubs.get(hub);
  }

  /** The last step of a removal, once the metadata say so: its registration goes. */
  async forget(hub: HubId): Promise<void> {
    const { coordination, random } = this.#options;
    const { inc, ctl } = this.#memory;
    const change = { incarnation: inc!.incarnation, opId: uuidText(random.uuid()) };
    await coordination.removeHub(change, ctl.ctlEpoch, hub);
  }

  get hubCount(): number {
    return this.#memory.hubs.size;
  }

  publish(topicId: string, partition: number, publication: Publication): void {
    this.#publisher.publish(topicId, partition, publication);
  }

  addressOf(hub: HubId): { readonly host: string; readonly port: number } | undefined {
    return this.#memory.hubs.get(hub);
  }

  /** For operators. */
  status(): GovernorStatus {
    const { inc, ctl, seq } = this.#memory;
    return {
      clusterId: this.#clusterId,
      redis: this.#options.coordination.state(),
      incarnation: inc?.incarnation ?? this.#memory.seen?.incarnation ?? 0,
      seq,
      controller: ctl.hubId,
      ctlEpoch: ctl.ctlEpoch,
      hubs: this.#hubs(),
    };
  }

  close(): void {
    this.#closed = true;
    this.#pulse.close();
    this.#seat.close();
    this.#publisher.close();
  }
}

export interface GovernorStatus {
  readonly clusterId: string;
  readonly redis: "up" | "down";
  readonly incarnation: number;
  readonly seq: number;
  /** -1 for none. */
  readonly controller: HubId;
  readonly ctlEpoch: number;
  readonly hubs: readonly HubView[];
}
