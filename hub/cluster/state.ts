// A replica as plain data, what it keeps on disk, and the gate between a decision and its being on disk. Pure.
import type { Millis } from "../io/ports.ts";
import { compareConfigs, hubOfReplica, isMember } from "./quorum.ts";
import type {
  ElectionKind,
  Epoch,
  HubId,
  LogView,
  Offset,
  PartitionConfig,
  PublishedState,
  ReplicaEffect,
  ReplicaId,
  ReplicaSet,
  ReplicaSettings,
  StoredReplica,
  VoteReply,
} from "./types.ts";

/** A candidacy of this replica. */
export interface Election {
  readonly epoch: Epoch;
  readonly kind: ElectionKind;
  readonly beganAt: Millis;
  readonly published: PublishedState | null;
  /** Its own promise is on disk: its answer counts from then on. */
  promised: boolean;
  readonly answers: Map<ReplicaId, VoteReply>;
  readonly asked: Set<ReplicaId>;
  /** m = 1, and trusted alone: it leads once the world was told so on top of what it trusts (publication.ts). */
  claim: "none" | "asked" | "stored";
}

/** A follower as its leader knows it. */
export interface FollowerView {
  /** Its durable end in this epoch; -1 until it has accepted the epoch. */
  end: Offset;
  /** When it last had everything there was. */
  caughtUpAt: Millis;
  configEpoch: Epoch;
  configN: number;
}

/** What a leader keeps of its epoch. */
export interface Leadership {
  /** Its epoch is on its disk: it may append. */
  open: boolean;
  /** The world knows of it, by a claim at least: that it ends has to be told. */
  claimed: boolean;
  readonly followers: Map<ReplicaId, FollowerView>;
  /** Itself included. */
  readonly isr: Set<ReplicaId>;
  /** The set that is to come, while its new members catch up. */
  target: ReplicaSet | null;
  /** Members that `target` goes on without although all have to hold a record: gone for good, an operator says. */
  lost: readonly ReplicaId[];
  /** Log end when the joint config began, or this leadership if later; -1 outside (replication.md 2.7 rule 3). */
  jointStart: Offset;
  /** m = 1: a smaller part of the ISR, which counts once it is published (replication.md 2.6). */
  shrinking: ReadonlySet<ReplicaId> | null;
}

export type Role = "idle" | "candidate" | "leader" | "follower";

/**
 * One replica of one partition.
 * Invariants: `state` runs ahead of `stored` by what waits in `gate`; nothing outside learns of it before.
 */
export interface Replica {
  readonly id: ReplicaId;
  readonly hub: HubId;
  readonly log: LogView;
  readonly settings: ReplicaSettings;
  role: Role;
  /** As decided. */
  state: StoredReplica;
  /** As it stands on disk. */
  stored: StoredReplica;
  version: number;
  storedVersion: number;
  readonly gate: { readonly version: number; readonly state: StoredReplica; readonly effects: ReplicaEffect[] }[];
  /** Led or followed; the one before while idle. */
  epoch: Epoch;
  /** Whom it follows, or itself. */
  leader: ReplicaId | null;
  highWatermark: Offset;
  /** Of the epoch it leads; -1 otherwise. */
  epochStart: Offset;
  election: Election | null;
  lead: Leadership | null;
  /** Of the leader it follows, as told; -1 before the first answer. */
  leaderStart: Offset;
  leaderEnd: Offset;
  leaderWatermark: Offset;
  truncating: boolean;
  /** What to publish of an epoch that this replica leads no more, when nobody else does first. */
  vacant: { readonly state: PublishedState; since: Millis } | null;
  /** Whom it followed, or was told to, before it promised a later epoch. */
  passed: { readonly leader: ReplicaId; readonly epoch: Epoch; since: Millis } | null;
  /** An invariant broke: this replica takes part no more until the hub is started anew. */
  halted: boolean;
}

/** A replica that never had a log and never promised anything. */
export function freshState(config: PartitionConfig): StoredReplica {
  return { promisedEpoch: 0, acceptedEpoch: 0, config, amnesia: "none", tombstone: false, markedEpoch: -1 };
}

/**
 * What a hub finds of a replica at start. Without any memory it is fresh where the partition began with it; elsewhere
 * nobody knows what it promised (replication.md 2.5).
 * @param fact what the journal has
 * @param short a suffix of the log that counted may be missing (2.5); to be on disk before anybody hears of it
 */
export function foundState(
  id: ReplicaId,
  fact: StoredReplica | undefined,
  initial: PartitionConfig,
  published: PublishedState | undefined,
  short: boolean,
): StoredReplica {
  const fresh = initial.old.members.includes(id)
    ? freshState(initial)
    : { ...freshState(published?.config ?? initial), amnesia: "lost" as const };
  const state = fact ?? fresh;
  return short ? { ...state, amnesia: "short" } : state;
}

/** What stays of a replica that is removed: its promises, and the config that says so. Its data may go (2.7 rule 4). */
export function buriedState(state: StoredReplica): StoredReplica {
  return { ...state, tombstone: true };
}

/** A removed replica is wanted again: its promises hold, its log says nothing until it has caught up. */
export function returnedState(state: StoredReplica): StoredReplica {
  return { ...state, tombstone: false, amnesia: "short" };
}

/**
 * A replica as found at start. Promises are raised to the last record's epoch: that covers a crash between append and
 * journal (replication.md 2.1). A watermark above the recovered log is cut.
 */
export function newReplica(
  id: ReplicaId,
  log: LogView,
  found: StoredReplica,
  settings: ReplicaSettings,
  highWatermark: Offset,
  _now: Millis,
): Replica {
  const state: StoredReplica = {
    ...found,
    promisedEpoch: Math.max(found.promisedEpoch, found.acceptedEpoch, log.latestEpoch),
    acceptedEpoch: Math.max(found.acceptedEpoch, log.latestEpoch),
  };
  return {
    id,
    hub: hubOfReplica(id),
    log,
    settings,
    role: "idle",
    state,
    stored: state,
    version: 0,
    storedVersion: 0,
    gate: [],
    epoch: state.acceptedEpoch,
    leader: null,
    highWatermark: Math.min(highWatermark, log.logEnd),
    epochStart: -1,
    election: null,
    lead: null,
    leaderStart: -1,
    leaderEnd: -1,
    leaderWatermark: -1,
    truncating: false,
    vacant: null,
    passed: null,
    halted: false,
  };
}

const loneSettings: ReplicaSettings = { lagMsMax: Number.POSITIVE_INFINITY, voteWaitMs: 0, electionMsMax: 0 };

/**
 * The only replica of its partition: a cluster of one (N = 1, R = 1) that leads at once, in the epoch its log is in.
 * Whatever its disk holds was durable on every replica there is, so it is readable even where m now forbids commits.
 */
export function newLoneReplica(id: ReplicaId, log: LogView, minInSync: number): Replica {
  const config = { id: { epoch: 0, n: 0 }, old: { members: [id], m: minInSync }, next: null };
  const replica = newReplica(id, log, freshState(config), loneSettings, log.durableEnd, 0);
  replica.role = "leader";
  replica.epoch = Math.max(0, log.latestEpoch);
  replica.leader = id;
  replica.epochStart = 0;
  replica.lead = newLeadership(id, -1);
  replica.lead.open = true;
  return replica;
}

export function newLeadership(id: ReplicaId, jointStart: Offset): Leadership {
  const [followers, isr] = [new Map<ReplicaId, FollowerView>(), new Set([id])];
  return { open: false, claimed: false, followers, isr, target: null, lost: [], jointStart, shrinking: null };
}

/** Changes what must be on disk before `gated` may be done; the journal is told by the effect it returns. */
export function persist(replica: Replica, change: Partial<StoredReplica>, gated: ReplicaEffect[] = []): ReplicaEffect {
  replica.state = { ...replica.state, ...change };
  replica.version += 1;
  replica.gate.push({ version: replica.version, state: replica.state, effects: gated });
  return { kind: "persist", version: replica.version, state: replica.state };
}

/** Opens the gate up to a version; what has been overtaken meanwhile is left out. */
export function openGate(replica: Replica, version: number): ReplicaEffect[] {
  const due: ReplicaEffect[] = [];
  while (replica.gate.length > 0 && replica.gate[0]!.version <= version) {
    const { state, effects, version: reached } = replica.gate.shift()!;
    replica.stored = state;
    replica.storedVersion = reached;
    for (const effect of effects) due.push(effect);
  }
  return due.filter((effect) => isDue(replica, effect));
}

function isDue(replica: Replica, effect: ReplicaEffect): boolean {
  switch (effect.kind) {
    case "lead":
      return replica.role === "leader" && replica.epoch === effect.epoch;
    case "publish":
      return replica.role === "leader" && replica.epoch === effect.state.leaderEpoch;
    case "follow":
      return replica.role === "follower" && replica.epoch === effect.epoch && replica.leader === effect.leader;
    case "request-votes":
      return replica.election?.epoch === effect.request.epoch;
    default:
      return true; // an answer stands whatever was promised since
  }
}

/** Belongs to no config any more: its data goes, its promises stay (replication.md 2.7 rule 4). */
export function retire(replica: Replica): ReplicaEffect[] {
  const effects = stepDown(replica, "is not among the replicas any more");
  return [...effects, persist(replica, buriedState(replica.state))];
}

/** Becomes nobody in particular; what ends is told. */
export function stepDown(replica: Replica, why: string): ReplicaEffect[] {
  const { role, epoch, election, leader, lead } = replica;
  if (role === "leader" && (lead!.open || lead!.claimed)) {
    replica.vacant = { state: { ...publishedOf(replica), leader: -1 }, since: -1 };
  } else if (role === "follower") replica.passed = { leader: leader!, epoch, since: -1 };
  replica.role = "idle";
  replica.leader = null;
  replica.lead = null;
  replica.epochStart = -1;
  replica.election = null;
  if (role === "leader") return [{ kind: "resign", epoch, why }];
  if (role === "follower") return [{ kind: "stop-fetching" }];
  if (election === null) return [];
  const refused = { kind: "refused" as const, promisedEpoch: replica.state.promisedEpoch };
  return [{ kind: "election-failed", epoch: election.epoch, why: refused }];
}

/** The effect that takes over a later config, if it is one. */
export function adoptConfig(replica: Replica, config: PartitionConfig): ReplicaEffect[] {
  if (compareConfigs(config.id, replica.state.config.id) <= 0) return [];
  return [persist(replica, { config })];
}

export function belongs(replica: Replica): boolean {
  return isMember(replica.state.config, replica.id);
}

/** What the world is to know; the config only as it stands on disk. */
export function publishedOf(replica: Replica): PublishedState {
  const { lead, stored, hub, epoch } = replica;
  const members = stored.config.old.members;
  return {
    leader: hub,
    leaderEpoch: epoch,
    isr: [...(lead?.shrinking ?? lead?.isr ?? [])],
    config: stored.config,
    learners: lead?.target?.members.filter((member) => !members.includes(member)) ?? [],
    ...(lead?.target ? { target: lead.target } : {}),
  };
}
