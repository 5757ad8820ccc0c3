// Where a subscription begins, and the reader that brings it to the tail.
import assert from "node:assert/strict";
import test from "node:test";
import { type HistoryTaker, readHistory, resolveStarts } from "../../dashboards/history.ts";
import type { InBatch } from "../../hub/client/faces.ts";
import { StandIn } from "./stand_in.ts";

function filled(count: number): StandIn {
  const hub = new StandIn();
  hub.createTopic("t", 1);
  for (let n = 0; n < count; n++) hub.append("t", 0, { key: "k", value: `${n}`, timestamp: 1000 + n });
  return hub;
}

test("starts are held within the log; what is gone is still named", async () => {
  const hub = filled(100);
  hub.trim("t", 0, 20);
  const admin = hub.client().admin();
  const resolve = async (from: Parameters<typeof resolveStarts>[3]) =>
    (await resolveStarts(admin, "t", [0], from, 1100))[0]!;
  assert.deepEqual(await resolve({ kind: "offsets", offsets: new Map([[0, 5]]) }), {
    partition: 0,
    wanted: 5,
    at: 20,
    start: 20,
    end: 100,
  });
  assert.equal((await resolve({ kind: "offsets", offsets: new Map([[0, 500]]) })).at, 20, "a log that began anew");
  assert.equal((await resolve({ kind: "lastMs", ms: 50 })).at, 50);
  assert.equal((await resolve({ kind: "lastMs", ms: 5000 })).at, 20);
  assert.equal((await resolve({ kind: "time", time: 9999 })).at, 100);
  assert.equal((await resolve({ kind: "lastRecords", records: 30 })).at, 70);
});

class Taker implements HistoryTaker {
  at = 0;
  readonly goal: number;
  readonly gaps: number[][] = [];
  polls = 0;
  stopAfter = Number.POSITIVE_INFINITY;
  constructor(goal: number) {
    this.goal = goal;
  }
  wanting(): { partition: number; offset: number }[] {
    return this.at < this.goal ? [{ partition: 0, offset: this.at }] : [];
  }
  async room(): Promise<void> {}
  take(batch: InBatch): void {
    this.polls++;
    assert.equal(batch.records[0]!.offset, this.at);
    this.at = batch.nextOffset;
  }
  gap(_: number, from: number, to: number): void {
    this.gaps.push([from, to]);
    this.at = to;
  }
  ended(): boolean {
    return this.polls >= this.stopAfter;
  }
}

test("reads to the goal in bounded steps", async () => {
  const taker = new Taker(20_000);
  await readHistory(filled(20_000).client(), "t", taker);
  assert.equal(taker.at, 20_000);
  assert.ok(taker.polls > 5, "in steps");
});

test("stops when its subscription ends", async () => {
  const taker = new Taker(20_000);
  taker.stopAfter = 2;
  await readHistory(filled(20_000).client(), "t", taker);
  assert.equal(taker.polls, 2);
});

test("goes on behind what retention removed under it, and says so", async () => {
  const hub = filled(100);
  hub.trim("t", 0, 60);
  const taker = new Taker(100);
  await readHistory(hub.client(), "t", taker);
  assert.deepEqual(taker.gaps, [[0, 60]]);
  assert.equal(taker.at, 100);
});
