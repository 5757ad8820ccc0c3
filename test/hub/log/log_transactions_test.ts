// Transactions in a log: what readers of committed records are told, through restarts, cuts, retention and crashes.
import assert from "node:assert/strict";
import test from "node:test";
import type { PartitionLog } from "../../../hub/log/store.ts";
import { OpenTransactions } from "../../../hub/log/open_transactions.ts";
import { abortedIn, appendMarker, lastStableOf } from "../../../hub/log/log_transactions.ts";
import { batchSize, readBatchHeader } from "../../../hub/record/batch.ts";
import { readMarker } from "../../../hub/record/control.ts";
import { dumpLog, repairLog, verifyLog } from "../../../hub/log/verify.ts";
import { seeded, simRandom } from "../../sim/clock.ts";
import { MachineStopped } from "../../sim/disk.ts";
import { Bench, batchOf, refusal, topicId } from "./support.ts";

const only = process.env["SEED"] === undefined ? null : Number(process.env["SEED"]);

interface Producer {
  readonly id: number;
  epoch: number;
  sequence: number;
  open: boolean;
}

function data(log: PartitionLog, producer: Producer, count = 1, bytes = 60): number {
  const { id: producerId, epoch: producerEpoch, sequence: baseSequence } = producer;
  const values = Array.from({ length: count }, () => "x".repeat(bytes));
  const options = { producerId, producerEpoch, baseSequence, transactional: true };
  const { baseOffset } = log.append(batchOf(values, options), 0);
  producer.sequence += count;
  producer.open = true;
  return baseOffset;
}

/** With `bump` as KIP-890 has it: the marker bears the next epoch, and sequences begin anew. */
function end(log: PartitionLog, producer: Producer, commit: boolean, bump = false): void {
  if (bump) [producer.epoch, producer.sequence] = [producer.epoch + 1, 0];
  const marker = { producerId: producer.id, producerEpoch: producer.epoch, coordinatorEpoch: 1, commit };
  appendMarker(log, marker, 0, 1000);
  producer.open = false;
}

const newProducer = (id: number): Producer => ({ id, epoch: 0, sequence: 0, open: false });

async function settle(bench: Bench): Promise<void> {
  await bench.settle(bench.store.flush());
  await bench.clock.advance(1);
}

/** What the batches from the first segment on say, by the definition and nothing cached. */
async function byDefinition(bench: Bench, log: PartitionLog) {
  const open = new OpenTransactions();
  const aborted: object[] = [];
  const states = new Map<number, { epoch: number; last: number }>();
  for (let offset = log.logStart; offset < log.logEnd; ) {
    const bytes = await bench.settle(log.read(offset, 1e6, log.logEnd));
    if (bytes.length === 0) break;
    for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) {
      const header = readBatchHeader(bytes, at);
      const { producerId, producerEpoch, baseOffset, lastOffset } = header;
      offset = lastOffset + 1;
      const known = states.get(producerId);
      const before = known?.epoch === producerEpoch ? known.last : -1;
      if (header.control) {
        const ended = open.end(producerId, lastOffset, !readMarker(bytes.subarray(at))!.commit);
        if (ended?.aborted) {
          const { firstOffset, stableEnd } = ended;
          aborted.push({ producerId, firstOffset, lastOffset, stableEnd });
        }
        states.set(producerId, { epoch: producerEpoch, last: before });
      } else if (producerId >= 0) {
        if (header.transactional) open.begin(producerId, baseOffset);
        states.set(producerId, { epoch: producerEpoch, last: header.baseSequence + lastOffset - baseOffset });
      }
    }
  }
  return { stable: open.lastStable(log.logEnd), aborted, states };
}

async function mustAgree(bench: Bench, log: PartitionLog, where: string): Promise<void> {
  const truth = await byDefinition(bench, log);
  assert.equal(lastStableOf(log, log.logEnd), truth.stable, `${where}: last stable offset`);
  assert.deepEqual(abortedIn(log, log.logStart, log.logEnd), truth.aborted, `${where}: aborted transactions`);
  const states = new Map([...log.producers.active()].map((one) => [one.producerId, one]));
  for (const [id, { epoch, last }] of truth.states) {
    if (id < 0) continue;
    const known = states.get(id);
    assert.deepEqual([known?.producerEpoch, known?.lastSequence], [epoch, last], `${where}: producer ${id}`);
  }
}

test("the last stable offset waits for the marker, and for the marker's commit", async () => {
  const bench = new Bench();
  await bench.open();
  const log = await bench.create();
  const [one, two] = [newProducer(1), newProducer(2)];
  await bench.append(["plain"]);
  data(log, one, 2);
  data(log, two);
  assert.equal(lastStableOf(log, 4), 1);
  end(log, one, true);
  assert.equal(lastStableOf(log, 4), 1, "the marker is not committed");
  assert.equal(lastStableOf(log, 5), 3);
  end(log, two, false);
  assert.equal(lastStableOf(log, 6), 6);
  assert.deepEqual(abortedIn(log, 0, 6), [{ producerId: 2, firstOffset: 3, lastOffset: 5, stableEnd: 6 }]);
  assert.deepEqual(abortedIn(log, 0, 3), []);
  assert.equal(appendMarker(log, { producerId: 2, producerEpoch: 0, coordinatorEpoch: 1, commit: false }, 0, 1), null);
  assert.equal(log.logEnd, 6, "a marker that stands there is not written again");
});

test("open and aborted transactions outlive a clean stop, a kill and a power cut, with and without their files", async () => {
  for (const how of ["reopen", "kill", "cut", "no files", "no snapshots", "no aborted files"] as const) {
    const bench = new Bench();
    await bench.open();
    const log = await bench.create();
    const producers = [1, 2, 3].map(newProducer);
    for (let i = 0; i < 90; i += 1) {
      const producer = producers[i % 3]!;
      data(log, producer, 2);
      if (i % 7 === 3) end(log, producer, i % 2 === 0, i % 4 === 1);
    }
    await settle(bench);
    assert.ok(log.segments.length > 3, `${log.segments.length} segments`);
    await mustAgree(bench, log, "live");
    if (how === "kill") await bench.kill();
    else if (how === "cut") await bench.powerCut("nothing");
    else if (how === "reopen") await bench.reopen();
    else {
      await bench.settle(bench.store.close());
      const directory = `topics/${topicId}-0`;
      const pattern =
        how === "no snapshots" ? /snapshot$/ : how === "no aborted files" ? /txnindex$/ : /snapshot$|index$/;
      for (const name of bench.disk.list(directory)) if (pattern.test(name)) bench.disk.remove(`${directory}/${name}`);
      await bench.kill();
    }
    await mustAgree(bench, bench.log(), how);
    const [first] = producers;
    data(bench.log(), first!);
    assert.throws(() => bench.log().append(batchOf(["x"], { producerId: 2, baseSequence: 5e5, producerEpoch: 9 }), 0));
    await settle(bench);
    await mustAgree(bench, bench.log(), `${how}, later`);
    await bench.reopen();
    await mustAgree(bench, bench.log(), `${how}, again`);
  }
});

test("cache files that speak of offsets which a start has lost are removed: others will come to stand there", async () => {
  const bench = new Bench();
  await bench.open();
  const log = await bench.create();
  const producer = newProducer(1);
  data(log, producer);
  await settle(bench);
  end(log, producer, false);
  log.saveCaches(log.active); // before anything promised the marker
  const directory = `topics/${topicId}-0`;
  const caches = (): string[] => bench.disk.list(directory).filter((name) => /txnindex|snapshot/.test(name));
  assert.deepEqual(caches(), [`${"0".repeat(20)}.txnindex`, `${"2".padStart(20, "0")}.snapshot`]);
  await bench.kill();
  assert.equal(bench.log().logEnd, 1, "the marker is gone");
  assert.deepEqual(caches(), []);
  await mustAgree(bench, bench.log(), "after the start");
  await bench.powerCut("nothing");
  assert.deepEqual(caches(), [], "and stay away");
});

test("a cut takes transactions with it: what was ended above it is open again", async () => {
  const bench = new Bench();
  await bench.open();
  const log = await bench.create();
  const producers = [1, 2, 3].map(newProducer);
  for (let i = 0; i < 60; i += 1) {
    data(log, producers[i % 3]!, 2);
    if (i % 5 === 3) end(log, producers[i % 3]!, i % 2 === 0);
    if (i === 30) await bench.settle(bench.store.checkpoint());
  }
  await settle(bench);
  for (const offset of [110, 77, 40, 3]) {
    await bench.settle(log.truncateTo(offset));
    await mustAgree(bench, log, `cut to ${offset}`);
  }
  await bench.kill();
  await mustAgree(bench, bench.log(), "after a start");
});

test("retention and DeleteRecords leave an open transaction open, and the producer known", async () => {
  const bench = new Bench();
  await bench.open();
  const log = await bench.create(0, { retentionBytes: 6000 });
  const [held, busy] = [newProducer(1), newProducer(2)];
  data(log, held);
  for (let i = 0; i < 120; i += 1) {
    data(log, busy, 2);
    if (i % 3 === 2) end(log, busy, i % 2 === 0);
  }
  await settle(bench);
  await bench.settle(bench.store.retain());
  assert.ok(log.logStart > 1, "the first segments are gone");
  assert.equal(lastStableOf(log, log.logEnd), log.logStart, "never below the log start");
  await bench.settle(log.deleteRecordsBefore(log.logStart + 20));
  await bench.kill();
  assert.equal(lastStableOf(bench.log(), log.logEnd), bench.log().logStart);
  const again = batchOf(["x"], { producerId: 1, producerEpoch: 0, baseSequence: 0, transactional: true });
  assert.equal(bench.log().append(again, 0).duplicate, true, "its batch is gone, its sequence is known");
  assert.throws(
    () => bench.log().append(batchOf(["x"], { producerId: 1, producerEpoch: 0, baseSequence: 1 }), 0),
    refusal("INVALID_TXN_STATE"),
  );
  end(bench.log(), held, false);
  await settle(bench);
  assert.equal(lastStableOf(bench.log(), bench.log().logEnd), bench.log().logEnd);
  assert.equal(abortedIn(bench.log(), bench.log().logStart, bench.log().logEnd).at(-1)?.firstOffset, 0);
});

/** One random life: appends, markers, checkpoints and cuts, with a crash at any access of the disk. */
async function live(seed: number): Promise<number> {
  const chance = seeded(seed * 31 + 5);
  const int = (max: number): number => Math.floor(chance() * max);
  const bench = new Bench();
  bench.tuning = { ...bench.tuning, checkpointMs: 300 };
  await bench.open();
  await bench.create(0, { fsync: (["always", "interval", "os"] as const)[seed % 3]! });
  let crashes = 0;
  for (let boot = 0; boot < 4; boot += 1) {
    bench.disk.faults.crashAt = bench.disk.operations + 20 + int(150);
    try {
      for (let step = 0; step < 60; step += 1) await act(bench, int);
    } catch (error) {
      if (!(error instanceof MachineStopped) && !bench.disk.stopped) throw error;
      crashes += 1;
    }
    bench.disk.faults.crashAt = -1;
    if (chance() < 0.5) await bench.kill();
    else await bench.powerCut((["nothing", "some", "torn"] as const)[int(3)]!);
    await mustAgree(bench, bench.log(), `boot ${boot + 1}`);
  }
  return crashes;
}

async function act(bench: Bench, int: (max: number) => number): Promise<void> {
  const log = bench.log();
  const id = 1 + int(4);
  const known = [...log.producers.active()].find(({ producerId }) => producerId === id);
  const producer = { id, epoch: known?.producerEpoch ?? 0, sequence: (known?.lastSequence ?? -1) + 1, open: false };
  const what = int(20);
  if (what < 10) data(log, producer, 1 + int(3), 20 + int(200));
  else if (what < 15) end(log, producer, int(2) === 0, int(3) === 0);
  else if (what < 16) await bench.settle(bench.store.checkpoint());
  else if (what < 17) await bench.settle(log.truncateTo(Math.max(log.logStart, log.logEnd - int(12))));
  else if (what < 18) await bench.clock.advance(int(400));
  else await settle(bench);
}

test("crashes at any step: what a start finds of transactions is what the batches that are left say", async () => {
  let crashes = 0;
  const failed: string[] = [];
  for (let seed = only ?? 1; seed <= (only ?? Number(process.env["SEEDS"] ?? 150)); seed += 1) {
    try {
      crashes += await live(seed);
    } catch (error) {
      failed.push(`SEED=${seed}: ${(error as Error).stack}`);
      if (failed.length >= 3) break;
    }
  }
  assert.deepEqual(failed, []);
  assert.ok(only !== null || crashes > 100, `${crashes} crashes`);
});

test("a folder with markers verifies, dumps them as such, and is repaired without losing track of transactions", async () => {
  const bench = new Bench();
  await bench.open();
  const log = await bench.create(0, { corruptRead: "skip" });
  const producers = [1, 2].map(newProducer);
  for (let i = 0; i < 60; i += 1) {
    data(log, producers[i % 2]!, 2);
    if (i % 5 === 3) end(log, producers[i % 2]!, i % 2 === 0);
  }
  await settle(bench);
  await bench.settle(bench.store.close());
  const [report] = verifyLog(bench.disk).logs;
  assert.deepEqual([report!.records, report!.batches, report!.damage.length], [120, 72, 0], "markers are no records");
  const lines = [...dumpLog(bench.disk, "readings-0")];
  assert.equal(lines.filter((line) => /^ {4}(commit|abort) by coordinator epoch 1$/.test(line)).length, 12);
  bench.disk.flipBit(`${log.segments[1]!.name}.log`, 500);
  repairLog(bench.disk, simRandom(bench.chance));
  await bench.kill();
  await mustAgree(bench, bench.log(), "repaired");
});
