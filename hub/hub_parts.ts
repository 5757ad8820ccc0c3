// Parts of a hub as its ports and its configuration make them; hub.ts puts them in their order.
import type { SaslMechanism } from "./access/scram.ts";
import { type Config, isLoopback } from "./config.ts";
import { type Access, openAccess } from "./engine/access.ts";
import { referenceOf } from "./engine/elsewhere.ts";
import { type GroupEngine, openGroupEngine } from "./engine/groups.ts";
import type { Partitions } from "./engine/partitions.ts";
import type { Settings } from "./engine/settings.ts";
import type { UnstableOffsets } from "./engine/transactions_offsets.ts";
import { HubError } from "./errors.ts";
import { type ConsumerSettings, migrationPolicies } from "./groups/consumer_group.ts";
import type { HubEntry } from "./io/coordination.ts";
import type { Clock, Hashing, Random } from "./io/ports.ts";
import type { FactStore, Registry } from "./io/registry.ts";
import { limits } from "./limits.ts";
import { shortPrefix } from "./log/settings.ts";
import type { Store } from "./log/store.ts";
import { type ConnectionBounds, defaultBounds } from "./server/session.ts";
import type { Trace } from "./trace.ts";

/** Of the world, what these parts use. */
export interface PartPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly hashing: Hashing;
  readonly trace: Trace;
}

/** Who may come in; says so when nobody can. */
export async function accessOf(ports: PartPorts, config: Config, facts: FactStore): Promise<Access> {
  const { clock, random, hashing, trace } = ports;
  const { sasl, rules, superUsers, allowIfNoRule, user, password } = config.access;
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
    sessionLifetimeMs: Number(config.settings.get("connections.max.reauth.ms") ?? 0),
  });
  if (sasl.length > 0 && access.credentials.size === 0) {
    trace.event("warn", "no_credentials", { remedy: "nobody can log in: set access.user and access.password_file" });
  }
  return access;
}

export interface GroupParts {
  readonly partitions: Partitions;
  readonly registry: Registry;
  readonly unstable: UnstableOffsets;
  readonly settings: Settings;
  readonly access: Access;
  /** Leader epoch of the coordinator's partition; 0 for a lone hub. */
  readonly coordinatorEpoch: number;
}

/** The coordinator of the groups that a registry holds. */
export function groupsOf(ports: PartPorts, config: Config, parts: GroupParts): Promise<GroupEngine> {
  const { clock, random, trace } = ports;
  const { partitions, registry, unstable, settings, access, coordinatorEpoch } = parts;
  const { rules } = access;
  const number = (name: string, otherwise: number): number => Number(config.settings.get(name) ?? otherwise);
  const { topics } = partitions;
  return openGroupEngine({
    registry,
    unstable,
    rules,
    clock,
    random,
    trace,
    coordinatorEpoch,
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

/** How many connections there may be, and how large and how idle. */
export function boundsOf({ settings }: Config): ConnectionBounds {
  const number = (name: string, otherwise: number): number => Number(settings.get(name) ?? otherwise);
  return {
    requestBytesMax: number("socket.request.max.bytes", defaultBounds.requestBytesMax),
    idleMsMax: number("connections.max.idle.ms", defaultBounds.idleMsMax),
    connectionsMax: number("max.connections", defaultBounds.connectionsMax),
  };
}

/** What this hub says of itself to its cluster; `port` is the one it listens on. */
export function entryOf(
  { hub, kafka, cluster }: Config,
  { dirId, bootSeq }: { readonly dirId: string; readonly bootSeq: number },
  port: number,
): HubEntry {
  const [listened = "127.0.0.1"] = hub.listen;
  const host = isLoopback(listened) ? "127.0.0.1" : listened;
  const address = kafka.advertised === null ? { host, port } : parseAddress(kafka.advertised, port);
  return { hubId: hub.id, dirId, bootSeq, ...address, rack: cluster.rack, version: "1" };
}

/** Where MQTT clients that other hubs send away find this one; null: nowhere that is known. `port`: of its listener. */
export function mqttReferenceOf(config: Config, port: number): string | null {
  const { advertised } = config.mqtt;
  if (advertised !== null) return referenceOf(parseAddress(advertised, port));
  const { host } = entryOf(config, { dirId: "", bootSeq: 0 }, 0);
  return referenceOf({ host, port });
}

/** The topics of a lone hub. What it lost nobody has: that a log is short was told, and means nothing to it. */
export async function openAlone(store: Store, partitions: Partitions): Promise<void> {
  await partitions.open();
  const told = [...store.entries(shortPrefix)].map(([key]) => [key, null] as const);
  if (told.length > 0) await store.put(told);
}
