// The cache files of a log: index, aborted transactions, epochs, producers. What a start after them need not scan for.
import type { Disk } from "../io/ports.ts";
import type { Trace } from "../trace.ts";
import type { Epochs } from "./epochs.ts";
import { saveProducers } from "./producer_files.ts";
import type { Producers } from "./producers.ts";
import type { Segment } from "./segment.ts";
import { replaceFile } from "./small_file.ts";

/** What is cached of a log. */
export interface CachedLog {
  readonly key: string;
  readonly directory: string;
  readonly logEnd: number;
  readonly producers: Producers;
  readonly epochs: Epochs;
}

export interface CacheHost {
  readonly disk: Disk;
  readonly trace: Trace;
}

/**
 * Writes them; failing is no fault, for recovery makes them again from the batches. With `sync` the two that would
 * cost a scan of the whole log outlive a power cut, once the caller has synced the directory.
 */
export function saveCaches(log: CachedLog, { disk, trace }: CacheHost, segment: Segment, sync: boolean): void {
  const { directory, producers } = log;
  try {
    segment.saveIndex();
    if (producers.transactionsFrom >= 0 && segment.nextOffset > producers.transactionsFrom) segment.saveAborted(sync);
    writeEpochs(log, disk);
    saveProducers(disk, directory, producers, log.logEnd, segment.base, sync);
  } catch (error) {
    trace.event("warn", "log_cache_not_written", { log: log.key, error: (error as Error).message });
  }
}

/**
 * Synced, and before the recovery point passes what it tells of: a batch that rots below may be the only other place
 * that says where an epoch began, and a leader that does not know would have its followers cut what is committed.
 */
export function saveEpochs(log: CachedLog, { disk, trace }: CacheHost): void {
  try {
    writeEpochs(log, disk);
  } catch (error) {
    trace.event("warn", "log_cache_not_written", { log: log.key, error: (error as Error).message });
  }
}

function writeEpochs({ directory, epochs, logEnd }: CachedLog, disk: Disk): void {
  if (!epochs.changed) return;
  replaceFile(disk, `${directory}/leader-epoch-checkpoint`, epochs.encode(logEnd), true);
  epochs.changed = false;
}
