// Opening what a fetch brought: from the middle of a batch, past control batches, up to a cut, and broken bytes.
import assert from "node:assert/strict";
import test from "node:test";
import { openBatches } from "../../../hub/client/opening.ts";
import { HubError } from "../../../hub/errors.ts";
import { At, batchCrc, setBaseOffsetAndEpoch } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { encodeMarker } from "../../../hub/record/control.ts";

const at = { topic: "t", partition: 2 };
const batch = (baseOffset: number, count: number, control = false): Uint8Array => {
  const records = Array.from({ length: count }, (_, index) => ({ key: null, value: Uint8Array.of(index) }));
  return encodeBatch(records, { baseOffset, control }, 1000);
};
const bytes = Buffer.concat([batch(10, 3), batch(13, 1, true), batch(14, 2)]);

test("records from the wanted offset on, without what stands before it in its batch", async () => {
  const { records, nextOffset } = await openBatches(at, 11, bytes, true);
  assert.deepEqual(
    records.map(({ offset }) => offset),
    [11, 12, 14, 15],
  );
  assert.equal(nextOffset, 16);
  const [first] = records;
  assert.deepEqual([first!.topic, first!.partition, first!.timestamp, [...first!.value!]], ["t", 2, 1000, [1]]);
});

test("control batches give no records, but their offset is read", async () => {
  assert.deepEqual(await openBatches(at, 13, batch(13, 1, true), true), { records: [], nextOffset: 14 });
});

test("nothing at all, and bytes cut anywhere: whole batches only", async () => {
  assert.deepEqual(await openBatches(at, 7, null, true), { records: [], nextOffset: 7 });
  const [one, two] = [batch(10, 3).length, batch(10, 3).length + batch(13, 1, true).length];
  for (let size = 0; size < bytes.length; size += 1) {
    const { nextOffset } = await openBatches(at, 10, bytes.subarray(0, size), true);
    assert.equal(nextOffset, size < one ? 10 : size < two ? 13 : 14, `cut at ${size}`);
  }
});

test("a flipped byte is a catalogue error or, outside the CRC, another offset", async () => {
  for (let index = 0; index < bytes.length; index += 1) {
    const broken = Uint8Array.from(bytes);
    broken[index]! ^= 0x21;
    try {
      await openBatches(at, 0, broken, true);
    } catch (error) {
      assert.ok(error instanceof HubError, `byte ${index}: ${String(error)}`);
    }
  }
});

function inTransaction(baseOffset: number, producerId: number, transactional = true): Uint8Array {
  const producer = { producerId, producerEpoch: 0, baseSequence: 0, transactional };
  return encodeBatch([{ key: null, value: Uint8Array.of(baseOffset) }], { baseOffset, ...producer }, 1000);
}

function marker(baseOffset: number, producerId: number, commit: boolean): Uint8Array {
  const bytes = encodeMarker({ producerId, producerEpoch: 0, coordinatorEpoch: 0, commit }, 1000);
  setBaseOffsetAndEpoch(bytes, baseOffset, 0);
  return bytes;
}

test("aborted transactions are left out between their first offset and their marker, and nothing else", async () => {
  const log = Buffer.concat([
    inTransaction(0, 7), // committed
    marker(1, 7, true),
    inTransaction(2, 7), // aborted
    inTransaction(3, 8), // committed
    inTransaction(4, 7), // aborted
    inTransaction(5, 9, false), // plain, idempotent
    marker(6, 7, false),
    inTransaction(7, 7), // committed
    marker(8, 8, true),
    marker(9, 7, true),
    inTransaction(10, 7), // aborted
    marker(11, 7, false),
    inTransaction(12, 7, false), // plain
  ]);
  const aborted = [
    { producerId: 7, firstOffset: 10 },
    { producerId: 7, firstOffset: 2 },
  ];
  const offsets = async (from: number, list = aborted) =>
    (await openBatches(at, from, log, true, list)).records.map(({ offset }) => offset);
  assert.deepEqual(await offsets(0), [0, 3, 5, 7, 12]);
  assert.deepEqual(await offsets(4), [5, 7, 12], "from within the transaction on");
  assert.deepEqual(await offsets(0, []), [0, 2, 3, 4, 5, 7, 10, 12], "read_uncommitted has them all, and no marker");
  assert.equal((await openBatches(at, 10, log, true, aborted)).nextOffset, 13);
});

test("a batch whose records are none is told of and left out, or refused", async () => {
  const garbage = batch(13, 2);
  garbage.fill(0xee, 61);
  new DataView(garbage.buffer, garbage.byteOffset).setUint32(At.crc, batchCrc(garbage, 0, garbage.length));
  const log = Buffer.concat([batch(10, 3), garbage, batch(15, 1)]);
  await assert.rejects(openBatches(at, 10, log, true), HubError);
  const told: [number, string][] = [];
  const opened = await openBatches(at, 10, log, true, [], (offset, error) => void told.push([offset, error.kind]));
  assert.deepEqual(
    opened.records.map(({ offset }) => offset),
    [10, 11, 12, 15],
  );
  assert.equal(opened.nextOffset, 16);
  assert.deepEqual(told, [[13, "INVALID_RECORD"]]);
});
