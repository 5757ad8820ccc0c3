// Wires the rooms of the hub from ports and options, in the order of their starts; stop is that order reversed.
import { connectLocal } from "./client/client.ts";
import type { HubClient, OutRecord } from "./client/faces.ts";
import { choosePartition } from "./client/partitioner.ts";
import type { Config } from "./config.ts";
import { isLoopback } from "./config.ts";
import type { SaslMechanism } from "./access/scram.ts";
import { type Access, openAccess } from "./engine/access.ts";
import { type GroupEngine, openGroupEngine } from "./engine/groups.ts";
import { type Partition, Partitions } from "./engine/partitions.ts";
import { Settings } from "./engine/settings.ts";
import { newProducerId } from "./engine/producer_ids.ts";
import { Topics } from "./engine/topics.ts";
import { openTransactionEngine, type TransactionEngine } from "./engine/transactions.ts";
import { PendingOffsets, type UnstableOffsets } from "./engine/transactions_offsets.ts";
import { transactionSettings } from "./engine/transactions_settings.ts";
import { HubError } from "./errors.ts";
import { type ConsumerSettings, migrationPolicies } from "./groups/consumer_group.ts";
import type { Clock, Disk, Hashing, Net, Random } from "./io/ports.ts";
import type { FactStore, Registry } from "./io/registry.ts";
import { limits } from "./limits.ts";
import { openStore, type Store, type StoreState } from "./log/store.ts";
import { encodeBatch } from "./record/builder.ts";
import { Acceptor } from "./server/acceptor.ts";
import { createDispatch } from "./server/dispatch.ts";
import type { Dispatch } from "./server/handler.ts";
import { type ConnectionBounds, type ConnectionInfo, defaultBounds } from "./server/session.ts";
import { groupHandlers } from "./server/handlers/groups.ts";
import { addressFor, defaultPartitions, type HubServices } from "./server/services.ts";
import type { Trace } from "./trace.ts";

/** The world, handed in. */
export interface HubPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly hashing: Hashing;
  readonly disk: Disk;
  readonly net: Net;
  readonly trace: Trace;
  /** Opens the place of committed offsets; `facts` is this hub's journal, `clusterId` names the keys. */
  readonly openRegistry: (facts: FactStore, clusterId: string) => Promise<Registry>;
}

export interface Health {
  /** "draining" too while a failed data folder ends the process. */
  readonly status: "starting" | "ready" | "degraded" | "draining";
  readonly why: readonly string[];
}

const drainMs = 5_000;

/** One running hub. */
export class Hub {
  readonly #ports: HubPorts;
  readonly #config: Config;
  readonly #onFailed: (why: string) => void;
  #store: Store | null = null;
  #partitions: Partitions | null = null;
  #registry: Registry | null = null;
  #groups: GroupEngine | null = null;
  #transactions: TransactionEngine | null = null;
  #acceptor: Acceptor | null = null;
  #dispatch: Dispatch | null = null;
  #services: HubServices | null = null;
  /** Of the Kafka listeners, once they listen. */
  #port = 0;
  #phase: "starting" | "serving" | "draining" = "starting";
  #failure: string | null = null;
  #stopped: Promise<void> | null = null;
  /** Topics that rooms of this process wait for. */
  readonly #making = new Map<string, Promise<void>>();

  /** `onFailed` is called once when the data folder failed and the process should end (exit code 70). */
  constructor(ports: HubPorts, config: Config, onFailed: (why: string) => void) {
    this.#ports = ports;
    this.#config = config;
    this.#onFailed = onFailed;
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
        possibleLoss: (log, detail) =>
          trace.event("error", "possible_loss", { topic: log?.topicId ?? null, partition: log?.partition, detail }),
      },
    });
    this.#store = store;
    const settings = new Settings(store, this.#config.settings, this.#config.hub.id);
    const topics = new Topics(store, random, settings.inForce);
    const partitions = new Partitions(store, topics, clock, `${this.#config.hub.id}:${store.meta.dirId}`);
    settings.onChange(() => partitions.applySettings());
    this.#partitions = partitions;
    await partitions.open();
    this.#registry = await this.#ports.openRegistry(store, store.meta.clusterId);
    const pending = new PendingOffsets();
    const access = await this.#openAccess(store);
    this.#groups = await this.#openGroups(partitions, this.#registry, pending, settings, access);
    this.#transactions = await openTransactionEngine({
      topics: partitions,
      partitions,
      groups: this.#groups,
      pending,
      clock,
      trace,
      newProducerId: () => newProducerId(random),
      coordinatorEpoch: 0,
      settings: transactionSettings(settings.inForce),
    });
    this.#services = this.#makeServices(partitions, store, settings, access, this.#transactions);
    const services = this.#services;
    const groups = groupHandlers(
      () => this.#groups,
      (context) => ({ nodeId: services.hubId, ...addressFor(services, context) }),
      { idOf: (topic) => topics.byName(topic)?.topicId, nameOf: (topicId) => topics.byId(topicId)?.name },
    );
    this.#dispatch = createDispatch(services, groups, async (topicId) => this.#groups?.topicDeleted(topicId));
    this.#acceptor = new Acceptor({ net, clock, trace, dispatch: this.#dispatch, access, bounds: this.#bounds() });
    const kafka = await this.#acceptor.listen(this.#config.hub.listen, this.#config.kafka.port);
    this.#port = kafka;
    if (this.#phase === "starting") this.#phase = "serving";
    return { kafka };
  }

  async #openAccess(facts: FactStore): Promise<Access> {
    const { clock, random, hashing, trace } = this.#ports;
    const { sasl, rules, superUsers, allowIfNoRule, user, password } = this.#config.access;
    const access = await openAccess({
      facts,
      clock,
      random,
      hashing,
      mechanisms: sasl as readonly SaslMechanism[],
      rules,
      superUsers,
      allowIfNoRule,
      firstUser: user === null ? null : { name: user, password: password ?? "" },
      sessionLifetimeMs: Number(this.#config.settings.get("connections.max.reauth.ms") ?? 0),
    });
    if (sasl.length > 0 && access.credentials.size === 0) {
      trace.event("warn", "no_credentials", { remedy: "nobody can log in: set access.user and access.password_file" });
    }
    return access;
  }

  #makeServices(
    partitions: Partitions,
    store: Store,
    dynamicSettings: Settings,
    access: Access,
    transactions: TransactionEngine,
  ): HubServices {
    const { clock, random, trace, disk } = this.#ports;
    const { hub, kafka } = this.#config;
    const settings = dynamicSettings.inForce;
    return {
      hubId: hub.id,
      clusterId: store.meta.clusterId,
      partitions,
      clock,
      random,
      trace,
      access,
      transactionGate: transactions,
      transactions,
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

  #openGroups(
    partitions: Partitions,
    registry: Registry,
    unstable: UnstableOffsets,
    settings: Settings,
    { rules }: Access,
  ): Promise<GroupEngine> {
    const { clock, random, trace } = this.#ports;
    const number = (name: string, otherwise: number): number => Number(this.#config.settings.get(name) ?? otherwise);
    const { topics } = partitions;
    return openGroupEngine({
      registry,
      unstable,
      rules,
      clock,
      random,
      trace,
      coordinatorEpoch: 0,
      settings: {
        initialRebalanceDelayMs: number("group.initial.rebalance.delay.ms", 3000),
        groupMaxSize: number("group.max.size", 1000),
        offsetsRetentionMs: number("offsets.retention.minutes", 10_080) * 60_000,
        consumer: consumerSettingsOf(settings),
      },
      topics: {
        idOf: (topic) => topics.byName(topic)?.topicId,
        nameOf: (topicId) => topics.byId(topicId)?.name,
        partitionCount: (topic) => topics.byName(topic)?.partitions,
        changes: () => topics.changes,
        topic: (name) => topics.byName(name),
        topics: () => topics.all(),
      },
    });
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

  /** A client of this hub without a socket in between. */
  client(clientId: string): HubClient {
    if (!this.#dispatch) throw new HubError("COORDINATOR_NOT_AVAILABLE", "The hub has not started");
    return connectLocal({ dispatch: this.#dispatch, clock: this.#ports.clock, clientId });
  }

  /** The hub's durable small state; a name belongs to who writes it (`mqtt/...` is the bridge's). */
  facts(): FactStore {
    if (!this.#store) throw new HubError("KAFKA_STORAGE_ERROR", "The hub has not started");
    return this.#store;
  }

  /** Makes a topic unless it is there: MQTT routes make theirs whatever auto.create.topics.enable says. */
  ensureTopic(name: string): Promise<void> {
    if (this.#services!.partitions.of(name)) return Promise.resolve();
    // all who wait share one promise, so that they go on in the order they came
    let making = this.#making.get(name);
    if (making === undefined) {
      making = this.#makeTopic(name).finally(() => this.#making.delete(name));
      this.#making.set(name, making);
    }
    return making;
  }

  async #makeTopic(name: string): Promise<void> {
    const { partitions } = this.#services!;
    try {
      // known and without logs: a client's request is making it at this moment
      if (partitions.topics.byName(name)) await partitions.whenMade(name);
      else await partitions.createTopic(name, defaultPartitions(this.#services!), new Map());
    } catch (error) {
      if (!(error instanceof HubError && error.kind === "TOPIC_ALREADY_EXISTS")) throw error;
      await partitions.whenMade(name);
    }
  }

  /**
   * Stores a record and facts in one journal group: after a crash both are there or neither is. Resolves when they are
   * committed. This is how a QoS 2 message and its packet id become one (mqtt.md section 3).
   */
  async storeOnce(
    topic: string,
    record: OutRecord,
    facts: readonly (readonly [string, Uint8Array | null])[],
  ): Promise<{ readonly partition: number; readonly offset: number }> {
    await this.ensureTopic(topic);
    const { partitions } = this.#services!;
    const led = partitions.of(topic) ?? [];
    const index = record.partition ?? choosePartition(record.key, led.length);
    const partition: Partition = partitions.must(topic, index);
    const timestamp = record.timestamp ?? this.#ports.clock.wall();
    const batch = encodeBatch([record], {}, timestamp);
    // No await between these two: one turn is one journal group.
    const written = partitions.append(partition, batch, -1);
    const stored = this.#store!.put(facts);
    await Promise.all([
      stored,
      new Promise<void>((resolve, reject) => {
        partitions.whenCommitted(partition, written, -1, (error) => (error ? reject(error) : resolve()));
      }),
    ]);
    return { partition: index, offset: written.baseOffset };
  }

  health(): Health {
    if (this.#failure !== null) return { status: "draining", why: [this.#failure] };
    if (this.#phase !== "serving") return { status: this.#phase, why: [] };
    const why: string[] = [];
    const state = this.#store?.state;
    if (state !== "ok") why.push(`data folder: ${state}`);
    if (this.#registry?.state() === "down") why.push("redis: not reachable, offsets are kept in the journal");
    if (!this.#ports.clock.wallTrusted()) why.push("clock: not synchronised, retention by time waits");
    return { status: why.length === 0 ? "ready" : "degraded", why };
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

  #bounds(): ConnectionBounds {
    const number = (name: string, otherwise: number): number => Number(this.#config.settings.get(name) ?? otherwise);
    return {
      requestBytesMax: number("socket.request.max.bytes", defaultBounds.requestBytesMax),
      idleMsMax: number("connections.max.idle.ms", defaultBounds.idleMsMax),
      connectionsMax: number("max.connections", defaultBounds.connectionsMax),
    };
  }

  /** Sets the gauges that are worth reading at a scrape. */
  measure(): void {
    const { trace } = this.#ports;
    this.#transactions?.measure();
    let bytes = 0;
    let count = 0;
    for (const partition of this.#partitions?.all() ?? []) {
      bytes += partition.log.sizeBytes;
      count++;
    }
    trace.gauge("log_bytes", bytes);
    trace.gauge("partitions", count);
    trace.gauge("journal_backlog_bytes", this.#store?.backlogBytes() ?? 0);
    trace.gauge("fetches_parked", this.#partitions?.room.count ?? 0);
    trace.gauge("kafka_connections", this.#acceptor?.connections ?? 0);
  }

  /** From now on health says draining; called before the bridges close. */
  drain(): void {
    this.#phase = "draining";
  }

  /** Finishes what is under way, then closes everything in the reverse order of the starts. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.drain();
    this.#partitions?.room.close();
    await this.#acceptor?.close(drainMs);
    await this.#transactions?.close();
    await this.#groups?.close();
    await this.#registry?.close();
    await this.#store?.close();
  }
}

/** Settings of the server-side group protocol (KIP-848); whoever set them, they were checked. */
function consumerSettingsOf(settings: Settings): Partial<ConsumerSettings> {
  const values = settings.inForce;
  const number = (name: string, otherwise: number): number => Number(values.get(name) ?? otherwise);
  const policy = values.get("group.consumer.migration.policy");
  return {
    heartbeatMs: number("group.consumer.heartbeat.interval.ms", limits.consumerHeartbeatMs),
    sessionMs: number("group.consumer.session.timeout.ms", limits.consumerSessionMs),
    maxSize: number("group.consumer.max.size", limits.consumerGroupSizeMax),
    ofGroup: (group) => ({
      heartbeatMs: Number(settings.ofGroup(group, "consumer.heartbeat.interval.ms")),
      sessionMs: Number(settings.ofGroup(group, "consumer.session.timeout.ms")),
    }),
    assignors: (values.get("group.consumer.assignors") ?? "uniform,range").split(","),
    migration: migrationPolicies.find((known) => known === policy) ?? "bidirectional",
  };
}

/** "host:port", "[::1]:9092" or "host"; the port defaults to the Kafka port. */
export function parseAddress(text: string, port: number): { host: string; port: number } {
  const parts = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text);
  if (!parts) throw new HubError("INVALID_CONFIG", `${JSON.stringify(text)} is not host:port`);
  return { host: parts[1] ?? parts[2]!, port: parts[3] === undefined ? port : Number(parts[3]) };
}
