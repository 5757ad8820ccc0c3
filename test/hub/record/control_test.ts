// Tests of transaction markers: the bytes as Kafka writes them, and what is read from others' batches.
import assert from "node:assert/strict";
import test from "node:test";
import { checkStoredBatch } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { encodeMarker, readMarker } from "../../../hub/record/control.ts";
import { decodeRecords } from "../../../hub/record/record.ts";

test("a marker is one control record: key 0 and type, value 0 and the coordinator's epoch", () => {
  for (const commit of [true, false]) {
    const batch = encodeMarker({ producerId: 4001, producerEpoch: 12, coordinatorEpoch: 515, commit }, 1234);
    const header = checkStoredBatch(batch);
    assert.deepEqual([header.control, header.transactional, header.count], [true, true, 1]);
    assert.deepEqual([header.producerId, header.producerEpoch, header.baseSequence], [4001, 12, -1]);
    assert.equal(header.maxTimestamp, 1234);
    const [record] = decodeRecords(batch);
    assert.deepEqual([...record!.key!], [0, 0, 0, commit ? 1 : 0]);
    assert.deepEqual([...record!.value!], [0, 0, 0, 0, 2, 3]);
    assert.deepEqual(readMarker(batch), { commit, coordinatorEpoch: 515 });
  }
});

test("other types of control record, short keys and emptied batches are no markers; a missing value is no epoch", () => {
  const control = (key: number[] | null, value: number[] | null): Uint8Array =>
    encodeBatch([{ key: key && Uint8Array.from(key), value: value && Uint8Array.from(value) }], { control: true });
  assert.equal(readMarker(control([0, 0, 0, 2], [0, 0, 0, 0, 0, 0])), null);
  assert.equal(readMarker(control([0, 0], null)), null);
  assert.equal(readMarker(control(null, null)), null);
  assert.deepEqual(readMarker(control([0, 0, 0, 1], null)), { commit: true, coordinatorEpoch: -1 });
});
