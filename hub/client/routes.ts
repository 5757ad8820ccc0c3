// Where things are: which hub leads a partition, coordinates a group, is there at all; and the connections to them.
import { errorNameOf, HubError } from "../errors.ts";
import type { ErrorName } from "../errors.ts";
import type { Clock, Millis } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { ReplyOf } from "../wire/apis.ts";
import type { Connection } from "./connection.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A topic as the last metadata told. */
export interface TopicRoute {
  readonly name: string;
  readonly topicId: string;
  readonly internal: boolean;
  /** By partition number; a partition whose metadata are missing is led by -1. */
  readonly leaders: readonly PartitionRoute[];
}

export interface PartitionRoute {
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly inSync: readonly number[];
}

/** A hub answers one request of a connection after the other, so what waits long gets connections of its own. */
export type Purpose = "" | "fetch" | "spare" | "group" | "leave";

export interface RoutesOptions {
  readonly clock: Clock;
  readonly bootstrap: readonly Address[];
  /** Connects to an address; a local client gives its one connection for every address. */
  readonly open: (address: Address) => Promise<Connection>;
}

/** Waits, with a timer of the clock. */
export function pause(clock: Clock, ms: Millis): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve);
  });
}

/** Pause before the retry of this number (0 first). */
export function retryPause(attempt: number): Millis {
  return Math.min(limits.clientRetryMsMax, limits.clientRetryMs * 2 ** Math.min(attempt, 10));
}

/** Throws the HubError for an error number of the wire unless it is 0. */
export function mustBeNone(errorCode: number, what: string, message?: string | null): void {
  if (errorCode === 0) return;
  const kind = errorNameOf(errorCode);
  throw new HubError(kind, message ? `${what}: ${message}` : `${what}: ${kind} (${errorCode})`);
}

/**
 * Runs `attempt` until it does not fail with a retriable HubError, at most `clientRetriesMax` times more.
 * `final` names errors that a retry does not help with here.
 */
export async function retrying<T>(
  clock: Clock,
  attempt: () => Promise<T>,
  final: readonly ErrorName[] = [],
): Promise<T> {
  for (let count = 0; ; count += 1) {
    try {
      return await attempt();
    } catch (error) {
      const again = error instanceof HubError && error.retriable && !final.includes(error.kind);
      if (!again || count >= limits.clientRetriesMax) throw error;
      await pause(clock, retryPause(count));
    }
  }
}

/** The map of one cluster, kept by all clients of one `connect`. */
export class Routes {
  readonly #options: RoutesOptions;
  readonly #topics = new Map<string, TopicRoute>();
  /** Why a topic that was asked for is not in #topics. */
  readonly #problems = new Map<string, ErrorName>();
  readonly #askedAt = new Map<string, Millis>();
  readonly #addresses = new Map<number, Address>();
  /** By purpose and "host:port"; a promise while dialling. */
  readonly #connections = new Map<string, { ready: Connection | null; promise: Promise<Connection> }>();
  readonly #coordinators = new Map<string, number>();
  readonly #refreshing = new Map<string, Promise<void>>();
  /** Connections that do not answer: others are asked first. */
  readonly #doubted = new WeakSet<Connection>();
  #controller = -1;
  #clusterId: string | null = null;
  #closed = false;

  constructor(options: RoutesOptions) {
    this.#options = options;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  get clusterId(): string | null {
    return this.#clusterId;
  }

  /** What is known of a topic, without asking. */
  topic(name: string): TopicRoute | undefined {
    return this.#topics.get(name);
  }

  /** Why the topic was not told when it was asked for last. */
  problem(name: string): ErrorName | undefined {
    return this.#problems.get(name);
  }

  /** The open connection to the leader, without asking or dialling. */
  leaderNow(topic: string, partition: number, purpose: Purpose = ""): Connection | undefined {
    const leader = this.#topics.get(topic)?.leaders[partition]?.leader;
    const address = leader === undefined ? undefined : this.#addresses.get(leader);
    const connection = address === undefined ? undefined : this.#connections.get(keyOf(address, purpose))?.ready;
    return connection?.open ? connection : undefined;
  }

  /** The connection to the leader. Rejects with LEADER_NOT_AVAILABLE, UNKNOWN_TOPIC_OR_PARTITION, NETWORK_EXCEPTION. */
  async leader(topic: string, partition: number, purpose: Purpose = ""): Promise<Connection> {
    const route = this.#topics.get(topic)?.leaders[partition];
    if (route === undefined) throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `${topic}-${partition} is not known`);
    return this.node(route.leader, purpose, `${topic}-${partition}`);
  }

  /** The connection to a hub by its id. */
  async node(id: number, purpose: Purpose = "", what = `hub ${id}`): Promise<Connection> {
    const address = this.#addresses.get(id);
    if (address === undefined) throw new HubError("LEADER_NOT_AVAILABLE", `${what} has no leader at this moment`);
    return this.#connect(address, purpose);
  }

  /** Hub ids of the last metadata. */
  nodes(): number[] {
    return [...this.#addresses.keys()].filter((id) => id >= 0);
  }

  /** The connection to any hub that answers: open ones first, then known ones, then the bootstrap addresses. */
  async any(): Promise<Connection> {
    const open = [...this.#connections].flatMap(([key, { ready }]) =>
      ready?.open && key.startsWith(" ") ? ready : [],
    );
    const trusted = open.find((connection) => !this.#doubted.has(connection));
    if (trusted) return trusted;
    let failure: unknown = new HubError("NETWORK_EXCEPTION", "no bootstrap address is given");
    for (const address of [...this.#addresses.values(), ...this.#options.bootstrap]) {
      try {
        const connection = await this.#connect(address, "");
        if (!this.#doubted.has(connection)) return connection;
      } catch (error) {
        failure = error;
      }
    }
    if (open[0]) return open[0];
    throw failure;
  }

  /** It has not answered for a while. */
  doubt(connection: Connection): void {
    this.#doubted.add(connection);
  }

  trust(connection: Connection): void {
    this.#doubted.delete(connection);
  }

  /** The connection to the controller, for changes of topics; any hub when none is known. */
  async controller(): Promise<Connection> {
    if (this.#addresses.size === 0) await this.refresh([]);
    return this.#addresses.has(this.#controller) ? this.node(this.#controller) : this.any();
  }

  /** The coordinator of a group, looked up when it is not known. Rejects with the error of FindCoordinator. */
  async coordinator(group: string, purpose: Purpose = ""): Promise<Connection> {
    const known = this.#coordinators.get(group);
    if (known !== undefined && this.#addresses.has(known)) return this.node(known, purpose);
    const connection = await this.any();
    const reply = await connection.call("findCoordinator", { key: group, keyType: 0, coordinatorKeys: [group] });
    const found = reply.coordinators[0] ?? reply;
    mustBeNone(found.errorCode, `coordinator of group ${group}`, found.errorMessage);
    this.#addresses.set(found.nodeId, { host: found.host, port: found.port });
    this.#coordinators.set(group, found.nodeId);
    return this.node(found.nodeId, purpose);
  }

  /** Forgets the coordinator after it said it is none, or went away. */
  forgetCoordinator(group: string): void {
    this.#coordinators.delete(group);
  }

  /** True when the topic is not known, or was asked for longer ago than metadata stay fresh. */
  isStale(topic: string): boolean {
    const askedAt = this.#askedAt.get(topic);
    if (askedAt === undefined) return true;
    const age = this.clock.now() - askedAt;
    return age >= (this.#topics.has(topic) ? limits.clientMetadataMs : limits.clientMissingTopicMs);
  }

  /** Asks for topics anew; several callers share one question. A topic that is not there is forgotten, not an error. */
  refresh(topics: readonly string[], create = false): Promise<void> {
    const key = `${create ? "+" : "-"}${[...topics].sort().join(",")}`;
    const under = this.#refreshing.get(key);
    if (under !== undefined) return under;
    const asked = this.#ask(topics, create).finally(() => this.#refreshing.delete(key));
    this.#refreshing.set(key, asked);
    return asked;
  }

  async #ask(topics: readonly string[], create: boolean): Promise<void> {
    await this.metadata(topics, create);
    const now = this.clock.now();
    for (const topic of topics) this.#askedAt.set(topic, now);
  }

  /** Metadata of these topics, of all with null; the map is brought up to date on the way. */
  async metadata(topics: readonly string[] | null, create = false): Promise<ReplyOf<"metadata">> {
    const connection = await this.any();
    // v0 has no null: an empty array means all there, and none from v1 on.
    const all = connection.version("metadata") === 0 ? [] : null;
    const names = topics === null ? all : topics.map((name) => ({ name }));
    const reply = await connection.call("metadata", { topics: names, allowAutoTopicCreation: create });
    mustBeNone(reply.errorCode, "metadata");
    this.#learn(reply);
    return reply;
  }

  #learn(reply: ReplyOf<"metadata">): void {
    if (reply.brokers.length > 0) {
      const present = new Set(reply.brokers.map(({ nodeId }) => nodeId));
      for (const id of this.#addresses.keys()) if (!present.has(id)) this.#addresses.delete(id);
    }
    for (const { nodeId, host, port } of reply.brokers) this.#addresses.set(nodeId, { host, port });
    this.#controller = reply.controllerId;
    this.#clusterId = reply.clusterId;
    for (const topic of reply.topics) {
      const name = topic.name;
      if (name === null) continue;
      const problem = errorNameOf(topic.errorCode);
      if (problem === "NONE" || problem === "LEADER_NOT_AVAILABLE") this.#problems.delete(name);
      else this.#problems.set(name, problem);
      if (problem === "NONE") this.#topics.set(name, routeOf(name, topic));
      else if (problem !== "LEADER_NOT_AVAILABLE") this.#topics.delete(name);
    }
  }

  async #connect(address: Address, purpose: Purpose): Promise<Connection> {
    if (this.#closed) throw new HubError("NETWORK_EXCEPTION", "the client is closed");
    const key = keyOf(address, purpose);
    const known = this.#connections.get(key);
    if (known !== undefined && (known.ready === null || known.ready.open)) return known.promise;
    const entry: { ready: Connection | null; promise: Promise<Connection> } = {
      ready: null,
      promise: this.#options.open(address),
    };
    this.#connections.set(key, entry);
    try {
      entry.ready = await entry.promise;
    } catch (error) {
      if (this.#connections.get(key) === entry) this.#connections.delete(key);
      throw error;
    }
    if (this.#closed) entry.ready.close();
    return entry.ready;
  }

  close(): void {
    this.#closed = true;
    for (const { ready } of this.#connections.values()) ready?.close();
    this.#connections.clear();
  }
}

function keyOf({ host, port }: Address, purpose: Purpose): string {
  return `${purpose} ${host}:${port}`;
}

function routeOf(name: string, topic: ReplyOf<"metadata">["topics"][number]): TopicRoute {
  const nobody: PartitionRoute = { leader: -1, leaderEpoch: -1, replicas: [], inSync: [] };
  const count = topic.partitions.reduce((most, { partitionIndex }) => Math.max(most, partitionIndex + 1), 0);
  const leaders: PartitionRoute[] = Array.from({ length: Math.min(count, limits.partitionsPerTopicMax) }, () => nobody);
  for (const { partitionIndex, leaderId, leaderEpoch, replicaNodes, isrNodes } of topic.partitions) {
    if (partitionIndex < 0 || partitionIndex >= leaders.length) continue;
    leaders[partitionIndex] = { leader: leaderId, leaderEpoch, replicas: replicaNodes, inSync: isrNodes };
  }
  return { name, topicId: topic.topicId, internal: topic.isInternal, leaders };
}
