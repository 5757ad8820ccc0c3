// Tests of the store on a simulated disk: promises, restarts, faults, each rule by itself.
import assert from "node:assert/strict";
import test from "node:test";
import { readBatchHeader } from "../../../hub/record/batch.ts";
import { batchOf, Bench, manyValues, refusal, settingsOf, topicId } from "./support.ts";

async function open(): Promise<Bench> {
  const bench = new Bench();
  await bench.open();
  return bench;
}

test("nothing is durable before the sync, everything after; a power cut keeps exactly that", async () => {
  const bench = await open();
  const log = await bench.create();
  log.append(batchOf(["a", "b"]), 0);
  assert.equal(log.logEnd, 2);
  assert.equal(log.durableEnd, 0);
  await bench.settle(bench.store.flush());
  assert.equal(log.durableEnd, 2);
  log.append(batchOf(["never acknowledged"]), 0);
  await bench.powerCut("nothing");
  assert.deepEqual(await bench.values(), ["a", "b"]);
  assert.equal(bench.log().durableEnd, 2);
  assert.deepEqual(bench.losses, []);
});

test("what one turn appends and puts is there as a whole, or not at all", async () => {
  for (const style of ["nothing", "everything", "some", "torn"] as const) {
    for (let crashAt = 1; crashAt < 12; crashAt += 1) {
      const bench = await open();
      await bench.create(0);
      await bench.create(1);
      bench.disk.faults.crashAt = bench.disk.operations + crashAt;
      try {
        bench.log(0).append(batchOf(["x"]), 0);
        bench.log(1).append(batchOf(["y"]), 0);
        bench.store.put([["seen/1", Uint8Array.of(1)]]).catch(() => {});
        await bench.clock.advance(20);
      } catch {
        // The machine stopped.
      }
      await bench.powerCut(style);
      const there = [bench.log(0).logEnd, bench.log(1).logEnd, bench.store.get("seen/1")?.length ?? 0];
      assert.ok(there.every((n) => n === 0) || there.every((n) => n === 1), `${style} ${crashAt}: ${there.join()}`);
    }
  }
});

test("kill -9 keeps what is acknowledged under every policy, a power cut what was synced", async () => {
  for (const fsync of ["always", "interval", "os"] as const) {
    const bench = await open();
    await bench.create(0, { fsync });
    await bench.append(["1", "2"]);
    assert.equal(bench.log().durableEnd, 2, fsync);
    await bench.kill();
    assert.deepEqual(await bench.values(), ["1", "2"], fsync);
    assert.deepEqual(bench.losses, []);
    await bench.append(["3"]);
    await bench.clock.advance(fsync === "interval" ? 400 : 0);
    await bench.powerCut("nothing");
    assert.deepEqual(await bench.values(), fsync === "os" ? ["1", "2"] : ["1", "2", "3"], fsync);
    assert.equal(bench.losses.length, fsync === "always" ? 0 : 1);
  }
});

test("facts: visible at once, durable when the promise resolves, by prefix, removable", async () => {
  const bench = await open();
  const put = bench.store.put([
    ["g/a", Uint8Array.of(1)],
    ["g/b", Uint8Array.of(2)],
    ["h", Uint8Array.of(3)],
  ]);
  assert.deepEqual(
    [...bench.store.entries("g/")].map(([key]) => key),
    ["g/a", "g/b"],
  );
  await bench.settle(put);
  await bench.settle(bench.store.put([["g/a", null]]));
  await bench.powerCut();
  assert.equal(bench.store.get("g/a"), undefined);
  assert.deepEqual(bench.store.get("g/b"), Uint8Array.of(2));
  await assert.rejects(bench.store.put([["big", new Uint8Array(9 << 20)]]), refusal("KAFKA_STORAGE_ERROR"));
});

test("facts and logs outlive many journal files, and few files stay", async () => {
  const bench = await open();
  bench.tuning = { ...bench.tuning, checkpointBytes: 128 * 1024 };
  await bench.reopen();
  await bench.create();
  for (let i = 0; i < 120; i += 1) {
    bench.store.put([[`k/${i % 5}`, Uint8Array.of(i)]]).catch(() => {});
    await bench.append(manyValues(10, 300, i));
  }
  await bench.settle(bench.store.checkpoint());
  await bench.clock.advance(50);
  const files = bench.disk.names().filter((name) => name.endsWith(".wal"));
  assert.ok(files.length <= 4, files.join());
  await bench.powerCut();
  assert.equal((await bench.values()).length, 1200);
  assert.deepEqual(bench.store.get("k/4"), Uint8Array.of(119));
});

test("a clean stop is told from an unclean one, and needs no scan", async () => {
  const bench = await open();
  await bench.create();
  await bench.append(manyValues(200));
  await bench.reopen();
  assert.equal((await bench.values()).length, 200);
  assert.equal(bench.store.meta.bootSeq, 2);
});

test("a full disk: refused with 56, nothing half written, healed by itself", async () => {
  const bench = await open();
  await bench.create();
  await bench.append(["before"]);
  await bench.clock.advance(100); // spare and reserve stand
  bench.disk.faults.capacity = bench.disk.usedBytes() + 500;
  assert.throws(() => bench.log().append(batchOf(manyValues(20, 100)), 0), refusal("KAFKA_STORAGE_ERROR"));
  assert.deepEqual(bench.states, ["full"]);
  assert.throws(() => bench.log().append(batchOf(["small"]), 0), refusal("KAFKA_STORAGE_ERROR"));
  assert.equal(bench.log().logEnd, 1);
  await bench.settle(bench.store.put([["offset", Uint8Array.of(1)]])); // commits go on
  bench.disk.faults.capacity = 1 << 30;
  await bench.clock.advance(11_000);
  assert.deepEqual(bench.states, ["full", "ok"]);
  await bench.append(["after"]);
  await bench.powerCut();
  assert.deepEqual(await bench.values(), ["before", "after"]);
});

test("below the hard line appends are refused before the disk does; the rest goes on, and the reserve is given", async () => {
  const bench = await open();
  await bench.create();
  await bench.append(["before"]);
  await bench.clock.advance(100);
  assert.ok(bench.disk.names().includes("meta/reserve"));
  bench.disk.faults.capacity = bench.disk.usedBytes() + 5000; // the line: 16 KiB, or a sixteenth of all
  await bench.clock.advance(6000);
  assert.deepEqual(bench.states, ["full"]);
  assert.ok(!bench.disk.names().includes("meta/reserve"));
  assert.throws(() => bench.log().append(batchOf(["no"]), 0), refusal("KAFKA_STORAGE_ERROR"));
  await bench.settle(bench.store.put([["offset", Uint8Array.of(1)]]));
  await bench.settle(bench.store.checkpoint());
  assert.deepEqual(await bench.values(), ["before"]);
  await bench.settle(bench.store.deletePartition(topicId, 0));
  bench.disk.faults.capacity = 1 << 30;
  await bench.clock.advance(11_000);
  assert.deepEqual(bench.states, ["full", "ok"]);
  assert.ok(bench.disk.names().includes("meta/reserve"));
});

test("below the soft line retention runs early", async () => {
  const bench = await open();
  await bench.create(0, { retentionBytes: 5000 });
  for (let i = 0; i < 60; i += 1) await bench.append(manyValues(5, 40, i * 5));
  await bench.clock.advance(6000);
  assert.equal(bench.log().logStart, 0);
  bench.disk.faults.capacity = bench.disk.usedBytes() + 40_000;
  await bench.clock.advance(6000);
  assert.ok(bench.log().logStart > 0);
  assert.deepEqual(bench.states, []);
});

test("an append that cannot be cut back takes its log offline", async () => {
  const bench = await open();
  await bench.create();
  await bench.append(["before"]);
  const refused = Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
  const { file } = bench.log().active;
  file.write = () => 3;
  const truncate = file.truncate.bind(file);
  file.truncate = () => {
    throw refused;
  };
  assert.throws(() => bench.log().append(batchOf(["half"]), 0), refusal("KAFKA_STORAGE_ERROR"));
  file.truncate = truncate;
  await bench.clock.advance(11_000);
  assert.equal(bench.store.state, "ok");
  assert.throws(() => bench.log().append(batchOf(["more"]), 0), /is offline/);
  await bench.kill();
  assert.deepEqual(await bench.values(), ["before"]);
});

test("a failed sync is the end: nothing is acknowledged after it, waiters are refused", async () => {
  const bench = await open();
  await bench.create();
  await bench.append(["safe"]);
  bench.disk.faults.syncFails = 1;
  bench.log().append(batchOf(["lost"]), 0);
  await assert.rejects(bench.settle(bench.store.put([["x", Uint8Array.of(1)]])), refusal("KAFKA_STORAGE_ERROR"));
  assert.deepEqual(bench.states, ["failed"]);
  assert.equal(bench.log().durableEnd, 1);
  assert.throws(() => bench.log().append(batchOf(["more"]), 0), refusal("KAFKA_STORAGE_ERROR"));
  assert.throws(() => bench.log().read(0, 100, 1), refusal("KAFKA_STORAGE_ERROR"));
  await bench.powerCut("everything");
  const values = await bench.values();
  assert.ok(values.length <= 2 && values[0] === "safe");
});

test("a read-only file system: appends and facts are refused, reads go on", async () => {
  const bench = await open();
  await bench.create();
  await bench.append(["here"]);
  bench.disk.faults.readOnly = true;
  assert.throws(() => bench.log().append(batchOf(["no"]), 0), refusal("KAFKA_STORAGE_ERROR"));
  assert.deepEqual(bench.states, ["read-only"]);
  assert.deepEqual(await bench.values(), ["here"]);
  await assert.rejects(bench.store.put([["x", Uint8Array.of(1)]]), refusal("KAFKA_STORAGE_ERROR"));
});

test("a sync of more than 30 seconds is a failure", async () => {
  const bench = await open();
  await bench.create();
  bench.disk.faults.stalls = 1;
  bench.log().append(batchOf(["slow"]), 0);
  await bench.clock.advance(32_000);
  assert.deepEqual(bench.states, ["failed"]);
});

test("a folder tells whose it is", async () => {
  const bench = await open();
  await bench.settle(bench.store.close());
  await assert.rejects(bench.open(2), /belongs to hub 1, this is hub 2/);
  await bench.open(1);
  bench.disk.ownerLives = () => true;
  await assert.rejects(bench.open(1), /in use by process 1/);
});

test("a partition that was deleted is gone, and may come again empty", async () => {
  const bench = await open();
  await bench.create();
  await bench.append(manyValues(100));
  await bench.settle(bench.store.deletePartition(topicId, 0));
  assert.equal(bench.store.partition(topicId, 0), undefined);
  await bench.create();
  assert.equal(bench.log().logEnd, 0);
  await bench.append(["new"]);
  await bench.powerCut("some");
  assert.deepEqual(await bench.values(), ["new"]);
  await bench.settle(bench.store.deletePartition(topicId, 0));
  await bench.powerCut("nothing");
  assert.equal(bench.store.partition(topicId, 0), undefined);
  assert.equal(bench.disk.names().filter((name) => name.startsWith("topics/")).length, 0);
});

test("a damaged journal group is told as a possible loss; what lies behind it is kept", async () => {
  const bench = await open();
  await bench.create();
  for (const value of ["a", "b", "c"]) await bench.append([value]);
  const name = bench.disk.names().find((file) => file.endsWith(".wal"))!;
  bench.disk.flipBit(name, 4096 * 3 + 100); // the groups: snapshot, partition, a, b, c
  await bench.powerCut("nothing");
  assert.ok(bench.losses.length > 0);
  assert.ok(bench.log().logEnd >= 1);
});

test("a journal file that was named and is missing is told as a possible loss", async () => {
  const bench = await open();
  await bench.create();
  await bench.clock.advance(100); // the spare stands
  await bench.append(["names the spare"]);
  const files = bench.disk.names().filter((name) => name.endsWith(".wal"));
  assert.equal(files.length, 2);
  bench.disk.remove(files[1]!);
  await bench.kill();
  assert.match(bench.losses.join(), /named and is missing/);
  assert.deepEqual(await bench.values(), ["names the spare"]);
});

test("a slow sync is told before it counts as failed", async () => {
  const bench = new Bench();
  const events: string[] = [];
  bench.trace = { ...bench.trace, event: (_level, event) => void events.push(event) };
  await bench.open();
  await bench.create();
  bench.disk.faults.stalls = 1;
  bench.log().append(batchOf(["slow"]), 0);
  await bench.clock.advance(6000);
  assert.ok(events.includes("disk_sync_slow"));
  assert.deepEqual(bench.states, []);
});

test("the backlog has a bound, and room is told", async () => {
  const bench = await open();
  bench.tuning = { ...bench.tuning, backlogBytesMax: 8192 };
  await bench.reopen();
  await bench.create();
  for (let i = 0; i < 4; i += 1) bench.log().append(batchOf(manyValues(10, 200)), 0);
  assert.ok(bench.store.backlogBytes() > 8192);
  let room = false;
  const waited = bench.store.whenRoom().then(() => (room = true));
  assert.equal(room, false);
  await bench.settle(waited);
  assert.ok(bench.store.backlogBytes() < 4096);
});

test("settings outlive a restart, and a change of the policy keeps every promise", async () => {
  const bench = await open();
  await bench.create(0, { fsync: "os" });
  await bench.append(["plain"]);
  await bench.settle(bench.log().configure(settingsOf({ fsync: "always", retentionMs: 5 })));
  await bench.append(["journaled"]);
  await bench.powerCut("nothing");
  assert.deepEqual(await bench.values(), ["plain", "journaled"]);
  assert.equal(bench.log().settings.retentionMs, 5);
  await bench.settle(bench.log().configure(settingsOf({ fsync: "os" })));
  await bench.append(["plain again"]);
  await bench.kill();
  assert.deepEqual(await bench.values(), ["plain", "journaled", "plain again"]);
});

test("epochs are kept: a batch bears the epoch it was appended under", async () => {
  const bench = await open();
  await bench.create();
  bench.log().append(batchOf(["a", "b"]), 3);
  bench.log().append(batchOf(["c"]), 67);
  await bench.settle(bench.store.flush());
  await bench.powerCut();
  assert.equal(bench.log().latestEpoch, 67);
  assert.deepEqual(bench.log().endOffsetForEpoch(3), { epoch: 3, endOffset: 2 });
  assert.deepEqual(bench.log().endOffsetForEpoch(66), { epoch: 3, endOffset: 2 });
  assert.deepEqual(bench.log().endOffsetForEpoch(99), { epoch: 67, endOffset: 3 });
  assert.deepEqual(bench.log().endOffsetForEpoch(1), { epoch: -1, endOffset: -1 });
  const bytes = await bench.settle(bench.log().read(2, 1, 3));
  assert.equal(readBatchHeader(bytes).leaderEpoch, 67);
});

test("after a crash only what a checkpoint knew to be committed is called so, not all that is there", async () => {
  const bench = await open();
  const log = await bench.create();
  for (const value of ["a", "b", "c"]) log.append(batchOf([value]), 0);
  await bench.settle(bench.store.flush());
  await bench.powerCut("nothing");
  assert.equal(bench.log().logEnd, 3);
  assert.equal(bench.log().recoveredWatermark, 0, "no checkpoint was made");
  bench.log().highWatermark = 2;
  await bench.settle(bench.store.checkpoint());
  await bench.powerCut("nothing");
  assert.equal(bench.log().logEnd, 3);
  assert.equal(bench.log().recoveredWatermark, 2);
});

test("epochs found by a recovery outlive a clean stop after it", async () => {
  const bench = await open();
  const log = await bench.create();
  log.append(batchOf(["a"]), 1);
  await bench.settle(bench.store.checkpoint()); // its file says: epoch 1
  log.append(batchOf(["b"]), 2);
  await bench.settle(bench.store.flush());
  await bench.kill();
  assert.equal(bench.log().latestEpoch, 2);
  await bench.settle(bench.store.close());
  await bench.kill();
  assert.equal(bench.log().latestEpoch, 2, "a clean start believes the file");
});
