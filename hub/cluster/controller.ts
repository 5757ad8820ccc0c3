// The controller's choices: who should try to lead, and which leader should go back. Its mistakes cost availability,
// never data (replication.md 2.0). Pure.
import type { Millis } from "../io/ports.ts";
import { hubOfReplica, membersOf } from "./quorum.ts";
import type {
  ElectionFailure,
  ElectionKind,
  Epoch,
  HubId,
  PartitionConfig,
  PublishedState,
  ReplicaId,
} from "./types.ts";

/** One partition as the controller sees it. */
export interface Governed {
  readonly topicId: string;
  readonly partition: number;
  /** The replicas it began with, the preferred leader first. */
  readonly assignment: readonly ReplicaId[];
  readonly m: number;
  readonly unclean: boolean;
  readonly published: PublishedState | undefined;
}

/** What was tried for a partition without a leader. */
export interface Attempt {
  failures: number;
  nextAt: Millis;
  /** Whom a failed election named as better. */
  better: HubId | null;
  seenEpoch: Epoch;
  /** Elections in a row that got too few answers although all were asked. */
  tooFew: number;
}

export interface Standing {
  readonly hub: HubId;
  readonly topicId: string;
  readonly partition: number;
  readonly seenEpoch: Epoch;
  readonly kind: ElectionKind;
}

const backoffMs = 150;
const backoffMsMax = 2_000;
/** Clean elections that fail for want of answers before a roll call is held. */
const patience = 3;

export function newAttempt(): Attempt {
  return { failures: 0, nextAt: 0, better: null, seenEpoch: 0, tooFew: 0 };
}

/** The config in force, as far as is known. */
export function configOf({ published, assignment, m }: Governed): PartitionConfig {
  return published?.config ?? { id: { epoch: 0, n: 0 }, old: { members: assignment, m }, next: null };
}

/**
 * True when somebody should try to lead it now.
 * @param isHere whether a replica is on its hub's present disk
 */
export function needsLeader(
  { published }: Governed,
  isDown: (hub: HubId) => boolean,
  isHere: (replica: ReplicaId) => boolean,
): boolean {
  if (published === undefined || published.leader < 0 || isDown(published.leader)) return true;
  const { leader, config } = published;
  return !membersOf(config).some((replica) => hubOfReplica(replica) === leader && isHere(replica));
}

/**
 * Who should try: whoever was named as better, the preferred replica if in the ISR and live, else the ISR in its order,
 * else any live replica. null: nobody lives.
 */
export function candidateOf(
  governed: Governed,
  attempt: Attempt,
  isDown: (hub: HubId) => boolean,
  mayLead: (replica: ReplicaId) => boolean,
): Standing | null {
  const { topicId, partition, published, unclean } = governed;
  const config = configOf(governed);
  const members = membersOf(config).filter(mayLead);
  const lives = (replica: ReplicaId): boolean => !isDown(hubOfReplica(replica));
  const among = members.filter(lives);
  // Nobody is left of what is published: a set that was on its way may hold already, and its new members know.
  const live = among.length > 0 ? among : (published?.learners ?? []).filter((one) => mayLead(one) && lives(one));
  if (live.length === 0) return null;
  const isr = (published?.isr ?? []).filter((replica) => live.includes(replica));
  const preferred = live[0] === members[0] && (isr.length === 0 || isr.includes(live[0]!)) ? live[0] : undefined;
  const order = [...new Set([...(preferred ? [preferred] : []), ...isr, ...live])].map(hubOfReplica);
  // whoever is named may stand in a config that is not published yet
  const named = attempt.better !== null && !isDown(attempt.better) ? attempt.better : null;
  const hub = named ?? order[attempt.failures % order.length]!;
  const seenEpoch = Math.max(attempt.seenEpoch, published?.leaderEpoch ?? 0);
  return { hub, topicId, partition, seenEpoch, kind: kindOf(attempt, live.length, members.length, unclean) };
}

/** Fewer than R count, but all of N answer: the best of all leads, and the loss is told (replication.md 2.5). */
function kindOf({ tooFew }: Attempt, live: number, all: number, unclean: boolean): ElectionKind {
  if (tooFew < patience) return "clean";
  if (live === all) return "roll-call";
  return unclean ? "unclean" : "clean";
}

/** How an attempt ended; null: no answer came. What it took for a leader is forgotten once there is one. */
export function tried(attempt: Attempt, why: ElectionFailure | null, now: Millis): void {
  attempt.better = null;
  if (why?.kind === "too-few" || why?.kind === "amnesiac") attempt.tooFew += 1;
  if (why?.kind === "refused") attempt.seenEpoch = Math.max(attempt.seenEpoch, why.promisedEpoch);
  if (why?.kind === "not-best") {
    attempt.better = hubOfReplica(why.best);
    attempt.nextAt = now; // at once: it is known who has more
  } else failed(attempt, now);
}

/** How long until the next try; doubles with each failure, so that a partition that cannot be led costs little. */
export function failed(attempt: Attempt, now: Millis): void {
  attempt.nextAt = now + Math.min(backoffMsMax, backoffMs * 2 ** Math.min(attempt.failures, 6));
  attempt.failures += 1;
}

/** Where leadership should go back to: the preferred replica, in the ISR and live. null: it is right as it is. */
export function preferredOf(governed: Governed, isDown: (hub: HubId) => boolean): HubId | null {
  const { published } = governed;
  if (published === undefined || published.leader < 0 || published.config.next !== null) return null;
  const [preferred] = published.config.old.members;
  if (preferred === undefined || hubOfReplica(preferred) === published.leader) return null;
  return published.isr.includes(preferred) && !isDown(hubOfReplica(preferred)) ? hubOfReplica(preferred) : null;
}
