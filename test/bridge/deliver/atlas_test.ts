// Topics and partitions as they come and go, and what a reach holds of them.
import assert from "node:assert/strict";
import test from "node:test";
import { Atlas, type Told } from "../../../bridge/deliver/atlas.ts";
import { downlinkOf } from "../../../bridge/deliver/downlink.ts";
import { choosePartition, limits } from "../../../hub/mod.ts";

const told = (name: string, count: number, more: Partial<Told> = {}): Told => ({
  name,
  topicId: name,
  internal: false,
  partitions: Array.from({ length: count }, (_, partition) => ({ partition, leader: 1 })),
  ...more,
});
const names = (feeds: Iterable<{ topic: string; partition: number }>): string[] =>
  [...feeds].map(({ topic, partition }) => `${topic}-${partition}`);

test("partitions are news once; internal topics never are", () => {
  const atlas = new Atlas([]);
  assert.deepEqual(names(atlas.learn([told("a", 2), told("__x", 1), told("y", 1, { internal: true })]).made), [
    "a-0",
    "a-1",
  ]);
  assert.equal(atlas.learn([told("a", 2)]).isAny, false);
  const first = atlas.get("a", 0);
  assert.deepEqual(names(atlas.learn([told("a", 3)]).made), ["a-2"]);
  assert.equal(atlas.get("a", 0), first);
  assert.equal(atlas.get("a", 3), undefined);
});

test("a topic is gone when it is not told of for long, and at once when another has its name", () => {
  const atlas = new Atlas([]);
  atlas.learn([told("a", 1), told("b", 1)]);
  for (let miss = 1; miss < limits.mqttTopicMissedMax; miss++) {
    assert.equal(atlas.learn([told("b", 1)]).isAny, false);
    assert.equal(atlas.get("a", 0)?.isLed, false, "its end is not asked for meanwhile");
  }
  assert.deepEqual(names(atlas.learn([told("b", 1)]).gone), ["a-0"]);
  assert.equal(atlas.has("a"), false);
  const before = atlas.get("b", 0);
  const { made, gone } = atlas.learn([told("b", 1, { topicId: "another" })]);
  assert.deepEqual([names(made), names(gone)], [["b-0"], ["b-0"]]);
  assert.notEqual(atlas.get("b", 0), before);
});

test("a partition without a leader is known as such", () => {
  const atlas = new Atlas([]);
  atlas.learn([told("a", 1, { partitions: [{ partition: 0, leader: -1 }] })]);
  assert.equal(atlas.get("a", 0)?.isLed, false);
  atlas.learn([told("a", 1)]);
  assert.equal(atlas.get("a", 0)?.isLed, true);
});

test("a reach holds the partition of its key, all of a topic, or of all topics whose names begin so", () => {
  const downlink = downlinkOf({ topic: "plant-b", publish: "x/{key}" });
  const atlas = new Atlas([downlink]);
  atlas.learn([told("plant-a", 4), told("plant-b", 1), told("other", 2)]);
  const of = choosePartition(new TextEncoder().encode("dev-7"), 4);
  const within = (topic: string, isPrefix: boolean, key: string | null): string[] =>
    names(atlas.within([{ topic, isPrefix, key }])).toSorted();
  assert.deepEqual(within("plant-a", false, "dev-7"), [`plant-a-${of}`]);
  assert.deepEqual(within("other", false, null), ["other-0", "other-1"]);
  assert.deepEqual(within("plant-", true, "dev-7"), [`plant-a-${of}`, "plant-b-0"]);
  assert.equal(within("", true, null).length, 7);
  assert.deepEqual(within("none", false, "k"), []);
  assert.equal(atlas.get("plant-b", 0)?.downlink, downlink);
});
