// The outbox: order, window, what is dropped when it is full, and rewinding, against a plain model.
import assert from "node:assert/strict";
import test from "node:test";
import { acknowledge, newOutbox, offer, rewind, take } from "../../devices/outbox.ts";
import { seededRandom } from "../../devices/sensors.ts";

test("take gives entries in order, within the window, and again after rewind", () => {
  const outbox = newOutbox<string>(10);
  for (const item of ["a", "b", "c"]) offer(outbox, item);
  assert.equal(take(outbox, 2)?.item, "a");
  assert.equal(take(outbox, 2)?.item, "b");
  assert.equal(take(outbox, 2), null);
  assert.equal(acknowledge(outbox, 0), true);
  assert.equal(acknowledge(outbox, 0), false);
  assert.equal(take(outbox, 2)?.item, "c");
  rewind(outbox);
  assert.equal(acknowledge(outbox, 1), false);
  assert.deepEqual([take(outbox, 9)?.item, take(outbox, 9)?.item, take(outbox, 9)], ["b", "c", null]);
});

test("offer drops the oldest that is not in flight, or the new one when all are", () => {
  const outbox = newOutbox<number>(2);
  offer(outbox, 1);
  offer(outbox, 2);
  take(outbox, 1);
  assert.equal(offer(outbox, 3), 2);
  take(outbox, 2);
  assert.equal(offer(outbox, 4), 4);
  assert.equal(outbox.dropped, 2);
  assert.deepEqual(
    outbox.entries.map((entry) => entry.item),
    [1, 3],
  );
});

test("newOutbox refuses a capacity that is no bound", () => {
  for (const capacity of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => newOutbox(capacity), RangeError);
  }
});

test("outbox never loses, doubles or reorders what it did not report as dropped", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = seededRandom(seed);
  const outbox = newOutbox<number>(8);
  const gone = new Set<number>();
  let inFlight: number[] = [];
  let offered = 0;
  for (let step = 0; step < 20_000; step++) {
    const chance = random();
    if (chance < 0.4) {
      const lost = offer(outbox, offered++);
      if (lost !== null) gone.add(lost);
    } else if (chance < 0.7) {
      const entry = take(outbox, 4);
      if (entry !== null) inFlight.push(entry.item);
    } else if (chance < 0.98) {
      const item = inFlight[Math.floor(random() * inFlight.length)];
      const entry = outbox.entries.find((candidate) => candidate.item === item);
      if (entry !== undefined && acknowledge(outbox, entry.id)) {
        gone.add(entry.item);
        inFlight = inFlight.filter((candidate) => candidate !== item);
      }
    } else {
      rewind(outbox);
      inFlight = [];
    }
    const kept = outbox.entries.map((entry) => entry.item);
    assert.ok(kept.length <= 8 && outbox.inFlight <= 4, `seed ${seed}`);
    assert.deepEqual(kept.slice(0, outbox.inFlight), inFlight, `seed ${seed}`);
    assert.deepEqual(
      kept,
      kept.toSorted((left, right) => left - right),
      `seed ${seed}`,
    );
    assert.equal(kept.length + gone.size, offered, `seed ${seed}`);
  }
});
