// Neighbouring segments become one: the name of the new file says whose place it takes, so that any start can finish.
//
// 1. `<first>-<last>.merged` is whole, synced, and its name durable: from here on it counts, not what it replaces.
// 2. The files of the segments behind the first one go, durably.
// 3. It is renamed to the first one's name, durably.
import type { Disk } from "../io/ports.ts";
import { segmentName } from "./segment.ts";

const pattern = /^(\d{20})-(\d{20})\.merged$/;

/** The name of a file that takes the place of the segments with bases from `first` to `last`. */
export function mergedName(directory: string, first: number, last: number): string {
  return `${segmentName(directory, first)}-${String(last).padStart(20, "0")}.merged`;
}

/** Steps 2 and 3, as often as it takes. True when there was something to finish. */
export function finishMerges(disk: Disk, directory: string): boolean {
  const merged = disk.list(directory).filter((name) => pattern.test(name));
  for (const name of merged) {
    const [first, last] = pattern.exec(name)!.slice(1).map(Number) as [number, number];
    for (const old of disk.list(directory)) {
      const base = /^\d{20}\.(log|index|timeindex|txnindex)$/.test(old) ? Number(old.slice(0, 20)) : -1;
      if (base > first && base <= last) disk.remove(`${directory}/${old}`);
    }
    const target = segmentName(directory, first);
    for (const ending of ["index", "timeindex", "txnindex"]) disk.remove(`${target}.${ending}`);
    disk.syncDirectory(directory);
    disk.rename(`${directory}/${name}`, `${target}.log`);
    disk.syncDirectory(directory);
  }
  return merged.length > 0;
}
