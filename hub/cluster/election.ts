// Elections: promises given and asked for, and who wins (replication.md 2.5). Pure.
import type { Millis } from "../io/ports.ts";
import { compareConfigs, hasPromises, isMember, membersOf, nextBallot } from "./quorum.ts";
import { belongs, type Election, newLeadership, persist, publishedOf, type Replica, stepDown } from "./state.ts";
import type {
  ElectionFailure,
  ElectionKind,
  Epoch,
  PublishedState,
  ReplicaEffect,
  ReplicaId,
  VoteReply,
  VoteRequest,
} from "./types.ts";

/** A candidate asks: promised when nothing higher was; the answer leaves once the promise is on disk. */
export function voteRequested(replica: Replica, request: VoteRequest, _now: Millis): ReplicaEffect[] {
  const { epoch, candidate } = request;
  if (replica.halted || epoch <= replica.state.promisedEpoch) {
    return [{ kind: "answer-vote", to: candidate, reply: replyOf(replica, epoch, false) }];
  }
  const effects = stepDown(replica, `promised epoch ${epoch} to ${candidate}`);
  // A learner may hear here alone that it counts: the leader that took it in may be gone.
  const known = replica.state.config;
  const config = compareConfigs(request.config.id, known.id) > 0 ? request.config : known;
  // The log end as it is now: from here on nothing of a lower epoch is taken.
  const reply = { ...replyOf(replica, epoch, true), promisedEpoch: epoch, config };
  effects.push(persist(replica, { promisedEpoch: epoch, config }, [{ kind: "answer-vote", to: candidate, reply }]));
  return effects;
}

function replyOf(replica: Replica, epoch: Epoch, granted: boolean): VoteReply {
  const { state, log, id } = replica;
  return {
    from: id,
    epoch,
    granted,
    // Who has no past never promised anything either: a config that names it may count it.
    counts: state.amnesia !== "short" && !state.tombstone,
    promisedEpoch: state.promisedEpoch,
    acceptedEpoch: state.acceptedEpoch,
    durableEnd: log.durableEnd,
    config: granted ? state.config : replica.stored.config,
  };
}

/**
 * Stands for election with a ballot above everything seen. For m = 1 the published ISR is trusted instead of promises
 * (Kafka's rule, replication.md 2.0): `published` is asked for that alone.
 */
export function tryLead(
  replica: Replica,
  seen: Epoch,
  kind: ElectionKind,
  now: Millis,
  published: PublishedState | undefined = undefined,
): ReplicaEffect[] {
  const { state } = replica;
  const refused = mayNotStand(replica, kind);
  if (refused !== null) {
    const failed = { kind: "election-failed" as const, epoch: replica.epoch, why: refused };
    return refused.kind === "not-member" ? [failed, ...laterConfig(replica, published)] : [failed];
  }
  const effects = stepDown(replica, "stands for election");
  const epoch = nextBallot(Math.max(state.promisedEpoch, seen, published?.leaderEpoch ?? 0), replica.hub);
  const to = membersOf(state.config).filter((member) => member !== replica.id);
  replica.role = "candidate";
  replica.election = {
    epoch,
    kind,
    beganAt: now,
    published: published ?? null,
    promised: false,
    answers: new Map(),
    asked: new Set(to),
    claim: "none",
  };
  const request = { epoch, candidate: replica.id, config: state.config };
  effects.push(persist(replica, { promisedEpoch: epoch }, [{ kind: "request-votes", to, request }]));
  return effects;
}

function mayNotStand(replica: Replica, kind: ElectionKind): ElectionFailure | null {
  const { state, halted } = replica;
  if (state.tombstone || !belongs(replica)) return { kind: "not-member" };
  if (halted) return { kind: "amnesiac" };
  return state.amnesia === "short" && kind === "clean" ? { kind: "amnesiac" } : null;
}

/** Who is asked in vain may know whom to ask: a later set than the world was told of. */
function laterConfig({ stored }: Replica, published: PublishedState | undefined): ReplicaEffect[] {
  const { config } = stored;
  const told = published?.config.id ?? { epoch: 0, n: 0 };
  if (compareConfigs(config.id, told) <= 0) return [];
  // who is in sync in that set it cannot know
  return [{ kind: "publish", state: { leader: -1, leaderEpoch: config.id.epoch, isr: [], config, learners: [] } }];
}

/** Its own promise is on disk, and no cut of its log is under way any more: the candidate votes for itself. */
export function selfPromised(replica: Replica, now: Millis): ReplicaEffect[] {
  const { election, stored } = replica;
  if (election === null || election.promised || replica.truncating || stored.promisedEpoch < election.epoch) return [];
  election.promised = true;
  election.answers.set(replica.id, replyOf(replica, election.epoch, true));
  return conclude(replica, now, false);
}

export function voteAnswered(replica: Replica, reply: VoteReply, now: Millis): ReplicaEffect[] {
  const { election } = replica;
  if (election === null || reply.epoch !== election.epoch) return [];
  if (!reply.granted) {
    if (reply.promisedEpoch <= election.epoch) return [];
    return lose(replica, { kind: "refused", promisedEpoch: reply.promisedEpoch });
  }
  election.answers.set(reply.from, reply);
  return [...widen(replica, reply), ...conclude(replica, now, false)];
}

/** The highest config anybody knows is the one that counts; its further members are asked too (2.7 rule 2). */
function widen(replica: Replica, { config }: VoteReply): ReplicaEffect[] {
  const election = replica.election!;
  if (compareConfigs(config.id, replica.state.config.id) <= 0) return [];
  const more = membersOf(config).filter((member) => member !== replica.id && !election.asked.has(member));
  for (const member of more) election.asked.add(member);
  const request = { epoch: election.epoch, candidate: replica.id, config };
  return [persist(replica, { config }, more.length > 0 ? [{ kind: "request-votes", to: more, request }] : [])];
}

/** Time passes for a candidate. */
export function electionTick(replica: Replica, now: Millis): ReplicaEffect[] {
  const election = replica.election!;
  const late = now - election.beganAt >= replica.settings.electionMsMax;
  return conclude(replica, now, late);
}

function lose(replica: Replica, why: ElectionFailure): ReplicaEffect[] {
  const { epoch } = replica.election!;
  replica.election = null;
  replica.role = "idle";
  return [{ kind: "election-failed", epoch, why }];
}

function conclude(replica: Replica, now: Millis, late: boolean): ReplicaEffect[] {
  const election = replica.election!;
  const { answers, kind, epoch, beganAt } = election;
  if (!election.promised) return late ? lose(replica, tooFew(answers)) : [];
  if (!belongs(replica)) return lose(replica, { kind: "not-member" });
  const { config } = replica.state;
  const answered = (member: ReplicaId): boolean => answers.has(member);
  const counts = (member: ReplicaId): boolean => answers.get(member)?.counts ?? false;
  // With R that count nothing need be lost, whatever was asked for: those alone decide.
  const promised = hasPromises(config, counts);
  const all = membersOf(config).every(answered);
  const trusted = isTrusted(replica);
  const enough =
    trusted ||
    promised ||
    (kind === "roll-call" && all) ||
    (kind === "unclean" && (all || now - beganAt >= replica.settings.voteWaitMs));
  if (!enough) return late ? lose(replica, tooFew(answers)) : [];
  const clean = kind === "clean" || promised;
  const mine = answers.get(replica.id)!;
  let best = clean && !mine.counts ? null : mine;
  for (const [member, answer] of answers) {
    if ((clean ? counts(member) : true) && isMember(config, member) && (best === null || isBetter(answer, best))) {
      best = answer;
    }
  }
  if (best !== null && best !== mine) return lose(replica, { kind: "not-best", best: best.from });
  if (trusted && !promised && election.claim !== "stored") {
    return late ? lose(replica, tooFew(answers)) : claim(replica, election);
  }
  return win(replica, epoch, clean ? "clean" : kind, now);
}

/** Only the promise is on disk: an epoch that is accepted says that nothing below it is missing. */
function claim(replica: Replica, election: Election): ReplicaEffect[] {
  if (election.claim !== "none") return [];
  election.claim = "asked";
  const { hub, id, stored } = replica;
  const state = { leader: hub, leaderEpoch: election.epoch, isr: [id], config: stored.config, learners: [] };
  return [{ kind: "publish", state, claim: true }];
}

/** The world was told that this candidate leads, or was not: something else stands there. */
export function claimed(replica: Replica, epoch: Epoch, isStored: boolean, now: Millis): ReplicaEffect[] {
  const { election } = replica;
  if (election === null || election.epoch !== epoch || election.claim !== "asked") return [];
  if (!isStored) return lose(replica, { kind: "refused", promisedEpoch: replica.state.promisedEpoch });
  election.claim = "stored";
  return conclude(replica, now, false);
}

const tooFew = (answers: ReadonlyMap<ReplicaId, VoteReply>): ElectionFailure => ({
  kind: "too-few",
  answered: [...answers.keys()],
});

function isTrusted(replica: Replica): boolean {
  const { published, kind, claim } = replica.election!;
  return claim === "stored" || (kind === "clean" && published !== null && vouches(published, replica));
}

/**
 * m = 1: whoever stands in the published ISR has all that was acknowledged, as long as Redis keeps its word. Only an
 * ISR that was published of this very set, or a later one, shrank in public before it counted.
 */
export function vouches(published: PublishedState, { state, id }: Replica): boolean {
  const { old, next } = state.config;
  if (next !== null || published.config.next !== null || published.config.old.m !== old.m) return false;
  return compareConfigs(published.config.id, state.config.id) >= 0 && old.m === 1 && published.isr.includes(id);
}

/** By (acceptedEpoch, log end), never by the last record's epoch: that is Raft's Figure 8 (replication.md 2.5.4). */
function isBetter(one: VoteReply, other: VoteReply): boolean {
  return (
    one.acceptedEpoch > other.acceptedEpoch ||
    (one.acceptedEpoch === other.acceptedEpoch && one.durableEnd > other.durableEnd)
  );
}

function win(replica: Replica, epoch: Epoch, kind: ElectionKind, _now: Millis): ReplicaEffect[] {
  const { log, state, id } = replica;
  replica.role = "leader";
  replica.leader = id;
  replica.epoch = epoch;
  replica.epochStart = log.logEnd;
  const claimed = replica.election!.claim === "stored";
  replica.election = null;
  // Stamped with its own epoch before it serves: of two leaders' configs the later leader's holds (2.7 rule 2).
  const config = { ...state.config, id: { epoch, n: 0 } };
  replica.lead = { ...newLeadership(id, config.next === null ? -1 : log.logEnd), claimed };
  if (config.old.m === 1 && config.old.members.length > 1 && !claimed) {
    // what is published may name any of them, and is trusted: they leave the ISR in public, before it counts
    for (const member of config.old.members) replica.lead.isr.add(member);
    replica.lead.shrinking = new Set([id]);
  }
  const marked = kind === "clean" ? {} : { markedEpoch: epoch, amnesia: "none" as const };
  const effects: ReplicaEffect[] = [];
  if (kind !== "clean") {
    const name = kind === "unclean" ? "unclean_leader" : "possible_loss";
    effects.push({
      kind: "alarm",
      name,
      detail: `epoch ${epoch} begins at offset ${log.logEnd}: what followed is lost`,
    });
  }
  effects.push(
    persist(replica, { acceptedEpoch: epoch, config, ...marked }, [{ kind: "lead", epoch, start: log.logEnd }]),
  );
  return effects;
}

/** The leader's epoch is on its disk: it may append, and the world may know. */
export function opened(replica: Replica, now: Millis): ReplicaEffect[] {
  const { lead } = replica;
  if (lead === null || lead.open || replica.stored.acceptedEpoch !== replica.epoch) return [];
  lead.open = true;
  replica.vacant = null;
  replica.passed = null;
  for (const follower of lead.followers.values()) follower.caughtUpAt = now;
  return [{ kind: "publish", state: publishedOf(replica) }];
}
