// What a browser may say: accepted forms with their defaults, refused ones with the field that is wrong.
import assert from "node:assert/strict";
import test from "node:test";
import { ProtocolError, parseMessage, type Subscribe, shapeOf } from "../../dashboards/protocol.ts";
import { limits } from "../../hub/limits.ts";

const subscribe = (more: object = {}): Subscribe =>
  parseMessage(JSON.stringify({ type: "subscribe", id: 1, topic: "sensors", ...more })) as Subscribe;

test("a subscription's defaults are the latest of everything, every record, no credit", () => {
  assert.deepEqual(subscribe(), {
    type: "subscribe",
    id: 1,
    topic: "sensors",
    topicId: null,
    from: { kind: "latest" },
    keys: null,
    partitions: null,
    every: 0,
    historyEvery: 0,
    headers: [],
    lossless: false,
    credit: 0,
  });
  assert.equal(subscribe({ every: 250 }).historyEvery, 250);
});

test("each form of `from`", () => {
  assert.deepEqual(subscribe({ from: { last: "60s" } }).from, { kind: "lastMs", ms: 60_000 });
  assert.deepEqual(subscribe({ from: { last: "2h" } }).from, { kind: "lastMs", ms: 7_200_000 });
  assert.deepEqual(subscribe({ from: { last: 5 } }).from, { kind: "lastRecords", records: 5 });
  assert.deepEqual(subscribe({ from: { offset: 0 } }).from, { kind: "offset", offset: 0 });
  const { from } = subscribe({ from: { offsets: { 0: 4, 12: 7 } } });
  assert.deepEqual(from.kind === "offsets" && [...from.offsets], [
    [0, 4],
    [12, 7],
  ]);
});

test("what is out of bounds is refused, and the error bears the subscription's id", () => {
  const refused: object[] = [
    { topic: "" },
    { topic: "a/b" },
    { topic: "x".repeat(250) },
    { from: { last: "60 s" } },
    { from: { last: -1 } },
    { from: { offset: 1.5 } },
    { from: { offsets: { a: 1 } } },
    { from: { offsets: { 0: -1 } } },
    { from: null, keys: "dev" },
    { every: -1 },
    { every: 1e9 },
    { partitions: [1.5] },
    { headers: Array.from({ length: 17 }, () => "h") },
    { credit: limits.browserCreditMax + 1 },
  ];
  for (const more of refused) {
    assert.throws(
      () => subscribe(more),
      (error: unknown) => error instanceof ProtocolError && error.id === 1,
      JSON.stringify(more),
    );
  }
});

test("the shape is what decides on the bytes: not id, credit or where to begin", () => {
  const shape = shapeOf(subscribe({ keys: ["b", "a"], every: 250 }));
  assert.equal(shapeOf(subscribe({ keys: ["a", "b"], every: 250, from: "earliest", credit: 5, id: 2 })), shape);
  assert.notEqual(shapeOf(subscribe({ keys: ["a", "b"] })), shape);
  assert.notEqual(shapeOf(subscribe({ headers: true })), shapeOf(subscribe()));
});
