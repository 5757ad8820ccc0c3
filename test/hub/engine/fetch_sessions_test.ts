// Fetch sessions as a pure table: epochs, bounds, what makes room for what.
import assert from "node:assert/strict";
import test from "node:test";
import { type Asked, FetchSessions, type FetchRequest, tell } from "../../../hub/engine/fetch_sessions.ts";
import { limits } from "../../../hub/limits.ts";
import { fetchRequest } from "../../../hub/wire/messages/01_fetch.ts";
import { fill } from "../../../hub/wire/codec.ts";

function request(sessionId: number, sessionEpoch: number, partitions: readonly number[], forgotten: number[] = []) {
  const wanted = partitions.map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 1 }));
  const topics = wanted.length === 0 ? [] : [{ topic: "t", partitions: wanted }];
  const forgottenTopicsData = forgotten.length === 0 ? [] : [{ topic: "t", partitions: forgotten }];
  const given = { maxWaitMs: 0, minBytes: 1, sessionId, sessionEpoch, topics, forgottenTopicsData };
  return fill(fetchRequest, given) as FetchRequest;
}

function table(slots: number): FetchSessions {
  let last = 0;
  return new FetchSessions(
    () => slots,
    () => ++last,
  );
}

function accepted(asked: Asked) {
  assert.ok(asked.error === null, `${asked.error}`);
  return asked;
}

const seen = (asked: Asked): number[] => accepted(asked).watched.map(({ wanted }) => wanted.partition);
const idOf = (asked: Asked): number => accepted(asked).session?.id ?? 0;

test("without a session, and with an empty beginning, nothing is remembered", () => {
  const sessions = table(10);
  assert.deepEqual([idOf(sessions.ask(request(0, -1, [1, 2]), false, 0)), sessions.count], [0, 0]);
  assert.deepEqual([idOf(sessions.ask(request(0, 0, []), false, 0)), sessions.count], [0, 0]);
});

test("partitions are added, replaced and forgotten; an empty session ends", () => {
  const sessions = table(10);
  const id = idOf(sessions.ask(request(0, 0, [1, 2, 2]), false, 0));
  assert.equal(sessions.partitions, 2);
  assert.deepEqual(seen(sessions.ask(request(id, 1, [3, 1]), false, 0)), [1, 2, 3]);
  assert.deepEqual(seen(sessions.ask(request(id, 2, [], [1, 9]), false, 0)), [2, 3]);
  const all = sessions.ask(request(id, 3, [], [2, 3]), false, 0);
  assert.deepEqual([idOf(all), seen(all), sessions.count, sessions.partitions], [0, [], 0, 0]);
});

test("epochs count up and wrap to 1; any other is refused and harms nothing", () => {
  const sessions = table(10);
  const asked = sessions.ask(request(0, 0, [1]), false, 0);
  const session = accepted(asked).session!;
  for (const epoch of [2, 5]) {
    assert.equal(sessions.ask(request(session.id, epoch, []), false, 0).error, "INVALID_FETCH_SESSION_EPOCH");
  }
  session.epoch = 0x7fff_ffff;
  assert.deepEqual(seen(sessions.ask(request(session.id, 0x7fff_ffff, []), false, 0)), [1]);
  assert.deepEqual(seen(sessions.ask(request(session.id, 1, []), false, 0)), [1]);
  assert.equal(sessions.ask(request(session.id, 2, []), true, 0).error, "FETCH_SESSION_TOPIC_ID_ERROR");
  assert.equal(sessions.ask(request(99, 1, []), false, 0).error, "FETCH_SESSION_ID_NOT_FOUND");
});

test("a client that begins anew ends its old session; epoch -1 ends it too", () => {
  const sessions = table(1);
  const first = idOf(sessions.ask(request(0, 0, [1]), false, 0));
  const second = idOf(sessions.ask(request(first, 0, [1]), false, 0));
  assert.ok(second > 0 && second !== first, "the slot was given back before it was needed");
  sessions.ask(request(second, -1, [1]), false, 0);
  assert.deepEqual([sessions.count, sessions.partitions], [0, 0]);
});

test("slots: the longest unused makes room once it is idle, a live one never", () => {
  const sessions = table(2);
  const idle = limits.fetchSessionIdleMs;
  const one = idOf(sessions.ask(request(0, 0, [1]), false, 0));
  const two = idOf(sessions.ask(request(0, 0, [1]), false, 1));
  assert.equal(idOf(sessions.ask(request(0, 0, [1]), false, idle - 1)), 0);
  sessions.ask(request(one, 1, []), false, idle - 1);
  assert.ok(idOf(sessions.ask(request(0, 0, [1]), false, idle + 1)) > 0);
  assert.equal(sessions.ask(request(two, 1, []), false, idle + 1).error, "FETCH_SESSION_ID_NOT_FOUND");
  assert.equal(sessions.ask(request(one, 2, []), false, idle + 1).error, null);
  assert.equal(idOf(table(0).ask(request(0, 0, [1]), false, 0)), 0);
});

test("partitions of all sessions are bounded, when one opens and when one grows", () => {
  const sessions = table(10);
  const many = Array.from({ length: limits.fetchSessionPartitionsMax - 1 }, (_, i) => i);
  const id = idOf(sessions.ask(request(0, 0, many), false, 0));
  assert.equal(idOf(sessions.ask(request(0, 0, [1, 2]), false, 0)), 0, "no room for two more");
  const grown = sessions.ask(request(id, 1, [many.length, many.length + 1]), false, 0);
  assert.equal(grown.error, "FETCH_SESSION_ID_NOT_FOUND");
  assert.deepEqual([sessions.count, sessions.partitions], [0, 0]);
});

test("tell: records, errors and moved ends are news; the same again is none", () => {
  const asked = accepted(table(1).ask(request(0, 0, [1]), false, 0));
  const watched = asked.watched[0]!;
  const quiet = { errorCode: 0, highWatermark: 5, logStart: 0, bytes: 0 };
  assert.equal(tell(watched, quiet), true);
  assert.equal(tell(watched, quiet), false);
  assert.equal(tell(watched, { ...quiet, bytes: 9 }), true);
  assert.equal(tell(watched, { ...quiet, highWatermark: 6 }), true);
  assert.equal(tell(watched, { ...quiet, highWatermark: 6, logStart: 1 }), true);
  assert.equal(tell(watched, { ...quiet, errorCode: 3, highWatermark: -1, logStart: -1 }), true);
  assert.equal(tell(watched, { ...quiet, highWatermark: 6, logStart: 1 }), true, "healed");
});
