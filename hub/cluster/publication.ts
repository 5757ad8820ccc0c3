// What a hub tells the world on top of what stands there, and what it means that it was told. Pure.
import type { Millis } from "../io/ports.ts";
import { claimed, vouches } from "./election.ts";
import { leadsNot } from "./idle.ts";
import { advance } from "./leader.ts";
import { compareConfigs } from "./quorum.ts";
import type { Replica } from "./state.ts";
import type { PublishedState, ReplicaEffect } from "./types.ts";

type Publication = ReplicaEffect & { readonly kind: "publish" };

/** What may be put on top of what stands there, exactly that; null: nothing, the publication is outdated. */
export function revised(
  replica: Replica,
  { state, claim }: Publication,
  there: PublishedState | undefined,
): PublishedState | null {
  if (there !== undefined && there.leaderEpoch > state.leaderEpoch) return null;
  if (claim) return isClaimed(replica, state, there) ? state : null;
  if (there === undefined || state.leader >= 0) return state;
  const later = compareConfigs(state.config.id, there.config.id);
  if (later > 0) return state;
  if (later < 0 || (there.leader >= 0 && there.leader !== replica.hub)) return null;
  // Nobody leads any more; whoever left the ISR that others trust does not come back by what was known before.
  return { ...state, isr: state.isr.filter((member) => there.isr.includes(member)) };
}

/** Told already, its answer was lost, say; or this candidate has all that those in the ISR have. */
function isClaimed(replica: Replica, { leaderEpoch }: PublishedState, there: PublishedState | undefined): boolean {
  const { election, lead, epoch } = replica;
  if (lead !== null && epoch === leaderEpoch) return true; // the promises came first
  if (election?.epoch !== leaderEpoch || there === undefined) return false;
  return there.leaderEpoch === leaderEpoch || vouches(there, replica);
}

/**
 * Nothing came of a publication (`revised`): a candidate whose claim it was has lost, and says what its claim had taken
 * the place of.
 */
export function notPublished(
  replica: Replica,
  { state, claim }: Publication,
  there: PublishedState | undefined,
  now: Millis,
): ReplicaEffect[] {
  const effects = claim ? claimed(replica, state.leaderEpoch, false, now) : [];
  return there === undefined ? effects : [...effects, ...leaderFound(replica, there)];
}

/** A publication of this hub was stored: a candidate leads, an ISR that shrank for m = 1 counts from now on. */
export function published(replica: Replica, state: PublishedState, now: Millis): ReplicaEffect[] {
  if (state.leader !== replica.hub) return [];
  const effects = claimed(replica, state.leaderEpoch, true, now);
  const { lead, epoch } = replica;
  if (lead === null) return [...effects, ...leaderFound(replica, state)];
  if (state.leaderEpoch === epoch) lead.claimed = true;
  if (!lead.open || lead.shrinking === null || state.leaderEpoch !== epoch) return effects;
  const told = new Set(state.isr);
  if (told.size !== lead.shrinking.size || ![...lead.shrinking].every((member) => told.has(member))) return effects;
  for (const member of [...lead.isr]) if (!told.has(member)) lead.isr.delete(member);
  lead.shrinking = null;
  advance(replica, lead, effects);
  return effects;
}

/** The world takes this hub for the leader. That it does not lead (it was started anew, say) it has to tell as well. */
export function leaderFound(replica: Replica, state: PublishedState): ReplicaEffect[] {
  const { lead, hub } = replica;
  if (state.leader !== hub || lead?.open) return [];
  return leadsNot(replica, state);
}
