// Changes of who replicates a partition: learners, the joint config, the final one (replication.md 2.7). Pure.
import type { Millis } from "../io/ports.ts";
import { hasHolders } from "./quorum.ts";
import { type Leadership, persist, publishedOf, type Replica, stepDown } from "./state.ts";
import type { PartitionConfig, ReplicaEffect, ReplicaId, ReplicaSet } from "./types.ts";

/**
 * Why a change may not begin now; null when it may.
 * @param lost members whose folders an operator says are gone for good (`replaceLost`)
 */
export function mayReconfigure(replica: Replica, target: ReplicaSet, lost: readonly ReplicaId[] = []): string | null {
  const { lead, state } = replica;
  if (lead === null || !lead.open) return "this hub does not lead it";
  if (state.config.next !== null) return "another change is under way";
  if (target.members.length === 0 || target.m < 1 || target.m > target.members.length) return "such a set cannot be";
  if (new Set(target.members).size !== target.members.length) return "a replica stands there twice";
  return lost.length > 0 ? mayReplaceLost(replica, target, lost) : null;
}

function mayReplaceLost({ id, state }: Replica, target: ReplicaSet, lost: readonly ReplicaId[]): string | null {
  const { members, m } = state.config.old;
  if (m < members.length) return "a quorum is left without what was lost: the set is changed as any other";
  if (m !== target.m || members.length !== target.members.length) return "what was lost is replaced, one for one";
  if (lost.includes(id)) return "the leader is not lost";
  const stays = (member: ReplicaId): boolean => lost.includes(member) !== target.members.includes(member);
  return members.every(stays) ? null : "all but what was lost stays";
}

/**
 * Begins to change the set; what is new catches up first. The leader alone does it, one change at a time: while its new
 * members catch up another target takes its place, and the present set calls it off.
 * @throws Error with the reason of `mayReconfigure`
 */
export function reconfigure(
  replica: Replica,
  target: ReplicaSet,
  now: Millis,
  lost: readonly ReplicaId[] = [],
): ReplicaEffect[] {
  const why = mayReconfigure(replica, target, lost);
  if (why !== null) throw new Error(why);
  const { old } = replica.state.config;
  const lead = replica.lead!;
  const isPresent = old.m === target.m && old.members.join() === target.members.join();
  if (isPresent && lead.target === null) return [];
  lead.target = isPresent ? null : target;
  lead.lost = lost;
  const effects: ReplicaEffect[] = [{ kind: "publish", state: publishedOf(replica) }];
  onward(replica, lead, now, effects);
  return effects;
}

/** Takes the next step of a change, if it may be taken. */
export function onward(replica: Replica, lead: Leadership, _now: Millis, effects: ReplicaEffect[]): void {
  if (!lead.open) return;
  if (replica.state.config.next !== null) finish(replica, lead, effects);
  else if (lead.target !== null) join(replica, lead, lead.target, effects);
}

/** The present config is on the disks of m of it: one change builds on another that holds. */
function isStored(replica: Replica, lead: Leadership): boolean {
  const { config } = replica.state;
  const knows = (member: ReplicaId): boolean => {
    if (member === replica.id) return replica.stored.config === config;
    const follower = lead.followers.get(member);
    return follower?.configEpoch === config.id.epoch && follower.configN === config.id.n;
  };
  // While m = 1 any of the old set may be elected by its published ISR alone: all of them have to know better.
  const { old, next } = config;
  if (next !== null && next.m > 1 && old.m === 1 && !old.members.every(knows)) return false;
  return hasHolders(config, knows);
}

function join(replica: Replica, lead: Leadership, target: ReplicaSet, effects: ReplicaEffect[]): void {
  const { config } = replica.state;
  const isOld = (member: ReplicaId): boolean => config.old.members.includes(member);
  // A learner has all that was committed before it counts, so that the joint phase is short (rule 4).
  const start = Math.max(replica.epochStart, replica.highWatermark);
  const has = (member: ReplicaId): boolean => member === replica.id || (lead.followers.get(member)?.end ?? -1) >= start;
  if (lead.lost.length > 0) {
    if (target.members.every(has)) replaceLost(replica, lead, target, effects);
    return;
  }
  if (!target.members.every((member) => isOld(member) || has(member)) || !isStored(replica, lead)) return;
  // Out of m = 1, where one replica alone could commit: first all of them have promised this epoch, which is what a
  // fetch in it shows (rule 5).
  const promised = (member: ReplicaId): boolean => member === replica.id || lead.followers.has(member);
  if (config.old.m === 1 && target.m > 1 && !config.old.members.every(promised)) return;
  lead.target = null;
  lead.jointStart = replica.log.logEnd;
  const next: PartitionConfig = { id: idAfter(replica), old: config.old, next: target };
  effects.push(persist(replica, { config: next }));
  for (const member of target.members) {
    if (!isOld(member)) lead.isr.add(member);
  }
  effects.push({ kind: "alarm", name: "config_changed", detail: `joint with ${target.members.join()}` });
}

/**
 * N = m: every record is on every member, any one of which may be elected alone, and without the lost ones nothing more
 * is committed, so that no joint config ever could be. The others take their places at once. Safe as long as what was
 * lost never comes back: everybody of the new set has accepted this epoch, and holds all that the old one may have
 * committed.
 */
function replaceLost(replica: Replica, lead: Leadership, target: ReplicaSet, effects: ReplicaEffect[]): void {
  for (const member of lead.lost) {
    lead.isr.delete(member);
    lead.followers.delete(member);
  }
  for (const member of target.members) lead.isr.add(member);
  effects.push(persist(replica, { config: { id: idAfter(replica), old: target, next: null } }));
  const detail = `${lead.lost.join()} given up, now ${target.members.join()}`;
  [lead.target, lead.lost] = [null, []];
  effects.push({ kind: "alarm", name: "config_changed", detail });
}

/**
 * Both sets know the joint config, and m of each hold all from before it (rule 3). That it was committed does not say
 * so: the watermark may have stood there under the old set alone.
 */
function finish(replica: Replica, lead: Leadership, effects: ReplicaEffect[]): void {
  const { config } = replica.state;
  const holds = (member: ReplicaId): boolean => {
    const end = member === replica.id ? replica.log.durableEnd : lead.followers.get(member)?.end;
    return (end ?? -1) >= lead.jointStart;
  };
  if (!isStored(replica, lead) || !hasHolders(config, holds)) return;
  const old = config.next!;
  const last: PartitionConfig = { id: idAfter(replica), old, next: null };
  lead.jointStart = -1;
  const stays = (member: ReplicaId): boolean => old.members.includes(member) || member === replica.id;
  // m = 1: whoever is published as in sync may be elected for that alone, so they leave in public before it counts.
  if (config.old.m === 1) lead.shrinking = new Set([...(lead.shrinking ?? lead.isr)].filter(stays));
  else for (const member of [...lead.isr]) if (!stays(member)) lead.isr.delete(member);
  effects.push(persist(replica, { config: last }));
  effects.push({ kind: "alarm", name: "config_changed", detail: `now ${old.members.join()}` });
}

const idAfter = ({ epoch, state }: Replica): { epoch: number; n: number } => ({ epoch, n: state.config.id.n + 1 });

/** A config of this leader reached its disk: the world may know, and a leader that is not part of it goes. */
export function configStored(replica: Replica, before: PartitionConfig): ReplicaEffect[] {
  const { lead, stored, id } = replica;
  if (lead === null || !lead.open || stored.config === before) return [];
  const effects: ReplicaEffect[] = [{ kind: "publish", state: publishedOf(replica) }];
  const { old, next } = stored.config;
  if (next === null && !old.members.includes(id))
    effects.push(...stepDown(replica, "is not among the replicas any more"));
  return effects;
}
