// Ballots and quorums: which number comes next, who must have promised, who must hold a record. Pure.
import type { ConfigId, Epoch, HubId, PartitionConfig, ReplicaId, ReplicaSet } from "./types.ts";

/** Hub ids are below it, so that no two candidates ever share an epoch (replication.md 2.5). */
export const hubsPerRound = 64;

/** The next ballot of a hub above everything it has seen. */
export function nextBallot(seen: Epoch, hub: HubId): Epoch {
  return (Math.floor(Math.max(0, seen) / hubsPerRound) + 1) * hubsPerRound + hub;
}

/** The hub of a replica. */
export function hubOfReplica(replica: ReplicaId): HubId {
  return Number(replica.slice(0, replica.indexOf(":")));
}

/** Above 0 when `one` is the later config. */
export function compareConfigs(one: ConfigId, other: ConfigId): number {
  return one.epoch - other.epoch || one.n - other.n;
}

/** Everybody of both sets, each once. */
export function membersOf({ old, next }: PartitionConfig): ReplicaId[] {
  return next === null ? [...old.members] : [...new Set([...old.members, ...next.members])];
}

export function isMember({ old, next }: PartitionConfig, replica: ReplicaId): boolean {
  return old.members.includes(replica) || (next?.members.includes(replica) ?? false);
}

function count({ members }: ReplicaSet, has: (replica: ReplicaId) => boolean): number {
  let found = 0;
  for (const member of members) if (has(member)) found += 1;
  return found;
}

/** R = N - m + 1 of each set: any of these meets any m of the same set. */
export function hasPromises({ old, next }: PartitionConfig, promised: (replica: ReplicaId) => boolean): boolean {
  const enough = (set: ReplicaSet): boolean => count(set, promised) >= set.members.length - set.m + 1;
  return enough(old) && (next === null || enough(next));
}

/** m of each set. */
export function hasHolders({ old, next }: PartitionConfig, holds: (replica: ReplicaId) => boolean): boolean {
  return count(old, holds) >= old.m && (next === null || count(next, holds) >= next.m);
}

/** Whether an ISR is all that m asks for, in both sets (I7 MinIsr). */
export function hasMinIsr(config: PartitionConfig, isr: ReadonlySet<ReplicaId>): boolean {
  return hasHolders(config, (replica) => isr.has(replica));
}
