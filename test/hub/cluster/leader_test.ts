// The watermark of a led partition.
import assert from "node:assert/strict";
import test from "node:test";
import { mayCommit, newLoneLeader, onDurable, onMinInSync } from "../../../hub/cluster/leader.ts";

test("a lone leader's watermark is its own durable end", () => {
  const leader = newLoneLeader(1, 0, 1, 10);
  assert.equal(leader.highWatermark, 10);
  assert.deepEqual(onDurable(leader, 1, 15), [{ kind: "watermark", from: 10, to: 15 }]);
  assert.deepEqual(onDurable(leader, 1, 15), []);
  assert.equal(leader.highWatermark, 15);
});

test("the watermark never goes back", () => {
  const leader = newLoneLeader(1, 0, 1, 10);
  assert.deepEqual(onDurable(leader, 1, 4), []);
  assert.equal(leader.highWatermark, 10);
});

test("the slowest in sync holds the watermark, others do not", () => {
  const leader = newLoneLeader(1, 0, 2, 10);
  leader.inSync.add(2);
  onDurable(leader, 2, 8);
  onDurable(leader, 3, 99);
  assert.equal(leader.highWatermark, 10);
  assert.deepEqual(onDurable(leader, 1, 20), []);
  assert.deepEqual(onDurable(leader, 2, 12), [{ kind: "watermark", from: 10, to: 12 }]);
});

test("fewer in sync than min.insync.replicas: nothing commits, nothing already readable is hidden", () => {
  const leader = newLoneLeader(1, 0, 2, 10);
  assert.equal(mayCommit(leader), false);
  assert.deepEqual(onDurable(leader, 1, 20), []);
  assert.equal(leader.highWatermark, 10);
  assert.deepEqual(onMinInSync(leader, 1), [{ kind: "watermark", from: 10, to: 20 }]);
  assert.equal(mayCommit(leader), true);
});
