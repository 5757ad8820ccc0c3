// Producer snapshots on disk: `<offset>.snapshot` beside the segments, a cache that spares a scan.
import type { Disk } from "../io/ports.ts";
import { Producers } from "./producers.ts";
import { readWhole, replaceFile } from "./small_file.ts";

/** Writes `<offset>.snapshot` and keeps the two newest. */
export function saveProducers(disk: Disk, directory: string, producers: Producers, offset: number): void {
  const name = (of: number): string => `${directory}/${String(of).padStart(20, "0")}.snapshot`;
  replaceFile(disk, name(offset), producers.encode(offset), false);
  const older = producerSnapshots(disk, directory).slice(0, -2);
  for (const old of older) disk.remove(name(old));
}

/** Offsets of the producer snapshots that are there, ascending. */
export function producerSnapshots(disk: Disk, directory: string): number[] {
  return disk
    .list(directory)
    .filter((name) => /^\d{20}\.snapshot$/.test(name))
    .map((name) => Number(name.slice(0, 20)));
}

/** The newest producer snapshot at or below `offset` that reads well. */
export function loadProducers(
  disk: Disk,
  directory: string,
  offset: number,
  now: number,
): { readonly offset: number; readonly producers: Producers } | null {
  for (const at of producerSnapshots(disk, directory).reverse()) {
    if (at > offset) continue;
    const bytes = readWhole(disk, `${directory}/${String(at).padStart(20, "0")}.snapshot`);
    const found = Producers.decode(bytes, now);
    if (found !== null && found.offset === at) return found;
  }
  return null;
}
