// The contract of the replication machines: what a replica keeps, what it is told, what it wants done. Types only.
import type { Millis } from "../io/ports.ts";

/** 0..63: the low six bits of every ballot. */
export type HubId = number;
export type Offset = number;
/** Ballot `round * 64 + hubId`, an int32 that is unique per candidate; 0 before the first election, -1 for none. */
export type Epoch = number;
/** "<hubId>:<dirId>": a replaced disk is another replica (replication.md 2.5). */
export type ReplicaId = string;

/** A set of replicas with the number that must hold a record before it is committed: 1 <= m <= members.length. */
export interface ReplicaSet {
  readonly members: readonly ReplicaId[];
  readonly m: number;
}

/** Of two configs the one with the higher id is the one that holds: by epoch, then by n. */
export interface ConfigId {
  readonly epoch: Epoch;
  readonly n: number;
}

/** Who replicates a partition; joint while `next` is not null (replication.md 2.7). */
export interface PartitionConfig {
  readonly id: ConfigId;
  readonly old: ReplicaSet;
  readonly next: ReplicaSet | null;
}

/** `short`: a synced or acknowledged suffix may be missing, promises are whole. `lost`: promises are missing. */
export type Amnesia = "none" | "short" | "lost";

/**
 * What a replica keeps in the journal, synced whatever the log's fsync policy (replication.md 2.1).
 * Invariants (I4 EpochMonotonic): promisedEpoch >= acceptedEpoch, promisedEpoch >= epoch of the last record; neither
 * decreases, config.id never decreases.
 */
export interface StoredReplica {
  readonly promisedEpoch: Epoch;
  readonly acceptedEpoch: Epoch;
  readonly config: PartitionConfig;
  readonly amnesia: Amnesia;
  /** The replica was removed; its data may be gone, its promises are not. */
  readonly tombstone: boolean;
  /** The newest epoch that began by roll call or an unclean election: a cut below the watermark is counted there. */
  readonly markedEpoch: Epoch;
}

/** The log as the machines look at it; appends and cuts are effects. */
export interface LogView {
  readonly logStart: Offset;
  /** Offset after the last record written. */
  readonly logEnd: Offset;
  /** Everything below is covered by the log's fsync policy; <= logEnd. */
  readonly durableEnd: Offset;
  /** Epoch of the last record; -1 for an empty log that never held any. */
  readonly latestEpoch: Epoch;
  /** Something below cannot be read and is being fetched from another replica. */
  readonly repairing?: boolean;
  /** The end of the largest epoch <= `epoch`; (-1, -1) when the log knows none (KIP-101). */
  endOffsetForEpoch(epoch: Epoch): { readonly epoch: Epoch; readonly endOffset: Offset };
}

/** What C:ps tells of a partition: advisory, for clients and for the controller. */
export interface PublishedState {
  readonly leader: HubId;
  readonly leaderEpoch: Epoch;
  readonly isr: readonly ReplicaId[];
  readonly config: PartitionConfig;
  /** Replicas that are to catch up before the next config takes them in; they fetch, and count for nothing. */
  readonly learners: readonly ReplicaId[];
  /** The set that is to come, while its new members catch up. */
  readonly target?: ReplicaSet;
}

export interface VoteRequest {
  readonly epoch: Epoch;
  readonly candidate: ReplicaId;
  /** The candidate's config, whole: a replica without any state takes it as the initial one. */
  readonly config: PartitionConfig;
}

export interface VoteReply {
  readonly from: ReplicaId;
  /** The epoch that was asked for. */
  readonly epoch: Epoch;
  /** True: promised. False: `promisedEpoch` stands in the way. */
  readonly granted: boolean;
  /** False for an amnesiac or tombstoned replica: its promise holds, its log says nothing. */
  readonly counts: boolean;
  readonly promisedEpoch: Epoch;
  readonly acceptedEpoch: Epoch;
  readonly durableEnd: Offset;
  readonly config: PartitionConfig;
}

/** What a follower's fetch says of one partition; `offset` is its durable log end: what it acknowledges. */
export interface FollowerFetch {
  readonly from: ReplicaId;
  readonly epoch: Epoch;
  readonly offset: Offset;
  /** Where reading goes on: its log end, durable or not. `offset` when left out. */
  readonly position?: Offset;
  /** Epoch of the record before `position`; -1 for an empty log. */
  readonly lastFetchedEpoch: Epoch;
  /** Its acceptedEpoch is `epoch`, synced. */
  readonly accepted: boolean;
  readonly configId: ConfigId;
}

/** What a leader answers beside the records. */
export interface LeaderWord {
  readonly epoch: Epoch;
  /** The leader's log end when it began to lead: accepted means having reached it. */
  readonly epochStart: Offset;
  readonly leaderEnd: Offset;
  readonly logStart: Offset;
  readonly highWatermark: Offset;
  readonly config: PartitionConfig;
  readonly markedEpoch: Epoch;
}

/** Why an election by this replica ended without a leader. */
export type ElectionFailure =
  | { readonly kind: "not-best"; readonly best: ReplicaId }
  | { readonly kind: "refused"; readonly promisedEpoch: Epoch }
  | { readonly kind: "too-few"; readonly answered: readonly ReplicaId[] }
  | { readonly kind: "not-member" }
  | { readonly kind: "amnesiac" };

/**
 * What a machine wants done, in this order. Effects that may not happen before a state is synced come from `onStored`
 * and never stand in the same list as their `persist`.
 */
export type ReplicaEffect =
  /** Journal the state and sync it, then call `onStored(replica, version)`. Versions rise; the highest says it all. */
  | { readonly kind: "persist"; readonly version: number; readonly state: StoredReplica }
  | { readonly kind: "request-votes"; readonly to: readonly ReplicaId[]; readonly request: VoteRequest }
  | { readonly kind: "answer-vote"; readonly to: ReplicaId; readonly reply: VoteReply }
  | { readonly kind: "election-failed"; readonly epoch: Epoch; readonly why: ElectionFailure }
  /** Produce may be served from now on in this epoch. */
  | { readonly kind: "lead"; readonly epoch: Epoch; readonly start: Offset }
  /** This hub leads no more: what waits is answered NOT_LEADER_OR_FOLLOWER. */
  | { readonly kind: "resign"; readonly epoch: Epoch; readonly why: string }
  /** Fetch from this leader in this epoch, from `fetchOf(replica)` on; replaces any other. */
  | { readonly kind: "follow"; readonly leader: ReplicaId; readonly epoch: Epoch }
  | { readonly kind: "stop-fetching" }
  /** Cut the log to `to`, durably, then call `onTruncated(replica)`; no fetch before. */
  | { readonly kind: "truncate"; readonly to: Offset }
  | { readonly kind: "watermark"; readonly from: Offset; readonly to: Offset }
  /**
   * Tell the world (PS_CAS) what `revised` makes of it on top of exactly what stands there; repeat until it is stored
   * (`published`) or outdated (`notPublished`). A claim comes from a candidate: it leads once that is stored.
   */
  | { readonly kind: "publish"; readonly state: PublishedState; readonly claim?: true }
  | { readonly kind: "alarm"; readonly name: ReplicaAlarm; readonly detail: string };

export type ReplicaAlarm = "hw_truncation" | "possible_loss" | "unclean_leader" | "config_changed";

/** Times and choices of the machines. */
export interface ReplicaSettings {
  /** replica.lag.time.max.ms */
  readonly lagMsMax: Millis;
  /** How long a candidate that has its quorum waits for more answers; 200. */
  readonly voteWaitMs: Millis;
  /** How long a candidate waits for its quorum at all. */
  readonly electionMsMax: Millis;
}

/** How an election may end where fewer than R replicas count. */
export type ElectionKind = "clean" | "roll-call" | "unclean";
