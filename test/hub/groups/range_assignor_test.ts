// The range assignor: consecutive runs, topics with equal counts cut alike, order of joining kept.
import assert from "node:assert/strict";
import test from "node:test";
import { assignRange } from "../../../hub/groups/range_assignor.ts";
import { noPartitions } from "../../../hub/groups/topic_partitions.ts";

const claimant = (memberId: string, ...topics: string[]) => ({ memberId, topics, held: noPartitions });

test("range: consecutive runs, the first ones longer; equal topics are cut alike", () => {
  const counts = new Map([
    ["t", 5],
    ["u", 5],
  ]);
  const target = assignRange([claimant("z", "t", "u"), claimant("a", "t", "u"), claimant("m", "u")], counts);
  const lists = (id: string) => [target.get(id)?.get("t") ?? [], target.get(id)?.get("u") ?? []];
  assert.deepEqual(lists("z"), [
    [0, 1, 2],
    [0, 1],
  ]);
  assert.deepEqual(lists("a"), [
    [3, 4],
    [2, 3],
  ]);
  assert.deepEqual(lists("m"), [[], [4]]);
});

test("range: more members than partitions, and topics that are not there", () => {
  const target = assignRange([claimant("a", "t"), claimant("b", "t"), claimant("c", "t", "gone")], new Map([["t", 2]]));
  assert.deepEqual(
    [...target.values()].map((each) => each.get("t")?.length ?? 0),
    [1, 1, 0],
  );
});
