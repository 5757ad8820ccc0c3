// Opening what a fetch brought: from the middle of a batch, past control batches, up to a cut, and broken bytes.
import assert from "node:assert/strict";
import test from "node:test";
import { openBatches } from "../../../hub/client/opening.ts";
import { HubError } from "../../../hub/errors.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";

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
