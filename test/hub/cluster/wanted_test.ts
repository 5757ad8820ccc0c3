// The set that is wanted of a partition: what was asked for, hubs that leave, folders that are gone, copies that lack.
import assert from "node:assert/strict";
import test from "node:test";
import type { Governed } from "../../../hub/cluster/controller.ts";
import type { PublishedState, ReplicaSet } from "../../../hub/cluster/types.ts";
import { lostOf, type Place, shortOf, stepTo, wantedOf, type Wishes } from "../../../hub/cluster/wanted.ts";

const nobody = (): boolean => false;

function governed(old: ReplicaSet, changes: Partial<PublishedState> = {}): Governed {
  const config = { id: { epoch: 65, n: 0 }, old, next: null };
  const published = { leader: 1, leaderEpoch: 65, isr: old.members, config, learners: [], ...changes };
  return { topicId: "t", partition: 0, assignment: old.members, m: old.m, unclean: false, published };
}

function places(...hubs: (readonly [number, string, Partial<Place>?])[]): Map<number, Place> {
  return new Map(
    hubs.map(([hubId, dir, changes]) => {
      return [hubId, { hubId, replica: `${hubId}:${dir}`, alive: true, leaves: false, ...changes }];
    }),
  );
}

function wishes(there: Map<number, Place>, changes: Partial<Wishes> = {}): Wishes {
  return {
    asked: null,
    places: there,
    copies: 0,
    lost: new Set<string>(),
    minInSync: (n) => (n >= 3 ? 2 : 1),
    ...changes,
  };
}

const three = { members: ["1:a", "2:b", "3:c"], m: 2 };
const hubs = places([1, "a"], [2, "b"], [3, "c"]);

test("nothing asked: as it is; asked: those hubs in that order, with the m of so many", () => {
  assert.deepEqual(wantedOf(governed(three), wishes(hubs)), three);
  assert.deepEqual(wantedOf(governed(three), wishes(hubs, { asked: [3, 1] })), { members: ["3:c", "1:a"], m: 1 });
});

test("a hub that leaves is replaced by one that stays, or left out; the last one stays", () => {
  const leaving = places([1, "a"], [2, "b", { leaves: true }], [3, "c"], [4, "d"]);
  assert.deepEqual(wantedOf(governed(three), wishes(leaving)).members, ["1:a", "4:d", "3:c"]);
  const none = places([1, "a"], [2, "b", { leaves: true }], [3, "c"], [4, "d", { alive: false }]);
  assert.deepEqual(wantedOf(governed(three), wishes(none)).members, ["1:a", "3:c"]);
  const alone = places([1, "a", { leaves: true }]);
  assert.deepEqual(wantedOf(governed({ members: ["1:a"], m: 1 }), wishes(alone)).members, ["1:a"]);
});

test("a replaced folder takes the old one's place where a quorum is left without it, and only there", () => {
  const replaced = places([1, "a"], [2, "new"], [3, "c"]);
  assert.deepEqual(wantedOf(governed(three), wishes(replaced)), { members: ["1:a", "2:new", "3:c"], m: 2 });
  const all = { members: ["1:a", "2:b"], m: 2 };
  assert.deepEqual(wantedOf(governed(all), wishes(replaced, { minInSync: () => 2 })).members, ["1:a", "2:b"]);
});

test("where no quorum is left without it an operator says that it is lost: one for one, before anything else", () => {
  const replaced = places([1, "a"], [2, "new"], [3, "c"]);
  const all = { members: ["1:a", "2:b"], m: 2 };
  const lost = new Set(["2:b"]);
  const wanted = wantedOf(governed(all), wishes(replaced, { lost, copies: 3, asked: [3, 1] }));
  assert.deepEqual(wanted, { members: ["1:a", "2:new"], m: 2 });
  assert.deepEqual(lostOf(governed(all), wanted, lost), ["2:b"]);
  assert.deepEqual(
    lostOf(governed(three), { members: ["1:a", "2:new", "3:c"], m: 2 }, lost),
    [],
    "a change as any other",
  );
  assert.deepEqual(lostOf(governed(all), all, lost), [], "it stays");
});

test("m does not rise while an old replica can never promise: its folder is gone", () => {
  const replaced = places([1, "a"], [2, "new"], [3, "c"]);
  const two = { members: ["1:a", "2:b"], m: 1 };
  assert.equal(wantedOf(governed(two), wishes(replaced, { minInSync: () => 2 })).m, 1);
});

test("internal topics get more copies as hubs come", () => {
  assert.deepEqual(wantedOf(governed({ members: ["1:a"], m: 1 }), wishes(hubs, { copies: 3 })), {
    members: ["1:a", "2:b", "3:c"],
    m: 2,
  });
});

test("one step at a time: hand over, change, wait, settle; what is called off is changed back", () => {
  const step = (at: Governed, wanted: ReplicaSet) => stepTo(at, wanted, nobody);
  const target = { members: ["2:b", "3:c"], m: 2 };
  assert.deepEqual(step(governed(three), target), { kind: "handover", to: 2 });
  assert.deepEqual(step(governed(three, { leader: 3 }), target), { kind: "change", target });
  assert.deepEqual(step(governed(three, { target }), target), { kind: "none" });
  assert.deepEqual(step(governed(three, { target }), three), { kind: "change", target: three });
  assert.deepEqual(step(governed(three), three), { kind: "settled" });
  assert.deepEqual(step(governed(three, { leader: -1 }), target), { kind: "none" });
  const joint = { id: { epoch: 65, n: 1 }, old: three, next: target };
  assert.deepEqual(step(governed(three, { config: joint }), target), { kind: "none" }, "it ends by itself");
});

test("a hub may go while enough copies are left, counting those that others could take", () => {
  const two = { members: ["1:a", "2:b"], m: 2 };
  assert.deepEqual(shortOf(governed(two), 2, places([1, "a"], [2, "b"])), { left: 1, needed: 2 });
  assert.equal(shortOf(governed(two), 2, hubs), null, "hub 3 takes it");
  assert.equal(shortOf(governed(three), 2, hubs), null, "two of three are enough");
  assert.equal(shortOf(governed(two), 3, hubs), null, "it has none");
});
