// Tests of repairs on a simulated disk: what is damaged, what may take its place, and power that goes in between.
import assert from "node:assert/strict";
import test from "node:test";
import { damageIn } from "../../../hub/log/damage.ts";
import type { Damage } from "../../../hub/log/damage.ts";
import { patchOf, repairSegment } from "../../../hub/log/segment_repair.ts";
import type { Segment } from "../../../hub/log/segment.ts";
import { readBatchHeader } from "../../../hub/record/batch.ts";
import { verifyLog } from "../../../hub/log/verify.ts";
import type { CutStyle } from "../../sim/disk.ts";
import { all, filled, rot, within } from "./rot_support.ts";
import { type Bench, refusal } from "./support.ts";

async function damageOf(bench: Bench, segment: Segment): Promise<Damage[]> {
  return (await bench.settle(damageIn(bench.log(), bench.store.host, segment)))!;
}

async function repair(bench: Bench, replica: readonly Uint8Array[], segment: Segment): Promise<void> {
  const damage = await damageOf(bench, segment);
  const log = bench.log();
  const patches = damage.map((one) => patchOf(log, one, one.from, within(replica, one.from, one.to), one.to));
  await bench.settle(repairSegment(log, bench.store.host, segment, patches));
}

test("two damaged ranges of a closed segment: told apart, repaired, and read and verified whole", async () => {
  const { bench, replica } = await filled();
  const base = bench.log().segments[1]!.base;
  rot(bench, base + 6);
  const segment = rot(bench, base + 20);
  const damage = await damageOf(bench, segment);
  assert.deepEqual(
    damage.map(({ from, to }) => [from, to]),
    [
      [base + 5, base + 10],
      [base + 20, base + 25],
    ],
  );
  await assert.rejects(bench.values(), refusal("CORRUPT_MESSAGE"));
  await repair(bench, replica, segment);
  assert.equal(bench.log().damaged.size, 0);
  assert.deepEqual(await bench.values(), all);
  await bench.reopen();
  assert.deepEqual(await bench.values(), all);
  await bench.settle(bench.store.close());
  assert.deepEqual(verifyLog(bench.disk).logs[0]!.damage, []);
});

test("a part that a replica has is taken, and the rest stays damaged until another brings it", async () => {
  const { bench, replica } = await filled();
  const base = bench.log().segments[1]!.base;
  rot(bench, base + 5);
  const segment = rot(bench, base + 10);
  const [damage] = await damageOf(bench, segment);
  assert.deepEqual([damage!.from, damage!.to], [base + 5, base + 15]);
  const log = bench.log();
  const patch = patchOf(log, damage!, damage!.from, within(replica, base + 5, base + 10), base + 10);
  await bench.settle(repairSegment(log, bench.store.host, segment, [patch]));
  const bytes = await bench.settle(log.read(base + 5, 1, 300));
  assert.equal(readBatchHeader(bytes).baseOffset, base + 5);
  await assert.rejects(bench.values(log, base + 10), refusal("CORRUPT_MESSAGE"));
  const [rest] = log.damaged;
  await repair(bench, replica, rest!);
  assert.deepEqual(await bench.values(), all);
});

test("the end of a segment is damaged: readers are told, not led past it, before and after a start", async () => {
  const { bench, replica } = await filled();
  const log = bench.log();
  const last = log.segments[2]!.base - 1;
  rot(bench, last);
  await assert.rejects(bench.values(), refusal("CORRUPT_MESSAGE"));
  for (const cache of bench.disk.names()) if (/index$/.test(cache)) bench.disk.remove(cache);
  await bench.kill();
  const [segment] = bench.log().damaged;
  assert.equal(segment?.nextOffset, last + 1, "the next segment says how far it went");
  await assert.rejects(bench.values(), refusal("CORRUPT_MESSAGE"));
  await repair(bench, replica, segment!);
  assert.deepEqual(await bench.values(), all);
});

test("a cut above damage leaves the damage where it is, and what stands behind it", async () => {
  const { bench } = await filled({ segmentBytes: 1_000_000 });
  rot(bench, 100);
  await bench.settle(bench.log().truncateTo(250));
  assert.equal(bench.log().logEnd, 250);
  assert.deepEqual(await bench.values(bench.log(), 105), all.slice(105, 250));
  await bench.settle(bench.log().truncateTo(103));
  assert.deepEqual([bench.log().logEnd, bench.log().active.nextOffset], [103, 103]);
  assert.deepEqual((await bench.values(bench.log(), 0).catch(() => [])).length, 0);
  assert.equal(await bench.append(["again"]), 103);
  assert.deepEqual(await bench.values(bench.log(), 103), ["again"]);
});

test("a base offset that rotted, which no CRC covers, is damage: nobody reads at another offset, and nothing is cut", async () => {
  for (const [byte, bit] of [
    [3, 1],
    [7, 1],
    [6, 0],
  ] as const) {
    const { bench, replica } = await filled({ segmentBytes: 1_000_000 });
    const file = `${bench.log().active.name}.log`;
    bench.disk.flipBit(file, byte, bit);
    await assert.rejects(bench.values(), refusal("CORRUPT_MESSAGE"));
    assert.deepEqual(await bench.values(bench.log(), 5), all.slice(5));
    for (const cache of bench.disk.names()) if (/index$/.test(cache)) bench.disk.remove(cache);
    await bench.kill();
    assert.equal(bench.log().logEnd, 300, `byte ${byte}`);
    assert.deepEqual(await bench.values(bench.log(), 5), all.slice(5));
    await bench.settle(bench.log().roll());
    const [segment] = bench.log().damaged;
    await repair(bench, replica, segment!);
    assert.deepEqual(await bench.values(), all);
  }
});

test("what does not fit is not taken", async () => {
  const { bench, replica } = await filled();
  const log = bench.log();
  const base = log.segments[1]!.base;
  const segment = rot(bench, base + 5);
  const [damage] = await damageOf(bench, segment);
  const { from, to } = damage!;
  const take = (records: Uint8Array, upTo: number) => () => patchOf(log, damage!, from, records, upTo);
  const right = within(replica, from, to);
  const changed = right.slice();
  changed[70]! ^= 1;
  const later = right.slice();
  later[15] = 9; // partition leader epoch: outside the CRC
  for (const [records, upTo] of [
    [changed, to], // CRC
    [later, to], // epoch
    [within(replica, from - 5, to), to], // more than the range
    [within(replica, from, to + 5), to],
    [new Uint8Array(0), to], // less than it
    [right, to + 5],
    [right, to - 1],
  ] as const) {
    assert.throws(take(records, upTo), refusal("CORRUPT_MESSAGE"));
  }
  assert.equal(take(right, to)().upTo, to);
  log.applySettings({ ...log.settings, compacted: true });
  assert.equal(take(new Uint8Array(0), to)().upTo, to, "what was compacted away elsewhere may be missing");
});

const styles: readonly CutStyle[] = ["nothing", "some", "torn", "everything"];

test("power that goes at any step of a repair leaves the damage or the repair", async () => {
  const ends = { damage: 0, repair: 0 };
  let done = false;
  for (let step = 1; !done; step += 1) {
    for (const style of styles) {
      const { bench, replica } = await filled();
      const base = bench.log().segments[1]!.base;
      const segment = rot(bench, base + 6);
      const [damage] = await damageOf(bench, segment);
      const patch = patchOf(bench.log(), damage!, base + 5, within(replica, base + 5, base + 10), base + 10);
      bench.disk.faults.crashAt = bench.disk.operations + step;
      done = await bench.settle(repairSegment(bench.log(), bench.store.host, segment, [patch])).then(
        () => bench.disk.operations < bench.disk.faults.crashAt,
        () => false,
      );
      await bench.powerCut(style);
      const where = `step ${step}, ${style}`;
      assert.deepEqual(await bench.values(bench.log(), base + 10), all.slice(base + 10), where);
      const values = await bench.values().catch(() => null);
      if (values === null) ends.damage += 1;
      else {
        ends.repair += 1;
        assert.deepEqual(values, all, where);
      }
    }
  }
  assert.ok(ends.damage > 4 && ends.repair > 4, JSON.stringify(ends));
});
