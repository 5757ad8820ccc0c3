// Which set of replicas a partition should have, and the next step from the one it has. The controller's view. Pure.
import { configOf, type Governed } from "./controller.ts";
import { hubOfReplica } from "./quorum.ts";
import type { HubId, ReplicaId, ReplicaSet } from "./types.ts";

/** A registered hub as a place for replicas. */
export interface Place {
  readonly hubId: HubId;
  /** Its present folder. */
  readonly replica: ReplicaId;
  readonly alive: boolean;
  /** An operator wants its replicas elsewhere. */
  readonly leaves: boolean;
}

/** What is wanted of one partition. */
export interface Wishes {
  /** The hubs an operator asked for, the preferred leader first; null: nothing was asked. */
  readonly asked: readonly HubId[] | null;
  readonly places: ReadonlyMap<HubId, Place>;
  /** Fewer copies than this become more as hubs come (internal topics). */
  readonly copies: number;
  /** Replicas on folders that an operator says are gone for good. */
  readonly lost: ReadonlySet<ReplicaId>;
  /** min.insync.replicas for so many replicas. */
  readonly minInSync: (replicas: number) => number;
}

/**
 * What the leader gives up for `target`: members that are lost where all have to hold a record (N = m). Elsewhere a
 * quorum is left without them, and the set changes as any other.
 */
export function lostOf(governed: Governed, target: ReplicaSet, lost: ReadonlySet<ReplicaId>): ReplicaId[] {
  const { members, m } = configOf(governed).old;
  return m < members.length ? [] : members.filter((one) => lost.has(one) && !target.members.includes(one));
}

/**
 * Hubs that leave are replaced, or left out where no other is there; too few become more; a replica on a folder that is
 * gone becomes one on the folder that its hub has now, as long as a quorum is left without it (N > m), or an operator
 * says that it is lost: then before anything else.
 */
export function wantedOf(governed: Governed, { asked, places, copies, lost, minInSync }: Wishes): ReplicaSet {
  const { old } = configOf(governed);
  const instead = (one: ReplicaId): ReplicaId =>
    lost.has(one) ? (places.get(hubOfReplica(one))?.replica ?? one) : one;
  if (old.members.length === old.m && old.members.some((one) => instead(one) !== one)) {
    return { members: old.members.map(instead), m: old.m };
  }
  const before = new Map(old.members.map((replica) => [hubOfReplica(replica), replica]));
  const wanted = [...(asked ?? before.keys())];
  const spare = (): HubId | undefined => {
    const free = [...places.values()].filter(({ hubId, alive, leaves }) => alive && !leaves && !wanted.includes(hubId));
    free.sort((a, b) => a.hubId - b.hubId);
    return free[governed.partition % Math.max(1, free.length)]?.hubId;
  };
  for (const hub of [...wanted]) {
    if (!places.get(hub)?.leaves) continue;
    const other = spare();
    const at = wanted.indexOf(hub);
    if (other !== undefined) wanted.splice(at, 1, other);
    else if (wanted.length > 1) wanted.splice(at, 1);
  }
  for (let hub = spare(); wanted.length < copies && hub !== undefined; hub = spare()) wanted.push(hub);
  const mayReplace = old.members.length > old.m;
  const members = wanted.map((hub) => {
    const known = before.get(hub);
    const now = places.get(hub)?.replica;
    return known === undefined || mayReplace ? (now ?? known!) : known;
  });
  const m = Math.min(minInSync(members.length), members.length);
  // m rises once every old replica has promised (replication.md 2.7 rule 5): one whose folder is gone never does
  const isMissing = old.members.some((replica) => (places.get(hubOfReplica(replica))?.replica ?? replica) !== replica);
  return { members, m: isMissing ? Math.min(m, old.m) : m };
}

export function isSameSet(one: ReplicaSet, other: ReplicaSet): boolean {
  return one.m === other.m && one.members.join() === other.members.join();
}

export type Step =
  | { readonly kind: "none" }
  /** The partition is as it is wanted. */
  | { readonly kind: "settled" }
  /** The leader will not be among the replicas: another takes over first. */
  | { readonly kind: "handover"; readonly to: HubId }
  | { readonly kind: "change"; readonly target: ReplicaSet };

/** The next step towards the wanted set; one change at a time, and a joint config ends by itself. */
export function stepTo({ published }: Governed, wanted: ReplicaSet, isOut: (hub: HubId) => boolean): Step {
  if (published === undefined || published.leader < 0 || published.config.next !== null) return { kind: "none" };
  const { config, isr, leader, target } = published;
  if (isSameSet(config.old, wanted)) return target ? { kind: "change", target: wanted } : { kind: "settled" };
  if (target && isSameSet(target, wanted)) return { kind: "none" };
  const stays = wanted.members.some((replica) => hubOfReplica(replica) === leader);
  const heir = wanted.members.find((replica) => isr.includes(replica) && !isOut(hubOfReplica(replica)));
  if (!stays && heir !== undefined) return { kind: "handover", to: hubOfReplica(heir) };
  return { kind: "change", target: wanted };
}

/** Copies that would be left without a hub, and how many the partition needs; null when enough are left. */
export function shortOf(
  governed: Governed,
  hub: HubId,
  places: ReadonlyMap<HubId, Place>,
): { readonly left: number; readonly needed: number } | null {
  const { old, next } = configOf(governed);
  const { members, m } = next ?? old;
  const hubs = members.map(hubOfReplica);
  if (!hubs.includes(hub)) return null;
  const staying = hubs.filter((one) => one !== hub && !places.get(one)?.leaves);
  const others = [...places.values()].filter(
    ({ hubId, alive, leaves }) => alive && !leaves && hubId !== hub && !hubs.includes(hubId),
  );
  const left = Math.min(hubs.length, staying.length + others.length);
  return left >= m ? null : { left, needed: m };
}
