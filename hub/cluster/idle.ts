// A replica nobody leads: it says that it leads no more, and objects to a leader it may not follow. Pure.
import type { Millis } from "../io/ports.ts";
import { compareConfigs } from "./quorum.ts";
import type { Replica } from "./state.ts";
import type { PublishedState, ReplicaEffect } from "./types.ts";

/**
 * The world takes this hub for the leader, which it is not: it was started anew, say. Whoever governs would wait for it
 * as long as it lives.
 */
export function leadsNot(replica: Replica, state: PublishedState): ReplicaEffect[] {
  // It may know a later set than the one it came to publish: those are to be asked.
  const { config: own } = replica.stored;
  const isLater = compareConfigs(own.id, state.config.id) > 0;
  // who is in sync in a later set was not published
  const vacant = isLater ? { ...state, config: own, isr: [], leader: -1 } : { ...state, leader: -1 };
  const isClaim = replica.election?.epoch === state.leaderEpoch;
  if (replica.lead === null && !isClaim) return [{ kind: "publish", state: vacant }];
  // elected, or about to be, and it will say so; what is heard late does not take the place of what is known since
  if ((replica.vacant?.state.leaderEpoch ?? -1) <= state.leaderEpoch) replica.vacant = { state: vacant, since: -1 };
  return [];
}

/** Time passes for a replica that does not lead. */
export function idleTick(replica: Replica, now: Millis): ReplicaEffect[] {
  const { vacant, passed, settings, state } = replica;
  const effects: ReplicaEffect[] = [];
  if (vacant !== null) {
    if (vacant.since < 0) vacant.since = now;
    else if (now - vacant.since >= settings.electionMsMax) {
      replica.vacant = null;
      effects.push({ kind: "publish", state: vacant.state });
    }
  }
  if (passed === null || replica.role !== "idle" || replica.halted) return effects;
  if (passed.since < 0) passed.since = now;
  else if (now - passed.since >= settings.electionMsMax && state.promisedEpoch > passed.epoch) {
    // Its fetch names the promise that stands in the way, and the leader stands for election above that.
    replica.role = "follower";
    replica.epoch = passed.epoch;
    replica.leader = passed.leader;
    replica.leaderStart = -1;
    replica.passed = null;
    effects.push({ kind: "follow", leader: passed.leader, epoch: passed.epoch });
  }
  return effects;
}

export function idleDeadline({ vacant, passed, role, settings }: Replica): Millis {
  const due = (since: Millis): Millis => (since < 0 ? 0 : since + settings.electionMsMax);
  return Math.min(
    vacant === null ? Number.POSITIVE_INFINITY : due(vacant.since),
    passed === null || role !== "idle" ? Number.POSITIVE_INFINITY : due(passed.since),
  );
}
