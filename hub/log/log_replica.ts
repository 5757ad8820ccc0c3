// A log that follows another: batches as the leader wrote them, and a new beginning where the leader's log begins.
import { HubError } from "../errors.ts";
import { checkStoredBatch } from "../record/batch.ts";
import { Epochs } from "./epochs.ts";
import type { LogHost, PartitionLog } from "./log.ts";
import { truncateTo } from "./log_change.ts";
import { Producers } from "./producers.ts";
import { Segment } from "./segment.ts";

/**
 * Takes whole batches, each checked by its CRC before it is written: damage must not spread (storage.md 4.8). Offsets,
 * epochs and times are the leader's. A gap is legal where the topic is or was compacted; nothing ever goes back.
 * @throws HubError CORRUPT_MESSAGE for what does not follow, KAFKA_STORAGE_ERROR; what stood before it was taken
 */
export function appendReplicated(log: PartitionLog, batches: Uint8Array): void {
  for (let at = 0; at < batches.length; ) {
    const header = checkStoredBatch(batches, at);
    const { baseOffset, lastOffset, leaderEpoch, size } = header;
    const next = at + size;
    // A read begins with the batch that holds the offset asked for: what is here already is passed over.
    if (lastOffset < log.logEnd) {
      at = next;
      continue;
    }
    if (baseOffset < log.logEnd) {
      throw new HubError("CORRUPT_MESSAGE", `${log.key}: a batch at ${baseOffset}, the log ends at ${log.logEnd}`);
    }
    if (baseOffset > log.logEnd && !log.settings.compacted) {
      throw new HubError("CORRUPT_MESSAGE", `${log.key}: a gap from ${log.logEnd} to ${baseOffset}`);
    }
    if (leaderEpoch < log.latestEpoch) {
      const detail = `a batch of epoch ${leaderEpoch} behind one of ${log.latestEpoch}`;
      throw new HubError("CORRUPT_MESSAGE", `${log.key}: ${detail}`);
    }
    log.take(batches.subarray(at, next), header);
    at = next;
  }
}

/**
 * Cuts everything away and begins a segment at `offset`. A stop in between leaves either an empty log at its old start
 * or one that recovery begins at the journaled log start.
 */
export async function restartAt(log: PartitionLog, host: LogHost, offset: number): Promise<void> {
  await truncateTo(log, host, log.logStart);
  log.hold("begins anew");
  try {
    const { topicId, partition } = log;
    await host.journal.put([{ type: "logStart", topicId, partition, offset }]);
    const first = Segment.create(host.disk, log.directory, offset);
    for (const gone of log.segments.splice(0, log.segments.length, first)) {
      gone.closeFile();
      host.disk.remove(`${gone.name}.log`);
      gone.dropIndexFiles();
    }
    host.disk.syncDirectory(log.directory);
    log.epochs = new Epochs();
    log.producers = new Producers();
    log.applyLogStart(offset);
    log.applyCut();
    log.noteDurable(offset);
  } finally {
    log.hold(null);
  }
}
