// What operators see of a cluster: recent events, partitions with their lag, figures for the metrics, reasons to worry.
import type { Governed } from "../cluster/controller.ts";
import { configOf } from "../cluster/controller.ts";
import { hasMinIsr, hubOfReplica, membersOf } from "../cluster/quorum.ts";
import { endOf } from "../cluster/replica.ts";
import type { HubId } from "../cluster/types.ts";
import type { Clock } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Fields, Level, Trace } from "../trace.ts";
import type { GovernorStatus } from "./governor.ts";
import type { Partitions } from "./partitions.ts";

export interface ClusterEvent {
  readonly time: number;
  readonly level: Level;
  readonly event: string;
  readonly fields: Fields;
}

/** Says everything on, and keeps the newest of what operators look for. */
export class RecentEvents implements Trace {
  readonly #to: Trace;
  readonly #clock: Clock;
  readonly #kept: ClusterEvent[] = [];

  constructor(to: Trace, clock: Clock) {
    this.#to = to;
    this.#clock = clock;
  }

  event(level: Level, event: string, fields: Fields = {}): void {
    this.#to.event(level, event, fields);
    if (level === "debug") return;
    this.#kept.push({ time: this.#clock.wall(), level, event, fields });
    if (this.#kept.length > limits.clusterEventsMax) this.#kept.shift();
  }

  count(name: string, by?: number, labels?: Fields): void {
    this.#to.count(name, by, labels);
  }

  gauge(name: string, value: number, labels?: Fields): void {
    this.#to.gauge(name, value, labels);
  }

  observe(name: string, value: number, labels?: Fields): void {
    this.#to.observe(name, value, labels);
  }

  /** Newest first. */
  recent(): ClusterEvent[] {
    return [...this.#kept].reverse();
  }
}

export interface PartitionReport {
  readonly topic: string;
  readonly partition: number;
  /** -1 for none. */
  readonly leader: HubId;
  readonly epoch: number;
  readonly replicas: readonly HubId[];
  readonly inSync: readonly HubId[];
  /** Must hold a record before it is acknowledged. */
  readonly minInSync: number;
  readonly state: "ok" | "few in sync" | "under min" | "no leader";
  readonly moving: boolean;
  /** Records that a follower has not on its disk yet; told by the hub that leads. */
  readonly lag: readonly { readonly hub: HubId; readonly records: number }[];
}

export interface ClusterReport extends GovernorStatus {
  /** Of this hub. */
  readonly hub: HubId;
  readonly partitions: readonly PartitionReport[];
  readonly events: readonly ClusterEvent[];
}

/** Every partition as this hub knows it. */
export function partitionsOf(
  partitions: Partitions,
  governed: Iterable<Governed>,
  isDown: (hub: HubId) => boolean,
): PartitionReport[] {
  return [...governed].map((one) => {
    const { topicId, partition, published } = one;
    const config = configOf(one);
    const topic = partitions.topics.byId(topicId)?.name ?? topicId;
    const own = partitions.get(topic, partition);
    const members = membersOf(config);
    const inSync = (published?.isr ?? []).filter((replica) => !isDown(hubOfReplica(replica)));
    const isLed = published !== undefined && published.leader >= 0 && !isDown(published.leader);
    const few = inSync.length < members.length ? "few in sync" : "ok";
    const lag = own?.leads
      ? members
          .map(hubOfReplica)
          .filter((hub) => hub !== published?.leader)
          .map((hub) => ({ hub, records: own.log.logEnd - Math.max(own.log.logStart, endOf(own.replica, hub)) }))
      : [];
    return {
      topic,
      partition,
      leader: isLed ? published.leader : -1,
      epoch: published?.leaderEpoch ?? -1,
      replicas: members.map(hubOfReplica),
      inSync: inSync.map(hubOfReplica),
      minInSync: config.old.m,
      state: !isLed ? "no leader" : hasMinIsr(config, new Set(inSync)) ? few : "under min",
      moving: config.next !== null || published?.target !== undefined,
      lag,
    };
  });
}

/** Gauges of a scrape. */
export function measureCluster(
  trace: Trace,
  status: GovernorStatus,
  hub: HubId,
  all: readonly PartitionReport[],
): void {
  const count = (state: PartitionReport["state"]): number => all.filter((one) => one.state === state).length;
  trace.gauge("offline_partitions", count("no leader"));
  trace.gauge("under_min_isr_partitions", count("under min"));
  trace.gauge("under_replicated_partitions", count("few in sync") + count("under min"));
  trace.gauge("led_partitions", all.filter(({ leader }) => leader === hub).length);
  trace.gauge("replication_lag_records_max", Math.max(0, ...all.flatMap(({ lag }) => lag.map((one) => one.records))));
  trace.gauge("controller", status.controller === hub ? 1 : 0);
  trace.gauge("coordination_up", status.redis === "up" ? 1 : 0);
  trace.gauge("hubs_alive", status.hubs.filter(({ alive }) => alive).length);
}

/** Why a hub of a cluster is degraded. */
export function worriesOf(status: GovernorStatus, hub: HubId, all: readonly PartitionReport[]): string[] {
  const why: string[] = [];
  if (status.redis === "down") why.push("redis: not reachable; topics and leaders stay as they are");
  if (!status.hubs.some(({ hubId }) => hubId === hub)) why.push("cluster: this hub was removed; stop it");
  const named = (state: PartitionReport["state"], says: string): void => {
    const found = all.filter((one) => one.state === state);
    if (found.length === 0) return;
    const first = found.slice(0, 3).map(({ topic, partition }) => `${topic}-${partition}`);
    why.push(`replication: ${says}: ${first.join(", ")}${found.length > 3 ? ` and ${found.length - 3} more` : ""}`);
  };
  named("no leader", "no leader");
  named("under min", "fewer in sync than min.insync.replicas");
  return why;
}
