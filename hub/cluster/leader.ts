// A leader: who is in sync, what is committed, and what its followers are told (replication.md 2.6). Pure.
import type { ErrorName } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import { tryLead } from "./election.ts";
import { hasMinIsr, hubOfReplica, isMember } from "./quorum.ts";
import { onward } from "./reassign.ts";
import { type FollowerView, type Leadership, publishedOf, type Replica } from "./state.ts";
import type { Epoch, FollowerFetch, HubId, LeaderWord, Offset, ReplicaEffect, ReplicaId } from "./types.ts";

/** What a follower's fetch is answered with; the effects are carried out first. */
export type FetchVerdict =
  | { readonly kind: "serve"; readonly word: LeaderWord; readonly effects: readonly ReplicaEffect[] }
  | {
      readonly kind: "diverging";
      readonly epoch: Epoch;
      readonly endOffset: Offset;
      readonly word: LeaderWord;
      readonly effects: readonly ReplicaEffect[];
    }
  | { readonly kind: "refuse"; readonly error: ErrorName; readonly effects: readonly ReplicaEffect[] };

const nothing: readonly ReplicaEffect[] = [];

/** A follower says where it is; that it has accepted this epoch is what makes its word count. */
export function followerFetched(replica: Replica, fetch: FollowerFetch, now: Millis): FetchVerdict {
  const { lead, epoch, log } = replica;
  if (!lead?.open) return { kind: "refuse", error: "NOT_LEADER_OR_FOLLOWER", effects: nothing };
  if (fetch.epoch < epoch) return { kind: "refuse", error: "FENCED_LEADER_EPOCH", effects: nothing };
  if (fetch.epoch > epoch) {
    // The follower has promised this to somebody who did not come to lead: only above it can it follow again.
    return { kind: "refuse", error: "UNKNOWN_LEADER_EPOCH", effects: tryLead(replica, fetch.epoch, "clean", now) };
  }
  const effects = noted(replica, lead, fetch, now);
  const word = wordOf(replica);
  const position = fetch.position ?? fetch.offset;
  const { lastFetchedEpoch } = fetch;
  if (position === 0 && lastFetchedEpoch < 0) return { kind: "serve", word, effects };
  const known = lastFetchedEpoch === epoch;
  const end = known ? { epoch, endOffset: log.logEnd } : log.endOffsetForEpoch(lastFetchedEpoch);
  // Below everything that is left here: the follower begins anew where this log begins.
  if (position < log.logStart || (end.epoch < 0 && position === log.logStart)) return { kind: "serve", word, effects };
  if (end.epoch === lastFetchedEpoch && position <= end.endOffset) return { kind: "serve", word, effects };
  const { epoch: endEpoch, endOffset } = end.epoch < 0 ? { epoch: -1, endOffset: log.logStart } : end;
  return { kind: "diverging", epoch: endEpoch, endOffset, word, effects };
}

function noted(replica: Replica, lead: Leadership, fetch: FollowerFetch, now: Millis): readonly ReplicaEffect[] {
  const { log, highWatermark, epochStart } = replica;
  let follower = lead.followers.get(fetch.from);
  if (follower === undefined) {
    follower = { end: -1, caughtUpAt: now, configEpoch: -1, configN: -1 };
    lead.followers.set(fetch.from, follower);
  }
  const end = fetch.accepted ? fetch.offset : -1;
  const { configId } = fetch;
  const configMoved = follower.configN !== configId.n || follower.configEpoch !== configId.epoch;
  follower.configEpoch = configId.epoch;
  follower.configN = configId.n;
  if (end >= log.logEnd) follower.caughtUpAt = now;
  const moved = end !== follower.end;
  follower.end = end;
  const inSync = lead.isr.has(fetch.from);
  if (inSync && end >= 0 && !moved && !configMoved) return nothing;
  const effects: ReplicaEffect[] = [];
  if (inSync && end < 0) {
    // Restarted with a shorter log: it no longer has what it was counted for.
    effects.push(...shrink(replica, (member) => member === fetch.from));
  } else if (!inSync && end >= Math.max(epochStart, highWatermark) && end >= 0) {
    // In the ISR before anybody is told: the watermark waits for it from now on (the maximal ISR).
    if (isMember(replica.state.config, fetch.from)) {
      follower.caughtUpAt = now;
      lead.isr.add(fetch.from);
      if (lead.shrinking !== null) lead.shrinking = new Set([...lead.shrinking, fetch.from]);
      effects.push({ kind: "publish", state: publishedOf(replica) });
    }
  }
  advance(replica, lead, effects);
  if (configMoved || lead.target !== null || replica.state.config.next !== null) onward(replica, lead, now, effects);
  return effects;
}

/** The leader's own disk has more. */
export function leaderDurable(replica: Replica, now: Millis): ReplicaEffect[] {
  const { lead } = replica;
  const effects: ReplicaEffect[] = [];
  if (!lead?.open) return effects;
  advance(replica, lead, effects);
  if (replica.state.config.next !== null) onward(replica, lead, now, effects);
  return effects;
}

/** Moves the watermark to what all in sync hold durably, if they are enough (I6, I7). */
export function advance(replica: Replica, lead: Leadership, effects: ReplicaEffect[]): void {
  let lowest = replica.log.durableEnd;
  for (const member of lead.isr) {
    if (member !== replica.id) lowest = Math.min(lowest, lead.followers.get(member)?.end ?? -1);
  }
  const from = replica.highWatermark;
  if (lowest <= from || !hasMinIsr(replica.state.config, lead.isr)) return;
  replica.highWatermark = lowest;
  effects.push({ kind: "watermark", from, to: lowest });
}

/** True when an acks=all write may be taken; else NOT_ENOUGH_REPLICAS. */
export function mayCommit({ lead, state }: Replica): boolean {
  return lead !== null && lead.open && hasMinIsr(state.config, lead.isr);
}

/** What followers are told beside records; the config only as it stands on disk. */
export function wordOf(replica: Replica): LeaderWord {
  const { epoch, epochStart, log, highWatermark, stored } = replica;
  return {
    epoch,
    epochStart,
    leaderEnd: log.logEnd,
    logStart: log.logStart,
    highWatermark,
    config: stored.config,
    markedEpoch: stored.markedEpoch,
  };
}

export function isrOf({ lead }: Replica): readonly ReplicaId[] {
  return lead === null ? [] : [...lead.isr];
}

/** A follower's durable end in this epoch; -1 when it has none. */
export function endOf({ lead }: Replica, hub: HubId): Offset {
  for (const [follower, { end }] of lead?.followers ?? []) if (hubOfReplica(follower) === hub) return end;
  return -1;
}

/** A hub is gone or silent: with m >= 2 its replicas leave the ISR at once, since safety does not rest on the ISR. */
export function peerLost(replica: Replica, hub: HubId, _now: Millis): ReplicaEffect[] {
  return shrink(replica, (member) => hubOfReplica(member) === hub);
}

/** Who has not had everything for `lagMsMax` leaves the ISR. */
export function leaderTick(replica: Replica, now: Millis): ReplicaEffect[] {
  const { lead, settings, log } = replica;
  if (lead === null || lead.isr.size < 2) return [];
  const slow = (member: ReplicaId): boolean => {
    const follower = lead.followers.get(member);
    return follower !== undefined && follower.end < log.logEnd && now - follower.caughtUpAt > settings.lagMsMax;
  };
  return shrink(replica, slow);
}

function shrink(replica: Replica, leaves: (member: ReplicaId) => boolean): ReplicaEffect[] {
  const { lead, id, state } = replica;
  if (lead === null || !lead.open) return [];
  const before = lead.shrinking ?? lead.isr;
  const going = [...before].filter((member) => member !== id && leaves(member));
  if (going.length === 0) return [];
  const effects: ReplicaEffect[] = [];
  if (state.config.old.m === 1) {
    // m = 1: the ISR is what an election trusts, so it shrinks in Redis first and counts afterwards.
    lead.shrinking = new Set([...before].filter((member) => !going.includes(member)));
    return [{ kind: "publish", state: publishedOf(replica) }];
  }
  for (const member of going) lead.isr.delete(member);
  effects.push({ kind: "publish", state: publishedOf(replica) });
  advance(replica, lead, effects);
  return effects;
}

/** When something may be due for a leader whose follower lags. */
export function lagDeadline({ lead, settings, log }: Replica): Millis {
  let first = Number.POSITIVE_INFINITY;
  for (const member of lead?.isr ?? []) {
    const follower: FollowerView | undefined = lead!.followers.get(member);
    if (follower && follower.end < log.logEnd) first = Math.min(first, follower.caughtUpAt + settings.lagMsMax);
  }
  return first;
}
