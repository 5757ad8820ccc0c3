// The Coordination port: where a cluster of hubs publishes its state and finds it (Redis, or its twin). Types only.
import type { Millis } from "./ports.ts";

// Redis proposes and publishes; the replicas' own disks decide (replication.md 2.0). Nothing here is asked whether data
// is safe, nothing here expires, and "absent" never means "delete".

/** `C:inc` */
export interface Incarnation {
  readonly clusterId: string;
  /** Raised whenever what stands in Redis may be older than what was published. */
  readonly incarnation: number;
  /** The run_id of the Redis that this incarnation was made on. */
  readonly runId: string;
  readonly formatVersion: number;
  readonly state: "normal" | "restoring";
}

/** `C:ctl`; hubId -1 before the first. */
export interface ControllerSeat {
  readonly hubId: number;
  readonly ctlEpoch: number;
}

/** `C:hubs[hubId]` */
export interface HubEntry {
  readonly hubId: number;
  readonly dirId: string;
  /** Starts of that folder: one that does not rise is a restored or cloned card. */
  readonly bootSeq: number;
  /** Where other hubs and clients find its Kafka port. */
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
  readonly version: string;
}

/**
 * A piece of metadata (`C:meta` hash: key -> JSON): `topic/<name>`, `setting/...`, `access/...`, with the keys that the
 * hubs use for their facts. Versions are per entry; a deletion is an entry whose value is null.
 */
export interface MetaEntry {
  readonly key: string;
  readonly version: number;
  readonly value: string | null;
  /** Stored by a majority of the hubs. */
  readonly committed: boolean;
  /** The `seq` of its last change. */
  readonly seq: number;
}

/** `C:ps:<topicId>[partition]`; `state` is the JSON of a PublishedState (hub/cluster/types.ts). */
export interface PartitionEntry {
  readonly topicId: string;
  readonly partition: number;
  readonly ver: number;
  readonly leaderEpoch: number;
  readonly state: string;
  readonly seq: number;
}

/** All there is. */
export interface CoordinationImage {
  readonly inc: Incarnation | null;
  readonly seq: number;
  readonly ctl: ControllerSeat;
  readonly hubs: readonly HubEntry[];
  readonly meta: readonly MetaEntry[];
  readonly partitions: readonly PartitionEntry[];
}

/** What has changed after `since`; null in place of changes when that is too far back: take an image. */
export interface Poll {
  readonly inc: Incarnation | null;
  readonly seq: number;
  readonly ctl: ControllerSeat;
  readonly changes: {
    readonly hubs: readonly HubEntry[];
    readonly meta: readonly MetaEntry[];
    readonly partitions: readonly PartitionEntry[];
  } | null;
  /** run_id of the server that answered. */
  readonly runId: string;
  /** The last change that was carried out; the next poll asks whether it is remembered. */
  readonly mark: string;
  /** False: what the poll was given as mark is remembered no more. It is long ago, or Redis was put back. */
  readonly known: boolean;
}

/** Every change names the incarnation it believes in and an id of its own: a repeated call answers as the first did. */
export interface ChangeId {
  readonly incarnation: number;
  /** uuid */
  readonly opId: string;
}

export type ChangeRefusal = "wrong-incarnation" | "stale-controller" | "conflict";

/** `entry`: what stands there now, after the change or instead of it. */
export type MetaResult =
  | { readonly kind: "stored"; readonly entries: readonly MetaEntry[]; readonly seq: number }
  | { readonly kind: ChangeRefusal };

export type PartitionResult =
  | { readonly kind: "stored"; readonly entry: PartitionEntry }
  /** Another version, or a higher epoch, stands there. */
  | { readonly kind: "conflict"; readonly entry: PartitionEntry | null };

/**
 * Promises of every implementation (test/conformance/coordination_conformance.ts):
 * - a change is made whole or not at all and bumps `seq` once; `poll` tells each change at least once, in order of seq;
 * - a call whose answer was lost may be repeated with the same opId, at any time while few other changes came between
 *   (64 of its kind), and answers as the first did without changing anything again;
 * - every method rejects with HubError COORDINATOR_NOT_AVAILABLE while `state()` is "down", within `redisCommandMsMax`;
 * - nothing is deleted, and nothing expires.
 */
export interface Coordination {
  state(): "up" | "down";
  /** Called at each change between reachable and fit for use, and not. */
  watch(listener: (up: boolean) => void): void;

  /** Beats: a channel, never stored. `listener` hears this hub's own too. */
  publish(beat: string): Promise<void>;
  onBeat(listener: (beat: string) => void): void;
  /** A hint that something changed: poll now. */
  onHint(listener: () => void): void;

  poll(since: number, mark?: string): Promise<Poll>;
  image(): Promise<CoordinationImage>;

  /** Makes the cluster where `C:inc` is missing; answers what stands there afterwards (the first wins). */
  createCluster(clusterId: string, opId: string): Promise<Incarnation>;
  /**
   * Empty or older Redis: puts a whole image in place of what is there, under a higher incarnation; refused unless it
   * is higher, and if something was changed since `lookedAt`, the seq that stood there.
   */
  restore(image: CoordinationImage, lookedAt: number, opId: string): Promise<Incarnation | "conflict">;
  /** A Redis that may be stale: raises the incarnation, keeps the rest; the controller's fence is `ctlEpoch`. */
  raiseIncarnation(expected: number, ctlEpoch: number, opId: string): Promise<Incarnation | "conflict">;

  /** Takes the seat if its epoch is still `expectedEpoch`; answers who sits there afterwards. */
  acquireController(change: ChangeId, hubId: number, expectedEpoch: number): Promise<ControllerSeat | ChangeRefusal>;
  registerHub(change: ChangeId, hub: HubEntry): Promise<"stored" | ChangeRefusal>;
  /** `cluster remove`; fenced by ctlEpoch. */
  removeHub(change: ChangeId, ctlEpoch: number, hubId: number): Promise<"stored" | ChangeRefusal>;

  /** Changes entries whose versions are as expected (0: absent), all or none; fenced by ctlEpoch. */
  putMeta(
    change: ChangeId,
    ctlEpoch: number,
    entries: readonly { readonly key: string; readonly expectedVersion: number; readonly value: string | null }[],
  ): Promise<MetaResult>;
  /** Marks entries as committed where their versions still are these. */
  commitMeta(
    change: ChangeId,
    ctlEpoch: number,
    entries: readonly { readonly key: string; readonly version: number }[],
  ): Promise<"stored" | ChangeRefusal>;

  /** PS_CAS, one result an entry: stored if `ver` is as expected (0: absent) and the epoch not lower than there. */
  casPartitions(
    change: ChangeId,
    entries: readonly {
      readonly topicId: string;
      readonly partition: number;
      readonly expectedVer: number;
      readonly leaderEpoch: number;
      readonly state: string;
    }[],
  ): Promise<readonly PartitionResult[] | ChangeRefusal>;
  /** PS_ASSERT: the higher of (leaderEpoch, ver) stays. */
  assertPartitions(
    change: ChangeId,
    entries: readonly Omit<PartitionEntry, "seq">[],
  ): Promise<readonly PartitionEntry[] | ChangeRefusal>;

  /** How long the last poll took; a slow Redis gives no verdicts about anyone. */
  lastPollMs(): Millis;
  close(): Promise<void>;
}
