// Tests of one segment: append and scan, cut back on a refusal, what the index files spare, finding the way behind rot.
import assert from "node:assert/strict";
import test from "node:test";
import { Segment } from "../../../hub/log/segment.ts";
import { checkStoredBatch, setBaseOffsetAndEpoch } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { seeded, SimClock } from "../../sim/clock.ts";
import { SimDisk } from "../../sim/disk.ts";
import { batchOf, manyValues } from "./support.ts";

function sample(count = 20): { disk: SimDisk; segment: Segment; places: number[] } {
  const disk = new SimDisk(new SimClock(), seeded(1));
  disk.makeDirectory("p");
  const segment = Segment.create(disk, "p", 100);
  const places: number[] = [];
  for (let i = 0; i < count; i += 1) {
    places.push(segment.size);
    append(segment, manyValues(3, 60, i));
  }
  return { disk, segment, places };
}

function append(segment: Segment, values: string[]): void {
  const batch = batchOf(values, {}, segment.nextOffset);
  setBaseOffsetAndEpoch(batch, segment.nextOffset, 0);
  segment.append(batch, checkStoredBatch(batch), 500);
}

test("the file is the batches one behind the other, named by the base offset", () => {
  const { disk, segment } = sample();
  assert.deepEqual(disk.names(), ["p/00000000000000000100.log"]);
  assert.equal(segment.nextOffset, 160);
  assert.equal(segment.fileSize(), segment.size);
  const again = Segment.open(disk, "p", 100);
  again.reset();
  const offsets: number[] = [];
  const end = again.scan(0, again.fileSize(), 500, ({ header }) => offsets.push(header.baseOffset) > 0);
  assert.deepEqual(end, { at: segment.size, fault: null });
  assert.deepEqual(
    offsets,
    Array.from({ length: 20 }, (_, i) => 100 + i * 3),
  );
  assert.deepEqual(again.index, segment.index);
  assert.equal(again.maxTimestamp, 157);
});

test("a refused append is cut back", () => {
  const { disk, segment } = sample();
  const { size } = segment;
  disk.faults.capacity = disk.usedBytes() + 100;
  assert.throws(() => append(segment, manyValues(3, 60)), /ENOSPC/);
  assert.equal(segment.size, size);
  assert.equal(segment.fileSize(), size);
  assert.equal(segment.nextOffset, 160);
});

test("a scan ends at the first torn byte and says why", () => {
  const faults = [
    [7, /base offset/],
    [9, /length|cut short/],
    [16, /magic/],
    [18, /CRC/],
    [80, /CRC/],
  ] as const;
  for (const [shift, said] of faults) {
    const { disk, segment, places } = sample();
    disk.flipBit(`${segment.name}.log`, places[7]! + shift, 4);
    const again = Segment.open(disk, "p", 100);
    again.reset();
    const end = again.scan(0, again.fileSize(), 500, () => true);
    assert.equal(end.at, places[7], `byte ${shift}`);
    assert.match(end.fault!, said);
  }
});

test("the index files spare the scan, but only for the file they were written for", () => {
  const { disk, segment, places } = sample();
  segment.saveIndex();
  const closed = Segment.open(disk, "p", 100);
  assert.equal(closed.restore(), true);
  assert.deepEqual([closed.size, closed.nextOffset, closed.maxTimestamp], [segment.size, 160, 157]);
  assert.deepEqual(closed.index, segment.index);
  append(segment, ["more"]);
  assert.equal(Segment.open(disk, "p", 100).restore(), false);
  const from = Segment.open(disk, "p", 100).restoreBelow(140);
  assert.ok(from > 0 && from <= places[13]! && places.includes(from));
  disk.flipBit(`${segment.name}.log`, from + 70);
  assert.equal(Segment.open(disk, "p", 100).restoreBelow(140), 0, "what stands there must be the batch that is named");
});

test("behind rot the next batch is found, with or without an index entry near", () => {
  const { disk, segment, places } = sample();
  for (const damaged of [0, 5, 18]) {
    disk.flipBit(`${segment.name}.log`, places[damaged]! + 70);
    assert.equal(segment.resync(places[damaged]!, 100), places[damaged + 1]);
    disk.flipBit(`${segment.name}.log`, places[damaged]! + 70);
  }
  disk.flipBit(`${segment.name}.log`, places[19]! + 70);
  assert.equal(segment.resync(places[19]!, 100), -1);
});

test("a batch that a record carries is not taken for one of the log", () => {
  const { disk, segment } = sample(3);
  const inner = batchOf(["forged"]);
  setBaseOffsetAndEpoch(inner, 900, 0);
  const at = segment.size;
  const carrier = encodeBatch([{ key: null, value: inner, timestamp: 1 }]);
  setBaseOffsetAndEpoch(carrier, segment.nextOffset, 0);
  segment.append(carrier, checkStoredBatch(carrier), 500);
  const next = segment.size;
  append(segment, manyValues(3, 60));
  disk.flipBit(`${segment.name}.log`, at + 22);
  assert.equal(segment.resync(at, 100), next);
});

test("a cut takes the batch that holds the offset whole", () => {
  const { segment, places } = sample();
  assert.equal(segment.batchStart(131), 130);
  assert.equal(segment.batchStart(500), 500);
  segment.cutTo(131, 500);
  assert.equal(segment.nextOffset, 130);
  assert.equal(segment.fileSize(), places[10]);
  append(segment, ["on"]);
  assert.equal(segment.nextOffset, 131);
});
