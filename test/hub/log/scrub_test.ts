// Tests of the background scrub on a simulated disk and clock: what it finds, what it leaves alone, and how fast.
import assert from "node:assert/strict";
import test from "node:test";
import type { File } from "../../../hub/io/ports.ts";
import type { LogSettings } from "../../../hub/log/store.ts";
import type { Segment } from "../../../hub/log/segment.ts";
import { limits } from "../../../hub/limits.ts";
import type { Fields } from "../../../hub/trace.ts";
import { Bench, manyValues, refusal, settingsOf, topicId } from "./support.ts";

const firstMs = limits.scrubFirstMs + 1000;

interface Watched {
  readonly bench: Bench;
  readonly damage: Fields[];
  readonly counts: Map<string, number>;
}

/** A store with one log of 300 records in batches of 5, and what it traces of its scrub. */
async function filled(changes: Partial<LogSettings> = {}): Promise<Watched> {
  const bench = new Bench();
  bench.tuning = { ...bench.tuning, hotTailBytes: 0, checkpointMs: limits.scrubPeriodMs };
  const damage: Fields[] = [];
  const counts = new Map<string, number>();
  bench.trace = {
    ...bench.trace,
    event: (_level, event, fields) => {
      if (event.startsWith("scrub_")) damage.push({ event, ...fields });
    },
    count: (name, by = 1) => void counts.set(name, (counts.get(name) ?? 0) + by),
  };
  await bench.open();
  await bench.create(0, changes);
  for (let i = 0; i < 60; i += 1) await bench.append(manyValues(5, 40, i * 5));
  return { bench, damage, counts };
}

function fileOf(segment: Segment): string {
  return `${segment.name}.log`;
}

/** Flips a bit of the batch at offset 100, which stands in a closed segment; returns that segment and its place. */
function rot(bench: Bench): { readonly segment: Segment; readonly at: number } {
  const segment = bench.log().segments.findLast(({ base }) => base <= 100)!;
  assert.notEqual(segment, bench.log().active);
  const at = segment.index.placeOf(100);
  bench.disk.flipBit(fileOf(segment), at + 70);
  return { segment, at };
}

/** Tells of every read through the thread pool; only the scrub makes them here. */
function watchReads(bench: Bench, see: (bytes: number, name: string) => void): void {
  const open = bench.disk.open.bind(bench.disk);
  bench.disk.open = (name, mode): File => {
    const file = open(name, mode);
    const readLater = file.readLater.bind(file);
    file.readLater = (target, position) => {
      see(target.length, name);
      return readLater(target, position);
    };
    return file;
  };
}

test("no damage: everything in closed segments is read, the unsynced end is not, and nothing is told", async () => {
  const { bench, damage, counts } = await filled();
  await bench.settle(bench.store.checkpoint());
  await bench.clock.advance(limits.scrubFirstMs - 5000);
  assert.equal(counts.get("scrub_bytes_total"), undefined);
  await bench.append(["at the end"]);
  const { active, segments } = bench.log();
  const synced = active.syncedSize;
  assert.ok(synced < active.size);
  bench.disk.flipBit(fileOf(active), active.size - 1); // not synced: nothing to check yet
  await bench.clock.advance(6000);
  const closed = segments.slice(0, -1).reduce((sum, { size }) => sum + size, 0);
  assert.equal(counts.get("scrub_bytes_total"), closed + synced);
  assert.equal(counts.get("scrub_passes_total"), 1);
  assert.deepEqual([damage, bench.losses], [[], []]);
});

test("a flipped bit is found once; reads on either side go on, a read inside is refused", async () => {
  const { bench, damage, counts } = await filled();
  const { segment, at } = rot(bench);
  await bench.clock.advance(firstMs);
  const [told] = damage;
  const { event, topic, partition, at: from, to } = told!;
  assert.deepEqual([event, topic, partition, from], ["scrub_damage", "readings", 0, at]);
  assert.equal(told!["segment"], segment.base);
  assert.ok(Number(to) > at && Number(to) <= segment.size);
  assert.match(bench.losses.join(), new RegExp(`readings-0: segment ${segment.base}: bytes ${at} to \\d+ `));
  assert.equal(counts.get("scrub_damaged_total"), 1);
  const offset = Number(told!["offset"]);
  assert.ok(offset <= 100);
  const inside = async () => bench.settle(bench.log().read(offset, 1, 300));
  await assert.rejects(inside, refusal("CORRUPT_MESSAGE"));
  assert.ok((await bench.settle(bench.log().read(offset - 1, 1, 300))).length > 0);
  assert.ok((await bench.settle(bench.log().read(offset + 5, 1, 300))).length > 0);
  await bench.clock.advance(limits.scrubPeriodMs);
  assert.equal(counts.get("scrub_passes_total"), 2);
  assert.deepEqual([damage.length, bench.losses.length, counts.get("scrub_damaged_total")], [1, 1, 1]);
});

test("with corrupt.read=skip a reader finds a counted gap where the scrub found damage", async () => {
  const { bench, damage, counts } = await filled({ corruptRead: "skip" });
  rot(bench);
  await bench.clock.advance(firstMs);
  assert.equal(damage.length, 1);
  assert.equal((await bench.values()).length, 295);
  assert.ok(counts.get("log_damage_skipped")! >= 1);
});

test("a wrong base offset, which no CRC covers, is found and not served", async () => {
  const { bench, damage } = await filled();
  const { at, segment } = rot(bench);
  bench.disk.flipBit(fileOf(segment), at + 70); // right again
  bench.disk.flipBit(fileOf(segment), at + 3); // base offset + 2^32
  await bench.clock.advance(firstMs);
  assert.deepEqual(
    damage.map((told) => told["at"]),
    [at],
  );
  const offset = Number(damage[0]!["offset"]);
  await assert.rejects(async () => bench.settle(bench.log().read(offset, 1, 300)), refusal("CORRUPT_MESSAGE"));
});

test("a file that the medium does not give back is told, and the pass goes on", async () => {
  const { bench, damage, counts } = await filled();
  const [first] = bench.log().segments;
  const open = bench.disk.open.bind(bench.disk);
  bench.disk.open = (name, mode) => {
    const file = open(name, mode);
    const refused = Object.assign(new Error("EIO: the medium"), { code: "EIO" });
    if (name === fileOf(first!)) file.readLater = () => Promise.reject(refused);
    return file;
  };
  await bench.clock.advance(firstMs);
  assert.deepEqual(
    damage.map(({ event, at, to }) => [event, at, to]),
    [["scrub_damage", 0, first!.size]],
  );
  assert.equal(counts.get("scrub_passes_total"), 1);
});

test("the rate is kept: never more than so many bytes a second and one chunk", async () => {
  const { bench, counts } = await filled({ segmentBytes: 1 << 20, fsync: "os" });
  for (let i = 0; i < 60; i += 1) await bench.append(manyValues(100, 500));
  await bench.settle(bench.store.checkpoint());
  const reads: { readonly time: number; readonly bytes: number }[] = [];
  watchReads(bench, (bytes) => reads.push({ time: bench.clock.now(), bytes }));
  await bench.clock.advance(limits.scrubFirstMs + 10_000);
  const total = reads.reduce((sum, { bytes }) => sum + bytes, 0);
  assert.ok(total > 3_000_000, `${total} bytes`);
  assert.equal(counts.get("scrub_passes_total"), 1);
  for (let i = 0; i < reads.length; i += 1) {
    let bytes = 0;
    for (const read of reads.slice(i)) {
      bytes += read.bytes;
      const bound = ((read.time - reads[i]!.time) * limits.scrubBytesPerSecondMax) / 1000 + limits.scrubChunkBytes;
      assert.ok(bytes <= bound + 1, `${bytes} bytes where ${bound} may be`);
    }
  }
});

test("segments that go, or are cut, during a scrub do no harm; the store may close", async () => {
  const steps: Record<string, (bench: Bench) => Promise<unknown>> = {
    "log start": (bench) => bench.log().deleteRecordsBefore(200),
    cut: (bench) => bench.log().truncateTo(20),
    "partition deleted": (bench) => bench.store.deletePartition(topicId, 0),
    settings: (bench) => bench.log().configure(settingsOf({ fsync: "os" })),
    closed: (bench) => bench.store.close(),
  };
  for (const [name, step] of Object.entries(steps)) {
    for (let stopAt = 1; stopAt <= 4; stopAt += 1) {
      const { bench, damage, counts } = await filled();
      await bench.settle(bench.store.checkpoint());
      let reads = 0;
      let done: Promise<unknown> | null = null;
      watchReads(bench, () => {
        reads += 1;
        if (reads === stopAt) done = step(bench);
      });
      await bench.clock.advance(firstMs + 70_000);
      await done;
      assert.ok(reads >= stopAt, `${name}: ${reads} reads`);
      assert.deepEqual([damage, bench.losses], [[], []], `${name} at read ${stopAt}`);
      assert.equal(counts.get("scrub_passes_total"), name === "closed" ? undefined : 1, name);
    }
  }
});
