// Compaction against a model, under chance and crashes: what a reader ends up with is what was written last.
import assert from "node:assert/strict";
import test from "node:test";
import type { Codec } from "../../../hub/io/compression.ts";
import { loadCodec } from "../../../hub/io/compression.ts";
import { abortedIn, appendMarker, lastStableOf } from "../../../hub/log/log_transactions.ts";
import { readMarker } from "../../../hub/record/control.ts";
import { seeded } from "../../sim/clock.ts";
import type { CutStyle } from "../../sim/disk.ts";
import { closeSegment, compact, keyedBatch, readBatches, tableOf } from "./compaction_support.ts";
import type { KeyValue, ReadBatch, ReadRecord } from "./compaction_support.ts";
import { Bench } from "./support.ts";

const lives = Number(process.env["SEEDS"] ?? 25);
const only = process.env["SEED"] === undefined ? null : Number(process.env["SEED"]);
const settings = {
  compacted: true,
  retentionMs: -1,
  minDirtyRatio: 0,
  segmentBytes: 3000,
  deleteRetentionMs: 50_000,
};

/** One record as it was written. */
interface Written extends KeyValue {
  readonly offset: number;
  readonly transaction: Transaction | null;
}

interface Transaction {
  readonly producerId: number;
  state: "open" | "committed" | "aborted";
}

class World {
  readonly bench = new Bench();
  readonly chance: () => number;
  readonly written: Written[] = [];
  #sequence = 0;
  /** Open transactions, and the next sequence of each transactional producer. */
  readonly #open = new Map<number, Transaction>();
  readonly #sequences = new Map<number, number>();
  #markers = 0;

  constructor(seed: number) {
    this.chance = seeded(seed);
  }

  below(bound: number): number {
    return Math.floor(this.chance() * bound);
  }

  async begin(): Promise<void> {
    await loadCodec(4);
    await this.bench.open();
    await this.bench.create(0, settings);
  }

  /** One batch of a few records over few keys, a fifth of them tombstones, in any codec, some of a producer. */
  async produce(): Promise<void> {
    const { bench } = this;
    const pairs = Array.from({ length: 1 + this.below(6) }, () => {
      const value = this.chance() < 0.2 ? null : `${this.written.length}-${"x".repeat(this.below(60))}`;
      return { key: `k${this.below(12)}`, value };
    });
    const codec = this.below(5) as Codec;
    const kind = this.chance();
    const transaction = kind < 0.3 ? this.#transaction(20 + this.below(3)) : null;
    const idempotent = kind > 0.7;
    const plain = idempotent ? { producerId: 9, producerEpoch: 0, baseSequence: this.#sequence } : {};
    if (idempotent) this.#sequence += pairs.length;
    const options = transaction ? this.#options(transaction, pairs.length) : plain;
    const { baseOffset } = bench.log().append(keyedBatch(pairs, { codec, ...options }, 1000 + this.below(500)), 0);
    pairs.forEach((pair, i) => this.written.push({ ...pair, offset: baseOffset + i, transaction }));
    if (transaction && this.chance() < 0.5) this.end(transaction);
    await bench.settle(bench.store.flush());
    await bench.clock.advance(1);
  }

  #transaction(producerId: number): Transaction {
    const open = this.#open.get(producerId) ?? { producerId, state: "open" as const };
    this.#open.set(producerId, open);
    return open;
  }

  #options({ producerId }: Transaction, count: number) {
    const baseSequence = this.#sequences.get(producerId) ?? 0;
    this.#sequences.set(producerId, baseSequence + count);
    return { producerId, producerEpoch: 0, baseSequence, transactional: true };
  }

  end(transaction: Transaction): void {
    const commit = this.chance() < 0.6;
    const marker = { producerId: transaction.producerId, producerEpoch: 0, coordinatorEpoch: 0, commit };
    appendMarker(this.bench.log(), marker, 0, 1000);
    transaction.state = commit ? "committed" : "aborted";
    this.#open.delete(transaction.producerId);
    this.#markers += 1;
  }

  async endAll(): Promise<void> {
    for (const transaction of [...this.#open.values()]) this.end(transaction);
    await this.bench.settle(this.bench.store.flush());
    await this.bench.clock.advance(1);
  }

  /** What a reader of committed records finds from an offset on, as a consumer filters it. */
  async #committed(from: number, stable: number): Promise<ReadRecord[]> {
    const log = this.bench.log();
    const aborted = [...abortedIn(log, from, stable)].sort((a, b) => a.firstOffset - b.firstOffset);
    const inAborted = new Set<number>();
    const found: ReadRecord[] = [];
    for (const { header, bytes, records } of await readBatches(this.bench, log, from)) {
      if (header.lastOffset >= stable) break;
      while (aborted.length > 0 && aborted[0]!.firstOffset <= header.lastOffset)
        inAborted.add(aborted.shift()!.producerId);
      if (header.control && readMarker(bytes)?.commit === false) inAborted.delete(header.producerId);
      if (header.control || (header.transactional && inAborted.has(header.producerId))) continue;
      found.push(...records.filter(({ offset }) => offset >= from));
    }
    return found;
  }

  /** Everything that must hold of what a reader finds. */
  async check(untouchedFrom = Number.POSITIVE_INFINITY): Promise<ReadBatch[]> {
    const log = this.bench.log();
    const stable = lastStableOf(log, log.logEnd);
    const written = this.written.filter(
      ({ offset, transaction }) => offset < stable && transaction?.state !== "aborted",
    );
    const records = await this.#committed(log.logStart, stable);
    const byOffset = new Map(written.map((record) => [record.offset, record]));
    let before = -1;
    for (const { offset, key, value } of records) {
      assert.ok(offset > before, `offset ${offset} behind ${before}`);
      before = offset;
      const was = byOffset.get(offset);
      assert.deepEqual([key, value], [was?.key, was?.value], `the record at ${offset}`);
    }
    assert.deepEqual(sorted(tableOf(records)), sorted(tableOf(written)));
    const there = new Set(records.map(({ offset }) => offset));
    const last = new Map(written.map(({ key, offset }) => [key, offset]));
    for (const { offset, key, value } of written) {
      const mustStay = offset >= untouchedFrom || (last.get(key) === offset && value !== null);
      assert.ok(!mustStay || there.has(offset), `offset ${offset} (${key}) is gone`);
    }
    const from = this.below(log.logEnd);
    const later = await this.#committed(from, stable);
    assert.deepEqual(
      later.map(({ offset }) => offset),
      records.filter(({ offset }) => offset >= from).map(({ offset }) => offset),
      `read from ${from} on`,
    );
    assert.equal(log.logEnd, this.written.length + this.#markers);
    assert.deepEqual(this.bench.losses, []);
    const batches = await readBatches(this.bench, log);
    const sequences = batches.filter(({ header }) => header.producerId === 9);
    const lastSequence = sequences.at(-1)?.header;
    const end = lastSequence && lastSequence.baseSequence + (lastSequence.lastOffset - lastSequence.baseOffset) + 1;
    assert.equal(end ?? 0, this.#sequence, "the last batch of a producer");
    return batches;
  }
}

function sorted(table: Map<string, string>): string[] {
  return [...table].map(([key, value]) => `${key}=${value}`).sort();
}

test(`${lives} random lives of a compacted log: its table is the model's after every pass and restart`, async () => {
  for (let seed = only ?? 1; seed <= (only ?? lives); seed += 1) {
    const world = new World(seed);
    const { bench } = world;
    try {
      if (world.chance() < 0.3) bench.tuning = { ...bench.tuning, cleanerMapBytes: 1024 };
      await world.begin();
      for (let turn = 0; turn < 25; turn += 1) {
        for (let i = world.below(8); i >= 0; i -= 1) await world.produce();
        if (world.chance() < 0.3) await world.endAll();
        if (world.chance() < 0.5) await closeSegment(bench);
        if (world.chance() < 0.3) await bench.clock.advance(world.below(60_000));
        if (world.chance() < 0.3) await bench.settle(bench.store.checkpoint());
        const untouched = bench.log().active.base;
        if (world.chance() < 0.7) await compact(bench);
        const end = world.chance();
        if (end < 0.15) await bench.reopen();
        else if (end < 0.3) await bench.kill();
        await world.check(untouched);
      }
    } catch (error) {
      throw new Error(`SEED=${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});

const styles: readonly (CutStyle | "kill")[] = ["kill", "nothing", "everything", "some", "torn"];

/** The same life up to a cleaning, which the machine does not survive beyond `stopAfter` operations. */
async function interrupted(stopAfter: number, style: CutStyle | "kill", seed: number): Promise<boolean> {
  const world = new World(seed);
  const { bench } = world;
  await world.begin();
  for (let i = 0; i < 12; i += 1) await world.produce();
  await world.endAll();
  await closeSegment(bench);
  await compact(bench);
  await bench.clock.advance(55_000); // tombstones of the first part are due
  for (let i = 0; i < 12; i += 1) await world.produce();
  await world.endAll();
  await closeSegment(bench);
  const { disk } = bench;
  disk.faults.crashAt = disk.operations + stopAfter;
  let stopped = false;
  await bench.clock.settle(bench.store.compact().catch(() => {})).catch(() => (stopped = true));
  stopped ||= disk.stopped;
  disk.faults.crashAt = -1;
  if (style === "kill") await bench.kill();
  else await bench.powerCut(style);
  await world.check();
  assert.ok(
    !bench.disk.names().some((name) => /^topics\/.*\.(cleaned|tmp|merged)$/.test(name)),
    "nothing half done is left",
  );
  await world.produce();
  await closeSegment(bench);
  await compact(bench);
  await world.check();
  return stopped;
}

test("a stop at any operation of a cleaning leaves each segment old or new, and whole", async () => {
  const step = process.env["SEEDS"] === undefined ? 3 : 1;
  for (const [i, style] of styles.entries()) {
    let stops = 0;
    for (let at = 1 + (i % step); at < 2000; at += step) {
      const seed = only ?? 1000 + (at % 7);
      try {
        if (!(await interrupted(at, style, seed))) break;
        stops += 1;
      } catch (error) {
        throw new Error(`SEED=${seed}, stop at ${at}, ${style}: ${(error as Error).message}`, { cause: error });
      }
    }
    assert.ok(stops * step > 40, `${style}: ${stops} stops`);
  }
});
