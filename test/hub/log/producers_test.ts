// Tests of idempotent producers (KIP-98): duplicates, gaps, epochs, wrap, bounds, snapshots.
import assert from "node:assert/strict";
import test from "node:test";
import { Producers } from "../../../hub/log/producers.ts";
import { limits } from "../../../hub/limits.ts";
import type { BatchHeader } from "../../../hub/record/batch.ts";
import { refusal } from "./support.ts";

function header(baseSequence: number, count = 1, baseOffset = 0, changes: Partial<BatchHeader> = {}): BatchHeader {
  return {
    baseOffset,
    lastOffset: baseOffset + count - 1,
    size: 100,
    leaderEpoch: 0,
    crc: 0,
    codec: 0,
    logAppendTime: false,
    transactional: false,
    control: false,
    baseTimestamp: 1,
    maxTimestamp: 2,
    producerId: 7,
    producerEpoch: 0,
    baseSequence,
    count,
    ...changes,
  };
}

function withBatches(count: number): Producers {
  const producers = new Producers();
  for (let i = 0; i < count; i += 1) producers.note(header(i * 2, 2, 100 + i * 2), 0);
  return producers;
}

test("in order: new; one of the last five again: its first offsets", () => {
  const producers = withBatches(7);
  assert.equal(producers.check(header(14, 3)), null);
  for (let i = 2; i < 7; i += 1) assert.equal(producers.check(header(i * 2, 2))!.baseOffset, 100 + i * 2);
});

test("older than the last five: a duplicate without offsets; other cuts of the sequence: out of order", () => {
  const producers = withBatches(7);
  assert.throws(() => producers.check(header(0, 2)), refusal("DUPLICATE_SEQUENCE_NUMBER"));
  assert.throws(() => producers.check(header(15, 1)), refusal("OUT_OF_ORDER_SEQUENCE_NUMBER"));
  assert.throws(() => producers.check(header(12, 5)), refusal("OUT_OF_ORDER_SEQUENCE_NUMBER"));
});

test("epochs: a lower one is fenced, a higher one begins at 0", () => {
  const producers = new Producers();
  producers.note(header(0, 2, 0, { producerEpoch: 5 }), 0);
  assert.throws(() => producers.check(header(2, 1, 0, { producerEpoch: 4 })), refusal("INVALID_PRODUCER_EPOCH"));
  assert.equal(producers.check(header(0, 1, 0, { producerEpoch: 6 })), null);
  assert.throws(() => producers.check(header(2, 1, 0, { producerEpoch: 6 })), refusal("OUT_OF_ORDER_SEQUENCE_NUMBER"));
});

test("an unknown producer begins at 0, unless something was forgotten", () => {
  const producers = new Producers();
  assert.equal(producers.check(header(0)), null);
  assert.throws(() => producers.check(header(3)), refusal("UNKNOWN_PRODUCER_ID"));
  producers.noteForgotten();
  assert.equal(producers.check(header(3)), null);
  assert.equal(producers.check(header(3, 1, 0, { producerId: -1 })), null, "no producer id, no rule");
});

test("sequences wrap from 2^31 - 1 to 0", () => {
  const producers = new Producers(true);
  const last = 2 ** 31 - 1;
  producers.note(header(last - 1, 4, 10), 0); // last-1, last, 0, 1
  assert.equal(producers.check(header(last - 1, 4))!.baseOffset, 10);
  assert.equal(producers.check(header(2)), null);
  assert.throws(() => producers.check(header(3)), refusal("OUT_OF_ORDER_SEQUENCE_NUMBER"));
});

test("bounded: the least recently used goes, idle ones after a day", () => {
  const producers = new Producers();
  for (let id = 0; id <= limits.producersPerPartitionMax; id += 1) {
    producers.note(header(0, 1, id, { producerId: id }), id);
  }
  assert.equal(producers.count, limits.producersPerPartitionMax);
  assert.equal(producers.check(header(5, 1, 0, { producerId: 0 })), null, "forgotten, so any sequence");
  producers.expire(limits.producerIdleMsMax + 5001);
  assert.equal(producers.count, limits.producersPerPartitionMax - 5000);
});

test("a snapshot reads back", () => {
  const bytes = withBatches(3).encode(106);
  const decoded = Producers.decode(bytes, 9)!;
  assert.equal(decoded.offset, 106);
  assert.equal(decoded.producers.check(header(4, 2))!.baseOffset, 104);
  assert.equal(decoded.producers.check(header(6)), null);
  bytes[40] = bytes[40]! ^ 1;
  assert.equal(Producers.decode(bytes, 9), null);
});
