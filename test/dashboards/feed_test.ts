// Batching, credits, conflation and bounds of the feed.
import assert from "node:assert/strict";
import test from "node:test";
import {
  accept,
  type Browser,
  cut,
  type Frame,
  flush,
  flushDue,
  forget,
  gather,
  grant,
  hold,
  newBatcher,
  newBrowser,
  newLane,
  type Subscription,
  take,
  thinInto,
} from "../../dashboards/feed.ts";

interface Item {
  readonly offset: number;
  readonly series: string;
  readonly bytes: number;
  readonly timestamp: number;
}

const frameBounds = { records: 5, bytes: 1000 };
const bounds = { heldRecords: 10, heldBytes: 10_000, credit: 100 };

const item = (offset: number, series = "a", bytes = 10): Item => ({ offset, series, bytes, timestamp: offset * 100 });

function frameOf(first: number, ...series: string[]): Frame<Item> {
  const records = series.map((name, i) => item(first + i, name));
  return { partition: 0, first, next: first + series.length, records, conflated: 0, dropped: 0 };
}

function live(next: number, credit: number, lossless = false): [Browser<Item>, Subscription<Item>] {
  const browser = newBrowser<Item>();
  const lane = newLane<Item>(0, next);
  lane.mode = "live";
  const subscription: Subscription<Item> = { id: 1, lossless, credit, lanes: new Map([[0, lane]]) };
  browser.subscriptions.set(1, subscription);
  return [browser, subscription];
}

const offsets = (frame: Frame<Item> | null): number[] => frame!.records.map(({ offset }) => offset);

test("a batcher gathers records into one frame per partition", () => {
  const batcher = newBatcher<Item>(40, false, new Map([[0, 3]]));
  gather(batcher, 0, [item(3), item(4)], 5, frameBounds);
  gather(batcher, 0, [item(5)], 7, frameBounds);
  assert.ok(flushDue(batcher, 0));
  const frames = flush(batcher, 0, frameBounds);
  assert.equal(frames.length, 1);
  assert.deepEqual([frames[0]!.first, frames[0]!.next, offsets(frames[0]!)], [3, 7, [3, 4, 5]]);
  assert.equal(batcher.flushed.get(0), 7);
  assert.ok(!flushDue(batcher, 1000), "nothing is open");
});

test("a batcher with `every` keeps the newest of each series and counts the others", () => {
  const batcher = newBatcher<Item>(250, true, new Map([[0, 0]]));
  gather(batcher, 0, [item(0, "a"), item(1, "b"), item(2, "a"), item(3, "a")], 4, frameBounds);
  assert.ok(flushDue(batcher, 0));
  const [frame] = flush(batcher, 0, frameBounds);
  assert.deepEqual([offsets(frame!), frame!.conflated, frame!.first, frame!.next], [[1, 3], 2, 0, 4]);
  gather(batcher, 0, [item(4, "a")], 5, frameBounds);
  assert.ok(!flushDue(batcher, 249));
  assert.ok(flushDue(batcher, 250));
});

test("a batcher says when it is full, also while it conflates", () => {
  const plain = newBatcher<Item>(40, false, new Map());
  assert.equal(
    gather(
      plain,
      0,
      [0, 1, 2, 3].map((n) => item(n)),
      4,
      frameBounds,
    ),
    false,
  );
  assert.equal(gather(plain, 0, [item(4)], 5, frameBounds), true);
  const newest = newBatcher<Item>(1000, true, new Map());
  const many = Array.from({ length: 40 }, (_, n) => item(n, `s${n}`));
  assert.equal(gather(newest, 0, many, 40, frameBounds), true);
});

test("a frame without records waits, then moves the offset", () => {
  const batcher = newBatcher<Item>(40, false, new Map([[0, 0]]));
  gather(batcher, 0, [item(0)], 1, frameBounds);
  assert.equal(flush(batcher, 0, frameBounds).length, 1);
  gather(batcher, 0, [], 9, frameBounds);
  assert.equal(flush(batcher, 500, frameBounds).length, 0);
  const [frame] = flush(batcher, 1000, frameBounds);
  assert.deepEqual([frame!.first, frame!.next, frame!.records.length], [1, 9, 0]);
});

test("cut keeps both bounds and leaves no hole", () => {
  const records = Array.from({ length: 12 }, (_, n) => item(n, "a", n === 6 ? 5000 : 300));
  const frames = cut({ partition: 0, first: 0, next: 20, records, conflated: 3, dropped: 0 }, frameBounds);
  let at = 0;
  for (const frame of frames) {
    assert.equal(frame.first, at);
    at = frame.next;
    const bytes = frame.records.reduce((sum, each) => sum + each.bytes, 0);
    assert.ok(frame.records.length <= 5 && (bytes <= 1000 || frame.records.length === 1));
  }
  assert.equal(at, 20);
  assert.equal(
    frames.reduce((sum, frame) => sum + frame.conflated, 0),
    3,
  );
});

test("a frame passes while there is credit and room, and spends the credit", () => {
  const [browser, subscription] = live(0, 4);
  assert.equal(accept(browser, subscription, frameOf(0, "a", "b", "c"), true, bounds), "pass");
  assert.equal(subscription.credit, 1);
  assert.equal(accept(browser, subscription, frameOf(3, "a", "b"), true, bounds), "held");
  assert.deepEqual(offsets(take(browser, subscription, frameBounds)), [3]);
  assert.equal(subscription.credit, 0);
  assert.equal(take(browser, subscription, frameBounds), null, "never beyond the credit");
  grant(subscription, 7, bounds);
  assert.deepEqual(offsets(take(browser, subscription, frameBounds)), [4]);
});

test("a full socket holds frames back; what was held keeps its order before later frames", () => {
  const [browser, subscription] = live(0, 100);
  assert.equal(accept(browser, subscription, frameOf(0, "a", "b"), false, bounds), "held");
  assert.equal(accept(browser, subscription, frameOf(2, "c"), true, bounds), "held");
  const frame = take(browser, subscription, frameBounds);
  assert.deepEqual([frame!.first, frame!.next, offsets(frame)], [0, 3, [0, 1, 2]]);
  assert.equal(browser.heldBytes, 0);
});

test("beyond its bound a slow lane keeps the newest of each series and says how many it replaced", () => {
  const [browser, subscription] = live(0, 0);
  for (let n = 0; n < 30; n += 3) accept(browser, subscription, frameOf(n, "a", "b", "c"), true, bounds);
  const lane = subscription.lanes.get(0)!;
  assert.ok(lane.held.length <= 2 * bounds.heldRecords);
  grant(subscription, 100, bounds);
  const seen = new Map<string, number>();
  let conflated = 0;
  let count = 0;
  let at = 0;
  for (let frame = take(browser, subscription, frameBounds); frame !== null; ) {
    assert.equal(frame.first, at);
    at = frame.next;
    conflated += frame.conflated;
    count += frame.records.length;
    for (const { series, offset } of frame.records) seen.set(series, offset);
    frame = take(browser, subscription, frameBounds);
  }
  assert.deepEqual([...seen].sort(), [
    ["a", 27],
    ["b", 28],
    ["c", 29],
  ]);
  assert.equal(count + conflated, 30, "every record is delivered or counted");
  assert.equal(at, 30);
});

test("when even the newest do not fit the oldest go, counted", () => {
  const tight = { ...bounds, heldBytes: 50 };
  const [browser, subscription] = live(0, 0);
  accept(browser, subscription, frameOf(0, "a", "b", "c", "d", "e", "f", "g"), true, tight);
  assert.ok(browser.heldBytes <= 50);
  grant(subscription, 100, bounds);
  const frame = take(browser, subscription, frameBounds)!;
  assert.deepEqual([offsets(frame), frame.dropped], [[2, 3, 4, 5, 6], 2]);
});

test("the bytes held are bounded over all subscriptions of a browser", () => {
  const tight = { ...bounds, heldBytes: 100 };
  const [browser, one] = live(0, 0);
  const lane = newLane<Item>(0, 0);
  lane.mode = "live";
  const two: Subscription<Item> = { id: 2, lossless: false, credit: 0, lanes: new Map([[0, lane]]) };
  browser.subscriptions.set(2, two);
  for (let n = 0; n < 40; n++) {
    accept(browser, one, frameOf(n, `s${n}`), true, tight);
    accept(browser, two, frameOf(n, `s${n}`), true, tight);
    assert.ok(browser.heldBytes <= 100);
  }
  forget(browser, 1);
  forget(browser, 2);
  assert.equal(browser.heldBytes, 0);
});

test("a lossless lane goes back to the log instead", () => {
  const [browser, subscription] = live(0, 0, true);
  const series = Array.from({ length: 11 }, () => "a");
  assert.equal(accept(browser, subscription, frameOf(0, ...series), true, bounds), "behind");
  const lane = subscription.lanes.get(0)!;
  assert.deepEqual([lane.mode, lane.next, lane.covered, browser.heldBytes], ["history", 0, 0, 0]);
});

test("overlap is trimmed, old frames are nothing new, a hole goes back to the log", () => {
  const [browser, subscription] = live(5, 100);
  assert.equal(accept(browser, subscription, frameOf(2, "a", "b", "c"), true, bounds), "old");
  assert.equal(accept(browser, subscription, frameOf(4, "a", "b", "c"), true, bounds), "held");
  assert.deepEqual(offsets(take(browser, subscription, frameBounds)), [5, 6]);
  assert.equal(accept(browser, subscription, frameOf(9, "a"), true, bounds), "behind");
});

test("thinning keeps the last record of a series in each stretch of time, in offset order", () => {
  const kept = new Map<string | number, Item>();
  thinInto(kept, [item(0, "a"), item(1, "b"), item(2, "a")], 1000);
  thinInto(kept, [item(9, "b"), item(10, "a"), item(11, "a")], 1000);
  assert.deepEqual(
    [...kept.values()].map(({ offset }) => offset),
    [2, 9, 11],
  );
});

test("random feeds: nothing is lost unsaid, order and bounds hold, a resume finds every newest record", () => {
  const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  let state = seed >>> 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let round = 0; round < 200; round++) {
    const [browser, subscription] = live(0, 0);
    const delivered: Item[] = [];
    const newest = new Map<string, number>();
    let granted = 0;
    let lost = 0;
    let end = 0;
    let resume = 0;
    const drain = (): void => {
      for (
        let frame = take(browser, subscription, frameBounds);
        frame;
        frame = take(browser, subscription, frameBounds)
      ) {
        assert.equal(frame.first, resume, `seed ${seed}`);
        resume = frame.next;
        delivered.push(...frame.records);
        lost += frame.conflated;
      }
    };
    for (let step = 0; step < 60; step++) {
      const series = Array.from({ length: 1 + random(5) }, () => `s${random(8)}`);
      const frame = frameOf(end, ...series);
      for (const record of frame.records) newest.set(record.series, record.offset);
      if (accept(browser, subscription, frame, random(3) > 0, bounds) === "pass") {
        assert.equal(frame.first, resume, `seed ${seed}`);
        resume = frame.next;
        delivered.push(...frame.records);
      }
      end = frame.next;
      const n = random(6);
      if (n > 0) grant(subscription, n, bounds);
      granted += n;
      if (random(2) === 0) drain();
      assert.ok(delivered.length <= granted, `seed ${seed}: beyond the credit`);
      // whoever resumes here gets the newest record of each series: delivered, or not below the resume offset
      const last = new Map(delivered.map((record) => [record.series, record.offset]));
      for (const [name, offset] of newest) {
        assert.ok(offset >= resume || last.get(name) === offset, `seed ${seed}: ${name} lost at ${offset}`);
      }
    }
    grant(subscription, 100, bounds);
    drain();
    assert.equal(delivered.length + lost, end, `seed ${seed}`);
    for (let i = 1; i < delivered.length; i++)
      assert.ok(delivered[i]!.offset > delivered[i - 1]!.offset, `seed ${seed}`);
  }
});

test("history is held without a bound of its own: its reader waits instead", () => {
  const [browser, subscription] = live(0, 3);
  const wide = { ...bounds, heldRecords: Number.POSITIVE_INFINITY };
  assert.equal(hold(browser, subscription, frameOf(0, ..."aaaaaaaaaaaaaaaaaaaa"), wide), "held");
  assert.equal(subscription.lanes.get(0)!.held.length, 20);
});
