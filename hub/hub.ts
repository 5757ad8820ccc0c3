// Wires the rooms of the hub from ports and options, in the order of their starts; stop is that order reversed.
import { connectLocal, type LocalOptions } from "./client/client.ts";
import type { HubClient } from "./client/faces.ts";
import type { Config } from "./config.ts";
import { isLoopback } from "./config.ts";
import type { Access } from "./engine/access.ts";
import { ClusterMember, type MemberOptions } from "./engine/cluster_member.ts";
import { belongsToCluster } from "./engine/cluster_memory.ts";
import { type ClusterReport, measureCluster, worriesOf } from "./engine/cluster_report.ts";
import { loneView } from "./engine/cluster_view.ts";
import { type Elsewhere, elsewhere } from "./engine/elsewhere.ts";
import { moveGroupsIn } from "./engine/moving_in.ts";
import { Partitions } from "./engine/partitions.ts";
import { Settings } from "./engine/settings.ts";
import { SharedFacts } from "./engine/shared_facts.ts";
import { Topics, uuidText } from "./engine/topics.ts";
import { HubError } from "./errors.ts";
import { type CoordinatorParts, type Coordinators, openCoordinators } from "./hub_coordinators.ts";
import { accessOf, boundsOf, entryOf, mqttReferenceOf, openAlone, parseAddress } from "./hub_parts.ts";
import type { Clock, Disk, Hashing, Net, Random } from "./io/ports.ts";
import type { Coordination } from "./io/coordination.ts";
import type { FactStore, RemoteRegistry } from "./io/registry.ts";
import { OnceStore } from "./once.ts";
import { openStore, type Store, type StoreState } from "./log/store.ts";
import { Acceptor } from "./server/acceptor.ts";
import { createDispatch } from "./server/dispatch.ts";
import { directAppend } from "./server/direct_append.ts";
import { directRead } from "./server/direct_read.ts";
import type { Dispatch } from "./server/handler.ts";
import type { ConnectionInfo } from "./server/session.ts";
import { groupHandlers } from "./server/handlers/groups.ts";
import { coordinatorOf, leaderOf as leaderIn } from "./server/coordinators.ts";
import { TopicMaker } from "./server/topic_maker.ts";
import type { HubServices } from "./server/services.ts";
import type { Trace } from "./trace.ts";

/** The world, handed in. */
export interface HubPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly hashing: Hashing;
  readonly disk: Disk;
  readonly net: Net;
  readonly trace: Trace;
  /** Opens the place of a cluster's committed offsets, whose id names the keys; null for a lone hub. */
  readonly openOffsets: ((clusterId: string) => Promise<RemoteRegistry>) | null;
  /** Opens the place where hubs find each other; null for a lone hub. */
  readonly openCoordination: (() => Promise<Coordination>) | null;
}

export interface Health {
  /** "draining" too while a failed data folder ends the process. */
  readonly status: "starting" | "ready" | "degraded" | "draining";
  readonly why: readonly string[];
}

const drainMs = 5_000;

/** Topics of a cluster are in its metadata, not in the journal's facts. */
const noFacts: FactStore = { get: () => undefined, entries: () => [], put: () => Promise.resolve() };

/** One running hub. */
export class Hub {
  readonly #ports: HubPorts;
  readonly #config: Config;
  readonly #onFailed: (why: string) => void;
  #store: Store | null = null;
  #partitions: Partitions | null = null;
  #coordinators: Coordinators | null = null;
  #coordination: Coordination | null = null;
  #member: ClusterMember | null = null;
  #acceptor: Acceptor | null = null;
  #dispatch: Dispatch | null = null;
  #services: HubServices | null = null;
  /** Of the Kafka listeners, once they listen. */
  #port = 0;
  #phase: "starting" | "serving" | "draining" = "starting";
  #failure: string | null = null;
  #stopped: Promise<void> | null = null;
  #once: OnceStore | null = null;
  #readied: () => void = () => {};
  readonly #ready = new Promise<void>((resolve) => {
    this.#readied = resolve;
  });
  /** Of this run of the process, as other hubs know it. */
  readonly #session: string;
  #maker: TopicMaker | null = null;

  /** `onFailed` is called once when the data folder failed and the process should end (exit code 70). */
  constructor(ports: HubPorts, config: Config, onFailed: (why: string) => void) {
    this.#ports = ports;
    this.#config = config;
    this.#onFailed = onFailed;
    this.#session = uuidText(ports.random.uuid());
  }

  /** Opens the data folder, recovers it, and serves. Resolves with the Kafka port. */
  async start(): Promise<{ readonly kafka: number }> {
    const { clock, random, disk, trace, net } = this.#ports;
    const store = await openStore({
      disk,
      clock,
      random,
      trace,
      hubId: this.#config.hub.id,
      listener: {
        durable: (logs) => this.#partitions?.durable(logs),
        stateChanged: (state, why) => this.#storeChanged(state, why),
        damaged: (log) => this.#member?.repairs.stir(log),
        possibleLoss: (log, detail) => {
          // what other hubs may have is looked for there first
          if (log !== null && log.damaged.size > 0 && this.#ports.openCoordination !== null) return;
          trace.event("error", "possible_loss", { topic: log?.topicId ?? null, partition: log?.partition, detail });
        },
      },
    });
    this.#store = store;
    this.#coordination = (await this.#ports.openCoordination?.()) ?? null;
    if (this.#coordination === null && belongsToCluster(store)) {
      const remedy = "start it with --redis, or a lone hub with an empty --data folder";
      throw new HubError("INCONSISTENT_CLUSTER_ID", `This folder belongs to a cluster of hubs: ${remedy}`);
    }
    const shared = new SharedFacts(store);
    const settings = new Settings(shared, this.#config.settings, this.#config.hub.id);
    const alone = this.#coordination === null;
    const topics = new Topics(alone ? store : noFacts, random, settings.inForce);
    const partitions = new Partitions(store, topics, clock, `${this.#config.hub.id}:${store.meta.dirId}`);
    settings.onChange(() => partitions.applySettings());
    this.#partitions = partitions;
    const access = await accessOf(this.#ports, this.#config, shared);
    this.#services = this.#makeServices(partitions, store, settings, access);
    this.#dispatch = this.#makeDispatch(this.#services);
    const maker = new TopicMaker(this.#services);
    this.#maker = maker;
    const ensureTopic = (name: string): Promise<void> => maker.ensure(name);
    const onceClient = (): HubClient => this.client("once");
    this.#once = new OnceStore({ partitions, clock, ensureTopic, client: onceClient });
    const bounds = boundsOf(this.#config);
    this.#acceptor = new Acceptor({ net, clock, trace, dispatch: this.#dispatch, access, bounds });
    if (this.#coordination === null) await openAlone(store, partitions);
    else await this.#join(this.#coordination, { store, partitions, settings, access, shared });
    const cluster = await this.#clusterParts();
    const parts = { config: this.#config, facts: store, partitions, settings, access, cluster };
    this.#coordinators = await openCoordinators(this.#ports, parts);
    // Other hubs have to reach one that joins; who comes earlier waits (#makeDispatch).
    if (this.#member === null) await this.#listen();
    if (this.#phase === "starting") this.#phase = "serving";
    this.#readied();
    return { kafka: this.#port };
  }

  /** What coordinators of a cluster need beside the rest. */
  async #clusterParts(): Promise<CoordinatorParts["cluster"]> {
    const member = this.#member;
    if (member === null) return null;
    const remote = await this.#ports.openOffsets!(this.#store!.meta.clusterId);
    await moveGroupsIn(this.#store!, remote);
    const leaderOf = (name: string, index: number): number => {
      const topic = this.#partitions!.topics.byName(name);
      return topic ? leaderIn(this.#services!, topic, index) : -1;
    };
    return { remote, peers: member.peers, leaderOf };
  }

  async #listen(): Promise<void> {
    this.#port = await this.#acceptor!.listen(this.#config.hub.listen, this.#config.kafka.port);
  }

  /** Becomes a member of its cluster; resolves when what this hub has replicas of is open. */
  async #join(
    coordination: Coordination,
    parts: Pick<MemberOptions, "store" | "partitions" | "settings" | "access" | "shared">,
  ): Promise<void> {
    const { clock, random, hashing, net, trace } = this.#ports;
    const { cluster } = this.#config;
    await this.#listen();
    this.#member = new ClusterMember({
      coordination,
      ...parts,
      net,
      clock,
      random,
      hashing,
      trace,
      me: entryOf(this.#config, parts.store.meta, this.#port),
      session: this.#session,
      secret: cluster.secret,
      bootstrap: cluster.bootstrap,
      topicDeleted: (topicId) => void this.#coordinators?.groups.topicDeleted(topicId),
      beatMs: cluster.beatMs,
      sessionMs: cluster.sessionMs,
    });
    await this.#member.start();
  }

  /** Requests of clients wait until the hub serves; those of hubs, and of its own rooms, do not. */
  #makeDispatch(services: HubServices): Dispatch {
    const { topics } = services.partitions;
    const groups = groupHandlers(
      () => this.#coordinators?.groups ?? null,
      (keyType, key, context) => coordinatorOf(services, keyType, key, context),
      { idOf: (topic) => topics.byName(topic)?.topicId, nameOf: (topicId) => topics.byId(topicId)?.name },
    );
    const plain = createDispatch(services, groups, async (topicId) => this.#coordinators?.groups.topicDeleted(topicId));
    return async (api, request, context) => {
      if (this.#phase === "starting" && !context.hub && api !== "hubHello" && api !== "apiVersions") await this.#ready;
      return await plain(api, request, context);
    };
  }

  #makeServices(partitions: Partitions, store: Store, dynamicSettings: Settings, access: Access): HubServices {
    const { clock, random, hashing, trace, disk } = this.#ports;
    const { hub, kafka, cluster } = this.#config;
    const settings = dynamicSettings.inForce;
    const hubOf = this;
    const alone = loneView(hub.id, store.meta.dirId);
    return {
      hubId: hub.id,
      get clusterId() {
        return store.meta.clusterId; // taken over when the hub joins
      },
      get cluster() {
        return hubOf.#member?.governor.view ?? alone;
      },
      get operations() {
        return hubOf.#member;
      },
      get peering() {
        const office = hubOf.#member?.office;
        return office ? { session: hubOf.#session, secret: cluster.secret, hashing, office } : null;
      },
      partitions,
      clock,
      random,
      trace,
      access,
      get transactionGate() {
        return hubOf.#coordinators?.transactions ?? null;
      },
      get transactionHomes() {
        return hubOf.#coordinators?.homes ?? null;
      },
      get transactions() {
        return hubOf.#coordinators!.transactions; // clients wait until it is there
      },
      settings,
      dynamicSettings,
      listeners: () => hub.listen.map((host) => ({ host, port: this.#port })),
      folder: {
        path: hub.data,
        directoryId: store.meta.dirId,
        boots: store.meta.bootSeq,
        state: () => store.state,
        space: () => disk.space(),
      },
      get autoCreateTopics() {
        const asked = settings.get("auto.create.topics.enable");
        return asked === undefined ? hub.listen.every(isLoopback) : asked === "true";
      },
      advertised: kafka.advertised === null ? null : parseAddress(kafka.advertised, kafka.port),
    };
  }

  #storeChanged(state: StoreState, why: string): void {
    this.#ports.trace.event(state === "ok" ? "info" : "error", "data_folder_state", { state, why });
    if (state !== "failed" || this.#failure !== null) return;
    this.#failure = why;
    this.#partitions?.failAll(new HubError("KAFKA_STORAGE_ERROR", `The data folder failed: ${why}`));
    this.#onFailed(why);
  }

  get clock(): Clock {
    return this.#ports.clock;
  }

  get hubId(): number {
    return this.#config.hub.id;
  }

  get isClustered(): boolean {
    return this.#member !== null;
  }

  /** A client of this hub without a socket in between. */
  client(clientId: string): HubClient {
    if (!this.#dispatch) throw new HubError("COORDINATOR_NOT_AVAILABLE", "The hub has not started");
    const { clock, net } = this.#ports;
    const { advertised } = this.#config.kafka;
    const told = advertised === null ? null : parseAddress(advertised, this.#port);
    const isSelf = ({ host, port }: { host: string; port: number }): boolean => {
      if (host === told?.host && port === told.port) return true; // it need not be reachable from here
      return port === 0 || (port === this.#port && (this.#config.hub.listen.includes(host) || isLoopback(host)));
    };
    const dialHub: LocalOptions["dialHub"] = ({ host, port }, id) => {
      const hubs = this.#member?.governor.view.hubs() ?? [];
      const found = hubs.find((hub) => hub.host === host && hub.port === port);
      return found ? this.#member!.peers.open(found.hubId, id) : null;
    };
    const ways = { append: directAppend(this.#services!), read: directRead(this.#services!) };
    return connectLocal({ dispatch: this.#dispatch, ways, clock, clientId, net, isSelf, dialHub });
  }

  /** Makes a topic unless it is there. */
  ensureTopic(name: string): Promise<void> {
    return this.#maker!.ensure(name);
  }

  /** Two records of a lone hub, stored together (once.ts). */
  storeTogether(...args: Parameters<OnceStore["together"]>): ReturnType<OnceStore["together"]> {
    return this.#once!.together(...args);
  }

  health(): Health {
    if (this.#failure !== null) return { status: "draining", why: [this.#failure] };
    if (this.#phase !== "serving") return { status: this.#phase, why: [] };
    const why: string[] = [];
    const state = this.#store?.state;
    if (state !== "ok") why.push(`data folder: ${state}`);
    const cluster = this.cluster();
    if (cluster) why.push(...worriesOf(cluster, cluster.hub, cluster.partitions));
    if (!this.#ports.clock.wallTrusted()) why.push("clock: not synchronised, retention by time waits");
    return { status: why.length === 0 ? "ready" : "degraded", why };
  }

  /** What this hub knows of its cluster; null for a lone one. */
  cluster(): ClusterReport | null {
    return this.#member?.report() ?? null;
  }

  /** Bytes of a topic's logs on this hub's disk; null when there is no such topic. */
  topicBytes(topic: string): number | null {
    const partitions = this.#partitions?.of(topic);
    return partitions?.reduce((sum, { log }) => sum + log.sizeBytes, 0) ?? null;
  }

  /** The sockets that Kafka clients opened, with the names of their software. */
  connections(): ConnectionInfo[] {
    return this.#acceptor?.list() ?? [];
  }

  /** Sets the gauges that are worth reading at a scrape. */
  measure(): void {
    const { trace } = this.#ports;
    this.#coordinators?.transactions.measure();
    let bytes = 0;
    let count = 0;
    for (const partition of this.#partitions?.all() ?? []) {
      bytes += partition.log.sizeBytes;
      count++;
    }
    const cluster = this.cluster();
    if (cluster) measureCluster(trace, cluster, cluster.hub, cluster.partitions);
    trace.gauge("log_bytes", bytes);
    trace.gauge("partitions", count);
    trace.gauge("journal_backlog_bytes", this.#store?.backlogBytes() ?? 0);
    trace.gauge("fetches_parked", this.#partitions?.room.count ?? 0);
    trace.gauge("kafka_connections", this.#acceptor?.connections ?? 0);
  }

  /** Tells the other hubs that MQTT clients find this one at `port`, as long as it has room. */
  offerMqtt(port: number, hasRoom: () => boolean): void {
    const reference = mqttReferenceOf(this.#config, port);
    this.#member?.governor.offerMqtt(() => (hasRoom() ? reference : null));
  }

  /** Where MQTT clients of this hub may go instead; null: nowhere that is known. */
  elsewhere(): Elsewhere | null {
    const member = this.#member;
    return member && elsewhere(member.governor.view, (hub) => member.moves.leaves(hub));
  }

  /** From now on health says draining, and no hub sends clients here; called before the bridges close. */
  drain(): void {
    this.#phase = "draining";
    this.#member?.governor.drain();
  }

  /** Finishes what is under way, then closes everything in the reverse order of the starts. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.drain();
    // where nobody leads a partition, what waits for it is not stored in time
    const late = new Promise<void>((resolve) => void this.#ports.clock.after(drainMs, resolve));
    await Promise.race([this.#once?.close(), late]);
    await this.#member?.drain();
    this.#partitions?.room.close();
    await this.#acceptor?.close(drainMs);
    await this.#coordinators?.close();
    this.#member?.close();
    await this.#store?.close();
    await this.#coordination?.close();
  }
}
