// A hub's part in governing its cluster: beats, polls, registration, shared metadata, and the seat of the controller.
//
// DESIGN. Redis proposes and publishes; nothing here decides whether data is safe. Every beat this hub publishes that it
// lives and polls what changed. Metadata change through the hub on the controller's seat and count once a majority of
// hubs has them in its journal. A Redis that was emptied or put back is filled from the hubs' own memory, under a higher
// incarnation that voids whatever was under way.
import { type Beat, forgive, heard, isDown, isLate, type Liveness, newLiveness } from "../cluster/liveness.ts";
import { placeReplicas } from "../cluster/placement.ts";
import type { HubId, PublishedState, ReplicaId } from "../cluster/types.ts";
import { HubError } from "../errors.ts";
import type { Coordination, HubEntry, Poll } from "../io/coordination.ts";
import type { Clock, Millis, Random, Timer } from "../io/ports.ts";
import type { FactStore } from "../io/registry.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import { ClusterMemory } from "./cluster_memory.ts";
import type { ClusterView, HubView } from "./cluster_view.ts";
import { Publisher } from "./publisher.ts";
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
  readonly led: () => Iterable<{
    readonly topicId: string;
    readonly partition: number;
    readonly state: PublishedState;
  }>;
}

/** Who is reachable, as this hub's own connections tell. */
export interface Suspicions {
  readonly gone: ReadonlySet<HubId>;
  readonly silent: ReadonlySet<HubId>;
}

export class Governor {
  readonly view: ClusterView;
  readonly #options: GovernorOptions;
  readonly #memory: ClusterMemory;
  readonly #publisher: Publisher;
  readonly #liveness: Liveness;
  readonly #began: Millis;
  readonly #metaListeners: ((key: string, value: string | null) => void)[] = [];
  readonly #partitionListeners: ((topicId: string, partition: number, state: PublishedState) => void)[] = [];
  readonly #changeListeners: (() => void)[] = [];
  readonly #gone = new Set<HubId>();
  readonly #silent = new Set<HubId>();
  #counter = 0;
  #beating: Timer | null = null;
  #polling: Promise<boolean> | null = null;
  #pollAgain = false;
  #heardOwn: Millis;
  #draining = false;
  #seatTimer: Timer | null = null;
  #joined = false;
  #mending = false;
  #closed = false;
  #clusterId: string;

  constructor(options: GovernorOptions) {
    this.#options = options;
    const { coordination, clock, random, facts, sessionMs, me } = options;
    this.#began = clock.now();
    this.#heardOwn = this.#began;
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
    this.#publisher = new Publisher({ coordination, memory: this.#memory, clock, random });
    this.#liveness = newLiveness({ sessionMs, stallMs: limits.peerStallMs });
    coordination.onBeat((text) => this.#heard(text));
    coordination.onHint(() => void this.#poll());
    coordination.watch((up) => {
      if (up) void this.#poll().then(() => this.#publisher.retry());
      else forgive(this.#liveness, clock.now());
    });
    this.view = {
      lone: false,
      hubId: me.hubId,
      replicaId: `${me.hubId}:${me.dirId}`,
      hubs: () => this.#hubs(),
      controllerId: () => this.#memory.ctl.hubId,
      partition: (topicId, partition) => this.#memory.partitions.get(`${topicId}/${partition}`)?.state,
      onChange: (listener) => void this.#changeListeners.push(listener),
    };
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
    const { seen } = this.#memory;
    if (seen !== null) this.#memory.replay();
    if (this.#options.coordination.state() === "down") {
      if (seen === null) {
        throw new HubError("COORDINATOR_NOT_AVAILABLE", "Redis cannot be reached, and this hub never met its cluster");
      }
      this.#options.trace.event("warn", "started_without_redis", {});
    } else await this.#join();
    this.#beat();
    return this.#clusterId;
  }

  async #join(): Promise<void> {
    const { coordination, me, hasData, adopt, trace } = this.#options;
    await this.#listen();
    let { inc } = await coordination.poll(0);
    if (inc === null && this.#memory.seen !== null) {
      // Emptied while this hub was away: its memory and those of the others fill it again.
      await this.#mend(await coordination.poll(0));
      ({ inc } = await coordination.poll(0));
    }
    if (inc === null) inc = await this.#create();
    if (inc.clusterId !== this.#clusterId) {
      if (hasData || this.#memory.seen !== null) {
        const whose = `this folder belongs to cluster ${this.#clusterId}, Redis to ${inc.clusterId}`;
        const remedy = "give the hub its own Redis or [cluster] name, or start it with an empty data folder";
        throw new HubError("INCONSISTENT_CLUSTER_ID", `${whose}: ${remedy}`);
      }
      this.#clusterId = inc.clusterId;
      adopt(inc.clusterId);
    }
    await this.#poll();
    await this.#register();
    this.#joined = true;
    trace.event("info", "cluster_joined", { clusterId: inc.clusterId, incarnation: inc.incarnation, hub: me.hubId });
  }

  /** Two beats long, while saying that this hub is here: who else uses its number is heard. */
  async #listen(): Promise<void> {
    const { clock, beatMs, me, coordination } = this.#options;
    for (let i = 0; i < 4; i++) {
      await coordination.publish(this.#beatText()).catch(() => {});
      await new Promise<void>((resolve) => void clock.after(beatMs / 2, resolve));
    }
    const other = this.#others.get(me.hubId);
    if (other === undefined) return;
    const detail = `another process is hub ${me.hubId} (folder ${other}): give this one its own --hub-id`;
    throw new HubError("DUPLICATE_BROKER_REGISTRATION", detail);
  }

  /** Sessions other than this one that beat under this hub's number. */
  readonly #others = new Map<HubId, string>();

  async #create(): Promise<NonNullable<Poll["inc"]>> {
    const { bootstrap, coordination, random, hasData, trace } = this.#options;
    const known = [...this.#liveness.pulses.values()].some(
      ({ beat }) => beat.hasData && beat.hubId !== this.view.hubId,
    );
    if (!bootstrap || (known && !hasData)) {
      const why = bootstrap ? "hubs with data wait for it to be filled" : "cluster.bootstrap is false";
      throw new HubError("COORDINATOR_NOT_AVAILABLE", `Redis holds no cluster, and this hub makes none: ${why}`);
    }
    const inc = await coordination.createCluster(this.#clusterId, uuidText(random.uuid()));
    if (inc.clusterId === this.#clusterId) trace.event("info", "cluster_created", { clusterId: inc.clusterId });
    return inc;
  }

  async #register(): Promise<void> {
    const { coordination, random, me, trace } = this.#options;
    const before = this.#memory.hubs.get(me.hubId);
    if (before && before.dirId === me.dirId && before.bootSeq > me.bootSeq) {
      const detail = `hub ${me.hubId}: this folder is an older copy of one that was started since`;
      throw new HubError("DUPLICATE_BROKER_REGISTRATION", `${detail}; start it with an empty folder`);
    }
    if (before && before.dirId !== me.dirId) trace.event("warn", "hub_folder_replaced", { hub: me.hubId });
    const { incarnation } = this.#memory.inc!;
    const answer = await coordination.registerHub({ incarnation, opId: uuidText(random.uuid()) }, me);
    if (answer !== "stored") throw new HubError("COORDINATOR_NOT_AVAILABLE", `Redis refused to register: ${answer}`);
    await this.#poll();
  }

  // ---- beats

  #beatText(): string {
    const { me, session, hasData } = this.#options;
    const beat: Beat = {
      hubId: me.hubId,
      dirId: me.dirId,
      session,
      counter: ++this.#counter,
      hasData: hasData || this.#memory.seen !== null,
      metaSeq: this.#memory.storedSeq,
      draining: this.#draining,
      gone: [...this.#gone],
      silent: [...this.#silent],
    };
    return JSON.stringify(beat);
  }

  #beat(): void {
    const { clock, beatMs, sessionMs, coordination, trace } = this.#options;
    if (this.#closed) return;
    const began = clock.now();
    this.#beating = clock.after(beatMs, () => {
      // A loop that stood still heard nobody: nobody is late for that (replication.md 2.3).
      const gap = clock.now() - began;
      if (gap > sessionMs / 2) {
        forgive(this.#liveness, clock.now());
        trace.event("warn", "event_loop_stalled", { ms: Math.round(gap) });
      }
      this.#beat();
    });
    if (coordination.state() === "down") return forgive(this.#liveness, clock.now());
    if (clock.now() - this.#heardOwn > sessionMs / 2) forgive(this.#liveness, clock.now());
    void this.#say();
    void this.#poll();
    this.#watchSeat();
  }

  async #say(): Promise<void> {
    await this.#options.coordination.publish(this.#beatText()).catch(() => {});
  }

  #heard(text: string): void {
    const { clock, me, session } = this.#options;
    const beat = JSON.parse(text) as Beat;
    if (beat.hubId === me.hubId && beat.session !== session) return void this.#others.set(beat.hubId, beat.dirId);
    if (beat.hubId === me.hubId) this.#heardOwn = clock.now();
    if (heard(this.#liveness, beat, clock.now())) this.#changed();
    for (const waiter of [...this.#metaWaiters]) waiter();
  }

  /** This hub's connection to another is open, closed for good, or does not answer; others hear of it at once. */
  suspect(hub: HubId, state: "open" | "gone" | "silent"): void {
    this.#gone.delete(hub);
    this.#silent.delete(hub);
    if (state === "gone") this.#gone.add(hub);
    if (state === "silent") this.#silent.add(hub);
    void this.#say();
    this.#changed();
    this.#watchSeat();
  }

  isDown = (hub: HubId): boolean => {
    const { clock } = this.#options;
    if (hub === this.view.hubId) return false;
    if (this.#options.coordination.state() === "down") return this.#gone.has(hub);
    return isDown(this.#liveness, hub, [...this.#memory.hubs.keys()], clock.now(), this.#began);
  };

  /** Says of itself that it is about to stop. */
  isDraining(hub: HubId): boolean {
    return hub === this.view.hubId ? this.#draining : (this.#liveness.pulses.get(hub)?.beat.draining ?? false);
  }

  drain(): void {
    this.#draining = true;
    void this.#say();
  }

  #hubs(): HubView[] {
    return [...this.#memory.hubs.values()].map(({ hubId, dirId, host, port, rack }) => {
      return { hubId, dirId, host, port, rack, alive: !this.isDown(hubId), draining: this.isDraining(hubId) };
    });
  }

  // ---- polls

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
      const poll = await coordination.poll(this.#memory.seq);
      if (this.#joined && (poll.inc === null || this.#memory.isStale(poll))) {
        await this.#mend(poll);
        return true;
      }
      if (poll.inc !== null && poll.inc.clusterId !== this.#clusterId) {
        if (this.#joined)
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
    if (this.#memory.storedSeq > storedSeq) void this.#say();
    for (const waiter of [...this.#metaWaiters]) waiter();
    if (before !== undefined && poll.inc !== null && before < poll.inc.incarnation) await this.#reassert();
  }

  // ---- a Redis that lost something

  /** Empty or older than this hub has seen: the hub that knows most puts everything back. */
  async #mend(poll: Poll): Promise<void> {
    const { coordination, random, trace, clock } = this.#options;
    if (this.#mending) return;
    this.#mending = true;
    try {
      trace.count("redis_lost_state");
      trace.event("warn", poll.inc === null ? "redis_empty" : "redis_stale", { seq: poll.seq, seen: this.#memory.seq });
      forgive(this.#liveness, clock.now());
      if (!this.#knowsMost()) await new Promise<void>((resolve) => void clock.after(limits.mendWaitMs, resolve));
      const now = await coordination.poll(-1);
      if (now.inc !== null && !this.#memory.isStale(now)) return;
      const image = now.inc === null ? null : { ...now.changes!, inc: now.inc, seq: now.seq, ctl: now.ctl };
      const merged = this.#memory.merged(image, this.#clusterId);
      const restored = await coordination.restore(merged, uuidText(random.uuid()));
      if (restored !== "conflict") {
        trace.event("info", "redis_restored", { incarnation: restored.incarnation, entries: merged.meta.length });
      }
    } finally {
      this.#mending = false;
      this.#memory.seq = -1;
      this.#pollAgain = true;
    }
  }

  /** Of the hubs that beat, the one with the newest metadata goes first; of several the lowest number. */
  #knowsMost(): boolean {
    const mine = this.#memory.storedSeq;
    const { hubId } = this.view;
    return [...this.#liveness.pulses.values()].every(({ beat }) => {
      return beat.hubId === hubId || beat.metaSeq < mine || (beat.metaSeq === mine && beat.hubId > hubId);
    });
  }

  /** Another incarnation: what this hub leads and what it is must stand there too. */
  async #reassert(): Promise<void> {
    const { coordination, random, led, me, trace } = this.#options;
    const change = () => ({ incarnation: this.#memory.inc!.incarnation, opId: uuidText(random.uuid()) });
    const entries = [...led()].map(({ topicId, partition, state }) => {
      const ver = this.#memory.partitions.get(`${topicId}/${partition}`)?.ver ?? 0;
      return { topicId, partition, ver: ver + 1, leaderEpoch: state.leaderEpoch, state: JSON.stringify(state) };
    });
    for (let at = 0; at < entries.length; at += limits.publishedPerCallMax) {
      const there = await coordination.assertPartitions(change(), entries.slice(at, at + limits.publishedPerCallMax));
      if (typeof there === "string") return;
      for (const entry of there) this.#memory.takePartition(entry);
    }
    await coordination.registerHub(change(), me);
    this.#publisher.retry();
    trace.event("info", "reasserted", { partitions: entries.length, incarnation: this.#memory.inc!.incarnation });
  }

  // ---- the controller's seat

  isController(): boolean {
    return this.#joined && this.#memory.ctl.hubId === this.view.hubId && this.#options.coordination.state() === "up";
  }

  get ctlEpoch(): number {
    return this.#memory.ctl.ctlEpoch;
  }

  /** Takes the seat when nobody lives on it, after a moment of chance, so that not all try at once. */
  #watchSeat(): void {
    const { clock, random, sessionMs } = this.#options;
    const { hubId } = this.#memory.ctl;
    if (!this.#joined || this.#seatTimer !== null || this.#closed) return;
    const empty = hubId < 0 || !this.#memory.hubs.has(hubId);
    const lost = !empty && hubId !== this.view.hubId && (this.isDown(hubId) || this.#gone.has(hubId));
    if (!empty && !lost && !this.isDraining(hubId)) return;
    if (this.#draining) return;
    const late = hubId >= 0 && isLate(this.#liveness, hubId, clock.now(), this.#began);
    const waitMs = random.float() * (late ? Math.min(1000, sessionMs / 6) : 200);
    this.#seatTimer = clock.after(waitMs, () => {
      this.#seatTimer = null;
      void this.#acquire(hubId);
    });
  }

  async #acquire(from: HubId): Promise<void> {
    const { coordination, random, trace } = this.#options;
    const { ctl, inc } = this.#memory;
    if (ctl.hubId !== from || inc === null || coordination.state() === "down" || this.#closed) return;
    const change = { incarnation: inc.incarnation, opId: uuidText(random.uuid()) };
    try {
      const seat = await coordination.acquireController(change, this.view.hubId, ctl.ctlEpoch);
      if (typeof seat !== "string" && seat.hubId === this.view.hubId) {
        trace.count("controller_elections");
        trace.event("info", "controller_elected", { hub: seat.hubId, ctlEpoch: seat.ctlEpoch, after: from });
      }
    } catch {
      // Redis is away: the next beat looks again
    }
    await this.#poll();
    this.#changed();
  }

  // ---- metadata

  readonly #metaWaiters = new Set<() => void>();

  *metadata(prefix: string): Iterable<readonly [string, string]> {
    for (const { key, value } of this.#memory.meta.values())
      if (value !== null && key.startsWith(prefix)) yield [key, value];
  }

  /**
   * Changes shared metadata, all of the entries or none; resolves when a majority of the hubs has them in its journal,
   * so that no two sides of a split Redis can both succeed (replication.md 2.2).
   * @throws HubError NOT_CONTROLLER, COORDINATOR_NOT_AVAILABLE, REQUEST_TIMED_OUT (then it may yet happen)
   */
  async change(entries: readonly { readonly key: string; readonly value: string | null }[]): Promise<void> {
    const { coordination, random } = this.#options;
    if (!this.isController()) throw new HubError("NOT_CONTROLLER", "Another hub is the controller");
    for (let attempt = 0; ; attempt++) {
      const { inc, ctl, meta } = this.#memory;
      const change = { incarnation: inc!.incarnation, opId: uuidText(random.uuid()) };
      const asked = entries.map(({ key, value }) => ({ key, value, expectedVersion: meta.get(key)?.version ?? 0 }));
      const result = await coordination.putMeta(change, ctl.ctlEpoch, asked);
      if (result.kind === "stored") {
        await this.#poll();
        await this.#majority(result.seq);
        await coordination.commitMeta({ ...change, opId: uuidText(random.uuid()) }, ctl.ctlEpoch, result.entries);
        void this.#poll();
        return;
      }
      await this.#poll();
      if (result.kind === "stale-controller" || attempt >= 2) {
        throw new HubError("NOT_CONTROLLER", `The change was refused: ${result.kind}`);
      }
    }
  }

  #majority(seq: number): Promise<void> {
    const stored = (): boolean => {
      const hubs = [...this.#memory.hubs.keys()];
      const have = hubs.filter((hub) => {
        if (hub === this.view.hubId) return this.#memory.storedSeq >= seq;
        return (this.#liveness.pulses.get(hub)?.beat.metaSeq ?? 0) >= seq;
      });
      return have.length > hubs.length / 2;
    };
    if (stored()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!stored()) return;
        this.#metaWaiters.delete(look);
        timer.cancel();
        resolve();
      };
      const timer = this.#options.clock.after(limits.metadataChangeMsMax, () => {
        this.#metaWaiters.delete(look);
        reject(new HubError("REQUEST_TIMED_OUT", "No majority of the hubs has stored the change yet"));
      });
      this.#metaWaiters.add(look);
    });
  }

  /** Replicas of new partitions, over hubs that live and stay. */
  place(partitions: number, factor: number, from = 0): ReplicaId[][] {
    const hubs = this.#hubs().filter(({ alive, draining }) => alive && !draining);
    const all = hubs.length >= factor ? hubs : this.#hubs();
    const placed = placeReplicas(all, partitions, factor, from);
    return placed.map((replicas) => replicas.map((hub) => this.replicaIdOf(hub)!));
  }

  replicaIdOf(hub: HubId): ReplicaId | undefined {
    const entry = this.#memory.hubs.get(hub);
    return entry && `${hub}:${entry.dirId}`;
  }

  get hubCount(): number {
    return this.#memory.hubs.size;
  }

  publish(topicId: string, partition: number, state: PublishedState): void {
    this.#publisher.publish(topicId, partition, state);
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
    this.#beating?.cancel();
    this.#seatTimer?.cancel();
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
