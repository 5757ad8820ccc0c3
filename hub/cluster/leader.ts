// One led partition: who holds what, who is in sync, what is safe to read. Pure.

export type HubId = number;
export type Offset = number;

/**
 * The leader's view of a partition. A lone hub is a cluster of one: N = 1, m = 1, its own disk the only replica, so its
 * high watermark is its own durable log end (replication.md 2.1, "before acking").
 *
 * Invariants: 0 <= highWatermark <= durableEnd of every hub in `inSync`; the leader itself is always in `inSync`.
 */
export interface Leader {
  readonly hub: HubId;
  readonly epoch: number;
  /** min.insync.replicas: the watermark stands still with fewer in sync (I7 MinIsr). */
  minInSync: number;
  readonly inSync: Set<HubId>;
  /** Durable log end of each replica, as far as the leader was told. */
  readonly durableEnd: Map<HubId, Offset>;
  highWatermark: Offset;
}

export type LeaderEffect = { readonly kind: "watermark"; readonly from: Offset; readonly to: Offset };

/**
 * The leader of a partition whose only replica it is: whatever its disk holds was durable on every replica there is, so
 * it is readable even where `minInSync` now forbids new commits.
 */
export function newLoneLeader(hub: HubId, epoch: number, minInSync: number, durableEnd: Offset): Leader {
  return {
    hub,
    epoch,
    minInSync,
    inSync: new Set([hub]),
    durableEnd: new Map([[hub, durableEnd]]),
    highWatermark: durableEnd,
  };
}

/** A replica's durable log end moved: the leader's own by a sync, a follower's by its next fetch. */
export function onDurable(leader: Leader, hub: HubId, durableEnd: Offset): LeaderEffect[] {
  const known = leader.durableEnd.get(hub) ?? 0;
  if (durableEnd <= known) return [];
  leader.durableEnd.set(hub, durableEnd);
  return advance(leader);
}

/** min.insync.replicas was altered. */
export function onMinInSync(leader: Leader, minInSync: number): LeaderEffect[] {
  leader.minInSync = minInSync;
  return advance(leader);
}

/** True when an acks=all write may be taken; else NOT_ENOUGH_REPLICAS. */
export function mayCommit(leader: Leader): boolean {
  return leader.inSync.size >= leader.minInSync;
}

function advance(leader: Leader): LeaderEffect[] {
  if (leader.inSync.size < leader.minInSync) return [];
  let lowest = Number.POSITIVE_INFINITY;
  for (const hub of leader.inSync) lowest = Math.min(lowest, leader.durableEnd.get(hub) ?? 0);
  if (lowest <= leader.highWatermark) return []; // never back (I6 HwMonotonicToClients)
  const from = leader.highWatermark;
  leader.highWatermark = lowest;
  return [{ kind: "watermark", from, to: lowest }];
}
