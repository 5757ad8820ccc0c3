// A leader by itself: commits with its own disk, and never with fewer in sync than m asks for.
import assert from "node:assert/strict";
import test from "node:test";
import {
  durable,
  freshState,
  leaderFound,
  mayCommit,
  newLoneReplica,
  newReplica,
  setMinInSync,
} from "../../../hub/cluster/replica.ts";
import { ArrayLog } from "./array_log.ts";

test("a lone leader commits what its disk holds, in the epoch its log is in", () => {
  const log = new ArrayLog([3, 3]);
  const replica = newLoneReplica("1:a", log, 1);
  assert.equal(replica.highWatermark, 2);
  assert.equal(replica.epoch, 3);
  log.append(3);
  assert.deepEqual(durable(replica, 0), [], "written, not synced");
  log.sync();
  assert.deepEqual(durable(replica, 0), [{ kind: "watermark", from: 2, to: 3 }]);
  assert.deepEqual(durable(replica, 0), [], "the same again moves nothing");
});

test("with m above the replicas nothing is committed until m is lowered (I7 MinIsr)", () => {
  const log = new ArrayLog([]);
  const replica = newLoneReplica("1:a", log, 2);
  assert.equal(mayCommit(replica), false);
  log.append(0);
  log.sync();
  assert.deepEqual(durable(replica, 0), []);
  assert.deepEqual(setMinInSync(replica, 1, 0), [{ kind: "watermark", from: 0, to: 1 }]);
  assert.equal(mayCommit(replica), true);
});

test("a leader that was started anew says that it leads no more: nobody else can know, when it was away for a moment", () => {
  const config = { id: { epoch: 65, n: 0 }, old: { members: ["1:a", "2:b"], m: 1 }, next: null };
  const settings = { lagMsMax: 1000, voteWaitMs: 200, electionMsMax: 1000 };
  const replica = newReplica("1:a", new ArrayLog([65]), freshState(config), settings, 0, 0);
  const published = { leader: 1, leaderEpoch: 65, isr: ["1:a", "2:b"], config, learners: [] };
  assert.deepEqual(leaderFound(replica, published), [{ kind: "publish", state: { ...published, leader: -1 } }]);
  assert.deepEqual(leaderFound(replica, { ...published, leader: 2 }), [], "of another hub nothing is said");
});
