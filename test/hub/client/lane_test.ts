// One partition of a producer: sequences, the order of retries, and the verdicts on refusals.
import assert from "node:assert/strict";
import test from "node:test";
import { judge, Lane, tellAll } from "../../../hub/client/lane.ts";
import { HubError } from "../../../hub/errors.ts";
import { checkBatch } from "../../../hub/record/batch.ts";

const identity = { producerId: 7, producerEpoch: 1 };

function laneOf(...counts: number[]): Lane {
  const lane = new Lane("t", 0);
  lane.begin(identity);
  for (const count of counts) {
    for (let index = 0; index < count; index += 1) lane.add({ key: null, value: new Uint8Array(3) }, 5, 10, undefined);
    lane.seal();
  }
  return lane;
}

test("sequences follow one another over batches; sealing nothing makes no batch", () => {
  const lane = laneOf(2, 0, 3);
  assert.deepEqual(
    lane.waiting.map(({ bytes }) => checkBatch(bytes).baseSequence),
    [0, 2],
  );
  assert.deepEqual(
    lane.waiting.map(({ taken }) => taken),
    [20, 30],
  );
  assert.equal(checkBatch(lane.waiting[0]!.bytes).producerId, 7);
});

test("a new identity numbers what waits from 0, with a right CRC", () => {
  const lane = laneOf(2, 3);
  lane.breakSequence();
  assert.deepEqual([lane.identity, lane.isFirst], [null, false]);
  lane.begin({ producerId: 8, producerEpoch: 0 });
  const headers = lane.waiting.map(({ bytes }) => checkBatch(bytes));
  assert.deepEqual(
    headers.map(({ producerId, baseSequence }) => [producerId, baseSequence]),
    [
      [8, 0],
      [8, 2],
    ],
  );
});

test("batches that come back take their old places", () => {
  const lane = laneOf(1, 1, 1, 1);
  const [a, b, c] = [lane.start(null), lane.start(null), lane.start(null)];
  assert.equal(lane.hasBefore(c), true);
  assert.equal(lane.hasBefore(a), false);
  lane.retry(c);
  lane.retry(a);
  lane.finish(b);
  assert.deepEqual(
    lane.waiting.map(({ serial }) => serial),
    [0, 2, 3],
  );
  assert.deepEqual(
    lane.waiting.map(({ returned }) => returned),
    [true, true, false],
  );
  assert.equal(lane.hasBefore(lane.waiting[0]!), false);
});

test("verdicts", () => {
  const lane = laneOf(1, 1);
  const [a, b] = [lane.start(null), lane.start(null)];
  const verdict = (batch: typeof a, kind: ConstructorParameters<typeof HubError>[0], direct = false) =>
    judge(batch, new HubError(kind), direct);
  assert.equal(verdict(a, "DUPLICATE_SEQUENCE_NUMBER"), "delivered");
  assert.equal(verdict(a, "OUT_OF_ORDER_SEQUENCE_NUMBER"), "again-anew");
  assert.equal(verdict(b, "OUT_OF_ORDER_SEQUENCE_NUMBER"), "wait-turn");
  assert.equal(verdict(a, "UNKNOWN_PRODUCER_ID"), "again-anew");
  assert.equal(verdict(a, "NOT_LEADER_OR_FOLLOWER"), "again");
  assert.equal(verdict(a, "MESSAGE_TOO_LARGE"), "fail");
  assert.equal(verdict(a, "REQUEST_TIMED_OUT"), "again");
  assert.equal(verdict(a, "REQUEST_TIMED_OUT", true), "unknown");
  lane.breakSequence();
  assert.equal(verdict(a, "OUT_OF_ORDER_SEQUENCE_NUMBER"), "wait-turn");
});

test("every record is told, in order, also when a call throws", () => {
  const lane = new Lane("t", 4);
  const told: string[] = [];
  const thrown: unknown[] = [];
  for (let index = 0; index < 3; index += 1) {
    lane.add({ key: null, value: null }, 5, 1, (error, offset, partition) => {
      told.push(`${error?.message ?? "ok"} ${partition}@${offset}`);
      if (index === 1) throw new Error("of the caller");
    });
  }
  lane.seal();
  tellAll(lane.waiting[0]!, null, 40, (error) => thrown.push(error));
  tellAll(lane.waiting[0]!, new Error("no"), -1, () => {});
  assert.deepEqual(told, ["ok 4@40", "ok 4@41", "ok 4@42", "no 4@-1", "no 4@-1", "no 4@-1"]);
  assert.equal(thrown.length, 1);
});
