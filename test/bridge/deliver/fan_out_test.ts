// One batch of the shared tail: who gets what of it, what it costs, and when others have their turn.
import assert from "node:assert/strict";
import test from "node:test";
import { FanOut } from "../../../bridge/deliver/fan_out.ts";
import type { Subscriber } from "../../../bridge/deliver/faces.ts";
import { Feed, Member } from "../../../bridge/deliver/feed.ts";
import { Recent } from "../../../bridge/deliver/recent.ts";
import { FilterTree } from "../../../bridge/match/filter_tree.ts";
import type { Cursor } from "../../../bridge/session/flight.ts";
import { type InBatch, limits, silentTrace } from "../../../hub/mod.ts";
import { testClock } from "../stand_in_hub.ts";

const encoder = new TextEncoder();
const options = { qos: 1, noLocal: false, retainAsPublished: false, id: 0 } as const;

function batch(from: number, count: number, topic = "a/b"): InBatch {
  const headers = [{ key: "mqtt.topic", value: encoder.encode(topic) }];
  const rest = { topic: "t", partition: 0, timestamp: 0, key: null, value: encoder.encode("x"), headers };
  const records = Array.from({ length: count }, (_, at) => ({ ...rest, offset: from + at }));
  return { topic: "t", partition: 0, records, nextOffset: from + count, highWatermark: 0 };
}

/** A feed with members that take what they are given, until `room` is used up. */
function open(from: number) {
  const tree = new FilterTree<Member>();
  const feed = new Feed("t", 0, null);
  feed.isReading = true;
  feed.next = from;
  const recent = new Recent();
  const turns = { count: 0 };
  const soon = (call: () => void): void => {
    turns.count++;
    testClock.soon(call);
  };
  const fanOut = new FanOut({ clock: { ...testClock, soon }, trace: silentTrace, tree, recent });
  const join = (filter: string, next: number, room = Number.POSITIVE_INFINITY) => {
    const got: number[] = [];
    const told = { got, performed: 0 };
    const session = {
      isOpen: true,
      deliver: (_message: unknown, _both: unknown, of: Cursor, offset: number): boolean => {
        if (got.length < room) return got.push(offset) > 0;
        of.attached = false;
        of.next = offset;
        return false;
      },
    };
    const subscriber = { session, sink: [], perform: () => void told.performed++ } as unknown as Subscriber;
    const member = new Member(subscriber);
    const cursor: Cursor = { topic: "t", partition: 0, group: "", next, liveFrom: 0, attached: true };
    tree.set(filter, member, options);
    feed.cursors.set(member, cursor);
    return { ...told, told, member, cursor };
  };
  return { feed, recent, fanOut, join, turns };
}

const offsets = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);

test("each gets what is at its cursor or after it, once, and is written to once", async () => {
  const { feed, fanOut, join } = open(10);
  const [all, later, other] = [join("a/#", 0), join("+/b", 13), join("x/#", 0)];
  await fanOut.handOut(feed, batch(10, 5));
  fanOut.flush();
  assert.deepEqual([all.got, later.got, other.got], [offsets(10, 5), [13, 14], []]);
  assert.deepEqual([all.told.performed, later.told.performed, other.told.performed], [1, 1, 0]);
  assert.equal(feed.next, 15);
  await fanOut.handOut(feed, batch(12, 5));
  assert.deepEqual(all.got, offsets(10, 7), "what was handed out is not handed out again");
});

test("one that has no room is behind: it gets nothing more here, the others do, and the batch is kept for it", async () => {
  const { feed, recent, fanOut, join } = open(0);
  const [slow, quick] = [join("a/b", 0, 2), join("a/b", 0)];
  const first = batch(0, 6);
  await fanOut.handOut(feed, first);
  assert.deepEqual([slow.got, quick.got], [[0, 1], offsets(0, 6)]);
  assert.deepEqual([slow.member.isStarved, [...slow.member.behind], feed.behind], [true, [feed], 1]);
  assert.equal(recent.find(feed, slow.cursor.next), first);
  await fanOut.handOut(feed, batch(6, 3));
  assert.equal(recent.records, 9);
  feed.behind = 0;
  await fanOut.handOut(feed, batch(9, 1));
  assert.equal(recent.records, 0, "nobody is behind");
});

test("publishers have their turn, and a feed that is stopped meanwhile hands out no more", async () => {
  const { feed, fanOut, join, turns } = open(0);
  const { got, told } = join("a/b", 0);
  const count = limits.mqttDeliveriesPerTurnMax * 2.5;
  await fanOut.handOut(feed, batch(0, count));
  assert.equal(got.length, count);
  assert.ok(turns.count >= 2 && told.performed >= 2, `${turns.count} turns`);
  const handing = fanOut.handOut(feed, batch(count, count));
  feed.turn++;
  await handing;
  assert.ok(got.length < 2 * count, `${got.length} in all`);
});
