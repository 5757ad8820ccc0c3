// The replica machine: one face over its roles. Events in, effects out; nothing is awaited. Pure.
//
// DESIGN. A leader serves an epoch after R = N - m + 1 replicas durably promised it; a record is committed when at
// least m replicas, all of the ISR, hold it durably under that epoch. Any m and any R meet, so a new leader finds every
// committed record and every old leader is fenced (replication.md 2.0). Decisions change `state` at once; whatever
// tells of them waits in the gate until the journal has them.
import type { Millis } from "../io/ports.ts";
import { electionTick, opened, selfPromised } from "./election.ts";
import { followerDurable } from "./follower.ts";
import { idleDeadline, idleTick } from "./idle.ts";
import { advance, lagDeadline, leaderDurable, leaderTick } from "./leader.ts";
import { configStored, onward } from "./reassign.ts";
import { openGate, type Replica, stepDown } from "./state.ts";
import type { ReplicaEffect } from "./types.ts";

export { tryLead, voteAnswered, voteRequested } from "./election.ts";
export { fetchOf, leaderAnnounced, leaderAnswered, leaderRefused, truncated, unreadable } from "./follower.ts";
export { endOf, followerFetched, isrOf, mayCommit, peerLost, wordOf } from "./leader.ts";
export { leaderFound, notPublished, published, revised } from "./publication.ts";
export { mayReconfigure, reconfigure } from "./reassign.ts";
export {
  belongs,
  buriedState,
  foundState,
  freshState,
  newLoneReplica,
  newReplica,
  publishedOf,
  type Replica,
  retire,
  returnedState,
} from "./state.ts";

const none: ReplicaEffect[] = [];

/** A persist effect is synced: what waited for it may be done. */
export function stored(replica: Replica, version: number, now: Millis): ReplicaEffect[] {
  if (version <= replica.storedVersion) return none;
  const { config } = replica.stored;
  const effects = openGate(replica, version);
  if (replica.election !== null) effects.push(...selfPromised(replica, now));
  if (replica.lead !== null) {
    effects.push(...opened(replica, now), ...configStored(replica, config));
    if (replica.lead?.open) {
      advance(replica, replica.lead, effects);
      onward(replica, replica.lead, now, effects);
    }
  }
  return effects;
}

/** The log's durable end moved by this hub's own disk. */
export function durable(replica: Replica, now: Millis): ReplicaEffect[] {
  if (replica.role === "leader") return leaderDurable(replica, now);
  return replica.role === "follower" ? followerDurable(replica, now) : none;
}

/** Time passes; worth a call from `deadline` on. */
export function tick(replica: Replica, now: Millis): ReplicaEffect[] {
  if (replica.role === "candidate") return electionTick(replica, now);
  return replica.role === "leader" ? leaderTick(replica, now) : idleTick(replica, now);
}

export function deadline(replica: Replica): Millis {
  const { election, role, settings } = replica;
  if (election !== null) {
    return election.beganAt + (election.kind === "unclean" ? settings.voteWaitMs : settings.electionMsMax);
  }
  return role === "leader" ? lagDeadline(replica) : idleDeadline(replica);
}

/** Ceases to lead, to follow or to stand. */
export function resign(replica: Replica, why: string): ReplicaEffect[] {
  return stepDown(replica, why);
}

/** min.insync.replicas of a lone hub was altered. */
export function setMinInSync(replica: Replica, m: number, now: Millis): ReplicaEffect[] {
  const { config } = replica.state;
  const state = { ...replica.state, config: { ...config, old: { ...config.old, m } } };
  replica.state = state;
  replica.stored = state;
  return leaderDurable(replica, now);
}
