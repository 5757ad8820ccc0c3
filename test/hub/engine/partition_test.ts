// What readers of committed records get from a partition, and when they are woken; markers and their commit.
import assert from "node:assert/strict";
import test from "node:test";
import { setMinInSync } from "../../../hub/cluster/replica.ts";
import { openBatches } from "../../../hub/client/opening.ts";
import type { Aborted } from "../../../hub/client/opening.ts";
import { encodeMarker } from "../../../hub/record/control.ts";
import { seeded } from "../../sim/clock.ts";
import { batchOf, refusal } from "../log/support.ts";
import { PartitionStage } from "./partition_stage.ts";

const only = process.env["SEED"] === undefined ? null : Number(process.env["SEED"]);
const inTransaction = (producerId: number, baseSequence: number, producerEpoch = 0) => {
  return { producerId, producerEpoch, baseSequence, transactional: true };
};
const markerOf = (producerId: number, commit: boolean, producerEpoch = 0) => {
  return { producerId, producerEpoch, coordinatorEpoch: 0, commit };
};

async function opened(settings: Readonly<Record<string, string>> = {}): Promise<PartitionStage> {
  const stage = new PartitionStage();
  await stage.open();
  await stage.topic("t", settings);
  stage.gate = { admit: async () => "NONE", verify: () => "NONE" };
  return stage;
}

const send = (stage: PartitionStage, values: string[], options: object) =>
  stage.settle(stage.produce(batchOf(values, options), { transactionalId: "tx" }));

const end = (stage: PartitionStage, id: number, commit: boolean, epoch = 0) =>
  stage.settle(stage.partitions.endTransaction("t", 0, markerOf(id, commit, epoch)));

test("read_committed ends at the last stable offset, read_uncommitted at the watermark; both are always told", async () => {
  for (const fsync of ["always", "interval", "os"]) {
    const stage = await opened({ "log.fsync": fsync });
    await send(stage, ["plain"], {});
    await send(stage, ["a", "b"], inTransaction(7, 0));
    const { log } = stage.partitions.must("t", 0);
    const all = await stage.settle(stage.fetch(0, 0));
    const committed = await stage.settle(stage.fetch(0, 1));
    assert.deepEqual([all.highWatermark, all.lastStableOffset, all.abortedTransactions], [3, 1, null]);
    assert.deepEqual([committed.highWatermark, committed.lastStableOffset, committed.abortedTransactions], [3, 1, []]);
    assert.equal(
      (await openBatches({ topic: "t", partition: 0 }, 0, committed.records as Uint8Array, true)).nextOffset,
      1,
    );
    assert.equal((await stage.settle(stage.fetch(2, 1))).errorCode, 0, "between the two is no error");
    assert.deepEqual(await Promise.all([stage.latest(0), stage.latest(1)]), [3, 1]);
    assert.equal(await stage.settle(stage.latest(1, 500)), 0);
    assert.equal(await stage.settle(stage.latest(1, -3)), 0, "the newest time below the last stable offset");
    await end(stage, 7, false);
    assert.equal(log.logEnd, 4);
    assert.deepEqual(await Promise.all([stage.latest(0), stage.latest(1)]), [4, 4], fsync);
    const after = await stage.settle(stage.fetch(0, 1));
    assert.deepEqual(after.abortedTransactions, [{ producerId: 7, firstOffset: 1 }]);
    assert.equal(after.lastStableOffset, 4);
    await end(stage, 7, false);
    assert.equal(log.logEnd, 4, "repeating a marker is harmless");
  }
});

test("a parked read_committed fetch wakes with the marker's commit, a read_uncommitted one with the batch's", async () => {
  const stage = await opened();
  const woken: string[] = [];
  void stage
    .fetch(0, 1, { waitMs: 5000 })
    .then(({ records }) => woken.push(`committed ${(records as Uint8Array).length > 0}`));
  void stage.fetch(0, 0, { waitMs: 5000 }).then(() => woken.push("all"));
  await stage.clock.advance(1);
  await send(stage, ["a"], inTransaction(7, 0));
  await stage.clock.advance(100);
  assert.deepEqual(woken, ["all"]);
  await end(stage, 7, true);
  await stage.clock.advance(1);
  assert.deepEqual(woken, ["all", "committed true"]);
});

test("of two open transactions the earlier one's end wakes, and then the other's", async () => {
  const stage = await opened();
  await send(stage, ["a"], inTransaction(7, 0));
  await send(stage, ["b"], inTransaction(8, 0));
  await end(stage, 7, true);
  let woken = false;
  const waiting = stage.fetch(1, 1, { waitMs: 60_000 }).then(() => (woken = true));
  await stage.clock.advance(10);
  assert.equal(woken, false);
  await end(stage, 8, true);
  await stage.clock.advance(1);
  assert.equal(woken, true, "what had come before the last wake is counted");
  await waiting;
});

test("markers are fenced: an older producer epoch, an older coordinator; no partition counts as ended", async () => {
  const stage = await opened();
  await send(stage, ["a"], inTransaction(7, 0, 3));
  await assert.rejects(end(stage, 7, true, 2), refusal("INVALID_PRODUCER_EPOCH"));
  await stage.settle(stage.partitions.endTransaction("t", 0, { ...markerOf(7, true, 4), coordinatorEpoch: 9 }));
  const old = stage.partitions.endTransaction("t", 0, { ...markerOf(7, true, 5), coordinatorEpoch: 8 });
  await assert.rejects(stage.settle(old), refusal("TRANSACTION_COORDINATOR_FENCED"));
  assert.equal((await send(stage, ["zombie"], inTransaction(7, 1, 3))).error, "INVALID_PRODUCER_EPOCH");
  await stage.settle(stage.partitions.endTransaction("t", 5, markerOf(7, true)));
  await stage.settle(stage.partitions.endTransaction("none", 0, markerOf(7, true)));
  assert.deepEqual([stage.partitions.exists("t", 0), stage.partitions.exists("t", 5)], [true, false]);
});

test("a topic that is deleted while its marker waits for its commit counts as ended; a failed disk does not", async () => {
  const stage = await opened();
  await send(stage, ["a"], inTransaction(7, 0));
  const ending = stage.partitions.endTransaction("t", 0, markerOf(7, true));
  await Promise.all([stage.settle(stage.partitions.deleteTopic("t")), ending]);
  await stage.topic("t");
  await send(stage, ["a"], inTransaction(7, 0));
  const failing = stage.partitions.endTransaction("t", 0, markerOf(7, true));
  stage.partitions.failAll(new Error("the disk is gone"));
  await assert.rejects(failing, /the disk is gone/);
});

test("too few replicas in sync: no marker is written that could not be committed", async () => {
  const stage = await opened();
  await send(stage, ["a"], inTransaction(7, 0));
  setMinInSync(stage.partitions.must("t", 0).replica, 2, 0);
  await assert.rejects(end(stage, 7, true), refusal("NOT_ENOUGH_REPLICAS"));
  assert.equal(stage.partitions.must("t", 0).log.logEnd, 1);
});

interface Wish {
  readonly id: number;
  readonly value: string;
  state: "open" | "committed" | "aborted";
}

/** Random transactions and plain records against a list of what each became; a reader follows from the begin. */
async function live(seed: number): Promise<void> {
  const chance = seeded(seed * 13 + 1);
  const int = (max: number): number => Math.floor(chance() * max);
  const stage = await opened({ "segment.bytes": "65536", "log.fsync": ["always", "interval", "os"][seed % 3]! });
  const producers = [1, 2, 3, 4].map((id) => ({ id, epoch: 0, sequence: 0, open: false }));
  const wishes: Wish[] = [];
  const read: string[] = [];
  let at = 0;
  const check = (where: string): void => {
    const settled = wishes.findIndex(({ state }) => state === "open");
    const wanted = wishes
      .slice(0, settled < 0 ? wishes.length : settled)
      .filter(({ state }) => state === "committed")
      .map(({ value }) => value);
    assert.deepEqual(read, wanted, where);
  };
  const decide = (id: number, commit: boolean): void => {
    const mine = wishes.filter((wish) => wish.id === id && wish.state === "open");
    for (const wish of mine) wish.state = commit ? "committed" : "aborted";
  };
  const readOn = async (): Promise<void> => {
    for (;;) {
      const answer = await stage.settle(stage.fetch(at, 1, { bytes: 200 + int(3000) }));
      assert.equal(answer.errorCode, 0);
      const aborted = answer.abortedTransactions as readonly Aborted[];
      const opened = await openBatches({ topic: "t", partition: 0 }, at, answer.records as Uint8Array, true, aborted);
      for (const { value } of opened.records) read.push(new TextDecoder().decode(value!));
      if (opened.nextOffset === at) return;
      at = opened.nextOffset;
    }
  };
  for (let step = 0; step < 120; step += 1) {
    const producer = producers[int(producers.length)]!;
    const { id, epoch, sequence } = producer;
    const what = int(10);
    if (what < 5) {
      const values = Array.from({ length: 1 + int(3) }, (_, i) => `${step}.${i}`.padEnd(int(400), "x"));
      await send(stage, values, inTransaction(id, sequence, epoch));
      Object.assign(producer, { sequence: sequence + values.length, open: true });
      wishes.push(...values.map((value) => ({ id, value, state: "open" as const })));
    } else if (what < 8) {
      const [commit, bump] = [int(2) === 0, int(2) === 0];
      if (bump) Object.assign(producer, { epoch: epoch + 1, sequence: 0 });
      await end(stage, id, commit, producer.epoch);
      decide(id, commit);
    } else if (what < 9) {
      await send(stage, [`plain ${step}`], {});
      wishes.push({ id: 0, value: `plain ${step}`, state: "committed" });
    } else {
      await readOn();
      check(`step ${step}`);
    }
  }
  for (const producer of producers) {
    const commit = int(2) === 0;
    await end(stage, producer.id, commit, producer.epoch + 1);
    decide(producer.id, commit);
  }
  await readOn();
  check("the end");
}

test("random transactions: a reader of committed records gets those, in order, once, and never waits for more", async () => {
  const failed: string[] = [];
  for (let seed = only ?? 1; seed <= (only ?? 40); seed += 1) {
    await live(seed).catch((error: Error) => failed.push(`SEED=${seed}: ${error.stack}`));
    if (failed.length > 2) break;
  }
  assert.deepEqual(failed, []);
});

test("a client's control batch is refused, transactional request or not", async () => {
  const stage = await opened();
  const bytes = encodeMarker(markerOf(7, true), 1000);
  assert.equal((await stage.settle(stage.produce(bytes, { transactionalId: "tx" }))).error, "INVALID_RECORD");
  assert.equal((await stage.settle(stage.produce(bytes))).error, "INVALID_RECORD");
});
