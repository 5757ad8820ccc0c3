// Producer snapshots on disk: `<offset>.snapshot` beside the segments, a cache that spares a scan.
import type { Disk } from "../io/ports.ts";
import { Producers } from "./producers.ts";
import { readWhole, replaceFile } from "./small_file.ts";

/** The state of the producers with everything below `offset` in it. */
export interface ProducerSnapshot {
  readonly offset: number;
  readonly producers: Producers;
}

function nameOf(directory: string, offset: number): string {
  return `${directory}/${String(offset).padStart(20, "0")}.snapshot`;
}

/**
 * Writes `<offset>.snapshot`; the two newest stay, and of the older ones the newest at or below `base`, where the
 * active segment begins: without it the loss of the others would cost a scan of the whole log.
 * @param sync true where the snapshot is to outlive a power cut; the directory is the caller's to sync
 */
export function saveProducers(
  disk: Disk,
  directory: string,
  producers: Producers,
  offset: number,
  base: number,
  sync: boolean,
): void {
  replaceFile(disk, nameOf(directory, offset), producers.encode(offset), sync, false);
  const older = producerSnapshots(disk, directory).slice(0, -2);
  const kept = older.filter((at) => at <= base).at(-1);
  for (const old of older) if (old !== kept) disk.remove(nameOf(directory, old));
}

/** Offsets of the producer snapshots that are there, ascending. */
export function producerSnapshots(disk: Disk, directory: string): number[] {
  return disk
    .list(directory)
    .filter((name) => /^\d{20}\.snapshot$/.test(name))
    .map((name) => Number(name.slice(0, 20)))
    .sort((a, b) => a - b);
}

/** The newest producer snapshot at or below `offset` that reads well. */
export function loadProducers(disk: Disk, directory: string, offset: number, now: number): ProducerSnapshot | null {
  for (const at of producerSnapshots(disk, directory).reverse()) {
    if (at > offset) continue;
    const found = Producers.decode(readWhole(disk, nameOf(directory, at)), now);
    if (found !== null && found.offset === at) return found;
  }
  return null;
}

/**
 * Removes the snapshots above the end of a log that was cut: what they hold is gone, and other batches will come to
 * stand there. True when there were any; the directory is the caller's to sync.
 */
export function dropProducersAbove(disk: Disk, directory: string, end: number): boolean {
  const above = producerSnapshots(disk, directory).filter((at) => at > end);
  for (const at of above) disk.remove(nameOf(directory, at));
  return above.length > 0;
}
