// Compaction: the last record of each key stays, tombstones go in their time, and nothing else changes.
import assert from "node:assert/strict";
import test from "node:test";
import { abortedIn, appendMarker, lastStableOf } from "../../../hub/log/log_transactions.ts";
import { limits } from "../../../hub/limits.ts";
import { closeSegment, codecs, compact, dump, put, readBatches } from "./compaction_support.ts";
import { Bench, refusal } from "./support.ts";

const day = 24 * 3600 * 1000;

async function compacted(changes = {}): Promise<Bench> {
  const bench = new Bench();
  await bench.open();
  await bench.create(0, { compacted: true, retentionMs: -1, minDirtyRatio: 0, segmentBytes: 1 << 20, ...changes });
  return bench;
}

test("the last record of each key stays, at its offset; the active segment is left alone", async () => {
  const bench = await compacted();
  await put(bench, ["a=1", "b=1", "c=1"]);
  await put(bench, ["a=2"]);
  await put(bench, ["b=2", "d=1"]);
  await closeSegment(bench);
  await put(bench, ["a=3", "a=4"]);
  await compact(bench);
  assert.deepEqual(await dump(bench), ["2:c=1", "3:a=2", "4:b=2", "5:d=1", "6:a=3", "7:a=4"]);
  await closeSegment(bench);
  await compact(bench);
  assert.deepEqual(await dump(bench), ["2:c=1", "4:b=2", "5:d=1", "7:a=4"]);
  assert.equal(bench.log().logEnd, 8);
  for (let from = 0; from < 8; from += 1) {
    const [first] = await readBatches(bench, bench.log(), from);
    assert.ok(first!.header.lastOffset >= from, `a read at ${from} goes on behind a gap`);
  }
  await bench.reopen();
  assert.deepEqual(await dump(bench), ["2:c=1", "4:b=2", "5:d=1", "7:a=4"]);
  await bench.kill();
  assert.deepEqual(await dump(bench), ["2:c=1", "4:b=2", "5:d=1", "7:a=4"]);
  assert.equal(bench.log().logEnd, 8);
  assert.deepEqual(bench.losses, []);
});

test("a batch that loses nothing is the same bytes; one that does keeps its offsets, codec and producer", async () => {
  for (const codec of codecs) {
    const bench = await compacted();
    await put(bench, ["a=1", "b=1", "a=2"], { codec });
    await put(bench, ["c=1", "d=1"], { codec });
    const [, whole] = await readBatches(bench, bench.log());
    await put(bench, ["z=1"]);
    await closeSegment(bench);
    await compact(bench);
    const [first, second] = await readBatches(bench, bench.log());
    assert.deepEqual(second!.bytes, whole!.bytes);
    assert.equal(first!.header.codec, codec);
    assert.deepEqual([first!.header.baseOffset, first!.header.lastOffset, first!.header.count], [0, 2, 2]);
    assert.deepEqual(await dump(bench), ["1:b=1", "2:a=2", "3:c=1", "4:d=1", "5:z=1"]);
  }
});

test("tombstones are kept delete.retention.ms after the first cleaning that saw them, then go by themselves", async () => {
  const bench = await compacted();
  await put(bench, ["a=1", "b=1"]);
  await put(bench, ["a=", "c=1"]);
  await put(bench, ["z=1"]);
  await closeSegment(bench);
  await compact(bench);
  assert.deepEqual(await dump(bench), ["1:b=1", "2:a=", "3:c=1", "4:z=1"]);
  const [, stamped] = await readBatches(bench, bench.log());
  assert.equal(stamped!.records[0]!.timestamp, 1000, "a record's own time outlives the horizon");
  await bench.clock.advance(day - 60_000);
  await compact(bench);
  assert.ok((await dump(bench)).includes("2:a="), "a moment before");
  await bench.clock.advance(120_000);
  await compact(bench);
  assert.deepEqual(await dump(bench), ["1:b=1", "3:c=1", "4:z=1"]);
  await bench.kill();
  assert.deepEqual(await dump(bench), ["1:b=1", "3:c=1", "4:z=1"]);
});

test("without a clock that may be believed no tombstone goes", async () => {
  const bench = await compacted({ deleteRetentionMs: 1 });
  bench.clock.trusted = false;
  await put(bench, ["a=1"]);
  await put(bench, ["a="]);
  await put(bench, ["z=1"]);
  await closeSegment(bench);
  await compact(bench);
  await bench.clock.advance(day);
  await put(bench, ["y=1"]);
  await closeSegment(bench);
  await compact(bench);
  assert.deepEqual(await dump(bench), ["1:a=", "2:z=1", "3:y=1"]);
});

test("min.compaction.lag.ms keeps young records, max.compaction.lag.ms closes an old segment", async () => {
  const bench = await compacted({ minCompactionLagMs: 10_000, maxCompactionLagMs: 3_600_000, minDirtyRatio: 1 });
  await put(bench, ["a=1"]);
  await put(bench, ["a=2"]);
  await closeSegment(bench);
  await compact(bench);
  assert.equal((await dump(bench)).length, 2);
  await put(bench, ["a=3", "z=1"]);
  await bench.clock.advance(3_700_000);
  assert.equal(bench.log().active.size > 0, false, "the timer of the store has closed the segment");
  await bench.settle(bench.store.checkpoint());
  await bench.clock.advance(limits.cleanerPassMs + 1000);
  assert.deepEqual(await dump(bench), ["2:a=3", "3:z=1"]);
});

test("below min.cleanable.dirty.ratio nothing is done", async () => {
  const bench = await compacted({ minDirtyRatio: 0.5 });
  await put(bench, ["a=1", `b=${"x".repeat(1000)}`]);
  await closeSegment(bench);
  await compact(bench);
  await put(bench, ["a=2"]);
  await closeSegment(bench);
  await compact(bench);
  assert.equal((await dump(bench)).length, 3);
  await put(bench, ["a=3", `b=${"y".repeat(2000)}`]);
  await closeSegment(bench);
  await compact(bench);
  assert.deepEqual(
    (await dump(bench)).map((line) => line.slice(0, 5)),
    ["3:a=3", "4:b=y"],
  );
});

test("nothing above the high watermark is touched", async () => {
  const bench = await compacted();
  await put(bench, ["a=1"]);
  await closeSegment(bench);
  await put(bench, ["a=2"]);
  await closeSegment(bench);
  bench.log().highWatermark = 1;
  await compact(bench);
  assert.deepEqual(await dump(bench), ["0:a=1", "1:a=2"]);
  bench.log().highWatermark = 2;
  await compact(bench);
  assert.deepEqual(await dump(bench), ["1:a=2"]);
});

test("a map that is too small cleans a part, and the next passes the rest", async () => {
  const bench = await compacted();
  bench.tuning = { ...bench.tuning, cleanerMapBytes: 1024 };
  await bench.reopen();
  for (let round = 0; round < 3; round += 1) {
    for (let i = 0; i < 300; i += 10) {
      await put(
        bench,
        Array.from({ length: 10 }, (_, k) => `key${i + k}=${round}`),
      );
    }
  }
  await closeSegment(bench);
  await compact(bench);
  const lines = await dump(bench);
  assert.equal(new Set(lines.map((line) => /:(\w+)=/.exec(line)![1])).size, 300);
  assert.equal(lines.length, 300);
  assert.ok(
    lines.every((line) => line.endsWith("=2")),
    "only the last round is left",
  );
});

test("a repeated batch is recognised after compaction, a restart and the loss of the snapshot", async () => {
  const bench = await compacted();
  const options = { producerId: 7, producerEpoch: 0, baseSequence: 0 };
  await put(bench, ["a=1", "b=1"], options);
  await put(bench, ["a=2", "b=2"], { producerId: 8, producerEpoch: 0, baseSequence: 0 });
  await put(bench, ["a=3", "b=3"]);
  await closeSegment(bench);
  await compact(bench);
  assert.deepEqual(await dump(bench), ["4:a=3", "5:b=3"]);
  const batches = await readBatches(bench, bench.log());
  assert.deepEqual(
    batches.map(({ header }) => [header.producerId, header.baseOffset, header.lastOffset, header.count]),
    [
      [7, 0, 1, 0],
      [8, 2, 3, 0],
      [-1, 4, 5, 2],
    ],
  );
  for (const name of bench.disk.names()) if (name.endsWith(".snapshot")) bench.disk.remove(name);
  await bench.kill();
  assert.equal(await put(bench, ["a=1", "b=1"], options), 0);
  await assert.rejects(put(bench, ["a=1"], { ...options, baseSequence: 5 }), refusal("OUT_OF_ORDER_SEQUENCE_NUMBER"));
  assert.equal(await put(bench, ["a=9"], { ...options, baseSequence: 2 }), 6);
});

test("times are found behind emptied batches, and the largest is that of a record that is there", async () => {
  const bench = await compacted();
  const log = bench.log();
  await put(bench, ["a=1"], { producerId: 7, producerEpoch: 0, baseSequence: 0 });
  await put(bench, ["a=2", "b=2"]);
  await closeSegment(bench);
  await compact(bench);
  assert.equal((await bench.settle(log.offsetForTime(0, log.logEnd)))!.offset, 1);
  assert.equal((await bench.settle(log.maxTimestamp(log.logEnd)))!.offset, 1);
  assert.equal(await bench.settle(log.offsetForTime(2000, log.logEnd)), null);
});

test("a full disk is not made fuller: the log stays as it is until there is room", async () => {
  const bench = await compacted();
  await put(bench, [`a=${"x".repeat(30_000)}`, "b=1"]);
  await put(bench, ["a=2"]);
  await closeSegment(bench);
  const { faults } = bench.disk;
  faults.capacity = bench.disk.usedBytes() + 60_000;
  await compact(bench);
  assert.equal((await dump(bench)).length, 3);
  assert.deepEqual(bench.states, []);
  assert.ok(!bench.disk.names().some((name) => name.endsWith(".cleaned")), "nothing half done is left");
  faults.capacity = 1 << 30;
  await bench.clock.advance(limits.cleanerRetryMs + limits.cleanerPassMs);
  assert.deepEqual(await dump(bench), ["1:b=1", "2:a=2"]);
});

test("a damaged segment stays as it is; the others are cleaned, and no tombstone behind it goes", async () => {
  const bench = await compacted({ deleteRetentionMs: 0 });
  await put(bench, ["k=1", "a=1"]);
  await closeSegment(bench);
  const rotten = bench.log().segments[0]!;
  await put(bench, ["b=1", "b=2"]);
  await put(bench, ["k=", "a=2"]);
  await closeSegment(bench);
  const whole = rotten.size;
  bench.disk.flipBit(`${rotten.name}.log`, 70);
  await compact(bench);
  await bench.clock.advance(day);
  await compact(bench);
  assert.equal(bench.disk.lengthOf(`${rotten.name}.log`), whole);
  assert.deepEqual(await dump(bench, bench.log(), 2), ["3:b=2", "4:k=", "5:a=2"]);
});

test("compact,delete: old segments go by age, what is left is compacted", async () => {
  const bench = await compacted({ retentionMs: day });
  await put(bench, ["old=1", "a=1"]);
  await closeSegment(bench);
  await bench.clock.advance(2 * day);
  await put(bench, ["a=2"]);
  await put(bench, ["a=3"]);
  await closeSegment(bench);
  await bench.settle(bench.store.retain());
  await compact(bench);
  assert.deepEqual(await dump(bench), ["3:a=3"]);
  assert.equal(bench.log().logStart, 2);
});

test("a log that is deleted or a store that closes during a cleaning ends it, and leaves nothing behind", async () => {
  for (const end of ["delete", "close"] as const) {
    const bench = await compacted();
    await put(bench, ["a=1", "b=1"]);
    await put(bench, ["a=2"]);
    await closeSegment(bench);
    const log = bench.log();
    const cleaning = bench.store.compact();
    for (let i = 0; i < 3; i += 1) await bench.clock.step();
    await bench.settle(end === "delete" ? bench.store.deletePartition(log.topicId, 0) : bench.store.close());
    await bench.settle(cleaning);
    assert.ok(!bench.disk.names().some((name) => name.endsWith(".cleaned")), end);
    assert.deepEqual(bench.states, []);
  }
});

/** Commits or aborts what producer `producerId` has open. */
async function end(bench: Bench, producerId: number, commit: boolean): Promise<void> {
  const log = bench.log();
  appendMarker(log, { producerId, producerEpoch: 0, coordinatorEpoch: 0, commit }, 0, 1000);
  await bench.settle(bench.store.flush());
  await bench.clock.advance(1);
}

const transaction = (producerId: number, baseSequence: number) => {
  return { producerId, producerEpoch: 0, baseSequence, transactional: true };
};

test("records of aborted transactions go and hide nobody's; nothing of an open one is touched", async () => {
  const bench = await compacted();
  await put(bench, ["a=1", "b=1"]);
  await put(bench, ["a=aborted", "c=aborted"], transaction(1, 0));
  await put(bench, ["b=committed"], transaction(2, 0));
  await end(bench, 1, false);
  await end(bench, 2, true);
  await put(bench, ["d=1"], transaction(1, 2));
  await closeSegment(bench);
  await put(bench, ["b=open"], transaction(3, 0));
  await put(bench, ["d=2"]);
  await closeSegment(bench);
  await compact(bench);
  assert.deepEqual((await dump(bench)).length, 8, "the open transaction of producer 1 holds everything back");
  await end(bench, 1, true);
  await compact(bench);
  assert.deepEqual(await dump(bench), ["0:a=1", "4:b=committed", "7:d=1", "8:b=open", "9:d=2"]);
  await bench.kill();
  assert.deepEqual(await dump(bench), ["0:a=1", "4:b=committed", "7:d=1", "8:b=open", "9:d=2"]);
  assert.equal(lastStableOf(bench.log(), bench.log().logEnd), 8);
});

test("a marker goes delete.retention.ms after the last record of its transaction, and with it what is told of it", async () => {
  const bench = await compacted();
  const log = bench.log();
  const markers = async (): Promise<number[]> =>
    (await readBatches(bench, bench.log()))
      .filter(({ header }) => header.control)
      .map(({ header }) => header.baseOffset);
  await put(bench, ["a=1"], transaction(1, 0));
  await end(bench, 1, false);
  await put(bench, ["a=2"], transaction(2, 0));
  await end(bench, 2, true);
  await put(bench, ["a=3", "z=1"]);
  await put(bench, ["b=1"], transaction(1, 1));
  await end(bench, 1, true);
  await put(bench, ["c=1"], transaction(2, 1));
  await end(bench, 2, true);
  await put(bench, ["y=1"]);
  await closeSegment(bench);
  await compact(bench);
  assert.deepEqual(await dump(bench), ["4:a=3", "5:z=1", "6:b=1", "8:c=1", "10:y=1"]);
  assert.deepEqual(await markers(), [1, 3, 7, 9]);
  assert.equal(abortedIn(log, 0, log.logEnd).length, 1);
  await put(bench, ["x=1"]);
  await closeSegment(bench);
  await compact(bench);
  assert.deepEqual(await markers(), [1, 3, 7, 9], "their time begins with the pass that finds no record");
  await bench.clock.advance(day + 60_000);
  assert.deepEqual(await markers(), [7, 9], "by the timer of the store");
  assert.deepEqual(abortedIn(bench.log(), 0, log.logEnd), []);
  await bench.kill();
  assert.deepEqual(abortedIn(bench.log(), 0, log.logEnd), []);
  assert.deepEqual(await dump(bench), ["4:a=3", "5:z=1", "6:b=1", "8:c=1", "10:y=1", "11:x=1"]);
});

test("small neighbours become one segment, no larger than a segment may be", async () => {
  const bench = await compacted({ segmentBytes: 5000 });
  for (let i = 0; i < 8; i += 1) {
    await put(bench, [`k${i}=${"x".repeat(500)}`, `all=${i}`], transaction(1, i * 2));
    await end(bench, 1, i % 2 === 0);
    await closeSegment(bench);
  }
  const before = bench.log().segments.length;
  await compact(bench);
  const wanted = await dump(bench);
  const log = bench.log();
  assert.ok(log.segments.length < before / 2, `${before} segments before, ${log.segments.length} after`);
  assert.ok(
    log.segments.every(({ size }) => size <= 5000),
    "within segment.bytes",
  );
  assert.deepEqual(
    wanted.map((line) => line.slice(0, 6)),
    ["0:k0=x", "6:k2=x", "12:k4=", "18:k6=", "19:all"],
  );
  const aborted = abortedIn(log, 0, log.logEnd);
  assert.equal(aborted.length, 4);
  const files = bench.disk.names().filter((name) => /^topics.*log$/.test(name));
  assert.equal(files.length, log.segments.length);
  for (const again of ["reopen", "kill"] as const) {
    await bench[again]();
    assert.deepEqual(await dump(bench), wanted);
    assert.deepEqual(
      abortedIn(bench.log(), 0, log.logEnd).map(({ lastOffset }) => lastOffset),
      aborted.map(({ lastOffset }) => lastOffset),
      again,
    );
  }
});

test("a reader that is in the middle of a segment goes on while it is replaced", async () => {
  const bench = await compacted({ segmentBytes: 5000 });
  for (let i = 0; i < 6; i += 1) {
    await put(bench, [`k${i}=${"x".repeat(300)}`, `all=${i}`]);
    await closeSegment(bench);
  }
  bench.log().applyCut(); // nothing hot
  const read = bench.log().read(3, 200, bench.log().logEnd);
  const time = bench.log().offsetForTime(1000, bench.log().logEnd);
  await compact(bench);
  const bytes = await bench.settle(read);
  assert.ok(bytes.length > 0, "the old file, or the new one");
  assert.ok([0, 1].includes((await bench.settle(time))!.offset), "the first record that there was or is");
  assert.equal((await dump(bench, bench.log(), 3)).length, 6, "offset 2 comes with the batch of offset 3");
});

test("a log that is cut, or removed and made again, is not taken for cleaned", async () => {
  const bench = await compacted();
  await put(bench, ["a=1", "b=1"]);
  await closeSegment(bench);
  await put(bench, ["a=2"]);
  await put(bench, ["c=1"]);
  await closeSegment(bench);
  await compact(bench);
  await bench.settle(bench.log().truncateTo(3));
  await bench.kill();
  await put(bench, ["b=2"]);
  await put(bench, ["z=1"]);
  await closeSegment(bench);
  await compact(bench);
  assert.deepEqual(await dump(bench), ["2:a=2", "3:b=2", "4:z=1"]);
  const { topicId } = bench.log();
  await bench.settle(bench.store.deletePartition(topicId, 0));
  await bench.create(0, { compacted: true, minDirtyRatio: 0, segmentBytes: 1 << 20 });
  await put(bench, ["a=1"]);
  await put(bench, ["a=2"]);
  await closeSegment(bench);
  await compact(bench);
  assert.deepEqual(await dump(bench), ["1:a=2"]);
});

test("nothing waits long for a cleaning: its turns are short, and its bytes are counted out", async () => {
  const bench = await compacted({ segmentBytes: 8 << 20 });
  for (let i = 0; i < 30; i += 1) await put(bench, [`a=${"x".repeat(100_000)}`, `b${i}=1`]);
  await closeSegment(bench);
  const began = bench.clock.now();
  await compact(bench);
  const least = (3_000_000 * 1000) / limits.cleanerBytesPerSecondMax;
  assert.ok(bench.clock.now() - began > least, `${bench.clock.now() - began} ms, at least ${least}`);
  assert.equal((await dump(bench)).length, 31);
});
