// What handlers ask of the group engine, and what it is made of: types only.
import type { ErrorName } from "../errors.ts";
import type { DescribedGroup } from "../groups/coordinator.ts";
import type { GroupState, JoinReply, Protocol, SyncReply } from "../groups/group.ts";
import type { Leaver, MemberClaim } from "../groups/syncing.ts";
import type { Clock, Millis, Random } from "../io/ports.ts";
import type { Registry } from "../io/registry.ts";
import type { Trace } from "../trace.ts";

/** Topics as the groups need them. */
export interface TopicNames {
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
  };
  readonly topics: TopicNames;
}

export interface JoinRequest {
  readonly group: string;
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: Millis;
  /** Below 0: the session timeout stands in (v0). */
  readonly rebalanceTimeoutMs: Millis;
  readonly protocolType: string;
  readonly protocols: readonly Protocol[];
  readonly needsMemberId: boolean;
  readonly canSkipAssignment: boolean;
}

export interface SyncRequest extends MemberClaim {
  readonly group: string;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignments: ReadonlyMap<string, Uint8Array>;
}

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

export interface ListedGroup {
  readonly group: string;
  readonly protocolType: string;
  readonly state: GroupState;
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
  ): { readonly error: ErrorName; readonly topics: readonly OfTopic<FetchedOffset>[] };
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
