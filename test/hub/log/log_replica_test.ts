// A follower's log: batches as they come, what does not follow is refused, and a new beginning above the end.
import assert from "node:assert/strict";
import test from "node:test";
import { HubError } from "../../../hub/errors.ts";
import type { PartitionLog } from "../../../hub/log/store.ts";
import { shortKey } from "../../../hub/log/settings.ts";
import { setBaseOffsetAndEpoch } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { SimClock } from "../../sim/clock.ts";
import { MachineStopped } from "../../sim/disk.ts";
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

test("a short log stays short over any stop, until it is known elsewhere; kills at every step of the start included", async () => {
  /** Starts over a folder whose power was cut under `interval`, and dies at an operation of that start. */
  const startedAfterCut = async (crashAt: number): Promise<{ bench: Bench; operations: number }> => {
    const { bench, log } = await opened({ fsync: "interval" });
    log.appendReplicated(batch(0, 1, ["a"]));
    bench.disk.stopped = true;
    const clock = new SimClock(bench.clock.now() + 1000, bench.clock.wall() + 1000);
    bench.disk = bench.disk.afterPowerCut(clock, bench.chance, "everything");
    bench.clock = clock;
    bench.disk.faults.crashAt = crashAt; // a new disk counts from 0
    await bench.open().catch((error: unknown) => assert.ok(error instanceof MachineStopped, String(error)));
    return { bench, operations: bench.disk.operations };
  };
  const { operations } = await startedAfterCut(-1);
  assert.ok(operations > 10);
  for (let crashAt = 1; crashAt <= operations; crashAt++) {
    const { bench } = await startedAfterCut(crashAt);
    await bench.kill();
    assert.equal(bench.log().recovered, "short", `killed at operation ${crashAt} of the start`);
    await bench.reopen();
    assert.equal(bench.log().recovered, "short", "a clean stop does not make it whole");
    await bench.settle(bench.store.put([[shortKey(bench.log().key), null]]));
    await bench.kill();
    assert.equal(bench.log().recovered, "whole");
  }
});
