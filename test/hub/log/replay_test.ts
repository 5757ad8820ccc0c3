// What a start has to read again for producers and aborted transactions, and that it comes to the same.
import assert from "node:assert/strict";
import test from "node:test";
import { abortedIn, appendMarker } from "../../../hub/log/log_transactions.ts";
import { producerSnapshots } from "../../../hub/log/producer_files.ts";
import { ProducerReplay } from "../../../hub/log/replay.ts";
import { Bench, batchOf } from "./support.ts";

/** A log of several segments with aborted transactions in all of them, stopped well. */
async function stopped(): Promise<Bench> {
  const bench = new Bench();
  await bench.open();
  const log = await bench.create();
  for (let i = 0; i < 90; i += 1) {
    const options = { producerId: 1, producerEpoch: i, baseSequence: 0, transactional: true };
    log.append(batchOf(["x".repeat(60)], options), 0);
    appendMarker(log, { producerId: 1, producerEpoch: i, coordinatorEpoch: 1, commit: i % 3 > 0 }, 0, 1000);
    if (i % 10 === 0) await bench.settle(bench.store.checkpoint());
  }
  await bench.settle(bench.store.checkpoint());
  return bench;
}

function from(bench: Bench): number {
  const { directory, segments } = bench.log();
  return new ProducerReplay(bench.disk, directory, segments, 0, false).from;
}

test("a file that a power cut took costs what follows an older snapshot, the whole log only where none is left", async () => {
  const bench = await stopped();
  const log = bench.log();
  const { directory } = log;
  const [told, base] = [abortedIn(log, 0, log.logEnd), log.active.base];
  assert.ok(log.segments.length > 3 && told.length === 30, `${log.segments.length} segments, ${told.length} aborted`);
  assert.equal(from(bench), log.logEnd, "nothing is read when all files are there");
  assert.ok(
    producerSnapshots(bench.disk, directory)[0]! <= base,
    "a snapshot that needs nothing of the active segment",
  );

  bench.disk.remove(`${log.active.name}.txnindex`);
  assert.equal(from(bench), base, "the active segment alone");
  await bench.kill();
  assert.deepEqual(abortedIn(bench.log(), 0, bench.log().logEnd), told);

  bench.disk.remove(`${bench.log().segments[0]!.name}.txnindex`);
  assert.equal(from(bench), 0);
  await bench.kill();
  assert.deepEqual(abortedIn(bench.log(), 0, bench.log().logEnd), told);
  assert.ok(bench.disk.exists(`${bench.log().segments[0]!.name}.txnindex`), "made again for the next start");
});

test("without snapshots, files above the end of the log go all the same", async () => {
  const bench = await stopped();
  const { directory, active } = bench.log();
  for (const name of bench.disk.list(directory)) {
    if (name.endsWith(".snapshot")) bench.disk.remove(`${directory}/${name}`);
  }
  active.nextOffset -= 2;
  assert.equal(from(bench), 0);
  assert.equal(bench.disk.exists(`${active.name}.txnindex`), false);
});
