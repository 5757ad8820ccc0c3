// What the tests of repairs share: a log, its batches as a replica has them, and a bit that flips.
import type { Segment } from "../../../hub/log/segment.ts";
import type { LogSettings } from "../../../hub/log/store.ts";
import { batchSize, readBatchHeader } from "../../../hub/record/batch.ts";
import { Bench, manyValues } from "./support.ts";

export const all = manyValues(300, 40);

/** A log of 300 records in batches of 5, without anything in memory; and its batches as a replica has them. */
export async function filled(changes: Partial<LogSettings> = {}): Promise<{ bench: Bench; replica: Uint8Array[] }> {
  const bench = new Bench();
  bench.tuning = { ...bench.tuning, hotTailBytes: 0 };
  await bench.open();
  await bench.create(0, changes);
  for (let i = 0; i < 60; i += 1) await bench.append(all.slice(i * 5, i * 5 + 5));
  await bench.settle(bench.store.checkpoint());
  const replica: Uint8Array[] = [];
  for (let offset = 0; offset < 300; ) {
    const bytes = await bench.settle(bench.log().read(offset, 1, 300));
    replica.push(bytes.slice());
    offset = readBatchHeader(bytes).lastOffset + 1;
  }
  return { bench, replica };
}

export function joined(batches: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(batches.flatMap((batch) => [...batch]));
}

export function within(replica: readonly Uint8Array[], from: number, to: number): Uint8Array {
  return joined(
    replica.filter((batch) => readBatchHeader(batch).baseOffset >= from && readBatchHeader(batch).lastOffset < to),
  );
}

/** The segment that holds an offset, and where the batch of that offset begins in it. */
function placeOf(
  bench: Bench,
  offset: number,
): { readonly segment: Segment; readonly name: string; readonly at: number } {
  const segment = bench.log().segments.findLast(({ base }) => base <= offset)!;
  const file = bench.disk.open(`${segment.name}.log`, "read");
  const bytes = new Uint8Array(segment.size);
  file.read(bytes, 0);
  file.close();
  let at = 0;
  while (readBatchHeader(bytes, at).lastOffset < offset) at += batchSize(bytes, at);
  return { segment, name: `${segment.name}.log`, at };
}

export function rot(bench: Bench, offset: number): Segment {
  const { segment, name, at } = placeOf(bench, offset);
  bench.disk.flipBit(name, at + 70);
  bench.log().noteDamage(segment);
  return segment;
}
