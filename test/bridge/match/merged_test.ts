// What overlapping subscriptions mean together.
import assert from "node:assert/strict";
import test from "node:test";
import { type Both, join, type Options, single } from "../../../bridge/match/merged.ts";

const merge = (options: readonly Options[]): Both => options.map(single).reduce(join);

const plain = { qos: 0, noLocal: false, retainAsPublished: false, id: 0 } as const;

test("merge takes the highest QoS and every identifier once", () => {
  const { all, own } = merge([{ ...plain, id: 7 }, { ...plain, qos: 2, id: 3 }, { ...plain, qos: 1, id: 7 }, plain]);
  assert.deepEqual(all, { qos: 2, retainAsPublished: false, ids: [7, 3] });
  assert.equal(own, all);
});

test("merge leaves No Local subscriptions out of what goes back to their own client", () => {
  const both = merge([
    { ...plain, qos: 2, noLocal: true, id: 1 },
    { ...plain, retainAsPublished: true, id: 2 },
  ]);
  assert.deepEqual(both.all, { qos: 2, retainAsPublished: true, ids: [1, 2] });
  assert.deepEqual(both.own, { qos: 0, retainAsPublished: true, ids: [2] });
  assert.equal(merge([{ ...plain, noLocal: true }]).own, null);
});
