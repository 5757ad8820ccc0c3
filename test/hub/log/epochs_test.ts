// Tests of the leader epochs of a log (KIP-101).
import assert from "node:assert/strict";
import test from "node:test";
import { Epochs } from "../../../hub/log/epochs.ts";

test("an epoch begins with its first batch, and only rises", () => {
  const epochs = new Epochs();
  assert.equal(epochs.latest, -1);
  epochs.assign(0, 0);
  epochs.assign(0, 5);
  epochs.assign(4, 10);
  epochs.assign(2, 12);
  assert.deepEqual(epochs.starts, [
    { epoch: 0, start: 0 },
    { epoch: 4, start: 10 },
  ]);
  epochs.assign(9, 10); // epoch 4 wrote nothing after all
  assert.deepEqual(epochs.starts.at(-1), { epoch: 9, start: 10 });
  assert.equal(epochs.starts.length, 2);
});

test("the end of an epoch, and the epoch of an offset", () => {
  const epochs = new Epochs([
    { epoch: 1, start: 0 },
    { epoch: 3, start: 10 },
    { epoch: 7, start: 20 },
  ]);
  assert.deepEqual(epochs.endOf(0, 30), { epoch: -1, endOffset: -1 });
  assert.deepEqual(epochs.endOf(1, 30), { epoch: 1, endOffset: 10 });
  assert.deepEqual(epochs.endOf(5, 30), { epoch: 3, endOffset: 20 });
  assert.deepEqual(epochs.endOf(8, 30), { epoch: 7, endOffset: 30 });
  assert.deepEqual(
    [0, 9, 10, 25].map((offset) => epochs.epochOf(offset)),
    [1, 1, 3, 7],
  );
});

test("cuts at both ends", () => {
  const epochs = new Epochs([
    { epoch: 1, start: 0 },
    { epoch: 3, start: 10 },
    { epoch: 7, start: 20 },
  ]);
  epochs.cutFrom(20);
  assert.equal(epochs.latest, 3);
  epochs.cutBelow(12);
  assert.deepEqual(epochs.starts, [{ epoch: 3, start: 12 }]);
  assert.equal(epochs.changed, true);
});

test("the file reads back, a torn one does not", () => {
  const epochs = new Epochs([
    { epoch: 1, start: 0 },
    { epoch: 65, start: 2 ** 40 },
  ]);
  const bytes = epochs.encode(7);
  assert.deepEqual(Epochs.decode(bytes)!.epochs.starts, epochs.starts);
  assert.equal(Epochs.decode(bytes)!.upTo, 7);
  bytes[bytes.length - 2] = bytes[bytes.length - 2]! ^ 1;
  assert.equal(Epochs.decode(bytes), null);
  assert.equal(Epochs.decode(null), null);
});
