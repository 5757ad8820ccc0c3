// Tests of idempotent producers (KIP-98): duplicates, gaps, epochs, wrap, bounds, snapshots.
import assert from "node:assert/strict";
import test from "node:test";
import { Producers } from "../../../hub/log/producers.ts";
import { limits } from "../../../hub/limits.ts";
import { readBatchHeader } from "../../../hub/record/batch.ts";
import type { BatchHeader } from "../../../hub/record/batch.ts";
import { encodeMarker } from "../../../hub/record/control.ts";
import type { NewMarker } from "../../../hub/record/control.ts";
import { refusal } from "./support.ts";

const noBytes = new Uint8Array(0);

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
  for (let i = 0; i < count; i += 1) producers.note(header(i * 2, 2, 100 + i * 2), 0, noBytes);
  return producers;
}

test("in order: new; one of the last five again: its first offsets", () => {
  const producers = withBatches(7);
  assert.equal(producers.check(header(14, 3)), null);
  for (let i = 2; i < 7; i += 1) assert.equal(producers.check(header(i * 2, 2))!.baseOffset, 100 + i * 2);
});

test("older than the last five, or cut otherwise: out of order", () => {
  const producers = withBatches(7);
  assert.throws(() => producers.check(header(0, 2)), refusal("OUT_OF_ORDER_SEQUENCE_NUMBER"));
  assert.throws(() => producers.check(header(15, 1)), refusal("OUT_OF_ORDER_SEQUENCE_NUMBER"));
  assert.throws(() => producers.check(header(12, 5)), refusal("OUT_OF_ORDER_SEQUENCE_NUMBER"));
});

test("epochs: a lower one is fenced, a higher one begins at 0", () => {
  const producers = new Producers();
  producers.note(header(0, 2, 0, { producerEpoch: 5 }), 0, noBytes);
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
  producers.note(header(last - 1, 4, 10), 0, noBytes); // last-1, last, 0, 1
  assert.equal(producers.check(header(last - 1, 4))!.baseOffset, 10);
  assert.equal(producers.check(header(2)), null);
  assert.throws(() => producers.check(header(3)), refusal("OUT_OF_ORDER_SEQUENCE_NUMBER"));
});

test("bounded: the least recently used goes, idle ones after a day", () => {
  const producers = new Producers();
  for (let id = 0; id <= limits.producersPerPartitionMax; id += 1) {
    producers.note(header(0, 1, id, { producerId: id }), id, noBytes);
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

function mark(producers: Producers, offset: number, changes: Partial<NewMarker> = {}) {
  const marker = { producerId: 7, producerEpoch: 0, coordinatorEpoch: 3, commit: false, ...changes };
  producers.checkMarker(marker);
  const bytes = encodeMarker(marker, 50);
  return producers.note({ ...readBatchHeader(bytes), baseOffset: offset, lastOffset: offset }, 0, bytes);
}

const inTransaction = { transactional: true };

test("a transaction opens with its first batch, holds the stable end, and ends with its marker", () => {
  const producers = new Producers();
  producers.note(header(0, 2, 10, inTransaction), 0, noBytes);
  producers.note(header(2, 2, 12, inTransaction), 0, noBytes);
  producers.note(header(0, 1, 14, { ...inTransaction, producerId: 8 }), 0, noBytes);
  assert.equal(producers.hasOpen(7, 0), true);
  assert.equal(producers.hasOpen(7, 1), false, "another epoch, another transaction");
  assert.equal(producers.lastStable(15), 10);
  assert.deepEqual(mark(producers, 15), {
    producerId: 7,
    firstOffset: 10,
    lastOffset: 15,
    aborted: true,
    stableEnd: 14,
  });
  assert.equal(producers.lastStable(15), 10, "the marker is not below the watermark");
  assert.equal(producers.lastStable(16), 14);
  assert.equal(mark(producers, 16, { producerId: 8, commit: true })!.stableEnd, 17);
  assert.equal(producers.lastStable(17), 17);
  assert.equal(producers.transactionsFrom, 10);
});

test("a plain batch amid a transaction is refused; after its end it is welcome", () => {
  const producers = new Producers();
  producers.note(header(0, 2, 0, inTransaction), 0, noBytes);
  assert.throws(() => producers.check(header(2)), refusal("INVALID_TXN_STATE"));
  mark(producers, 2);
  assert.equal(producers.check(header(2)), null);
});

test("markers: an older epoch and an older coordinator are fenced, a newer epoch begins at sequence 0", () => {
  const producers = new Producers();
  producers.note(header(0, 2, 0, { ...inTransaction, producerEpoch: 4 }), 0, noBytes);
  assert.throws(() => mark(producers, 2, { producerEpoch: 3 }), refusal("INVALID_PRODUCER_EPOCH"));
  mark(producers, 2, { producerEpoch: 5, coordinatorEpoch: 6 });
  const old = { producerEpoch: 5, coordinatorEpoch: 5 };
  assert.throws(() => mark(producers, 3, old), refusal("TRANSACTION_COORDINATOR_FENCED"));
  const next = { ...inTransaction, producerEpoch: 5 };
  assert.throws(() => producers.check(header(2, 1, 3, next)), refusal("OUT_OF_ORDER_SEQUENCE_NUMBER"));
  assert.throws(() => producers.check(header(0, 1, 3, inTransaction)), refusal("INVALID_PRODUCER_EPOCH"));
  assert.equal(producers.check(header(0, 1, 3, next)), null);
  const again = { producerId: 7, producerEpoch: 5, coordinatorEpoch: 6, commit: false };
  assert.equal(producers.checkMarker(again), false, "it stands in the log");
  assert.equal(producers.checkMarker({ ...again, coordinatorEpoch: 7 }), true, "fences the older coordinator");
  assert.equal(producers.checkMarker({ ...again, producerId: 99 }), true, "fences a producer never seen here");
});

test("a producer with an open transaction is never forgotten; too many open ones are refused", () => {
  const producers = new Producers();
  const open = limits.openTransactionsPerPartitionMax;
  for (let id = 0; id < open; id += 1) {
    producers.note(header(0, 1, id, { producerId: id, ...inTransaction }), 0, noBytes);
  }
  const one = header(0, 1, open, { producerId: open, ...inTransaction });
  assert.throws(() => producers.check(one), refusal("CONCURRENT_TRANSACTIONS"));
  for (let id = open; id < open + limits.producersPerPartitionMax; id += 1) {
    producers.note(header(0, 1, id, { producerId: id }), 1, noBytes);
  }
  assert.equal(producers.count, limits.producersPerPartitionMax);
  producers.expire(limits.producerIdleMsMax + 5);
  assert.equal(producers.count, open);
  assert.equal(producers.lastStable(1e6), 0);
});

test("what compaction leaves of a transaction opens none: a batch without records, an emptied marker", () => {
  const producers = new Producers();
  producers.note(header(0, 2, 0, { ...inTransaction, count: 0 }), 0, noBytes);
  assert.equal(producers.lastStable(9), 9);
  const bytes = encodeMarker({ producerId: 7, producerEpoch: 0, coordinatorEpoch: 3, commit: true }, 50);
  const emptied = bytes.slice(0, 61);
  new DataView(emptied.buffer).setInt32(8, 61 - 12);
  new DataView(emptied.buffer).setInt32(57, 0);
  assert.equal(producers.note(readBatchHeader(emptied), 0, emptied), null);
});

test("a snapshot keeps open transactions in their order, epochs of coordinators, and where transactions began", () => {
  const producers = new Producers();
  producers.note(header(0, 2, 10, { ...inTransaction, producerId: 1 }), 0, noBytes);
  producers.note(header(0, 2, 12, { ...inTransaction, producerId: 2 }), 0, noBytes);
  producers.note(header(2, 2, 14, { ...inTransaction, producerId: 1 }), 0, noBytes); // now the most recently used
  mark(producers, 16, { producerId: 3 });
  const { producers: decoded } = Producers.decode(producers.encode(17), 5)!;
  assert.deepEqual([...decoded.active()], [...producers.active()]);
  assert.equal(decoded.transactionsFrom, 10);
  assert.equal(decoded.lastStable(17), 10);
  mark(decoded, 17, { producerId: 1 });
  assert.equal(decoded.lastStable(18), 12);
});
