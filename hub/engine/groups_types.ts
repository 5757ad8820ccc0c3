// What handlers ask of the group engine, and what it is made of: types only.
import type { ErrorName } from "../errors.ts";
import type { DescribedConsumerGroup } from "../groups/consumer_coordinator.ts";
import type { ConsumerSettings, TopicCatalogue } from "../groups/consumer_group.ts";
import type { DescribedGroup, ListedGroup } from "../groups/coordinator.ts";
import type { HeartbeatReply, JoinReply, SyncReply } from "../groups/group.ts";
import type { HeartbeatEvent } from "../groups/heartbeating.ts";
import type { JoinEvent } from "../groups/joining.ts";
import type { Leaver, MemberClaim, SyncEvent } from "../groups/syncing.ts";
import type { Clock, Millis, Random } from "../io/ports.ts";
import type { CommittedOffset, Registry } from "../io/registry.ts";
import type { Trace } from "../trace.ts";
import type { Rules } from "./access_rules.ts";
import type { UnstableOffsets } from "./transactions_offsets.ts";

/** Topics as the groups need them. */
export interface TopicNames extends TopicCatalogue {
  idOf(topic: string): string | undefined;
  nameOf(topicId: string): string | undefined;
  partitionCount(topic: string): number | undefined;
}

export interface GroupEngineOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  /** Lowest epoch to begin with (the leader epoch of the coordinator's partition); 0 for a lone hub. */
  readonly coordinatorEpoch: number;
  readonly settings: {
    /** group.initial.rebalance.delay.ms */
    readonly initialRebalanceDelayMs: Millis;
    /** group.max.size */
    readonly groupMaxSize: number;
    /** offsets.retention.minutes, in milliseconds */
    readonly offsetsRetentionMs: Millis;
    /** group.consumer.*; what is left out is as in limits.ts. */
    readonly consumer?: Partial<ConsumerSettings>;
  };
  readonly topics: TopicNames;
  /** What transactions hold for groups; left out where there are none. */
  readonly unstable?: UnstableOffsets;
  /** What members may know of; left out, everybody may know of everything. */
  readonly rules?: Rules;
}

/** A JoinGroup as the machine takes it, but for what the engine gives. Rebalance timeout below 0: none is told (v0). */
export type JoinRequest = Omit<JoinEvent, "request" | "freshMemberId">;

/** A SyncGroup, likewise. */
export type SyncRequest = Omit<SyncEvent, "request">;

/** A ConsumerGroupHeartbeat, likewise. */
export type HeartbeatRequest = Omit<HeartbeatEvent, "request" | "freshMemberId">;

export interface OffsetToCommit {
  readonly partition: number;
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string;
}

/** Per topic its parts. */
export interface OfTopic<Part> {
  readonly topic: string;
  readonly partitions: readonly Part[];
}

export interface PartitionError {
  readonly partition: number;
  readonly error: ErrorName;
}

/** offset -1 and an empty metadata when nothing is committed. */
export interface FetchedOffset extends OffsetToCommit {
  readonly error: ErrorName;
}

/**
 * The coordinator of all groups of this hub. Until its groups are loaded everything is answered with
 * COORDINATOR_LOAD_IN_PROGRESS, after `close` with COORDINATOR_NOT_AVAILABLE. No method rejects.
 */
export interface GroupEngine {
  /** Resolves when the groups are loaded, or the engine is closed before. */
  readonly loaded: Promise<void>;
  /** Parked until the group's members have joined. */
  join(request: JoinRequest): Promise<JoinReply>;
  /** Parked until the leader's assignments are stored. */
  sync(request: SyncRequest): Promise<SyncReply>;
  heartbeat(group: string, claim: MemberClaim): ErrorName;
  /** ConsumerGroupHeartbeat (KIP-848): answered at once, or when what changed is stored. */
  consumerHeartbeat(request: HeartbeatRequest): Promise<HeartbeatReply>;
  /** null: there is no such group of the server-side protocol. */
  describeConsumer(group: string): { readonly error: ErrorName; readonly found: DescribedConsumerGroup | null };
  /** Whether a member (OffsetFetch v9+) may fetch: STALE_MEMBER_EPOCH, ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, NONE. */
  checkFetch(group: string, memberId: string | null, memberEpoch: number): ErrorName;
  /** `errors` are in the order of `leavers`. */
  leave(
    group: string,
    leavers: readonly Leaver[],
  ): { readonly error: ErrorName; readonly errors: readonly ErrorName[] };
  /** Resolves when the offsets are stored: a commit that is answered with NONE is never lost. */
  commit(
    group: string,
    claim: MemberClaim,
    topics: readonly OfTopic<OffsetToCommit>[],
  ): Promise<readonly OfTopic<PartitionError>[]>;
  /** null: everything the group has committed. */
  fetchOffsets(
    group: string,
    topics: readonly OfTopic<number>[] | null,
    /** KIP-447: partitions that an open transaction holds offsets for answer UNSTABLE_OFFSET_COMMIT. */
    requireStable?: boolean,
  ): { readonly error: ErrorName; readonly topics: readonly OfTopic<FetchedOffset>[] };
  /** What a transaction may hold for the group, and an answer for each partition (TxnOffsetCommit, KIP-447). */
  checkTransactional(
    group: string,
    claim: MemberClaim,
    topics: readonly OfTopic<OffsetToCommit>[],
  ): { readonly wanted: readonly CommittedOffset[]; readonly answers: readonly OfTopic<PartitionError>[] };
  /** Stores what a transaction decided; NONE, or why not yet. Repeating it is harmless. */
  commitDecided(group: string, offsets: readonly CommittedOffset[], transactionalId: string): Promise<ErrorName>;
  /** An empty filter means all states. */
  list(states: readonly string[]): { readonly error: ErrorName; readonly groups: readonly ListedGroup[] };
  describe(group: string): DescribedGroup & { readonly error: ErrorName };
  delete(group: string): Promise<ErrorName>;
  deleteOffsets(
    group: string,
    topics: readonly OfTopic<number>[],
  ): Promise<{ readonly error: ErrorName; readonly topics: readonly OfTopic<PartitionError>[] }>;
  /** Removes what all groups have committed for a topic that is no more. */
  topicDeleted(topicId: string): Promise<void>;
  /** Answers what is parked, waits for what is being stored. Idempotent. */
  close(): Promise<void>;
}
