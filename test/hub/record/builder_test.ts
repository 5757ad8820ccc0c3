// Tests of the batch builder: what it hands over, and its bounds.
import assert from "node:assert/strict";
import test from "node:test";
import { HubError } from "../../../hub/errors.ts";
import { checkBatch } from "../../../hub/record/batch.ts";
import { BatchBuilder } from "../../../hub/record/builder.ts";
import { decodeRecords } from "../../../hub/record/record.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

test("a builder is empty after finish and does not touch what it handed over", () => {
  const builder = new BatchBuilder();
  for (let i = 0; i < 3; i += 1) builder.add({ key: null, value: bytesOf(`first ${i}`) }, 5);
  const first = builder.finish();
  const copy = first.slice();
  assert.equal(builder.count, 0);
  for (let i = 0; i < 50; i += 1) builder.add({ key: null, value: bytesOf(`second ${i}`) }, 6);
  const second = builder.finish({ producerId: 1, producerEpoch: 0, baseSequence: 0 });
  assert.deepEqual(first, copy);
  assert.equal(checkBatch(second).count, 50);
  assert.equal(decodeRecords(second)[49]!.timestamp, 6);
});

test("a million records and 64 MiB are the bounds of a batch", () => {
  const builder = new BatchBuilder();
  const value = new Uint8Array(16 << 20);
  for (let i = 0; i < 3; i += 1) builder.add({ key: null, value });
  assert.throws(
    () => builder.add({ key: null, value }),
    (error) => error instanceof HubError && error.kind === "MESSAGE_TOO_LARGE",
  );
});
