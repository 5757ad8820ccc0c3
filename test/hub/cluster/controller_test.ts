// The controller's choices: candidates in their order, better ones named by elections, roll call, the way home.
import assert from "node:assert/strict";
import test from "node:test";
import {
  candidateOf,
  failed,
  type Governed,
  needsLeader,
  newAttempt,
  preferredOf,
  tried,
} from "../../../hub/cluster/controller.ts";

const [a, b, c] = ["1:a", "2:b", "3:c"] as const;
const all = (): boolean => true;

function governed(leader: number, isr: readonly string[], changes: Partial<Governed> = {}): Governed {
  const config = { id: { epoch: 65, n: 0 }, old: { members: [a, b, c], m: 2 }, next: null };
  const published = { leader, leaderEpoch: 65, isr, config, learners: [] };
  return { topicId: "t", partition: 0, assignment: [a, b, c], m: 2, unclean: false, published, ...changes };
}

const down =
  (...hubs: number[]) =>
  (hub: number): boolean =>
    hubs.includes(hub);

test("a partition needs a leader when it has none, or its leader is down", () => {
  assert.equal(needsLeader(governed(1, [a]), down(), all), false);
  assert.equal(needsLeader(governed(1, [a]), down(1), all), true);
  assert.equal(needsLeader(governed(1, [a], { published: undefined }), down(), all), true);
  const replaced = (replica: string): boolean => replica !== a;
  assert.equal(needsLeader(governed(1, [a]), down(), replaced), true, "the hub lives, on another disk");
});

test("elections that name a better one do not put off a roll call, and the one they name need not be published", () => {
  const attempt = newAttempt();
  for (let i = 0; i < 3; i++) {
    tried(attempt, { kind: "amnesiac" }, 0);
    tried(attempt, { kind: "not-best", best: "4:d" }, 0);
    assert.equal(candidateOf(governed(-1, [a]), attempt, down(), all)!.hub, 4);
  }
  tried(attempt, { kind: "refused", promisedEpoch: 900 }, 0);
  const standing = candidateOf(governed(-1, [a]), attempt, down(), all)!;
  assert.deepEqual([standing.kind, standing.seenEpoch], ["roll-call", 900]);
});

test("the preferred replica first, then the ISR, then whoever lives", () => {
  assert.equal(candidateOf(governed(2, [a, b]), newAttempt(), down(2), all)!.hub, 1);
  assert.equal(candidateOf(governed(1, [a, c]), newAttempt(), down(1), all)!.hub, 3);
  assert.equal(candidateOf(governed(1, [a]), newAttempt(), down(1), all)!.hub, 2);
  assert.equal(candidateOf(governed(1, [a]), newAttempt(), down(1, 2, 3), all), null);
});

test("a failed election goes on to the next, the one it named goes first, and seen ballots are overbid", () => {
  const attempt = newAttempt();
  failed(attempt, 0);
  assert.ok(attempt.nextAt > 0, "not at once");
  assert.equal(candidateOf(governed(1, [a, b, c]), attempt, down(1), all)!.hub, 3);
  attempt.better = 2;
  attempt.seenEpoch = 700;
  const standing = candidateOf(governed(1, [a, b, c]), attempt, down(1), all)!;
  assert.deepEqual([standing.hub, standing.seenEpoch, standing.kind], [2, 700, "clean"]);
});

test("a roll call only when all answer and too few count; unclean only where the topic says so", () => {
  const attempt = { ...newAttempt(), tooFew: 3 };
  assert.equal(candidateOf(governed(-1, []), attempt, down(), all)!.kind, "roll-call");
  assert.equal(candidateOf(governed(-1, []), attempt, down(3), all)!.kind, "clean");
  assert.equal(candidateOf(governed(-1, [], { unclean: true }), attempt, down(3), all)!.kind, "unclean");
});

test("a replaced disk is another replica: it is not asked to lead in the old one's place", () => {
  assert.equal(candidateOf(governed(1, [a, b]), newAttempt(), down(1), (replica) => replica !== b)!.hub, 3);
});

test("leadership goes home to a live preferred replica in the ISR", () => {
  assert.equal(preferredOf(governed(2, [a, b, c]), down()), 1);
  assert.equal(preferredOf(governed(1, [a, b, c]), down()), null);
  assert.equal(preferredOf(governed(2, [b, c]), down()), null);
  assert.equal(preferredOf(governed(2, [a, b]), down(1)), null);
});

test("where nobody of the published set is left, those that were catching up are asked: their set may hold", () => {
  const config = { id: { epoch: 65, n: 0 }, old: { members: [a], m: 1 }, next: null };
  const published = { leader: 1, leaderEpoch: 65, isr: [a], config, learners: [c, b] };
  const here = (replica: string): boolean => replica !== a;
  assert.equal(candidateOf(governed(1, [a], { published }), newAttempt(), down(1), here)!.hub, 3);
});
