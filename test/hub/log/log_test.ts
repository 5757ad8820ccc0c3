// Tests of one partition's log: reads, times, idempotence, rolls, log start, cuts, rot.
import assert from "node:assert/strict";
import test from "node:test";
import { Codec, loadCodec } from "../../../hub/io/compression.ts";
import { batchSize, readBatchHeader } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { decodeRecords } from "../../../hub/record/record.ts";
import { batchOf, Bench, manyValues, refusal, type settingsOf } from "./support.ts";

async function open(changes: Parameters<typeof settingsOf>[0] = {}): Promise<Bench> {
  const bench = new Bench();
  await bench.open();
  await bench.create(0, changes);
  return bench;
}

/** 60 batches of 5 records each over several segments. */
async function filled(changes: Parameters<typeof settingsOf>[0] = {}): Promise<Bench> {
  const bench = await open(changes);
  for (let i = 0; i < 60; i += 1) await bench.append(manyValues(5, 40, i * 5));
  return bench;
}

const all = manyValues(300, 40);

test("every offset is read from memory and from the files, whole batches, KIP-74", async () => {
  const bench = await filled();
  assert.ok(bench.log().segments.length > 3);
  for (const again of [false, true]) {
    const log = bench.log();
    for (let offset = 0; offset < 300; offset += 1) {
      const bytes = await bench.settle(log.read(offset, 1, 300));
      const header = readBatchHeader(bytes);
      assert.equal(header.baseOffset, offset - (offset % 5));
      assert.equal(bytes.length, header.size, "one batch, though larger than asked");
    }
    const many = await bench.settle(log.read(0, 1500, 300));
    assert.ok(many.length <= 1500 && many.length > 1000);
    let end = 0;
    for (let at = 0; at < many.length; at += batchSize(many, at)) end = readBatchHeader(many, at).lastOffset + 1;
    assert.ok(end > 5);
    assert.deepEqual(await bench.values(), all);
    if (!again) await bench.reopen();
  }
});

test("a read stops below the end offset it is given, is empty there, and refuses what is out of range", async () => {
  const bench = await filled();
  const log = bench.log();
  assert.equal((await bench.settle(log.read(295, 1000, 297))).length, 0, "half a batch is not given");
  assert.equal((await bench.settle(log.read(300, 1000, 300))).length, 0);
  const bytes = await bench.settle(log.read(100, 100_000, 110));
  assert.equal(bytes.length, 2 * batchSize(bytes));
  assert.throws(() => log.read(301, 10, 300), refusal("OFFSET_OUT_OF_RANGE"));
  assert.throws(() => log.read(11, 10, 10), refusal("OFFSET_OUT_OF_RANGE"));
  await bench.settle(log.deleteRecordsBefore(7));
  assert.throws(() => log.read(6, 10, 300), refusal("OFFSET_OUT_OF_RANGE"));
});

test("the newest batches are read without the disk", async () => {
  const bench = await open();
  await bench.append(["x"]);
  const before = bench.disk.operations;
  assert.ok(bench.log().read(0, 10, 1) instanceof Uint8Array);
  assert.equal(bench.disk.operations, before);
});

test("the first record at or after a time, exact within compressed batches", async () => {
  const bench = await open();
  const at = (...times: number[]) =>
    times.map((timestamp) => ({ key: null, value: new TextEncoder().encode(`${timestamp}`), timestamp }));
  await loadCodec(Codec.Zstd);
  const batches = [at(100, 110, 120), at(90, 95), at(300, 200, 310), at(250), at(400, 390)];
  const codecs = [Codec.Gzip, Codec.None, Codec.Lz4, Codec.Snappy, Codec.Zstd];
  batches.forEach((records, i) => bench.log().append(encodeBatch(records, { codec: codecs[i]! }), i));
  await bench.settle(bench.store.flush());
  for (let run = 0; run < 2; run += 1) {
    const log = bench.log();
    const find = async (time: number) => (await bench.settle(log.offsetForTime(time, log.logEnd)))?.offset ?? -1;
    const expected = [
      [0, 0],
      [100, 0],
      [101, 1],
      [120, 2],
      [121, 5],
      [305, 7],
      [311, 9],
      [400, 9],
      [401, -1],
    ];
    for (const [time, offset] of expected) {
      assert.equal(await find(time!), offset, `time ${time}`);
    }
    assert.deepEqual(await bench.settle(log.offsetForTime(121, 5)), null, "not above the end offset");
    assert.deepEqual(await bench.settle(log.maxTimestamp(11)), { offset: 9, timestamp: 400, epoch: 4 });
    assert.deepEqual(await bench.settle(log.maxTimestamp(8)), { offset: 7, timestamp: 310, epoch: 2 });
    await bench.reopen();
  }
  assert.equal(await bench.settle((await new Bench().open(), bench.log().maxTimestamp(0))), null);
});

test("LogAppendTime is the hub's clock, and never falls", async () => {
  const bench = await open({ timestampType: "LogAppendTime" });
  const first = bench.log().append(batchOf(["a"]), 0).logAppendTime;
  assert.equal(first, bench.clock.wall());
  bench.clock.stepWall(-1_000_000);
  const second = bench.log().append(batchOf(["b"]), 0).logAppendTime;
  assert.equal(second, first);
  const [record] = decodeRecords(await bench.settle(bench.log().read(1, 10, 2)));
  assert.equal(record!.timestamp, second);
});

test("LogAppendTime does not fall over a boot that begins in 1970", async () => {
  const bench = await open({ timestampType: "LogAppendTime" });
  const before = bench.log().append(batchOf(["a"]), 0).logAppendTime;
  await bench.settle(bench.store.checkpoint());
  for (const again of [() => bench.reopen(), () => bench.kill()]) {
    await again();
    bench.clock.trusted = false;
    bench.clock.stepWall(-bench.clock.wall());
    assert.equal(bench.log().append(batchOf(["b"]), 0).logAppendTime, before);
    await bench.settle(bench.store.flush());
  }
});

test("idempotence: a repetition is answered with its first offsets, also after a restart", async () => {
  const bench = await open();
  const send = (baseSequence: number, values: string[], producerEpoch = 0) =>
    bench.log().append(batchOf(values, { producerId: 77, producerEpoch, baseSequence }), 0);
  assert.equal(send(0, ["a", "b"]).baseOffset, 0);
  assert.equal(send(2, ["c"]).baseOffset, 2);
  await bench.settle(bench.store.flush());
  for (const restart of ["none", "power", "clean"]) {
    if (restart === "power") await bench.powerCut();
    if (restart === "clean") await bench.reopen();
    const first = { baseOffset: 0, lastOffset: 1, duplicate: true, logAppendTime: -1 };
    assert.deepEqual(send(0, ["a", "b"]), first, restart);
    assert.equal(send(2, ["c"]).duplicate, true, restart);
    assert.throws(() => send(4, ["gap"]), refusal("OUT_OF_ORDER_SEQUENCE_NUMBER"), restart);
    assert.equal(bench.log().logEnd, 3);
  }
  assert.equal(send(0, ["next life"], 1).baseOffset, 3);
  assert.throws(() => send(3, ["zombie"], 0), refusal("INVALID_PRODUCER_EPOCH"));
  assert.throws(
    () => bench.log().append(batchOf(["x"], { producerId: 5, producerEpoch: 0, baseSequence: 9 }), 0),
    refusal("UNKNOWN_PRODUCER_ID"),
  );
});

test("a refused append leaves no trace of its producer", async () => {
  const bench = await open();
  bench.disk.faults.capacity = bench.disk.usedBytes() + 10;
  const batch = () => batchOf(["a"], { producerId: 1, producerEpoch: 0, baseSequence: 0 });
  assert.throws(() => bench.log().append(batch(), 0), refusal("KAFKA_STORAGE_ERROR"));
  bench.disk.faults.capacity = 1 << 30;
  await bench.clock.advance(11_000);
  assert.equal(bench.log().append(batch(), 0).duplicate, false);
});

test("log start moves, segments below it go, and it outlives a power cut", async () => {
  const bench = await filled();
  const segments = bench.log().segments.length;
  await assert.rejects(bench.settle(bench.log().deleteRecordsBefore(301)), refusal("OFFSET_OUT_OF_RANGE"));
  await bench.settle(bench.log().deleteRecordsBefore(153));
  assert.ok(bench.log().segments.length < segments);
  assert.deepEqual(await bench.values(), all.slice(153));
  await bench.clock.advance(61_000);
  assert.equal(bench.disk.names().filter((name) => name.endsWith(".deleted")).length, 0);
  await bench.powerCut();
  assert.equal(bench.log().logStart, 153);
  assert.deepEqual(await bench.values(), all.slice(153));
  await bench.settle(bench.log().deleteRecordsBefore(300));
  await bench.append(["on"]);
  await bench.powerCut();
  assert.deepEqual(await bench.values(), ["on"]);
});

test("a cut takes whole batches, its producers with them, and holds after a power cut", async () => {
  const bench = await filled();
  bench.log().append(batchOf(["p"], { producerId: 9, producerEpoch: 0, baseSequence: 0 }), 4);
  await bench.settle(bench.log().truncateTo(152));
  assert.equal(bench.log().logEnd, 150);
  assert.equal(bench.log().latestEpoch, 0);
  assert.deepEqual(await bench.values(), all.slice(0, 150));
  const again = bench.log().append(batchOf(["p"], { producerId: 9, producerEpoch: 0, baseSequence: 0 }), 5);
  assert.equal(again.duplicate, false);
  await bench.settle(bench.store.flush());
  await bench.powerCut();
  assert.deepEqual(await bench.values(), [...all.slice(0, 150), "p"]);
  assert.deepEqual(bench.losses, []);
});

test("a sync that began before a cut does not vouch for what is written after it", async () => {
  const bench = new Bench();
  await bench.open();
  const log = await bench.create(0, { fsync: "os" });
  for (const value of ["a", "b"]) log.append(batchOf([value]), 0);
  const { active } = log;
  const sync = active.file.sync.bind(active.file);
  const began: number[] = [];
  let release = (): void => {};
  active.file.sync = async () => {
    began.push(active.size);
    if (began.length === 1) await new Promise<void>((resolve) => (release = resolve));
    await sync();
  };
  const first = log.syncActive();
  await bench.settle(log.truncateTo(1));
  log.append(batchOf(["c, which is longer than what was cut, and never was on the disk before"]), 0);
  release();
  await bench.settle(first);
  assert.equal(began.at(-1), active.size);
  assert.equal(active.syncedSize, active.size);
});

test("retention by bytes and time takes closed segments only, and time needs a clock to believe", async () => {
  const bench = await filled({ retentionMs: 1000, retentionBytes: -1 });
  bench.clock.trusted = false;
  await bench.clock.advance(5000);
  await bench.settle(bench.store.retain());
  assert.equal(bench.log().logStart, 0);
  bench.clock.trusted = true;
  await bench.settle(bench.store.retain());
  assert.equal(bench.log().segments.length, 1);
  assert.equal(bench.log().logStart, bench.log().active.base);
  const sized = await filled({ retentionMs: -1, retentionBytes: 8000 });
  await sized.settle(sized.store.retain());
  assert.ok(sized.log().sizeBytes >= 8000 && sized.log().sizeBytes < 8000 + 4096);
});

test("a clock that steps deletes nothing: an hour of grace forward, nothing at all backward", async () => {
  const bench = await filled({ retentionMs: 7_200_000, retentionBytes: -1 });
  await bench.settle(bench.store.retain());
  bench.clock.stepWall(-86_400_000);
  await bench.settle(bench.store.retain());
  bench.clock.stepWall(3 * 86_400_000);
  await bench.settle(bench.store.retain());
  await bench.clock.advance(3_500_000);
  await bench.settle(bench.store.retain());
  assert.equal(bench.log().logStart, 0);
  await bench.clock.advance(200_000);
  await bench.settle(bench.store.retain());
  assert.equal(bench.log().logStart, bench.log().active.base);
});

test("a bound on the whole folder takes the oldest, pinned logs excepted", async () => {
  const bench = new Bench();
  bench.tuning = { ...bench.tuning, diskBytesMax: 20_000 };
  await bench.open();
  await bench.create(0);
  await bench.create(1, { pinned: true });
  for (let i = 0; i < 60; i += 1) {
    await bench.append(manyValues(5), {}, bench.log(0));
    await bench.append(manyValues(5), {}, bench.log(1));
  }
  await bench.settle(bench.store.retain());
  assert.equal(bench.log(1).logStart, 0);
  assert.ok(bench.log(0).logStart > 0);
});

/** Flips a bit in the batch at `offset`, in a segment that is synced and below the recovery point. */
async function rotten(corruptRead: "stop" | "skip"): Promise<Bench> {
  const bench = await filled({ corruptRead });
  await bench.settle(bench.store.checkpoint());
  await bench.reopen();
  const segment = bench.log().segments.findLast(({ base }) => base <= 100)!;
  const place = segment.index.placeOf(100);
  bench.disk.flipBit(`${segment.name}.log`, place + 70);
  return bench;
}

test("rot below the recovery point: nothing is cut; a read stops there, or steps over it", async () => {
  const bench = await rotten("stop");
  const damaged = bench.log().segments.findLast(({ base }) => base <= 100)!;
  await bench.kill();
  assert.equal(bench.log().logEnd, 300);
  const bytes = await bench.settle(bench.log().read(0, 100, 300));
  assert.equal(readBatchHeader(bytes).baseOffset, 0);
  let refused = 0;
  for (let offset = damaged.base; offset < damaged.nextOffset; offset += 5) {
    try {
      await bench.settle(bench.log().read(offset, 1, 300));
    } catch (error) {
      refusal("CORRUPT_MESSAGE")(error);
      refused += 1;
    }
  }
  assert.ok(refused >= 1);
  const skipping = await rotten("skip");
  const values = await skipping.values();
  assert.equal(values.length, 295);
  assert.equal(values.at(-1), all.at(-1));
});

test("caught: a program that cuts at the first bad CRC below the recovery point", async () => {
  const bench = await rotten("skip");
  const segment = bench.log().segments.findLast(({ base }) => base <= 100)!;
  bench.disk.chop(`${segment.name}.log`, segment.index.placeOf(100));
  await bench.kill();
  assert.ok((await bench.values()).length < 295, "the check of the test above would fail");
});

test("lost, torn or foreign index files cost a scan and nothing else", async () => {
  const bench = await filled();
  await bench.settle(bench.store.close());
  for (const name of bench.disk.names()) {
    if (/\.(index|timeindex|snapshot)$|leader-epoch/.test(name)) {
      if (name.endsWith(".index")) bench.disk.flipBit(name, 20);
      else bench.disk.remove(name);
    }
  }
  bench.clock.advance(0);
  await bench.open();
  assert.deepEqual(await bench.values(), all);
  assert.equal(bench.log().latestEpoch, 0);
});

test("an unclean start reads the tail, not the log", async () => {
  const bench = new Bench();
  await bench.open();
  await bench.create(0, { segmentBytes: 4 << 20, fsync: "os" });
  for (let i = 0; i < 60; i += 1) await bench.append(manyValues(100, 500));
  await bench.settle(bench.store.checkpoint());
  await bench.append(manyValues(100, 500));
  const size = bench.log().sizeBytes;
  bench.disk.stopped = true;
  bench.disk = bench.disk.afterKill(bench.clock, bench.chance);
  let read = 0;
  const open = bench.disk.open.bind(bench.disk);
  bench.disk.open = (name, mode) => {
    const file = open(name, mode);
    const plain = file.read.bind(file);
    file.read = (target, position) => {
      const count = plain(target, position);
      if (name.endsWith(".log")) read += count;
      return count;
    };
    return file;
  };
  await bench.open();
  assert.equal(bench.log().logEnd, 6100);
  assert.ok(size > 2_500_000 && read < 400_000, `${read} bytes of ${size} were read`);
});

test("an unreadable file of recovery points loses nothing", async () => {
  const bench = await filled();
  await bench.settle(bench.store.checkpoint());
  await bench.append(["tail"]);
  bench.disk.flipBit("meta/recovery-point", 30);
  await bench.kill();
  assert.deepEqual(await bench.values(), [...all, "tail"]);
});
