// The rare changes of a log: settings, log start, cuts. Each is in the journal before its effect may be relied on.
import { HubError } from "../errors.ts";
import type { Clock, Disk } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { SmallEntry } from "./frame.ts";
import type { LogHost, PartitionLog } from "./log.ts";
import { segmentOf } from "./log_read.ts";
import type { Producers } from "./producers.ts";
import { eachBatch, ProducerReplay } from "./replay.ts";
import type { Segment } from "./segment.ts";
import type { LogSettings } from "./settings.ts";

/** The entry that says how a log is configured. */
export function partitionEntry(log: PartitionLog, settings: LogSettings, syncedEnd: number): SmallEntry {
  const { topicId, partition, name } = log;
  return { type: "partition", topicId, partition, name, settings, syncedEnd };
}

/**
 * Journals new settings, then applies them. A change to `always` first syncs the segments and says so in the same
 * entry; every batch behind that entry is journaled (storage.md section 2, rule 7). A change away from `always` holds
 * from the moment it is durable on.
 */
export async function configure(log: PartitionLog, host: LogHost, settings: LogSettings): Promise<void> {
  host.assertWritable();
  if (log.journaled || settings.fsync !== "always") {
    await host.journal.put([partitionEntry(log, settings, -1)]);
    log.journaled = settings.fsync === "always";
    log.applySettings(settings);
    return;
  }
  await log.syncActive();
  const { active } = log;
  try {
    active.file.syncNow(); // what came in meanwhile
  } catch (error) {
    host.fault("failed", error);
    throw error;
  }
  active.syncedSize = active.size;
  const stored = host.journal.put([partitionEntry(log, settings, log.logEnd)]);
  log.journaled = true;
  log.applySettings(settings);
  await stored;
}

/**
 * Moves the log start and removes the segments wholly below it (KIP-107).
 * @throws HubError OFFSET_OUT_OF_RANGE above the durable end
 */
export async function deleteRecordsBefore(log: PartitionLog, host: LogHost, offset: number): Promise<void> {
  if (offset > log.durableEnd || offset < 0) {
    throw new HubError("OFFSET_OUT_OF_RANGE", `${log.key}: ${offset} is above ${log.durableEnd}`);
  }
  if (offset <= log.logStart) return;
  const { topicId, partition } = log;
  await host.journal.put([{ type: "logStart", topicId, partition, offset }]);
  log.applyLogStart(offset);
  removeSegmentsBelow(log, host, offset);
}

/** Renames the closed segments that end at or below `offset`, and removes them a minute later: readers may be there. */
export function removeSegmentsBelow(log: PartitionLog, host: LogHost, offset: number): number {
  const { disk, clock, trace } = host;
  let count = 0;
  while (count < log.segments.length - 1 && log.segments[count]!.nextOffset <= offset) count += 1;
  if (count === 0) return 0;
  const gone = log.segments.splice(0, count);
  log.countClosed();
  for (const segment of gone) disk.rename(`${segment.name}.log`, `${segment.name}.log.deleted`);
  disk.syncDirectory(log.directory);
  trace.event("info", "log_segments_deleted", { log: log.key, segments: count, below: offset });
  clock.after(limits.segmentDeleteDelayMs, () => unlinkSegments(gone, disk, clock));
  return count;
}

function unlinkSegments(segments: Segment[], disk: Disk, clock: Clock): void {
  const next = segments.shift();
  if (!next) return;
  next.closeFile();
  disk.remove(`${next.name}.log.deleted`);
  next.dropIndexFiles();
  clock.soon(() => unlinkSegments(segments, disk, clock)); // one a turn: removing a large file takes its time
}

/**
 * Cuts the log so that it ends at or below `offset` (leader epoch reconciliation). First less is known synced, durably;
 * then the journal says that the log is cut, so that its batches are void; then the segment is cut and synced; only
 * then may anything be appended. A stop between the last two is completed by recovery: what stands above is covered by
 * nothing. (The other order leaves a moment in which the segment is cut and the journal, whose older files may have
 * gone, holds only the later part of what was cut away.)
 */
export async function truncateTo(log: PartitionLog, host: LogHost, offset: number): Promise<void> {
  log.hold("is being cut");
  try {
    const wanted = Math.max(offset, log.logStart);
    if (wanted >= log.logEnd) return;
    await host.journal.flush();
    const to = log.segments[segmentOf(log.segments, wanted)]!.batchStart(wanted);
    await host.lowerRecoveryPoint(log, to);
    host.cleanPoints.lower(log.key, to);
    const { topicId, partition } = log;
    await host.journal.put([{ type: "truncation", topicId, partition, offset: to }]);
    host.journal.voidFrom(log.key, to);
    cutSegments(log, host, to);
    await host.sync(log.active.file);
    log.active.syncedSize = log.active.size;
    host.disk.syncDirectory(log.directory);
  } finally {
    log.hold(null);
  }
}

function cutSegments(log: PartitionLog, host: LogHost, offset: number): void {
  const interval = log.settings.indexIntervalBytes;
  while (log.segments.length > 1 && log.active.base >= offset) {
    const gone = log.segments.pop()!;
    gone.closeFile();
    host.disk.remove(`${gone.name}.log`);
    gone.dropIndexFiles();
  }
  if (log.logEnd > offset) log.active.cutTo(offset, interval);
  log.epochs.cutFrom(offset);
  for (const segment of log.segments) segment.aborted.cutFrom(offset);
  log.producers = producersUpTo(log, host);
  log.applyCut();
}

/** Producers as the batches that are left say (KIP-98): the newest snapshot below the end, and what follows it. */
function producersUpTo(log: PartitionLog, { disk, clock }: LogHost): Producers {
  const replay = new ProducerReplay(disk, log.directory, log.segments, clock.now(), true);
  const interval = log.settings.indexIntervalBytes;
  eachBatch(disk, log.directory, log.segments, replay.from, interval, (segment, batch) => replay.see(segment, batch));
  return replay.producers;
}
