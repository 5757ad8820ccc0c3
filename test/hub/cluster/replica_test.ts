// Three replicas of one partition, told as stories: elections, fetching, committing, cutting, changing the set.
import assert from "node:assert/strict";
import test from "node:test";
import * as machine from "../../../hub/cluster/replica.ts";
import { a, b, c, d, Stage, settings, whole } from "./stage.ts";

test("a leader needs R promises, and commits with m that have accepted its epoch", () => {
  const stage = new Stage([a, b, c], 2);
  assert.ok(stage.elect(a), "a is elected");
  assert.equal(machine.mayCommit(stage.at(a)), false, "nobody has joined yet");
  stage.append(a);
  assert.equal(stage.at(a).highWatermark, 0);
  stage.follow(b, a);
  stage.settle(b);
  assert.equal(machine.mayCommit(stage.at(a)), true);
  assert.equal(stage.at(a).highWatermark, 1);
  assert.deepEqual(machine.isrOf(stage.at(a)), [a, b]);
});

test("ballots differ by hub, and grow", () => {
  const stage = whole();
  assert.equal(stage.at(a).epoch, 65);
  stage.elect(b);
  assert.equal(stage.at(b).epoch, 130);
});

test("with too few answers there is no leader", () => {
  const stage = new Stage([a, b, c], 2);
  stage.down.add(b).add(c);
  assert.equal(stage.elect(a), false);
  assert.ok(stage.told.includes(`${a} election-failed too-few`), stage.told.join("; "));
});

test("who lacks what was committed is not elected, and says who has it", () => {
  const stage = whole();
  stage.append(a);
  stage.settle(b); // c has not fetched it
  assert.equal(stage.at(a).highWatermark, 0, "c is in the ISR still");
  stage.run(a, machine.peerLost(stage.at(a), 3, stage.now));
  assert.equal(stage.at(a).highWatermark, 1, "committed by a and b");
  stage.down.add(a);
  assert.equal(stage.elect(c), false, "c lacks it");
  assert.ok(stage.elect(b), "b has it");
});

test("an old leader is fenced by the promise, whatever it hears later", () => {
  const stage = whole();
  stage.down.add(a);
  assert.ok(stage.elect(b), "b is elected by c");
  stage.append(a); // a does not know
  assert.equal(stage.at(a).highWatermark, 0);
  assert.equal(machine.fetchOf(stage.at(c)), null, "c follows nobody until it hears of b");
  stage.follow(c, a);
  assert.equal(stage.at(c).role, "idle", "epoch 65 is below what c promised");
});

test("what an old leader wrote alone is cut when it follows the new one", () => {
  const stage = whole();
  stage.down.add(a);
  assert.ok(stage.elect(b), "b is elected");
  stage.append(a);
  stage.append(a);
  stage.append(b);
  stage.follow(c, b);
  stage.settle(c);
  assert.equal(stage.at(b).highWatermark, 1);
  stage.down.delete(a);
  stage.follow(a, b);
  stage.settle(a);
  assert.deepEqual(stage.logs.get(a)!.epochs, [130]);
  assert.deepEqual(machine.isrOf(stage.at(b)), [b, c, a]);
});

test("a promise is on disk before anybody hears of it", () => {
  const stage = new Stage([a, b, c], 2);
  const request = { epoch: 65, candidate: a, config: stage.config };
  const effects = machine.voteRequested(stage.at(b), request, 0);
  assert.equal(effects.map(({ kind }) => kind).join(), "persist");
  const [persist] = effects;
  assert.equal(persist?.kind === "persist" && persist.state.promisedEpoch, 65);
  const answers = machine.stored(stage.at(b), 1, 0);
  assert.equal(answers.map(({ kind }) => kind).join(), "answer-vote");
});

test("a follower that accepted says so only when that is on disk", () => {
  const stage = new Stage([a, b, c], 2);
  stage.elect(a);
  stage.follow(b, a);
  const word = machine.wordOf(stage.at(a));
  const { effects } = machine.leaderAnswered(stage.at(b), word, null, 0);
  assert.ok(effects.length > 0 && effects.every(({ kind }) => kind === "persist"), "the config and the epoch");
  assert.equal(machine.fetchOf(stage.at(b))!.accepted, false);
  machine.stored(stage.at(b), 99, 0);
  assert.equal(machine.fetchOf(stage.at(b))!.accepted, true);
});

test("who lost a suffix promises and does not count, until it is whole again", () => {
  const stage = whole();
  const forgetful = machine.newReplica(
    b,
    stage.logs.get(b)!,
    { ...stage.at(b).stored, amnesia: "short" },
    settings,
    0,
    0,
  );
  stage.replicas.set(b, forgetful);
  stage.down.add(c);
  assert.equal(stage.elect(a), false, "a and the forgetful b are not R = 2 that count");
  assert.equal(stage.elect(b), false, "the forgetful stands for nothing");
  stage.down.delete(c);
  assert.ok(stage.elect(a), "with c they are");
  stage.follow(b, a);
  stage.settle(b);
  assert.equal(stage.at(b).state.amnesia, "none");
});

test("roll call: all answer, the best leads, and the loss is told", () => {
  const stage = new Stage([a, b, c], 2);
  for (const id of [a, b, c]) {
    stage.replicas.set(
      id,
      machine.newReplica(id, stage.logs.get(id)!, { ...stage.at(id).stored, amnesia: "short" }, settings, 0, 0),
    );
  }
  assert.equal(stage.elect(a), false, "nobody counts");
  assert.ok(stage.elect(a, "roll-call"), "all of N answered");
  assert.ok(stage.told.includes(`${a} alarm`), stage.told.join("; "));
});

test("a cut below the watermark stops the replica, since an invariant broke", () => {
  const stage = whole();
  stage.append(a);
  stage.settle(b, c, b, c);
  assert.equal(stage.at(b).highWatermark, 1);
  const word = { ...machine.wordOf(stage.at(a)) };
  const { append, effects } = machine.leaderAnswered(stage.at(b), word, { epoch: 0, endOffset: 0 }, 0);
  assert.equal(append, false);
  assert.ok(
    effects.some((effect) => effect.kind === "alarm" && effect.name === "hw_truncation"),
    "it is told",
  );
  assert.ok(!effects.some(({ kind }) => kind === "truncate"), "nothing is cut");
  assert.equal(stage.at(b).halted, true);
});

test("a new replica catches up, joins both sets, and takes the place of the old one", () => {
  const stage = new Stage([a, b, c], 2, [d]);
  stage.elect(a);
  for (const id of [b, c]) stage.follow(id, a);
  stage.append(a);
  stage.settle(b, c);
  stage.run(a, machine.reconfigure(stage.at(a), { members: [a, b, d], m: 2 }, 0));
  assert.equal(stage.at(a).state.config.next, null, "d has nothing yet");
  stage.follow(d, a);
  stage.settle(d, b, c);
  assert.deepEqual(stage.at(a).state.config.old.members, [a, b, d]);
  assert.equal(stage.at(a).state.config.next, null);
  assert.equal(stage.at(d).state.amnesia, "none", "a config has it: it counts");
  stage.append(a);
  stage.settle(b, d, b, d);
  assert.equal(stage.at(a).highWatermark, 2);
  assert.deepEqual(machine.isrOf(stage.at(a)), [a, b, d]);
});

test("with m = 1 the ISR shrinks in public first, and counts afterwards", () => {
  const stage = whole(1);
  stage.append(a);
  assert.equal(stage.at(a).highWatermark, 0, "b and c are in sync");
  const effects = machine.peerLost(stage.at(a), 2, 0);
  assert.equal(effects.map(({ kind }) => kind).join(), "publish");
  stage.settle(c);
  assert.equal(stage.at(a).highWatermark, 0, "not before it is known");
  const state = effects[0]?.kind === "publish" ? effects[0].state : null;
  stage.run(a, machine.published(stage.at(a), state!, 0));
  assert.equal(stage.at(a).highWatermark, 1);
});

test("a watermark that comes with the records it is about holds once they are there: it may not be told again", () => {
  const stage = whole();
  stage.run(a, machine.peerLost(stage.at(a), 3, 0));
  stage.append(a);
  stage.settle(b);
  assert.equal(stage.at(a).highWatermark, 1);
  stage.fetch(c); // one answer: the record, and that it is committed
  assert.equal(stage.at(c).log.logEnd, 1);
  assert.equal(stage.at(c).highWatermark, 1);
});

test("a leader that cannot read what is not known to be committed resigns with a short log, and gives it up", () => {
  const stage = whole();
  stage.append(a);
  stage.settle(b, c, b, c);
  stage.append(a);
  stage.append(a); // 1 and 2 are a's alone
  assert.deepEqual(machine.unreadable(stage.at(a), 0), [], "0 is committed: another has the same");
  stage.run(a, machine.unreadable(stage.at(a), 2));
  assert.deepEqual([stage.at(a).role, stage.at(a).stored.amnesia, stage.logs.get(a)!.logEnd], ["idle", "short", 2]);
  stage.down.add(c);
  assert.equal(stage.elect(b), false, "a does not count");
  stage.down.delete(c);
  assert.ok(stage.elect(b), "b and c do");
  stage.logs.get(a)!.repairing = true;
  stage.follow(a, b);
  stage.settle(a);
  assert.equal(stage.at(a).stored.amnesia, "short", "as long as something is left that it cannot read");
  stage.logs.get(a)!.repairing = false;
  stage.settle(a);
  assert.equal(stage.at(a).stored.amnesia, "none");
});

test("a follower gives up what it cannot read, and fetches it again", () => {
  const stage = whole();
  stage.down.add(b);
  stage.run(a, machine.peerLost(stage.at(a), 2, stage.now));
  stage.append(a);
  stage.fetch(c); // has it, and does not know that it is committed
  stage.run(c, machine.unreadable(stage.at(c), 0));
  assert.deepEqual([stage.at(c).role, stage.logs.get(c)!.logEnd], ["follower", 0]);
  assert.equal(machine.fetchOf(stage.at(c))!.accepted, false, "a short log acknowledges nothing");
  stage.settle(c);
  assert.deepEqual([stage.logs.get(c)!.logEnd, stage.at(c).stored.amnesia], [1, "none"]);
});
