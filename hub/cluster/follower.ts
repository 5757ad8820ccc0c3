// A follower: whom it follows, what it asks for, what it takes and where it cuts (replication.md 2.6). Pure.
import type { ErrorName } from "../errors.ts";
import type { Millis } from "../io/ports.ts";
import { selfPromised } from "./election.ts";
import { membersOf } from "./quorum.ts";
import { adoptConfig, belongs, persist, type Replica, stepDown } from "./state.ts";
import type { Epoch, FollowerFetch, LeaderWord, Offset, ReplicaEffect, ReplicaId } from "./types.ts";

/** Somebody says who leads; believed unless this replica has promised something higher. */
export function leaderAnnounced(replica: Replica, epoch: Epoch, leader: ReplicaId, _now: Millis): ReplicaEffect[] {
  const { state, role } = replica;
  if (replica.halted || state.tombstone || leader === replica.id) return [];
  if (epoch < state.promisedEpoch) {
    return pass(replica, epoch, leader);
  }
  if (epoch === replica.epoch && (role === "follower" || role === "leader")) return [];
  const effects = stepDown(replica, `${leader} leads epoch ${epoch}`);
  replica.role = "follower";
  replica.epoch = epoch;
  replica.leader = leader;
  replica.passed = null;
  replica.leaderStart = -1;
  replica.leaderEnd = -1;
  replica.leaderWatermark = -1;
  const follow: ReplicaEffect = { kind: "follow", leader, epoch };
  if (epoch > replica.stored.promisedEpoch) effects.push(persist(replica, { promisedEpoch: epoch }, [follow]));
  else effects.push(follow);
  return effects;
}

/** A leader that it may not follow; one that it objects to already gives way to a later one. */
function pass(replica: Replica, epoch: Epoch, leader: ReplicaId): ReplicaEffect[] {
  const { role, state, passed } = replica;
  const objects = role === "follower" && state.promisedEpoch > replica.epoch;
  if (!(role === "idle" || objects) || epoch <= (objects ? replica.epoch : (passed?.epoch ?? -1))) return [];
  const effects = objects ? stepDown(replica, `${leader} leads epoch ${epoch}`) : [];
  replica.passed = { leader, epoch, since: -1 };
  return effects;
}

/** The next fetch; null while a cut or a promise that it rests on is not on disk yet. */
export function fetchOf(replica: Replica): FollowerFetch | null {
  const { role, stored, epoch, log, id } = replica;
  if (role !== "follower" || replica.truncating || stored.promisedEpoch < epoch) return null;
  const objects = stored.promisedEpoch > epoch;
  return {
    from: id,
    epoch: stored.promisedEpoch,
    offset: log.durableEnd,
    position: log.logEnd,
    lastFetchedEpoch: log.latestEpoch,
    // What is on disk speaks, not what is decided. Who lost promises is a new replica: a learner until a config has it.
    accepted: !objects && stored.acceptedEpoch === epoch && stored.amnesia !== "short",
    configId: stored.config.id,
  };
}

/** The leader's answer: take the records (`append`), or cut first and ask again. */
export function leaderAnswered(
  replica: Replica,
  word: LeaderWord,
  diverging: { readonly epoch: Epoch; readonly endOffset: Offset } | null,
  now: Millis,
): { readonly append: boolean; readonly effects: readonly ReplicaEffect[] } {
  const { role, epoch, log, truncating } = replica;
  if (role !== "follower" || word.epoch !== epoch || truncating) return { append: false, effects: [] };
  // it only objects to this leader (idle.ts)
  if (replica.state.promisedEpoch > epoch) return { append: false, effects: [] };
  const effects = adoptConfig(replica, word.config);
  if (word.markedEpoch > replica.state.markedEpoch) {
    effects.push(persist(replica, { markedEpoch: word.markedEpoch }));
  }
  replica.leaderStart = word.epochStart;
  replica.leaderEnd = word.leaderEnd;
  // only of a log that is known to be the leader's as far as it goes
  replica.leaderWatermark = diverging === null ? word.highWatermark : -1;
  if (diverging !== null) {
    cut(replica, word, diverging, effects);
    return { append: false, effects };
  }
  effects.push(...followerDurable(replica, now));
  return { append: true, effects };
}

function cut(
  replica: Replica,
  word: LeaderWord,
  diverging: { readonly epoch: Epoch; readonly endOffset: Offset },
  effects: ReplicaEffect[],
): void {
  const { log, state } = replica;
  const own = log.endOffsetForEpoch(diverging.epoch);
  const to = Math.min(Math.max(own.endOffset, log.logStart), diverging.endOffset, log.logEnd);
  if (to < replica.highWatermark) {
    const detail = `from ${log.logEnd} to ${to}, below the watermark ${replica.highWatermark}, in epoch ${word.epoch}`;
    effects.push({ kind: "alarm", name: "hw_truncation", detail });
    // Forgetful, or in or after an epoch that is known to have lost something since: counted, and gone on with.
    const told = Math.max(word.markedEpoch, state.markedEpoch);
    if (state.amnesia === "none" && told < word.epoch && told <= state.acceptedEpoch) {
      replica.halted = true;
      effects.push(...stepDown(replica, "would cut below its watermark"));
      return;
    }
    replica.highWatermark = to;
  }
  replica.truncating = true;
  effects.push({ kind: "truncate", to });
}

/**
 * The log cannot be read from `from` on, and nobody said that this much is committed. Then nobody can be asked for the
 * same bytes either: the replica gives up what it cannot read. It resigns if it leads and has a short log from now on,
 * so that one that can read wins: what is committed stands on m replicas, and those that count still meet one of them.
 */
export function unreadable(replica: Replica, from: Offset): ReplicaEffect[] {
  const { role, state, log, highWatermark, truncating, halted } = replica;
  if (halted || truncating || state.tombstone || membersOf(state.config).length < 2) return [];
  if (from < highWatermark || from >= log.logEnd) return [];
  const effects = role === "follower" ? [] : stepDown(replica, `cannot read its log from offset ${from} on`);
  replica.truncating = true;
  const amnesia = state.amnesia === "none" ? "short" : state.amnesia;
  effects.push(persist(replica, { amnesia }, [{ kind: "truncate", to: from }]));
  return effects;
}

export function truncated(replica: Replica, now: Millis): ReplicaEffect[] {
  replica.truncating = false;
  replica.highWatermark = Math.min(replica.highWatermark, replica.log.logEnd);
  return selfPromised(replica, now);
}

/** What was told as committed is, as far as this log reaches: the records may have come with the word, or after it. */
function followWatermark(replica: Replica): ReplicaEffect[] {
  const { highWatermark: from, leaderWatermark, log } = replica;
  const to = Math.min(leaderWatermark, log.logEnd);
  if (to <= from) return [];
  replica.highWatermark = to;
  return [{ kind: "watermark", from, to }];
}

/** This hub's disk has more: with all from before the epoch on it, the epoch is accepted. */
export function followerDurable(replica: Replica, _now: Millis): ReplicaEffect[] {
  const moved = replica.truncating || replica.role !== "follower" ? [] : followWatermark(replica);
  return moved.length === 0 ? accept(replica) : [...moved, ...accept(replica)];
}

function accept(replica: Replica): ReplicaEffect[] {
  const { state, epoch, log, leaderStart, leaderEnd, truncating } = replica;
  if (truncating || leaderStart < 0 || replica.role !== "follower" || state.promisedEpoch > epoch) return [];
  const accepted = state.acceptedEpoch === epoch;
  if (accepted && state.amnesia === "none") return [];
  if (log.durableEnd < leaderStart) return [];
  // A short log is whole again once it has all that the leader has. Who lost promises is another replica (2.5): a
  // learner, until a config names it.
  if (state.amnesia === "short" && (log.durableEnd < leaderEnd || log.repairing)) return [];
  if (state.amnesia !== "lost" || belongs(replica)) {
    return [persist(replica, { acceptedEpoch: epoch, amnesia: "none" })];
  }
  return accepted ? [] : [persist(replica, { acceptedEpoch: epoch })];
}

/** The leader refused: what replaces it will be announced; meanwhile it is asked again. */
export function leaderRefused(_replica: Replica, _epoch: Epoch, _error: ErrorName, _now: Millis): ReplicaEffect[] {
  return [];
}
