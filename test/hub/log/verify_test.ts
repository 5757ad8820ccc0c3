// Tests of verify, dump and repair.
import assert from "node:assert/strict";
import test from "node:test";
import { dumpLog, repairLog, verifyLog } from "../../../hub/log/verify.ts";
import { simRandom } from "../../sim/clock.ts";
import { Bench, manyValues, topicId } from "./support.ts";

async function folder(): Promise<Bench> {
  const bench = new Bench();
  await bench.open();
  await bench.create(0, { corruptRead: "skip" });
  for (let i = 0; i < 40; i += 1) await bench.append(manyValues(5, 40, i * 5));
  await bench.settle(bench.store.put([["group/a", Uint8Array.of(1)]]));
  return bench;
}

test("a sound folder: counts and no damage", async () => {
  const bench = await folder();
  await bench.settle(bench.store.close());
  const report = verifyLog(bench.disk);
  assert.equal(report.ok, true);
  assert.equal(report.cleanStop, true);
  assert.equal(report.hubId, 1);
  assert.ok(report.journalGroups > 3);
  const [log] = report.logs;
  assert.deepEqual(
    [log!.name, log!.batches, log!.records, log!.logStart, log!.logEnd, log!.damage.length],
    ["readings-0", 40, 200, 0, 200, 0],
  );
  const lines = [...dumpLog(bench.disk, "readings-0")];
  assert.equal(lines.filter((line) => line.startsWith("    ")).length, 200);
  assert.deepEqual([...dumpLog(bench.disk, `${topicId}-0`)], lines);
  assert.deepEqual([...dumpLog(bench.disk, "no such log")], []);
  assert.ok([...dumpLog(bench.disk, "journal")].some((line) => line.includes('fact "group/a" 1 bytes')));
});

test("rot is found, and repair takes it out and nothing else", async () => {
  const bench = await folder();
  await bench.settle(bench.store.close());
  const segment = bench.log().segments[1]!;
  bench.disk.flipBit(`${segment.name}.log`, 400);
  const report = verifyLog(bench.disk);
  assert.equal(report.ok, false);
  const [range] = report.logs[0]!.damage;
  assert.equal(range!.segment, segment.base);
  assert.equal(range!.torn, false);
  assert.ok([...dumpLog(bench.disk, "readings-0")].some((line) => line.includes("DAMAGED")));
  assert.deepEqual(repairLog(bench.disk, simRandom(bench.chance)), { ranges: 1, bytes: range!.bytes });
  assert.equal(verifyLog(bench.disk).ok, true);
  await bench.open();
  assert.equal((await bench.values()).length, 195);
  assert.equal(bench.log().logEnd, 200);
});

test("a torn tail is no damage: the next start cuts it", async () => {
  const bench = await folder();
  const name = `${bench.log().active.name}.log`;
  const size = bench.disk.lengthOf(name);
  bench.disk.open(name, "write").write(new Uint8Array(50).fill(7), size);
  const report = verifyLog(bench.disk);
  assert.equal(report.ok, true);
  assert.deepEqual(
    report.logs[0]!.damage.map(({ torn, bytes }) => [torn, bytes]),
    [[true, 50]],
  );
  await bench.kill();
  assert.equal(bench.log().logEnd, 200);
  const saved = bench.disk.names().find((file) => file.includes("/.tail."));
  assert.equal(bench.disk.lengthOf(saved ?? ""), 50, "what was cut is kept for people");
});

test("a folder in use is not repaired", async () => {
  const bench = await folder();
  bench.disk.ownerLives = () => true;
  assert.throws(() => repairLog(bench.disk, simRandom(bench.chance)), /in use/);
});
