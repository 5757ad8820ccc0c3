// One consumer group as plain data: its members, whom it waits for, and the facts that follow from them.
import type { ErrorName } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import type { TopicPartitions } from "./topic_partitions.ts";

/** The states of a classic group, spelled as Kafka's tools print them. */
export const GroupState = {
  Empty: "Empty",
  PreparingRebalance: "PreparingRebalance",
  CompletingRebalance: "CompletingRebalance",
  Stable: "Stable",
  Dead: "Dead",
} as const;
export type GroupState = (typeof GroupState)[keyof typeof GroupState];

/** An assignor the member offers, most wanted first. Name and metadata are the client's own and stay opaque. */
export interface Protocol {
  readonly name: string;
  readonly metadata: Uint8Array;
}

/** Names a parked JoinGroup or SyncGroup; given by the engine, unique while it runs. */
export type RequestId = number;

export interface Member {
  readonly memberId: string;
  /** group.instance.id of a static member (KIP-345). */
  readonly instanceId: string | null;
  clientId: string;
  clientHost: string;
  sessionTimeoutMs: Millis;
  rebalanceTimeoutMs: Millis;
  protocols: readonly Protocol[];
  /** What the leader gave it in this generation; empty until the group is Stable. */
  assignment: Uint8Array;
  /** Its first JoinGroup is not answered yet, so it cannot know its id and cannot heartbeat. */
  isNew: boolean;
  joinRequest: RequestId | null;
  syncRequest: RequestId | null;
  /** Monotonic time at which the session ends; Infinity while a request of a known member is parked. */
  deadline: Millis;
}

/** The wait of a group that begins from Empty: each newcomer extends it, up to the rebalance timeout. */
export interface InitialWait {
  remainingMs: Millis;
  newMember: boolean;
}

/**
 * Invariants: `leader` is a member or null; `generation` never decreases; a member with `joinRequest` exists only in
 * PreparingRebalance, one with `syncRequest` only in CompletingRebalance; Empty and Dead have no members.
 */
export interface Group {
  readonly id: string;
  state: GroupState;
  generation: number;
  /** "consumer", "connect", ...; null for a group that only commits. Opaque. */
  protocolType: string | null;
  protocolName: string | null;
  leader: string | null;
  readonly members: Map<string, Member>;
  /** instance id -> member id */
  readonly staticMembers: Map<string, string>;
  /** Ids given out with MEMBER_ID_REQUIRED that have not joined yet, and when they lapse. */
  readonly pending: Map<string, Millis>;
  /** Members of this generation whose SyncGroup has not come. */
  readonly pendingSync: Set<string>;
  joinDeadline: Millis;
  initialWait: InitialWait | null;
  syncDeadline: Millis;
  /** The leader's assignments of this generation are on their way to the registry. */
  storing: boolean;
  /** Observed (monotonic) time without members; commits set it back. Survives restarts with the record. */
  emptyMs: Millis;
  /** `emptyMs` as the registry has it. */
  emptyMsStored: Millis;
  /** Monotonic time up to which `emptyMs` has counted. */
  emptyCountedAt: Millis;
  /** The registry holds a record of this group. */
  recorded: boolean;
}

export interface JoinReply {
  readonly error: ErrorName;
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leader: string;
  readonly memberId: string;
  /** v9: a static leader that came back must not assign anew (KIP-814). */
  readonly skipAssignment: boolean;
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly metadata: Uint8Array;
  }[];
}

export interface SyncReply {
  readonly error: ErrorName;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignment: Uint8Array;
}

/** The group as it must survive its coordinator. */
export interface GroupRecord {
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leader: string | null;
  readonly emptyMs: Millis;
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly clientId: string;
    readonly clientHost: string;
    readonly sessionTimeoutMs: Millis;
    readonly rebalanceTimeoutMs: Millis;
    readonly protocols: readonly Protocol[];
    readonly assignment: Uint8Array;
  }[];
}

/** What follows once a record is stored (or could not be). */
export type Continuation =
  | { readonly kind: "assign"; readonly generation: number; readonly assignments: ReadonlyMap<string, Uint8Array> }
  | { readonly kind: "answer-join"; readonly request: RequestId; readonly reply: JoinReply }
  | { readonly kind: "nothing" };

/** The answer to a ConsumerGroupHeartbeat. */
export interface HeartbeatReply {
  readonly error: ErrorName;
  readonly message: string | null;
  readonly memberId: string | null;
  readonly memberEpoch: number;
  readonly heartbeatMs: Millis;
  /** null: unchanged. */
  readonly assignment: TopicPartitions | null;
}

/** What the engine does for the machine. Every parked request gets exactly one answer effect. */
export type GroupEffect =
  | { readonly kind: "answer-heartbeat"; readonly request: RequestId; readonly reply: HeartbeatReply }
  | {
      readonly kind: "store-consumer";
      readonly group: string;
      readonly epoch: number;
      readonly record: Uint8Array;
      /** Which life of the group, and up to which of its changes, the record speaks of. */
      readonly life: object;
      readonly change: number;
    }
  | { readonly kind: "answer-join"; readonly request: RequestId; readonly reply: JoinReply }
  | { readonly kind: "answer-sync"; readonly request: RequestId; readonly reply: SyncReply }
  | { readonly kind: "store"; readonly group: string; readonly record: GroupRecord; readonly then: Continuation }
  | { readonly kind: "member-gone"; readonly group: string; readonly memberId: string; readonly reason: string }
  | { readonly kind: "rebalance"; readonly group: string; readonly generation: number; readonly reason: string };

/** Bounds and waits the machine obeys; milliseconds. */
export interface GroupSettings {
  readonly initialRebalanceDelayMs: Millis;
  readonly groupMaxSize: number;
  readonly groupMetadataBytesMax: number;
  readonly groupsMax: number;
  readonly sessionTimeoutMsMin: Millis;
  readonly sessionTimeoutMsMax: Millis;
  readonly rebalanceTimeoutMsMax: Millis;
  /** How long a parked first JoinGroup is believed to have somebody behind it (Kafka: 5 min). */
  readonly newMemberJoinMsMax: Millis;
  readonly offsetsRetentionMs: Millis;
  readonly offsetMetadataBytesMax: number;
}

const noBytes = new Uint8Array(0);

/** A group nobody has joined yet. */
export function newGroup(id: string, now: Millis): Group {
  return {
    id,
    state: GroupState.Empty,
    generation: 0,
    protocolType: null,
    protocolName: null,
    leader: null,
    members: new Map(),
    staticMembers: new Map(),
    pending: new Map(),
    pendingSync: new Set(),
    joinDeadline: Infinity,
    initialWait: null,
    syncDeadline: Infinity,
    storing: false,
    emptyMs: 0,
    emptyMsStored: 0,
    emptyCountedAt: now,
    recorded: false,
  };
}

/** A group as its coordinator finds it in the registry: sessions begin anew, so members go on without a rebalance. */
export function groupOfRecord(id: string, record: GroupRecord, now: Millis): Group {
  const group = newGroup(id, now);
  group.generation = record.generation;
  group.protocolType = record.protocolType;
  group.recorded = true;
  group.emptyMs = record.emptyMs;
  group.emptyMsStored = record.emptyMs;
  for (const stored of record.members) {
    const member: Member = {
      ...stored,
      isNew: false,
      joinRequest: null,
      syncRequest: null,
      deadline: now + stored.sessionTimeoutMs,
    };
    group.members.set(member.memberId, member);
    if (member.instanceId !== null) group.staticMembers.set(member.instanceId, member.memberId);
  }
  if (group.members.size > 0) {
    group.state = GroupState.Stable;
    group.protocolName = record.protocolName;
    group.leader = record.leader;
  }
  return group;
}

/** What the registry keeps; `assignments` are those about to become valid. */
export function recordOf(group: Group, assignments?: ReadonlyMap<string, Uint8Array>): GroupRecord {
  return {
    generation: group.generation,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    leader: group.leader,
    emptyMs: group.emptyMs,
    members: [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      sessionTimeoutMs: member.sessionTimeoutMs,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      protocols: member.protocols,
      assignment: assignments === undefined ? member.assignment : (assignments.get(member.memberId) ?? noBytes),
    })),
  };
}

/** Bytes of what the members offer, without the member `except`. */
export function metadataBytes(group: Group, except?: string): number {
  let sum = 0;
  for (const member of group.members.values()) {
    if (member.memberId !== except) sum += protocolBytes(member.protocols);
  }
  return sum;
}

/** Bytes of a member's protocols. */
export function protocolBytes(protocols: readonly Protocol[]): number {
  let sum = 0;
  for (const protocol of protocols) sum += protocol.name.length + protocol.metadata.length;
  return sum;
}

/** Names every member (but `except`) offers. */
function commonProtocols(group: Group, except?: string): Set<string> | null {
  let common: Set<string> | null = null;
  for (const member of group.members.values()) {
    if (member.memberId === except) continue;
    const names = new Set(member.protocols.map((protocol) => protocol.name));
    if (common === null) common = names;
    else for (const name of common) if (!names.has(name)) common.delete(name);
  }
  return common;
}

/** True when the newcomer shares the type and at least one protocol with all others (`self` may change its own). */
export function supportsProtocols(
  group: Group,
  protocolType: string,
  protocols: readonly Protocol[],
  self?: string,
): boolean {
  if (protocolType === "" || protocols.length === 0) return false;
  if (group.members.size > 0 && protocolType !== group.protocolType) return false;
  const common = commonProtocols(group, self);
  return common === null || protocols.some((protocol) => common.has(protocol.name));
}

/** The protocol with most votes: each member votes for the first of its own that all offer; a tie goes to the first. */
export function selectProtocol(group: Group): string | null {
  const common = commonProtocols(group);
  if (common === null) return null;
  const votes = new Map<string, number>();
  for (const member of group.members.values()) {
    const vote = member.protocols.find((protocol) => common.has(protocol.name));
    if (vote !== undefined) votes.set(vote.name, (votes.get(vote.name) ?? 0) + 1);
  }
  let best: string | null = null;
  for (const [name, count] of votes) if (best === null || count > (votes.get(best) ?? 0)) best = name;
  return best;
}

/** The member's metadata for the chosen protocol. */
export function metadataFor(member: Member, protocolName: string | null): Uint8Array {
  return member.protocols.find((protocol) => protocol.name === protocolName)?.metadata ?? noBytes;
}

/** Same protocols in the same order with the same bytes. */
export function sameProtocols(left: readonly Protocol[], right: readonly Protocol[]): boolean {
  if (left.length !== right.length) return false;
  return left.every((protocol, i) => {
    const other = right[i];
    return other !== undefined && protocol.name === other.name && sameBytes(protocol.metadata, other.metadata);
  });
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, i) => byte === right[i]);
}

/** The longest rebalance timeout of the members. */
export function rebalanceTimeoutOf(group: Group): Millis {
  let longest = 0;
  for (const member of group.members.values()) longest = Math.max(longest, member.rebalanceTimeoutMs);
  return longest;
}

/**
 * Whether this member may speak for the group (KIP-345): FENCED_INSTANCE_ID when another holds its instance id,
 * UNKNOWN_MEMBER_ID when it is not there.
 */
export function checkMember(group: Group, memberId: string, instanceId: string | null): ErrorName {
  if (instanceId !== null) {
    const holder = group.staticMembers.get(instanceId);
    if (holder === undefined) return "UNKNOWN_MEMBER_ID";
    if (holder !== memberId) return "FENCED_INSTANCE_ID";
  }
  return group.members.has(memberId) ? "NONE" : "UNKNOWN_MEMBER_ID";
}

/** The moment at which `tick` has something to do; Infinity when nothing is waited for. */
export function nextDeadline(group: Group): Millis {
  let next = Math.min(group.joinDeadline, group.syncDeadline);
  for (const deadline of group.pending.values()) next = Math.min(next, deadline);
  for (const member of group.members.values()) next = Math.min(next, member.deadline);
  return next;
}

/** An answer to a JoinGroup that carries nothing but an error (and the member id, for MEMBER_ID_REQUIRED). */
export function joinError(error: ErrorName, memberId: string): JoinReply {
  return {
    error,
    generation: -1,
    protocolType: null,
    protocolName: null,
    leader: "",
    memberId,
    skipAssignment: false,
    members: [],
  };
}

/** An answer to a SyncGroup that carries nothing but an error. */
export function syncError(error: ErrorName): SyncReply {
  return { error, protocolType: null, protocolName: null, assignment: noBytes };
}
