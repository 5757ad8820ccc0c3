// What this hub's replicas offer to other hubs: the face that the handlers of replication call. Types only.
import type {
  ElectionFailure,
  ElectionKind,
  Epoch,
  FollowerFetch,
  HubId,
  LeaderWord,
  Offset,
  PublishedState,
  ReplicaId,
  ReplicaSet,
  StoredReplica,
  VoteReply,
  VoteRequest,
} from "../cluster/types.ts";
import type { ErrorName } from "../errors.ts";
import type { FetchPlace } from "./waiting_room.ts";

/** Who is on a connection that began with a hello that holds. */
export interface HubPrincipal {
  readonly hubId: HubId;
  readonly dirId: string;
  /** Of that run of its process. */
  readonly session: string;
}

export interface PartitionKey {
  readonly topicId: string;
  readonly partition: number;
}

export type VoteAsked = PartitionKey & VoteRequest;
/** `error`: no replica answers here (UNKNOWN_TOPIC_ID, KAFKA_STORAGE_ERROR...). */
export type VoteTold = PartitionKey & ({ readonly reply: VoteReply } | { readonly error: ErrorName });

export type TryLeadAsked = PartitionKey & { readonly seenEpoch: Epoch; readonly kind: ElectionKind };
export type TryLeadTold = PartitionKey &
  (
    | { readonly result: "led"; readonly epoch: Epoch }
    | { readonly result: "failed"; readonly epoch: Epoch; readonly why: ElectionFailure }
    | { readonly result: "not-here" }
  );

/** A change of the set, or a handover of leadership to another hub of the set. */
export type ReconfigureAsked = PartitionKey &
  (
    | {
        readonly target: ReplicaSet;
        /** Members that are gone for good, where the target replaces them although all have to hold a record. */
        readonly lost: readonly ReplicaId[];
      }
    | { readonly handoverTo: HubId }
  );
export type ReconfigureTold = PartitionKey & { readonly error: ErrorName; readonly message: string | null };

/** Offsets [from, to). */
export type RangeAsked = PartitionKey & { readonly from: Offset; readonly to: Offset; readonly bytesMax: number };
/** All that is committed and stands below `upTo` is in `records`. */
export interface RangeTold {
  readonly upTo: Offset;
  readonly records: Uint8Array;
}

export interface ReplicaReport extends PartitionKey {
  readonly replica: ReplicaId;
  readonly role: string;
  /** Led or followed. */
  readonly epoch: Epoch;
  readonly leader: ReplicaId | null;
  readonly logStart: Offset;
  readonly durableEnd: Offset;
  readonly highWatermark: Offset;
  readonly state: StoredReplica;
  readonly published: PublishedState | null;
}

/** Where a refused follower may go instead. */
export interface LeaderHint {
  readonly leader: HubId;
  readonly epoch: Epoch;
}

/** A partition that this hub leads, as its followers' fetches see it. */
export interface LedReplica {
  /** As in hub/cluster/replica.ts, with its effects carried out (a persist may still be on its way). */
  followerFetched(
    fetch: FollowerFetch,
  ):
    | { readonly kind: "serve"; readonly word: LeaderWord }
    | { readonly kind: "diverging"; readonly epoch: Epoch; readonly endOffset: Offset; readonly word: LeaderWord }
    | { readonly kind: "refuse"; readonly error: ErrorName };
  /** null once this hub leads the partition no more. */
  word(): LeaderWord | null;
  /** Everything written, synced or not, above the watermark too: followers sync while the leader does. */
  readonly logEnd: Offset;
  /** What cannot be read is being fetched from another replica: the place is disturbed when that is over. */
  readonly repairing: boolean;
  /** Whole batches from the one that holds `from`, at least one, up to the log's end. `from` is in logStart..logEnd. */
  read(from: Offset, bytesMax: number): Uint8Array | Promise<Uint8Array>;
  /** `advanced` at every append, `disturbed` when leadership ends, the config changes or the log start moves. */
  readonly place: FetchPlace;
}

/** The replicas of this hub. Every method answers each partition it was asked about, in that order. */
export interface ReplicaOffice {
  /** Resolves when every promise that is given is synced: one sync for all of them. */
  vote(hub: HubPrincipal, asked: readonly VoteAsked[]): Promise<readonly VoteTold[]>;
  /** Resolves when each election has ended. */
  tryLead(hub: HubPrincipal, ctlEpoch: number, asked: readonly TryLeadAsked[]): Promise<readonly TryLeadTold[]>;
  /** Resolves when each change has begun, and each handover has ended. */
  reconfigure(
    hub: HubPrincipal,
    ctlEpoch: number,
    asked: readonly ReconfigureAsked[],
  ): Promise<readonly ReconfigureTold[]>;
  /** null: all there are. What is not here is left out. */
  states(hub: HubPrincipal, which: readonly PartitionKey[] | null): Promise<readonly ReplicaReport[]>;
  /** @throws HubError where there is no such replica, or it cannot read the range either */
  range(hub: HubPrincipal, asked: RangeAsked): Promise<RangeTold>;
  led(topicId: string, partition: number): LedReplica | { readonly error: ErrorName; readonly hint: LeaderHint | null };
}
