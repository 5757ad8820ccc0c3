// What was handed out lately: found by offset, without gaps, within its bounds.
import assert from "node:assert/strict";
import test from "node:test";
import { Feed } from "../../../bridge/deliver/feed.ts";
import { Recent } from "../../../bridge/deliver/recent.ts";
import { type InBatch, limits } from "../../../hub/mod.ts";
import { Dice, seedsOf } from "../wire/random.ts";

function batch(from: number, count: number, bytes = 10): InBatch {
  const value = new Uint8Array(bytes);
  const rest = { topic: "t", partition: 0, timestamp: 0, key: null, value, headers: [] };
  const records = Array.from({ length: count }, (_, at) => ({ ...rest, offset: from + at }));
  return { topic: "t", partition: 0, records, nextOffset: from + count + 1, highWatermark: 0 };
}

test("an offset is found in the batch that holds it, or a gap behind it", () => {
  const [recent, feed] = [new Recent(), new Feed("t", 0, null)];
  const [first, second] = [batch(10, 5), batch(16, 3)];
  recent.keep(feed, 8, first);
  recent.keep(feed, 16, second);
  recent.keep(feed, 16, second);
  assert.equal(recent.records, 8, "the same batch is kept once");
  const found = [7, 8, 15, 16, 19, 20].map((offset) => recent.find(feed, offset));
  assert.deepEqual(found, [null, first, first, second, second, null]);
});

test("after a gap nothing of before is found", () => {
  const [recent, feed] = [new Recent(), new Feed("t", 0, null)];
  recent.keep(feed, 0, batch(0, 5));
  recent.keep(feed, 9, batch(9, 5));
  assert.equal(recent.find(feed, 0), null);
  assert.equal(recent.records, 5);
});

for (const seed of seedsOf(2)) {
  test(`bounds hold, and what is found is right (MQTT_SEED=${seed})`, () => {
    const dice = new Dice(seed);
    const recent = new Recent();
    const feeds = Array.from({ length: 5 }, (_, at) => ({ feed: new Feed("t", at, null), next: 0, kept: 0 }));
    for (let step = 0; step < 3_000; step++) {
      const one = dice.pick(feeds);
      if (dice.chance(0.02)) recent.drop(one.feed);
      const made = batch(one.next, dice.below(400), dice.pick([10, 10, 5_000]));
      recent.keep(one.feed, one.next, made);
      one.next = made.nextOffset;
      assert.ok(recent.records <= limits.mqttRecentRecordsMax && recent.bytes <= limits.mqttRecentBytesMax);
      const offset = dice.below(one.next);
      const found = recent.find(one.feed, offset);
      if (found !== null) assert.ok(found.nextOffset > offset && (found.records[0]?.offset ?? 0) <= offset + 1);
    }
    for (const { feed } of feeds) recent.drop(feed);
    assert.deepEqual([recent.records, recent.bytes], [0, 0]);
  });
}
