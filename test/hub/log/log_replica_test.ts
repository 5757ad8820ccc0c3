// A follower's log: batches as they come, what does not follow is refused, and a new beginning above the end.
import assert from "node:assert/strict";
import test from "node:test";
import { HubError } from "../../../hub/errors.ts";
import type { PartitionLog } from "../../../hub/log/store.ts";
import { setBaseOffsetAndEpoch } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { Bench } from "./support.ts";

function batch(base: number, epoch: number, texts: readonly string[]): Uint8Array {
  const records = texts.map((text) => ({ key: null, value: Buffer.from(text) }));
  const bytes = encodeBatch(records, {}, 1000);
  setBaseOffsetAndEpoch(bytes, base, epoch);
  return bytes;
}

async function opened(changes = {}): Promise<{ bench: Bench; log: PartitionLog }> {
  const bench = new Bench();
  await bench.open();
  return { bench, log: await bench.create(0, changes) };
}

const refused = (log: PartitionLog, bytes: Uint8Array): void => {
  assert.throws(
    () => log.appendReplicated(bytes),
    (error) => error instanceof HubError && error.kind === "CORRUPT_MESSAGE",
  );
};

test("batches keep their offsets and epochs, survive a power cut, and are taken once", async () => {
  const { bench, log } = await opened();
  log.appendReplicated(Buffer.concat([batch(0, 65, ["a", "b"]), batch(2, 130, ["c"])]));
  log.appendReplicated(Buffer.concat([batch(2, 130, ["c"]), batch(3, 130, ["d"])]));
  assert.equal(log.logEnd, 4);
  assert.deepEqual(log.endOffsetForEpoch(65), { epoch: 65, endOffset: 2 });
  await bench.settle(bench.store.flush());
  assert.equal(log.durableEnd, 4);
  await bench.powerCut("nothing");
  assert.equal(bench.log().logEnd, 4);
  assert.equal(bench.log().latestEpoch, 130);
});

test("what does not follow is refused: a gap, a step back, an older epoch, a broken CRC", async () => {
  const { log } = await opened();
  log.appendReplicated(batch(0, 130, ["a", "b"]));
  refused(log, batch(3, 130, ["gap"]));
  refused(log, batch(1, 130, ["x", "y"]));
  refused(log, batch(2, 65, ["old"]));
  const broken = batch(2, 130, ["broken"]);
  broken[broken.length - 1]! ^= 1;
  refused(log, broken);
  assert.equal(log.logEnd, 2);
});

test("a compacted topic has gaps, before and after a power cut", async () => {
  const { bench, log } = await opened({ compacted: true });
  log.appendReplicated(batch(0, 1, ["a"]));
  log.appendReplicated(batch(7, 1, ["b"]));
  await bench.settle(bench.store.flush());
  await bench.powerCut("nothing");
  assert.equal(bench.log().logEnd, 8);
});

test("a log begins anew where the leader's begins, and stays there", async () => {
  const { bench, log } = await opened();
  log.appendReplicated(batch(0, 1, ["a", "b"]));
  await bench.settle(log.restartAt(100));
  assert.deepEqual([log.logStart, log.logEnd, log.durableEnd, log.latestEpoch], [100, 100, 100, -1]);
  log.appendReplicated(batch(100, 65, ["c"]));
  await bench.settle(bench.store.flush());
  await bench.powerCut("nothing");
  const again = bench.log();
  assert.deepEqual([again.logStart, again.logEnd, again.latestEpoch], [100, 101, 65]);
});

test("an unclean stop of the machine under interval leaves a short log, a kill does not", async () => {
  const { bench, log } = await opened({ fsync: "interval" });
  log.appendReplicated(batch(0, 1, ["a"]));
  await bench.kill();
  assert.equal(bench.log().recovered, "whole");
  await bench.powerCut("everything");
  assert.equal(bench.log().recovered, "short");
});
