// Parked fetches and waiting writes.
import assert from "node:assert/strict";
import test from "node:test";
import { FetchPlace, FetchRoom, UnreadBytes, WriteQueue } from "../../../hub/engine/waiting_room.ts";
import type { Clock } from "../../../hub/io/ports.ts";
import { limits } from "../../../hub/limits.ts";

/** Timers that fire when told. */
function handClock(): { clock: Clock; fire(): void; pending(): number } {
  const timers = new Set<() => void>();
  const clock = {
    now: () => 0,
    wall: () => 0,
    wallTrusted: () => true,
    after(_delayMs: number, call: () => void) {
      timers.add(call);
      return { cancel: () => void timers.delete(call) };
    },
    soon: (call: () => void) => call(),
  };
  return { clock, fire: () => [...timers].forEach((call) => call()), pending: () => timers.size };
}

test("a parked fetch wakes when enough bytes became readable, not before", async () => {
  const { clock, pending } = handClock();
  const room = new FetchRoom(clock);
  const [a, b] = [new FetchPlace(), new FetchPlace()];
  let woken = false;
  const parked = room.park([a, b], 100, 500);
  void parked.woken.then(() => (woken = true));
  room.advanced(a, 60);
  await Promise.resolve();
  assert.equal(woken, false);
  room.advanced(b, 40);
  await parked.woken;
  assert.deepEqual([room.count, a.waiting.size, b.waiting.size, pending()], [0, 0, 0, 0]);
});

test("a parked fetch wakes at its deadline, and when its place is disturbed", async () => {
  const { clock, fire } = handClock();
  const room = new FetchRoom(clock);
  const place = new FetchPlace();
  const late = room.park([place], 1, 500);
  fire();
  await late.woken;
  const disturbed = room.park([place], 1, 500);
  room.disturbed(place);
  await disturbed.woken;
  assert.equal(room.count, 0);
});

test("without time to wait nothing is parked", async () => {
  const room = new FetchRoom(handClock().clock);
  await room.park([new FetchPlace()], 1, 0).woken;
  assert.equal(room.count, 0);
});

test("a parked fetch that leaves is gone everywhere, twice is once", () => {
  const { clock, pending } = handClock();
  const room = new FetchRoom(clock);
  const place = new FetchPlace();
  const parked = room.park([place], 1, 500);
  parked.leave();
  parked.leave();
  assert.deepEqual([room.count, place.waiting.size, pending()], [0, 0, 0]);
});

test("writes are answered in order up to the watermark", () => {
  const queue = new WriteQueue();
  const answered: string[] = [];
  for (const end of [3, 5, 9]) queue.add(end, (error) => answered.push(error ? `${end}: ${error.message}` : `${end}`));
  queue.passed(2);
  assert.deepEqual(answered, []);
  queue.passed(5);
  assert.deepEqual(answered, ["3", "5"]);
  assert.equal(queue.length, 1);
  queue.fail(new Error("gone"));
  assert.deepEqual(answered, ["3", "5", "9: gone"]);
  assert.equal(queue.length, 0);
});

test("a long queue that is never empty does not keep what it answered", () => {
  const queue = new WriteQueue();
  let count = 0;
  queue.add(1, () => count++);
  for (let end = 2; end <= 5000; end++) {
    queue.add(end, () => count++);
    queue.passed(end - 1);
  }
  assert.equal(count, 4999);
  assert.equal(queue.length, 1);
});

test("a full room and a closed one park nothing, and say so", async () => {
  const { clock, pending } = handClock();
  const room = new FetchRoom(clock);
  const place = new FetchPlace();
  const parked = Array.from({ length: limits.parkedRequestsMax }, () => room.park([place], 1, 500));
  assert.deepEqual([room.full, room.count], [true, limits.parkedRequestsMax]);
  await room.park([place], 1, 500).woken;
  parked[0]!.leave();
  assert.equal(room.full, false);
  room.close();
  await Promise.all(parked.map(({ woken }) => woken));
  assert.deepEqual([room.full, room.count, place.waiting.size, pending()], [true, 0, 0, 0]);
});

test("a place tells who looked before that something changed since", () => {
  const room = new FetchRoom(handClock().clock);
  const place = new FetchPlace();
  const seen = place.changes;
  room.advanced(place, 1);
  const [once] = [place.changes];
  room.disturbed(place);
  assert.ok(seen !== once && once !== place.changes);
});

test("unread bytes: what stands above the watermark when it moves is counted again at its next move", () => {
  const unread = new UnreadBytes();
  unread.add(100); // ends at 1
  unread.add(70); // ends at 2, in the group behind
  assert.equal(unread.passed(1, 2), 170);
  assert.ok(unread.passed(2, 2) >= 70, "a fetch that parked in between is woken");
  unread.add(5);
  assert.equal(unread.passed(3, 3), 5, "nothing is counted for ever");
});

test("unread bytes are never fewer than there are, and of no more than the last two moves", () => {
  let seed = 4;
  const int = (max: number): number => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % max;
  const unread = new UnreadBytes();
  const batches: number[] = [];
  let [readable, told] = [0, 0];
  for (let step = 0; step < 2000; step += 1) {
    if (int(3) > 0) {
      batches.push(1 + int(50));
      unread.add(batches.at(-1)!);
      continue;
    }
    const before = readable;
    readable += int(batches.length - readable + 1);
    if (readable === before) continue;
    const bytes = unread.passed(readable, batches.length);
    const truth = batches.slice(before, readable).reduce((sum, size) => sum + size, 0);
    assert.ok(bytes >= truth, `step ${step}: ${bytes} told, ${truth} readable`);
    told += bytes;
  }
  assert.ok(told > 0, "something was told");
});
