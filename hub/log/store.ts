// The face of the log room: openStore takes the lock, reads the journal, recovers every partition, begins a new chain.
import { journalDirectory, readJournal } from "./journal_read.ts";
import type { JournalContent } from "./journal_read.ts";
import { applyFact } from "./journal_state.ts";
import type { JournalState, KnownPartition } from "./journal_state.ts";
import { PartitionLog } from "./log.ts";
import { saveEpochs } from "./log_caches.ts";
import { newMeta, readMeta, releaseLock, takeLock, writeMeta } from "./meta.ts";
import type { HubMeta } from "./meta.ts";
import { readRecoveryPoints, writeRecoveryPoints } from "./recovery_points.ts";
import type { RecoveryPoint } from "./recovery_points.ts";
import { recoverLog } from "./recovery.ts";
import { defaultTuning, partitionKey, shortKey, shortPrefix } from "./settings.ts";
import { Store } from "./store_core.ts";
import type { StoreOptions } from "./store_types.ts";

export { PartitionLog } from "./log.ts";
export type { Appended } from "./log.ts";
export type { TimeOffset } from "./log_read.ts";
export { defaultLogSettings, defaultTuning } from "./settings.ts";
export type { FsyncPolicy, LogSettings, StoreState, Tuning } from "./settings.ts";
export { Store } from "./store_core.ts";
export type { StoreListener, StoreMeta, StoreOptions } from "./store_types.ts";

/**
 * Opens the data folder, making it when it is new.
 * @throws Error in a plain sentence: folder in use (names the process), not writable, of another hub id, of a newer
 *   format, meta unreadable
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { disk, random } = options;
  try {
    disk.makeDirectory(journalDirectory);
    disk.makeDirectory("topics");
    takeLock(disk, random);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === undefined) throw error;
    throw new Error(`the data folder cannot be written (${code}): check its owner and mount`, { cause: error });
  }
  try {
    for (const directory of [".", "meta", journalDirectory, "topics"]) disk.syncDirectory(directory);
    return openLocked(options);
  } catch (error) {
    releaseLock(disk);
    throw error;
  }
}

function openLocked(options: StoreOptions): Store {
  const { disk, trace, clock } = options;
  const tuning = { ...defaultTuning, ...options.tuning };
  const before = readMeta(disk) ?? newMeta(options.random, options.hubId);
  if (before.hubId !== options.hubId) {
    const whose = `the data folder belongs to hub ${before.hubId}, this is hub ${options.hubId}`;
    throw new Error(`${whose}: use --hub-id ${before.hubId} or another folder`);
  }
  // The clean mark goes before anything else may change. The boot is taken over when what it says is in the journal.
  let meta: HubMeta = { ...before, bootSeq: before.bootSeq + 1, clean: false };
  writeMeta(disk, meta);
  const began = clock.now();
  const content = readJournal(disk, tuning.sectorBytes);
  const points = readPoints(options, before);
  tellDamage(options, before, content);
  const start = { options, tuning, meta, content, points: points ?? new Map<string, RecoveryPoint>() };
  const store = new Store({
    ...start,
    leave: (clean) => leave(options, clean ? { ...meta, clean: true } : null),
    adopt: (clusterId) => {
      meta = { ...meta, clusterId };
      writeMeta(disk, meta);
    },
  });
  for (const known of [...content.state.partitions.values()]) {
    store.add(recoverPartition(options, store, known, content, before, points, start.points));
  }
  tidyTopics(options, content);
  keepShort(content.state, store.partitions());
  store.begin(content.state);
  for (const log of store.partitions()) saveEpochs(log, store.host);
  writeRecoveryPoints(disk, start.points);
  if (meta.bootId !== disk.bootId()) {
    meta = { ...meta, bootId: disk.bootId() };
    writeMeta(disk, meta);
  }
  trace.event("info", "store_opened", {
    clean: before.clean,
    partitions: content.state.partitions.size,
    milliseconds: Math.round(clock.now() - began),
  });
  return store;
}

/** A short log stays short until the fact is removed, whatever the next start finds. */
function keepShort(state: JournalState, logs: Iterable<PartitionLog>): void {
  const kept = new Set([...state.facts.keys()].filter((key) => key.startsWith(shortPrefix)));
  for (const key of kept) applyFact(state, key, null);
  for (const log of logs) {
    if (kept.has(shortKey(log.key))) log.recovered = "short";
    if (log.recovered === "short") applyFact(state, shortKey(log.key), new Uint8Array());
  }
}

/** Leaves the clean mark, where one is due, and lets go of the folder. A mark that cannot be written costs a scan. */
function leave(options: StoreOptions, mark: HubMeta | null): void {
  const { disk, trace } = options;
  try {
    if (mark !== null) writeMeta(disk, mark);
    releaseLock(disk);
  } catch (error) {
    trace.event("warn", "store_not_left_cleanly", { error: (error as Error).message });
  }
}

/** null when they are unreadable: then the base of each active segment stands in for them. */
function readPoints(options: StoreOptions, before: HubMeta): Map<string, RecoveryPoint> | null {
  const points = readRecoveryPoints(options.disk);
  const missing = before.bootSeq > 1 && !options.disk.exists("meta/recovery-point");
  if (points !== null && !missing) return points;
  options.trace.event("error", "recovery_points_unreadable");
  return null;
}

function tellDamage(options: StoreOptions, before: HubMeta, content: JournalContent): void {
  const { trace, listener } = options;
  for (const { file, detail } of content.damage) {
    trace.event("error", "journal_damaged", { file, detail });
    listener.possibleLoss(null, `${file}: ${detail}`);
  }
  if (before.bootSeq > 1 && !content.hasSnapshot) {
    listener.possibleLoss(null, "the journal holds no snapshot: topics, groups and offsets are lost");
  }
}

function recoverPartition(
  options: StoreOptions,
  store: Store,
  known: KnownPartition,
  content: JournalContent,
  before: HubMeta,
  points: ReadonlyMap<string, RecoveryPoint> | null,
  pointsNow: Map<string, RecoveryPoint>,
): PartitionLog {
  const { disk, trace, clock, listener } = options;
  const key = partitionKey(known.topicId, known.partition);
  const point = points?.get(key);
  const log = new PartitionLog(store.host, known.topicId, known.partition, known.name, known.settings);
  const lost: string[] = [];
  const recovered = recoverLog({
    disk,
    trace,
    now: clock.now(),
    known,
    recoveryPoint: Math.max(known.syncedEnd, point?.syncedEnd ?? -1),
    pointCertain: points !== null,
    batches: content.batches.get(key) ?? [],
    journalDamaged: content.damage.length > 0,
    clean: before.clean,
    possibleLoss: (detail) => {
      log.recovered = "short";
      lost.push(detail);
    },
  });
  for (const segment of recovered.damaged) log.noteDamage(segment);
  for (const detail of lost) listener.possibleLoss(log, `${known.name}-${known.partition}: ${detail}`);
  log.adopt(recovered.segments, recovered.logStart, recovered.epochs, recovered.producers);
  if (!before.clean && known.settings.fsync !== "always" && before.bootId !== disk.bootId()) {
    log.recovered = "short";
    const policy = `log.fsync=${known.settings.fsync}`;
    listener.possibleLoss(log, `${known.name}-${known.partition}: the machine stopped uncleanly under ${policy}`);
  }
  const { logEnd, logStart } = log;
  content.state.partitions.set(key, { ...known, logStart, syncedEnd: logEnd });
  // What lies above may never have been committed: a replica learns from its leader that it was (replication.md 2.6).
  const highWatermark = Math.max(logStart, Math.min(point?.highWatermark ?? logStart, logEnd));
  log.recoveredWatermark = highWatermark;
  // Nobody may vouch for what cannot be read and is not known to be committed (replication.md 2.5, short log).
  for (const { nextOffset } of log.damaged) if (nextOffset > highWatermark) log.recovered = "short";
  pointsNow.set(key, { syncedEnd: logEnd, highWatermark, logStart });
  return log;
}

/** Finishes removals, and names directories that nothing knows: data goes only by a tombstone. */
function tidyTopics(options: StoreOptions, content: JournalContent): void {
  const { disk, trace } = options;
  let removed = false;
  for (const key of disk.list("topics")) {
    if (content.state.partitions.has(key)) continue;
    const directory = `topics/${key}`;
    const hasData = disk.list(directory).some((name) => name.endsWith(".log") && sizeOf(options, directory, name) > 0);
    if (hasData && !content.tombstones.has(key)) {
      trace.event("warn", "log_unknown", { directory });
      continue;
    }
    for (const name of disk.list(directory)) disk.remove(`${directory}/${name}`);
    disk.removeDirectory(directory);
    removed = true;
  }
  if (removed) disk.syncDirectory("topics");
}

function sizeOf(options: StoreOptions, directory: string, name: string): number {
  const file = options.disk.open(`${directory}/${name}`, "read");
  try {
    return file.size();
  } finally {
    file.close();
  }
}
