// What the handlers of the wire protocol work with: the hub's rooms, handed in, and who asks.
import type { Access } from "../engine/access.ts";
import type { ClusterView } from "../engine/cluster_view.ts";
import type { Leave, Move, MoveAsked } from "../engine/moves.ts";
import type { Partitions } from "../engine/partitions.ts";
import type { HubPrincipal, ReplicaOffice } from "../engine/replica_office.ts";
import type { Settings } from "../engine/settings.ts";
import type { TransactionHomes } from "../engine/transaction_homes.ts";
import type { TransactionService } from "../engine/transactions.ts";
import type { TransactionGate } from "../engine/transactions_types.ts";
import type { HubError } from "../errors.ts";
import type { Clock, Hashing, Random } from "../io/ports.ts";
import type { StoreState } from "../log/store.ts";
import type { Trace } from "../trace.ts";
import type { ApiName, CallOf, ReplyOf } from "../wire/apis.ts";
import type { Identity } from "./identity.ts";

/** Who asks, and where. */
export interface RequestContext {
  readonly version: number;
  readonly clientId: string | null;
  readonly clientHost: string;
  readonly connectionId: number;
  /** The address the client came to: what it is told as this hub's address when none is configured. */
  readonly listener: { readonly host: string; readonly port: number };
  /** True for the hub's own rooms (bridge, dashboards): routed MQTT topics are made whatever clients may make. */
  readonly inProcess: boolean;
  /** Whether the asker may read a topic: a fetch session names it once and reads on, so each fetch asks again. */
  readonly mayRead?: (topic: string) => boolean;
  /** Whether the asker may know of a topic: a page of all topics says where the next one begins. */
  readonly maySee?: (topic: string) => boolean;
  /** Who is on the connection; the hub's own rooms are nobody in particular. */
  readonly identity?: Identity;
  /** The hub at the other end, once its hello held (HubHello); nothing else makes a request a hub's. */
  readonly hub?: HubPrincipal | undefined;
  /**
   * Names what a waiting request leaves when its client goes; null when it waits no more. A hub's is left too when that
   * hub has sent its next request: it has something to say that shall not wait.
   */
  readonly onGone?: (leave: (() => void) | null) => void;
}

/** What a hub of a cluster has beside the rest. */
export interface Peering {
  /** Of this run of the process, as its beats tell it. */
  readonly session: string;
  /** `[cluster] secret`; null: the network is trusted. */
  readonly secret: string | null;
  readonly hashing: Hashing;
  readonly office: ReplicaOffice;
}

/** What a hub of a cluster can have done; the controller's hub does it, or the hub that leads. */
export interface ClusterOperations {
  isController(): boolean;
  /** Asks the controller's hub. @throws HubError NOT_CONTROLLER, NETWORK_EXCEPTION, REQUEST_TIMED_OUT */
  atController<N extends ApiName>(api: N, request: CallOf<N>): Promise<ReplyOf<N>>;
  /** On the controller's hub alone. @throws HubError ELECTION_NOT_NEEDED, ELIGIBLE_LEADERS_NOT_AVAILABLE ... */
  elect(topic: string, partition: number, kind: "preferred" | "unclean", to: number | null): Promise<void>;
  /** On the controller's hub alone. Resolves when it is asked for durably, with what was refused in its place. */
  reassign(asked: readonly MoveAsked[]): Promise<(HubError | null)[]>;
  /** What is under way, or waits for its turn. */
  reassignments(): Iterable<Move>;
  /** On the controller's hub alone. @throws HubError REASSIGNMENT_IN_PROGRESS until it is done; POLICY_VIOLATION ... */
  leave(hub: number, how: Leave): Promise<void>;
}

/** The data folder as admins ask for it. */
export interface DataFolder {
  /** As configured. */
  readonly path: string;
  /** UUID text; a replaced disk has another. */
  readonly directoryId: string;
  /** Starts of this folder, this one included. */
  readonly boots: number;
  state(): StoreState;
  space(): { readonly freeBytes: number; readonly totalBytes: number };
}

export interface HubServices {
  readonly hubId: number;
  readonly cluster: ClusterView;
  readonly clusterId: string;
  readonly partitions: Partitions;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly access: Access;
  /** Asked before the first batch of a transaction in a partition; null where no transactions are served. */
  readonly transactionGate: TransactionGate | null;
  readonly transactions: TransactionService;
  /** null for a lone hub: no other asks it. */
  readonly transactionHomes?: TransactionHomes | null;
  /** Whether a client's question for a topic may make it. */
  readonly autoCreateTopics: boolean;
  /** Broker-wide settings that are set, by file or client; follows every change (engine/settings.ts). */
  readonly settings: ReadonlyMap<string, string>;
  readonly dynamicSettings: Settings;
  readonly folder: DataFolder;
  /** null for a lone hub. */
  readonly operations?: ClusterOperations | null;
  /** null for a lone hub: nobody may come as a hub. */
  readonly peering?: Peering | null;
  /** Where the hub listens. */
  listeners(): readonly { readonly host: string; readonly port: number }[];
  /** What clients are told to connect to; null = the address they came to. */
  readonly advertised: { readonly host: string; readonly port: number } | null;
}

/** num.partitions */
export function defaultPartitions(services: HubServices): number {
  return Number(services.settings.get("num.partitions") ?? 4);
}

/** The address of this hub as the asking client can reach it. */
export function addressFor(services: HubServices, context: RequestContext): { host: string; port: number } {
  return services.advertised ?? context.listener;
}

export interface Node {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
}

/** The hubs of the cluster that live, as a client is told of them; this one as the asking connection knows it. */
export function nodesFor(services: HubServices, context: RequestContext): Node[] {
  return allNodesFor(services, context).filter(({ alive }) => alive);
}

/** As `nodesFor`, with those that are registered and down. */
export function allNodesFor(services: HubServices, context: RequestContext): (Node & { readonly alive: boolean })[] {
  const { hubId, cluster } = services;
  const own = { nodeId: hubId, ...addressFor(services, context), rack: null, alive: true };
  if (cluster.lone) return [own];
  const known = cluster.hubs();
  const others = known.filter((hub) => hub.hubId !== hubId);
  const self = known.find((hub) => hub.hubId === hubId);
  const nodes = others.map((hub) => {
    return { nodeId: hub.hubId, host: hub.host, port: hub.port, rack: hub.rack, alive: hub.alive };
  });
  // one that was removed from the cluster, and still runs, is no part of it
  return [...(self ? [{ ...own, rack: self.rack }] : []), ...nodes].sort((a, b) => a.nodeId - b.nodeId);
}
