// What the rooms of a hub may know of the cluster: hubs, leaders, the controller. Types, and the view of a lone hub.
import type { HubId, PublishedState, ReplicaId } from "../cluster/types.ts";

/** A registered hub as this one sees it. */
export interface HubView {
  readonly hubId: HubId;
  readonly dirId: string;
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
  readonly alive: boolean;
  readonly draining: boolean;
  /** host:port for MQTT clients; null while it serves none, or has no room for more. */
  readonly mqtt: string | null;
}

/** Facts about the cluster that change by themselves; every answer is of this moment and advisory. */
export interface ClusterView {
  /** True without `--redis`: the view has no hubs but this one, and nothing is ever elsewhere. */
  readonly lone: boolean;
  readonly hubId: HubId;
  readonly replicaId: ReplicaId;
  /** Registered hubs, this one included; empty for a lone hub, whose address each connection knows. */
  hubs(): readonly HubView[];
  /** -1 while none is known. */
  controllerId(): HubId;
  /** What is published of a partition, or what this hub itself knows where it knows better; undefined: nothing yet. */
  partition(topicId: string, partition: number): PublishedState | undefined;
  /** Called after anything above changed; the listener is quick. */
  onChange(listener: () => void): void;
}

/** The hub of a replica id. */
export function hubOf(replica: ReplicaId): HubId {
  return Number(replica.slice(0, replica.indexOf(":")));
}

export function loneView(hubId: HubId, dirId: string): ClusterView {
  return {
    lone: true,
    hubId,
    replicaId: `${hubId}:${dirId}`,
    hubs: () => [],
    controllerId: () => hubId,
    partition: () => undefined,
    onChange: () => {},
  };
}
