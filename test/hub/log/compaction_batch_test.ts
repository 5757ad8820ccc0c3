// What a cleaning does with batches around the end of what its map covers.
import assert from "node:assert/strict";
import test from "node:test";
import { BatchJudge } from "../../../hub/log/compaction_batch.ts";
import { KeyMap } from "../../../hub/log/key_map.ts";
import { readBatchHeader, setBaseOffsetAndEpoch } from "../../../hub/record/batch.ts";
import { encodeMarker } from "../../../hub/record/control.ts";
import { deleteHorizonOf } from "../../../hub/record/filter.ts";
import { openRecords } from "../../../hub/record/record.ts";
import { keyedBatch } from "./compaction_support.ts";

const [now, retention] = [1_000_000, 5000];

function judgeOf(mapped: number, isLast = false): BatchJudge {
  const map = new KeyMap(1024, new Uint8Array(16));
  const around = { map, mapped, deleteRetentionMs: retention, isLastOfProducer: () => isLast, isAborted: () => false };
  return new BatchJudge(around, now);
}

function at(offset: number, batch: Uint8Array): Uint8Array {
  setBaseOffsetAndEpoch(batch, offset, 0);
  return batch;
}

function judged(judge: BatchJudge, batch: Uint8Array): Uint8Array | null {
  const header = readBatchHeader(batch);
  return judge.judge(batch, header, openRecords(batch, header), false);
}

/** Of a producer whose last batch it is or is not. */
const tombstone = (): Uint8Array =>
  keyedBatch([{ key: "a", value: null }], { producerId: 7, producerEpoch: 0, baseSequence: 0 });

test("a tombstone gets its time only where older values of its key are gone: below the end of the map", () => {
  for (const isLast of [false, true]) {
    const judge = judgeOf(10, isLast);
    const below = judged(judge, at(9, tombstone()))!;
    assert.equal(deleteHorizonOf(below), now + retention);
    assert.equal(judge.horizonAt, now + retention);
    for (const offset of [10, 11]) {
      const beyond = judgeOf(10, isLast);
      const batch = at(offset, tombstone());
      assert.equal(judged(beyond, batch), batch, `offset ${offset}: it stays as it is`);
      assert.equal(beyond.horizonAt, Number.POSITIVE_INFINITY, "and no pass comes for it");
    }
    const across = at(
      9,
      keyedBatch([
        { key: "a", value: null },
        { key: "b", value: "1" },
      ]),
    );
    assert.equal(judged(judgeOf(10, isLast), across), across, "a batch of which the map covers a part is beyond it");
  }
});

test("when its time is over a tombstone goes; a producer's last batch stays without records", () => {
  for (const isLast of [false, true]) {
    const judge = judgeOf(10, isLast);
    const stamped = judged(judge, at(3, tombstone()))!;
    judge.now = now + retention - 1;
    assert.equal(judged(judge, stamped), stamped, "a moment before");
    judge.now = now + retention;
    const left = judged(judge, stamped);
    if (!isLast) assert.equal(left, null);
    else assert.deepEqual([readBatchHeader(left!).count, readBatchHeader(left!).producerId], [0, 7]);
  }
});

test("a marker gets its time only below the end of the map, and never while a batch of its transaction is left", () => {
  const marker = (): Uint8Array =>
    encodeMarker({ producerId: 7, producerEpoch: 0, coordinatorEpoch: 0, commit: true }, 1000);
  assert.equal(deleteHorizonOf(judged(judgeOf(10), at(9, marker()))!), now + retention);
  const beyond = at(10, marker());
  assert.equal(judged(judgeOf(10), beyond), beyond);
  const judge = judgeOf(10);
  const options = { producerId: 7, producerEpoch: 0, baseSequence: 0, transactional: true };
  judged(judge, at(1, keyedBatch([{ key: "a", value: "1" }], options)));
  const open = at(2, marker());
  assert.equal(judged(judge, open), open);
});
