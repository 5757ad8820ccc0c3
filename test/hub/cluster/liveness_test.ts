// Who is down: late by our own clock, gone for two, or silent and stalled; and who is forgiven.
import assert from "node:assert/strict";
import test from "node:test";
import { type Beat, forgive, heard, isDown, isLate, newLiveness } from "../../../hub/cluster/liveness.ts";

const beat = (hubId: number, counter: number, changes: Partial<Beat> = {}): Beat => ({
  hubId,
  dirId: "d",
  session: "s",
  counter,
  hasData: true,
  metaSeq: 0,
  draining: false,
  mqtt: null,
  gone: [],
  silent: [],
  ...changes,
});

const hubs = [1, 2, 3];
const fresh = () => newLiveness({ sessionMs: 6000, stallMs: 2000 });

test("a hub is late when its counter stood still for a session, whatever it repeats", () => {
  const live = fresh();
  heard(live, beat(2, 1), 0);
  assert.equal(heard(live, beat(2, 1), 5000), false, "the same beat again is no news");
  assert.equal(isLate(live, 2, 6000, 0), false);
  assert.equal(isLate(live, 2, 6001, 0), true);
  heard(live, beat(2, 2), 6001);
  assert.equal(isLate(live, 2, 6002, 0), false);
});

test("one that never beat is late a session after this hub began", () => {
  assert.equal(isLate(fresh(), 3, 6000, 0), false);
  assert.equal(isLate(fresh(), 3, 6001, 0), true);
});

test("gone for two witnesses is down at once; for one of two it is not", () => {
  const live = fresh();
  for (const hub of hubs) heard(live, beat(hub, 1), 0);
  heard(live, beat(1, 2, { gone: [3] }), 100);
  assert.equal(isDown(live, 3, hubs, 100, 0), false);
  assert.equal(heard(live, beat(2, 2, { gone: [3] }), 100), true, "that is news");
  assert.equal(isDown(live, 3, hubs, 100, 0), true);
});

test("silent for two counts once its beats have stalled", () => {
  const live = fresh();
  for (const hub of hubs) heard(live, beat(hub, 1), 0);
  for (const hub of [1, 2]) heard(live, beat(hub, 2, { silent: [3] }), 1500);
  assert.equal(isDown(live, 3, hubs, 1500, 0), false);
  assert.equal(isDown(live, 3, hubs, 2000, 0), true);
});

test("of two hubs the other's word alone is enough", () => {
  const live = fresh();
  for (const hub of [1, 2]) heard(live, beat(hub, 1), 0);
  heard(live, beat(1, 2, { gone: [2] }), 50);
  assert.equal(isDown(live, 2, [1, 2], 50, 0), true);
});

test("after an outage everybody has a whole session again", () => {
  const live = fresh();
  heard(live, beat(2, 1), 0);
  forgive(live, 9000);
  assert.equal(isDown(live, 2, hubs, 15_000, 0), false);
});

test("a restarted hub begins a new pulse, whatever its counter", () => {
  const live = fresh();
  heard(live, beat(2, 50), 0);
  assert.equal(heard(live, beat(2, 1, { session: "t" }), 10), true);
  assert.equal(live.pulses.get(2)!.beat.session, "t");
});
