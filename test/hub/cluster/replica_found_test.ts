// What the simulator found in the replica machines (test/sim), told as stories so that it stays mended.
import assert from "node:assert/strict";
import test from "node:test";
import * as machine from "../../../hub/cluster/replica.ts";
import type { PublishedState, ReplicaId, ReplicaSet } from "../../../hub/cluster/types.ts";
import { ArrayLog } from "./array_log.ts";
import { a, b, c, d, Stage, settings, whole } from "./stage.ts";

test("a set is final when m of it hold what came before, not when the old set does", () => {
  const stage = whole();
  stage.append(a);
  stage.settle(b);
  stage.run(a, machine.peerLost(stage.at(a), 3, 0));
  assert.equal(stage.at(a).highWatermark, 1, "committed by a and b; c has nothing");
  stage.run(a, machine.reconfigure(stage.at(a), { members: [a, c], m: 2 }, 0));
  const { config, promisedEpoch: epoch } = stage.at(a).state;
  assert.notEqual(config.next, null, "both sets count");
  for (const from of [b, c]) {
    const [offset, lastFetchedEpoch] = from === b ? [1, epoch] : [0, -1];
    const fetch = { from, epoch, offset, lastFetchedEpoch, accepted: true, configId: config.id };
    stage.run(a, machine.followerFetched(stage.at(a), fetch, 0).effects);
  }
  assert.notEqual(stage.at(a).state.config.next, null, "c knows of the change, and lacks the record");
  stage.settle(c);
  assert.deepEqual(stage.at(a).state.config.old.members, [a, c]);
});

test("m = 1 is left when all of the old set know it: any of them might be elected by its published ISR alone", () => {
  const stage = whole(1);
  stage.run(a, machine.reconfigure(stage.at(a), { members: [a, b, c], m: 2 }, 0));
  stage.settle(b);
  assert.notEqual(stage.at(a).state.config.next, null, "c does not know");
  stage.settle(c);
  assert.equal(stage.at(a).state.config.next, null);
  assert.equal(stage.at(a).state.config.old.m, 2);
});

test("nobody leads while a cut of its log is under way", () => {
  const stage = new Stage([a, b], 2);
  const log = stage.logs.get(b)!;
  log.append(0);
  log.sync();
  const replica = stage.at(b);
  stage.run(b, machine.leaderAnnounced(replica, 65, a, 0));
  const word = { ...machine.wordOf(replica), epoch: 65, epochStart: 0, leaderEnd: 0, highWatermark: 0 };
  const { effects } = machine.leaderAnswered(replica, word, { epoch: -1, endOffset: 0 }, 0);
  assert.ok(
    effects.some(({ kind }) => kind === "truncate"),
    "a cut is asked for",
  );
  stage.run(b, machine.tryLead(replica, 0, "clean", 0));
  assert.equal(replica.role, "candidate");
  log.truncate(0);
  stage.run(b, machine.truncated(replica, 0));
  assert.equal(replica.role, "leader");
  assert.equal(replica.epochStart, 0);
});

test("a roll call loses nothing where R count", () => {
  const stage = whole();
  stage.append(a);
  stage.settle(b, c, b, c);
  // c's log is gone; that it accepted a later epoch says nothing of what it holds
  const found = { ...stage.at(c).stored, promisedEpoch: 200, acceptedEpoch: 200, amnesia: "short" as const };
  stage.logs.set(c, new ArrayLog([]));
  stage.replicas.set(c, machine.newReplica(c, stage.logs.get(c)!, found, settings, 0, 0));
  assert.equal(stage.elect(c, "roll-call"), false);
  const { promisedEpoch } = stage.at(c).state;
  stage.run(a, machine.tryLead(stage.at(a), promisedEpoch, "roll-call", 0));
  assert.equal(stage.at(a).role, "leader");
  assert.ok(!stage.told.includes(`${a} alarm`), "no loss is told");
});

test("a short log is a short log, whatever else is known of the replica", () => {
  const config = { id: { epoch: 0, n: 0 }, old: { members: [a, b, c], m: 2 }, next: null };
  const learner = machine.foundState(d, undefined, config, undefined, false);
  assert.equal(learner.amnesia, "lost");
  assert.equal(machine.foundState(d, learner, config, undefined, true).amnesia, "short");
  assert.equal(machine.returnedState(machine.buriedState(learner)).amnesia, "short");
  assert.equal(machine.foundState(a, undefined, config, undefined, false).amnesia, "none");
});

test("a leader that promised to one who did not win says that it leads no more", () => {
  const stage = whole();
  const ballot = { epoch: 195, candidate: c, config: stage.config };
  stage.run(a, machine.voteRequested(stage.at(a), ballot, 0));
  assert.equal(stage.at(a).role, "idle");
  assert.equal(machine.deadline(stage.at(a)), 0);
  assert.deepEqual(machine.tick(stage.at(a), 10), [], "c may be about to tell");
  const [effect] = machine.tick(stage.at(a), 10 + settings.electionMsMax);
  assert.ok(effect?.kind === "publish", "nobody told");
  assert.deepEqual([effect.state.leader, effect.state.leaderEpoch], [-1, 65]);
});

test("a follower that promised in vain objects to its leader, who stands above that promise", () => {
  const stage = whole();
  stage.run(b, machine.voteRequested(stage.at(b), { epoch: 195, candidate: c, config: stage.config }, 0));
  assert.equal(machine.fetchOf(stage.at(b)), null, "65 is below its promise");
  for (const now of [0, settings.electionMsMax]) stage.run(b, machine.tick(stage.at(b), now));
  assert.deepEqual([machine.fetchOf(stage.at(b))!.epoch, machine.fetchOf(stage.at(b))!.accepted], [195, false]);
  stage.fetch(b);
  assert.deepEqual([stage.at(a).role, stage.at(a).epoch], ["leader", 257]);
  stage.follow(b, a);
  stage.settle(b);
  assert.ok(machine.isrOf(stage.at(a)).includes(b), "in sync again");
});

test("a learner hears by a vote that it counts, and may stand", () => {
  const stage = new Stage([a, b, c], 2, [d]);
  const config = { id: { epoch: 65, n: 1 }, old: stage.config.old, next: { members: [a, b, d], m: 2 } };
  stage.run(d, machine.voteRequested(stage.at(d), { epoch: 65, candidate: a, config }, 0));
  assert.deepEqual(stage.at(d).stored.config, config);
  assert.ok(stage.elect(d), "R of both sets answer");
});

test("who is no member tells the world of the set that it knows", () => {
  const stage = new Stage([a, b, c], 2);
  const config = { id: { epoch: 65, n: 2 }, old: { members: [b, c], m: 2 }, next: null };
  const replica = machine.newReplica(a, stage.logs.get(a)!, { ...stage.at(a).stored, config }, settings, 0, 0);
  const effects = machine.tryLead(replica, 0, "clean", 0);
  assert.equal(effects.map(({ kind }) => kind).join(), "election-failed,publish");
  assert.deepEqual(effects[1]?.kind === "publish" && effects[1].state.config, config);
});

test("with m = 1 an ISR is trusted that was published of the set in force, not of one before", () => {
  const stage = whole(1);
  stage.settle(b, c);
  const { published } = stage;
  assert.deepEqual([...published!.isr].sort(), [a, b, c]);
  const before = { ...published!, config: stage.config };
  for (const id of [a, c]) stage.down.add(id);
  for (const [state, role] of [
    [before, "candidate"],
    [published, "leader"],
  ] as const) {
    stage.run(b, machine.tryLead(stage.at(b), 0, "clean", 0, state));
    assert.equal(stage.at(b).role, role);
  }
});

/** a leads b with m = 1, both in sync; what b knows of Redis. */
function pair(): { stage: Stage; known: PublishedState } {
  const stage = new Stage([a, b], 1);
  assert.ok(stage.elect(a), "a is elected");
  stage.follow(b, a);
  stage.settle(b);
  assert.deepEqual(stage.published!.isr, [a, b]);
  return { stage, known: stage.published! };
}

test("with m = 1 who is trusted by what was published leads when it is published to lead, on top of that", () => {
  const { stage, known } = pair();
  stage.append(a);
  stage.settle(b);
  stage.down.add(a);
  stage.redisAway = true;
  stage.run(b, machine.tryLead(stage.at(b), 0, "clean", 0, known));
  assert.equal(stage.at(b).role, "candidate", "nobody was told");
  assert.equal(stage.at(b).stored.acceptedEpoch, 65, "what is accepted lacks nothing below it");
  stage.redisAway = false;
  stage.publish();
  assert.equal(stage.at(b).role, "leader");
  assert.deepEqual([stage.published!.leader, stage.published!.leaderEpoch, stage.published!.isr], [2, 130, [b]]);
  stage.append(b);
  assert.equal(stage.at(b).highWatermark, 2);
});

test("with m = 1 who left the ISR meanwhile does not lead by what it knew before", () => {
  const { stage, known } = pair();
  stage.down.add(a).add(b);
  stage.run(a, machine.peerLost(stage.at(a), 2, 0));
  stage.append(a);
  assert.equal(stage.at(a).highWatermark, 1, "a commits alone, and Redis knows");
  stage.run(b, machine.tryLead(stage.at(b), 0, "clean", 0, known));
  assert.equal(stage.at(b).role, "idle");
  assert.ok(stage.told.includes(`${b} election-failed refused`), stage.told.join("; "));
  assert.deepEqual([stage.published!.leader, stage.published!.isr], [1, [a]], "nothing took its place");
  // nor did it get anything by that which counts where both are asked
  stage.down.clear();
  stage.run(b, machine.tryLead(stage.at(b), 0, "clean", 0, stage.published));
  assert.equal(stage.at(b).role, "idle", "a has more");
});

test("with m = 1 a leader that all have promised commits alone not before Redis knows that it is alone", () => {
  const { stage, known } = pair();
  stage.redisAway = true;
  stage.run(b, machine.tryLead(stage.at(b), 0, "clean", 0, known));
  assert.equal(stage.at(b).role, "leader", "a promised too");
  stage.append(b);
  assert.equal(stage.at(b).highWatermark, 0, "a may still be elected by what is published");
  stage.redisAway = false;
  stage.publish();
  assert.equal(stage.at(b).highWatermark, 1);
  assert.deepEqual(stage.published!.isr, [b]);
});

test("with m = 1 who comes back with a shorter log leaves the ISR in public first", () => {
  const { stage } = pair();
  stage.redisAway = true;
  stage.append(a);
  const { config } = stage.at(a).stored;
  const fetch = { from: b, epoch: 65, offset: 0, lastFetchedEpoch: -1, accepted: false, configId: config.id };
  stage.run(a, machine.followerFetched(stage.at(a), fetch, 0).effects);
  assert.equal(stage.at(a).highWatermark, 0);
  stage.redisAway = false;
  stage.publish();
  assert.equal(stage.at(a).highWatermark, 1);
});

test("a hub that hears late that it led does not bring back who left the ISR since", () => {
  const { stage, known } = pair();
  stage.run(a, machine.peerLost(stage.at(a), 2, 0));
  stage.replicas.set(a, machine.newReplica(a, stage.logs.get(a)!, stage.at(a).stored, settings, 0, 0));
  stage.run(a, machine.leaderFound(stage.at(a), known));
  assert.deepEqual([stage.published!.leader, stage.published!.isr], [-1, [a]]);
});

test("who missed an epoch that is known to have lost something cuts in a later one; without such a loss it halts", () => {
  for (const [markedEpoch, halts] of [
    [193, false],
    [129, true],
  ] as const) {
    const log = new ArrayLog([129, 129, 129, 129, 129]);
    const config = { id: { epoch: 129, n: 0 }, old: { members: ["1:a", "2:b", "3:c"], m: 2 }, next: null };
    const state = { ...machine.freshState(config), promisedEpoch: 129, acceptedEpoch: 129 };
    const replica = machine.newReplica("3:c", log, state, settings, 5, 0);
    for (const effect of machine.leaderAnnounced(replica, 257, "1:a", 0)) {
      if (effect.kind === "persist") machine.stored(replica, effect.version, 0);
    }
    const place = { epochStart: 4, leaderEnd: 4, logStart: 0, highWatermark: 4 };
    const word = { epoch: 257, ...place, config, markedEpoch };
    const { effects } = machine.leaderAnswered(replica, word, { epoch: 129, endOffset: 3 }, 0);
    assert.ok(effects.some((effect) => effect.kind === "alarm" && effect.name === "hw_truncation"));
    assert.equal(replica.halted, halts, `marked ${markedEpoch}`);
    assert.equal(
      effects.some((effect) => effect.kind === "truncate" && effect.to === 3),
      !halts,
    );
  }
});

test("N = m: what is lost for good is replaced once all of the new set hold what the old one may have committed", () => {
  const stage = whole(3);
  stage.append(a);
  stage.settle(b, c);
  const { epoch, state } = stage.at(a);
  const target = { members: [a, d, c], m: 3 };
  const refused = (set: ReplicaSet, lost: readonly ReplicaId[]): string | null =>
    machine.mayReconfigure(stage.at(a), set, lost);
  assert.match(refused({ members: [d, b, c], m: 3 }, [a])!, /leader is not lost/);
  assert.match(refused({ members: [a, d], m: 2 }, [b, c])!, /one for one/);
  assert.match(refused({ members: [a, d, b], m: 3 }, [b])!, /all but what was lost stays/);
  assert.equal(refused(target, [b]), null);
  stage.run(a, machine.reconfigure(stage.at(a), target, 0, [b]));
  const fetched = (from: ReplicaId, offset: number, accepted: boolean): void => {
    const fetch = {
      from,
      epoch,
      offset,
      lastFetchedEpoch: offset > 0 ? epoch : -1,
      accepted,
      configId: state.config.id,
    };
    stage.run(a, machine.followerFetched(stage.at(a), fetch, 0).effects);
  };
  fetched(d, 0, false);
  assert.deepEqual(stage.at(a).state.config.old.members, [a, b, c], "it has nothing yet");
  fetched(d, 1, true);
  assert.deepEqual(stage.at(a).state.config, { id: { epoch, n: 1 }, old: target, next: null });
  assert.deepEqual([...stage.at(a).lead!.isr].sort(), [a, c, d].sort());
  assert.match(
    machine.mayReconfigure(whole().at(a), { members: [a, b, d], m: 2 }, [c])!,
    /a quorum is left/,
    "with N > m it is a change as any other",
  );
});

test("m = 1: who is left out of the set is in sync until the world knows it: it may be elected for that alone", () => {
  const stage = whole(1);
  stage.append(a);
  stage.settle(b, c);
  assert.deepEqual([...stage.published!.isr].sort(), [a, b, c]);
  stage.redisAway = true;
  stage.run(a, machine.reconfigure(stage.at(a), { members: [a, c], m: 1 }, 0));
  stage.settle(c);
  assert.deepEqual(stage.at(a).state.config.old.members, [a, c], "the change is done");
  stage.append(a);
  stage.settle(c);
  assert.equal(stage.at(a).highWatermark, 1, "b lacks the record, and is trusted by what is published");
  stage.redisAway = false;
  stage.publish();
  assert.deepEqual([...stage.published!.isr].sort(), [a, c]);
  assert.equal(stage.at(a).highWatermark, 2);
});

test("a candidate whose claim was stored, unknown to it, and that lost says that it leads not", () => {
  const stage = whole(1);
  stage.redisAway = true;
  for (const id of [a, c]) stage.down.add(id);
  const published = stage.published!;
  stage.run(b, machine.tryLead(stage.at(b), 0, "clean", 0, published));
  const { epoch } = stage.at(b).election!;
  assert.equal(stage.at(b).election!.claim, "asked");
  const claimed = { ...published, leader: 2, leaderEpoch: epoch, isr: [b] };
  stage.published = claimed; // the answer was lost
  assert.deepEqual(machine.leaderFound(stage.at(b), claimed), [], "it may lead yet");
  stage.run(b, machine.voteRequested(stage.at(b), { epoch: epoch + 64, candidate: a, config: stage.config }, 0));
  assert.equal(stage.at(b).role, "idle");
  stage.redisAway = false;
  for (let i = 0; i < 2; i++) {
    stage.now += settings.electionMsMax;
    stage.run(b, machine.tick(stage.at(b), stage.now));
  }
  assert.deepEqual([stage.published.leader, stage.published.leaderEpoch], [-1, epoch]);
});

test("what comes too late to be told is told of what stands there: a leader that leads not", () => {
  const stage = whole(1);
  const older = { ...stage.published!, leader: 2, leaderEpoch: 66 };
  const newer = { ...older, leaderEpoch: 130 };
  const [vacancy] = machine.leaderFound(stage.at(b), older);
  assert.ok(vacancy?.kind === "publish" && machine.revised(stage.at(b), vacancy, newer) === null);
  const [again] = machine.notPublished(stage.at(b), vacancy, newer, 0);
  assert.ok(again?.kind === "publish");
  assert.deepEqual([again.state.leader, again.state.leaderEpoch], [-1, 130]);
});
