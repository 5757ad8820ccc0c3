// A hub as a member of a cluster: peers, governor, elections, replicas and shared topics, put together.
import type { Governed } from "../cluster/controller.ts";
import { endOf, publishedOf } from "../cluster/replica.ts";
import type { HubId, PublishedState, ReplicaId } from "../cluster/types.ts";
import type { Coordination, HubEntry } from "../io/coordination.ts";
import type { Clock, Hashing, Millis, Net, Random } from "../io/ports.ts";
import { HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Store } from "../log/store.ts";
import type { Trace } from "../trace.ts";
import type { ApiName, CallOf, ReplyOf } from "../wire/apis.ts";
import type { Access } from "./access.ts";
import { belongsToCluster } from "./cluster_memory.ts";
import { type ClusterReport, partitionsOf, RecentEvents } from "./cluster_report.ts";
import { ClusterTopics } from "./cluster_topics.ts";
import { ControllerWork } from "./controller_work.ts";
import { Elections } from "./elections.ts";
import { Governor } from "./governor.ts";
import { Handovers } from "./handover.ts";
import { moveIn } from "./moving_in.ts";
import { isMoveKey, type Leave, type Move, type MoveAsked, Moves } from "./moves.ts";
import { findPartition, Office } from "./office.ts";
import type { Partitions } from "./partitions.ts";
import { Peers } from "./peers.ts";
import { Repairs } from "./repairs.ts";
import { Replicas } from "./replicas.ts";
import type { HubPrincipal, ReconfigureAsked, ReconfigureTold, TryLeadAsked, TryLeadTold } from "./replica_office.ts";
import {
  reconfigurationsTold,
  reconfigureCall,
  triesTold,
  tryLeadCall,
  voteCall,
  votesTold,
} from "./replication_wire.ts";
import { Replicator } from "./replicator.ts";
import { StandAlone } from "./stand_alone.ts";
import type { Settings } from "./settings.ts";
import type { SharedFacts } from "./shared_facts.ts";
import { topicPrefix } from "./topics.ts";

export interface MemberOptions {
  readonly coordination: Coordination;
  readonly store: Store;
  readonly partitions: Partitions;
  readonly settings: Settings;
  readonly access: Access;
  readonly shared: SharedFacts;
  readonly net: Net;
  readonly clock: Clock;
  readonly random: Random;
  readonly hashing: Hashing;
  readonly trace: Trace;
  readonly me: HubEntry;
  /** Of this run of the process. */
  readonly session: string;
  /** `[cluster] secret`; null: the network is trusted. */
  readonly secret: string | null;
  readonly bootstrap: boolean;
  /** A topic is gone from this hub. */
  readonly topicDeleted: (topicId: string) => void;
  readonly beatMs: Millis;
  readonly sessionMs: Millis;
}

const throttled = "follower.replication.throttled.rate";

/** All that a hub does because it is not alone. */
export class ClusterMember {
  readonly peers: Peers;
  readonly governor: Governor;
  readonly office: Office;
  readonly work: ControllerWork;
  readonly moves: Moves;
  readonly repairs: Repairs;
  readonly #options: MemberOptions;
  readonly #events: RecentEvents;
  readonly #elections: Elections;
  readonly #replicas: Replicas;
  readonly #replicator: Replicator;
  readonly #handovers: Handovers;
  readonly #topics: ClusterTopics;
  readonly #standAlone: StandAlone;
  readonly #principal: HubPrincipal;
  #joined = false;
  #met: ReadonlySet<HubId> = new Set();
  /** What is learnt of the metadata is applied in its order. */
  #learning: Promise<void> = Promise.resolve();

  constructor(options: MemberOptions) {
    this.#events = new RecentEvents(options.trace, options.clock);
    this.#options = { ...options, trace: this.#events };
    const { store, partitions, net, clock, random, hashing, trace, me, session, secret } = this.#options;
    const { hubId, dirId } = me;
    const replica: ReplicaId = `${hubId}:${dirId}`;
    this.#principal = { hubId, dirId, session };
    const governor = this.#makeGovernor();
    this.governor = governor;
    const self = {
      get clusterId() {
        return store.meta.clusterId; // taken over when the hub joins
      },
      ...this.#principal,
    };
    this.peers = new Peers({
      net,
      clock,
      random,
      hashing,
      trace,
      me: self,
      secret,
      addressOf: (hub) => governor.addressOf(hub),
    });
    this.#elections = new Elections({
      clock,
      trace,
      ask: async (hub, votes) => votesTold(await this.peers.call(hub, "vote", voteCall(votes), limits.voteAnswerMsMax)),
      find: (topicId, index) => findPartition(partitions, topicId, index),
      run: (partition, effects) => partitions.run(partition, effects),
      published: (topicId, index) => governor.view.partition(topicId, index),
    });
    const throttledRate = (): number => Number(options.settings.inForce.get(throttled) ?? Number.POSITIVE_INFINITY);
    this.#replicator = new Replicator({ peers: this.peers, clock, random, trace, hubId, throttledRate });
    this.#replicas = new Replicas({
      partitions,
      facts: store,
      replicator: this.#replicator,
      elections: this.#elections,
      clock,
      trace,
      me: replica,
      publish: (topicId, index, publication) => governor.publish(topicId, index, publication),
      published: (topicId, index) => governor.view.partition(topicId, index),
    });
    this.#handovers = new Handovers({
      ...options,
      tryLead: (hub, asked) => this.#tryLead(hub, asked),
      announce: (partition, epoch, hub) => this.#replicas.hinted(partition, epoch, hub),
      endOf: (partition, hub) => endOf(partition.replica, hub),
    });
    this.office = new Office({ partitions, elections: this.#elections, handovers: this.#handovers, clock });
    this.#topics = this.#makeTopics(replica);
    partitions.join(this.#topics, this.#replicas);
    this.moves = this.#makeMoves();
    this.work = new ControllerWork({
      governor,
      moves: this.moves,
      clock,
      trace,
      governed: () => this.#governed(),
      tryLead: (hub, asked) => this.#tryLead(hub, asked),
      reconfigure: (hub, asked) => this.reconfigure(hub, asked),
    });
    this.repairs = new Repairs({ ...this.#options, peers: this.peers, isDown: (hub) => governor.isDown(hub) });
    this.#standAlone = new StandAlone({ partitions, clock, isGoverned: () => options.coordination.state() === "up" });
    this.#listen();
  }

  #makeGovernor(): Governor {
    const { coordination, store, clock, random, trace, me, session, bootstrap, beatMs, sessionMs } = this.#options;
    return new Governor({
      coordination,
      clock,
      random,
      trace,
      facts: store,
      me,
      session,
      clusterId: store.meta.clusterId,
      hasData: [...store.partitions()].length > 0,
      bootstrap,
      beatMs,
      sessionMs,
      adopt: (clusterId) => store.adoptCluster(clusterId),
      led: () => this.#led(),
    });
  }

  #makeTopics(me: ReplicaId): ClusterTopics {
    const { governor } = this;
    const { partitions, store, clock, trace, random, settings } = this.#options;
    return new ClusterTopics({
      partitions,
      shared: {
        change: (entries) => governor.change(entries),
        place: (count, factor, from) => governor.place(count, factor, from, (hub) => this.moves.leaves(hub)),
        replicaIdOf: (hub) => governor.replicaIdOf(hub),
        published: (topicId, index) => governor.view.partition(topicId, index),
        hubCount: () => governor.hubCount,
        movesOf: (topicId) => this.moves.keysOf(topicId),
      },
      facts: store,
      clock,
      trace,
      me,
      uuid: () => random.uuid(),
      settings: {
        lagMsMax: Number(settings.inForce.get("replica.lag.time.max.ms") ?? 10_000),
        voteWaitMs: limits.voteWaitMs,
        electionMsMax: limits.voteAnswerMsMax,
      },
      deleted: this.#options.topicDeleted,
      letGo: (partition) => this.#replicas.letGo(partition),
      announced: (partition, state) => this.#replicas.announced(partition, state),
    });
  }

  #makeMoves(): Moves {
    const { governor } = this;
    const { partitions } = this.#options;
    return new Moves({
      change: (entries) => governor.change(entries),
      hubs: () => governor.view.hubs(),
      entryOf: (hub) => governor.entryOf(hub),
      forget: (hub) => governor.forget(hub),
      governed: () => this.#governed(),
      topicOf: (topicId) => partitions.topics.byId(topicId),
      hubSettings: partitions.topics.hubSettings,
    });
  }

  #listen(): void {
    const { partitions } = this.#options;
    const { governor, peers } = this;
    peers.onState((hub, state) => {
      governor.suspect(hub, state);
      if (state !== "open") this.#replicas.peerLost(hub);
    });
    governor.onChange(() => {
      if (this.#joined) this.#meet();
      this.work.stir();
    });
    governor.onMetadata((key, value) => this.#learn(key, value));
    governor.onPartition((topicId, index, state) => {
      const partition = findPartition(partitions, topicId, index);
      if (partition) this.#replicas.announced(partition, state);
      else void this.#topics.published(topicId, index, state);
      this.work.stir();
    });
  }

  /** Connections to the hubs there are, and to no others. */
  #meet(): void {
    const hubs = new Set(this.governor.view.hubs().map(({ hubId }) => hubId));
    for (const hub of this.#met) if (!hubs.has(hub)) this.peers.forget(hub);
    for (const hub of hubs) this.peers.watch(hub);
    this.#met = hubs;
  }

  #learn(key: string, value: string | null): void {
    const { shared, settings, access, trace } = this.#options;
    if (isMoveKey(key)) {
      this.moves.learn(key, value);
      trace.event("info", "move_asked", { key, value });
      return this.work.stirSets();
    }
    this.#learning = this.#learning.then(async () => {
      try {
        if (key.startsWith(topicPrefix)) return await this.#topics.learn(key.slice(topicPrefix.length), value);
        const bytes = await shared.learn(key, value);
        await settings.learn(key, bytes);
        for (const part of [access.credentials, access.rules, access.quotas]) part.learn(key, bytes);
      } catch (error) {
        trace.event("error", "metadata_not_applied", { key, error: String(error) });
      }
    });
  }

  /** Joins; resolves with the cluster's id when what the hub has replicas of is open. */
  async start(): Promise<string> {
    const isFirst = !belongsToCluster(this.#options.store);
    const clusterId = await this.governor.start();
    await this.#learning;
    const { governor } = this;
    const { shared, store, trace } = this.#options;
    shared.join((entries) => governor.change(entries));
    await moveIn({ facts: store, shared, governor, isFirst, trace });
    await this.#learning;
    // not before: a hello names the cluster
    this.#joined = true;
    this.#meet();
    this.#standAlone.start();
    this.repairs.start();
    return clusterId;
  }

  *#led(): Generator<{ topicId: string; partition: number; state: PublishedState }> {
    for (const { leads, log, replica } of this.#options.partitions.all()) {
      if (leads) yield { topicId: log.topicId, partition: log.partition, state: publishedOf(replica) };
    }
  }

  *#governed(): Generator<Governed> {
    const { topics } = this.#options.partitions;
    const { view } = this.governor;
    for (const topic of topics.all()) {
      const unclean = topics.settingsOf(topic).flag("unclean.leader.election.enable");
      for (let partition = 0; partition < topic.partitions; partition++) {
        const { topicId } = topic;
        const assignment = topic.assignment?.[partition] ?? [];
        yield {
          topicId,
          partition,
          assignment,
          m: topic.m ?? 1,
          unclean,
          published: view.partition(topicId, partition),
        };
      }
    }
  }

  /** Asks a hub to stand for election; this one without a detour. */
  async #tryLead(hub: HubId, asked: readonly TryLeadAsked[]): Promise<readonly TryLeadTold[]> {
    const { ctlEpoch } = this.governor;
    if (hub === this.#principal.hubId) return await this.office.tryLead(this.#principal, ctlEpoch, asked);
    return triesTold(await this.peers.call(hub, "tryLead", tryLeadCall(ctlEpoch, asked), limits.electionMsMax + 1000));
  }

  /** For operators. */
  report(): ClusterReport {
    const { governor } = this;
    const partitions = partitionsOf(this.#options.partitions, this.#governed(), governor.isDown);
    return { ...governor.status(), hub: this.#principal.hubId, partitions, events: this.#events.recent() };
  }

  isController(): boolean {
    return this.governor.isController();
  }

  atController<N extends ApiName>(api: N, request: CallOf<N>): Promise<ReplyOf<N>> {
    const controller = this.governor.view.controllerId();
    if (controller < 0 || controller === this.#principal.hubId) {
      return Promise.reject(new HubError("NOT_CONTROLLER", "No hub is the controller at this moment"));
    }
    return this.peers.call(controller, api, request, limits.controllerWaitMsMax);
  }

  #mustGovern(name: string, index: number): Governed {
    const topic = this.#options.partitions.topics.byName(name);
    for (const governed of topic && index < topic.partitions ? this.#governed() : []) {
      if (governed.topicId === topic?.topicId && governed.partition === index) return governed;
    }
    throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no partition ${name}-${index}`);
  }

  async elect(topic: string, partition: number, kind: "preferred" | "unclean", to: HubId | null): Promise<void> {
    await this.work.elect(this.#mustGovern(topic, partition), kind, to);
  }

  async reassign(asked: readonly MoveAsked[]): Promise<(HubError | null)[]> {
    const answers = await this.moves.ask(asked, ({ topic, partition }) => this.#mustGovern(topic, partition));
    this.work.stirSets();
    return answers;
  }

  reassignments(): Iterable<Move> {
    return this.moves.list();
  }

  async leave(hub: HubId, how: Leave): Promise<void> {
    await this.moves.leave(hub, how).finally(() => this.work.stirSets());
  }

  /** Asks a leader to change who replicates its partitions, or to hand them over. */
  async reconfigure(hub: HubId, asked: readonly ReconfigureAsked[]): Promise<readonly ReconfigureTold[]> {
    const { ctlEpoch } = this.governor;
    if (hub === this.#principal.hubId) return await this.office.reconfigure(this.#principal, ctlEpoch, asked);
    const call = reconfigureCall(ctlEpoch, asked);
    return reconfigurationsTold(await this.peers.call(hub, "reconfigure", call, limits.electionMsMax + 1000));
  }

  /** Hands everything this hub leads to others in the ISR, so that a stop is no failure (replication.md 2.8). */
  async drain(): Promise<void> {
    const { partitions } = this.#options;
    this.governor.drain();
    await this.#handovers.drain([...partitions.all()], (hub) => this.governor.isDown(hub));
  }

  close(): void {
    this.work.close();
    this.repairs.close();
    this.#standAlone.close();
    this.governor.close();
    this.#replicas.close();
    this.#replicator.close();
    this.#elections.close();
    this.peers.close();
  }
}
