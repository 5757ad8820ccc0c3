// Looks at a data folder that no hub has open: `partidor log verify`, `dump` and `repair`.
import type { Disk, File, Random } from "../io/ports.ts";
import { readBatchHeader } from "../record/batch.ts";
import { readMarker } from "../record/control.ts";
import { decodeRecords } from "../record/record.ts";
import type { Entry } from "./frame.ts";
import { readJournal } from "./journal_read.ts";
import type { JournalContent } from "./journal_read.ts";
import { readMeta, releaseLock, takeLock } from "./meta.ts";
import { readRecoveryPoints } from "./recovery_points.ts";
import { Segment } from "./segment.ts";
import type { PlacedBatch } from "./segment.ts";
import { defaultTuning, partitionKey } from "./settings.ts";
import { writeFully } from "./small_file.ts";

/** A range of a segment that is no valid batch. */
export interface DamagedRange {
  readonly segment: number;
  readonly at: number;
  readonly bytes: number;
  readonly detail: string;
  /** True for the end of the last segment above the recovery point: a torn write, which the next start cuts. */
  readonly torn: boolean;
}

export interface LogReport {
  readonly key: string;
  /** `<topic>-<partition>`; the key when the journal does not know it. */
  readonly name: string;
  readonly segments: number;
  readonly batches: number;
  readonly records: number;
  readonly bytes: number;
  readonly logStart: number;
  readonly logEnd: number;
  readonly damage: readonly DamagedRange[];
}

export interface VerifyReport {
  /** True when nothing but torn tails was found. */
  readonly ok: boolean;
  readonly clusterId: string;
  readonly hubId: number;
  readonly cleanStop: boolean;
  readonly journalGroups: number;
  readonly journalDamage: readonly string[];
  readonly logs: readonly LogReport[];
}

/** Reads everything and checks every CRC; changes nothing. A folder that a hub has open may look torn. */
export function verifyLog(disk: Disk): VerifyReport {
  const meta = readMeta(disk);
  let groups = 0;
  const content = readJournal(disk, defaultTuning.sectorBytes, () => (groups += 1));
  const journalDamage = content.damage.map(({ file, detail }) => `${file}: ${detail}`);
  const logs = disk.list("topics").map((key) => verifyPartition(disk, key, content));
  return {
    ok: journalDamage.length === 0 && logs.every(({ damage }) => damage.every(({ torn }) => torn)),
    clusterId: meta?.clusterId ?? "",
    hubId: meta?.hubId ?? -1,
    cleanStop: meta?.clean ?? false,
    journalGroups: groups,
    journalDamage,
    logs,
  };
}

function verifyPartition(disk: Disk, key: string, content: JournalContent): LogReport {
  const known = content.state.partitions.get(key);
  const point = Math.max(known?.syncedEnd ?? -1, readRecoveryPoints(disk)?.get(key)?.syncedEnd ?? -1);
  const bases = segmentBases(disk, key);
  const damage: DamagedRange[] = [];
  let [batches, records, bytes, logEnd] = [0, 0, 0, bases[0] ?? 0];
  for (const base of bases) {
    walk(
      disk,
      key,
      base,
      ({ header }) => {
        batches += 1;
        records += header.control ? 0 : header.count;
        bytes += header.size;
        logEnd = header.lastOffset + 1;
      },
      (at, length, detail, toEnd) => {
        const torn = toEnd && base === bases.at(-1) && logEnd >= point;
        damage.push({ segment: base, at, bytes: length, detail, torn });
      },
    );
  }
  const logStart = Math.max(known?.logStart ?? 0, bases[0] ?? 0);
  const name = known ? `${known.name}-${known.partition}` : key;
  return { key, name, segments: bases.length, batches, records, bytes, logStart, logEnd, damage };
}

function segmentBases(disk: Disk, key: string): number[] {
  return disk
    .list(`topics/${key}`)
    .filter((name) => /^\d{20}\.log$/.test(name))
    .map((name) => Number(name.slice(0, 20)));
}

/** Every valid batch of a segment, and every range between them that is none. */
function walk(
  disk: Disk,
  key: string,
  base: number,
  seen: (batch: PlacedBatch) => void,
  damaged: (at: number, bytes: number, detail: string, toEnd: boolean) => void,
): void {
  const segment = Segment.open(disk, `topics/${key}`, base);
  try {
    const length = segment.fileSize();
    segment.reset();
    for (let at = 0; at < length; ) {
      const end = segment.scan(at, length, defaultTuning.sectorBytes, (batch) => {
        seen(batch);
        return true;
      });
      if (end.at >= length) return;
      segment.size = length; // the range to search in
      const next = segment.resync(end.at, segment.nextOffset);
      damaged(end.at, (next < 0 ? length : next) - end.at, end.fault ?? "", next < 0);
      if (next < 0) return;
      at = segment.size = next;
    }
  } finally {
    segment.closeFile();
  }
}

/**
 * Lines about one log (`<topic>-<partition>` or its directory's name), or about the journal (`journal`).
 * Ends without a line when there is no such log.
 */
export function* dumpLog(disk: Disk, name: string): Iterable<string> {
  if (name === "journal") return yield* dumpJournal(disk);
  const content = readJournal(disk, defaultTuning.sectorBytes);
  const known = [...content.state.partitions.values()].find((one) => `${one.name}-${one.partition}` === name);
  const key = known ? partitionKey(known.topicId, known.partition) : name;
  for (const base of segmentBases(disk, key)) {
    yield `segment ${base}`;
    const lines: string[] = [];
    walk(
      disk,
      key,
      base,
      (batch) => lines.push(...describe(batch)),
      (at, bytes, detail) => lines.push(`  ${at}: DAMAGED ${bytes} bytes: ${detail}`),
    );
    yield* lines;
  }
}

function describe({ header, at, bytes }: PlacedBatch): string[] {
  const { baseOffset, lastOffset, leaderEpoch, size, count, codec, producerId, maxTimestamp } = header;
  const { control, transactional } = header;
  const kind = control ? " control" : transactional ? " transactional" : "";
  const head =
    `  ${at}: offsets ${baseOffset}..${lastOffset} epoch ${leaderEpoch} bytes ${size} records ${count} ` +
    `codec ${codec} producer ${producerId} time ${maxTimestamp}${kind}`;
  try {
    const marker = control ? readMarker(bytes) : null;
    if (marker) {
      return [head, `    ${marker.commit ? "commit" : "abort"} by coordinator epoch ${marker.coordinatorEpoch}`];
    }
    const records = decodeRecords(bytes).map(
      ({ offset, timestamp, key, value }) =>
        `    ${offset} time ${timestamp} key ${key?.length ?? -1} value ${value?.length ?? -1}`,
    );
    return [head, ...records];
  } catch (error) {
    return [head, `    ${(error as Error).message}`];
  }
}

function* dumpJournal(disk: Disk): Iterable<string> {
  const lines: string[] = [];
  const content = readJournal(disk, defaultTuning.sectorBytes, (file, at, frame, entries) => {
    lines.push(`file ${file} byte ${at} group ${frame.sequence} life ${frame.life} bytes ${frame.bytes}`);
    for (const entry of entries) lines.push(`  ${describeEntry(entry)}`);
  });
  yield* lines;
  for (const { file, detail } of content.damage) yield `DAMAGED ${file}: ${detail}`;
}

function describeEntry(entry: Entry): string {
  switch (entry.type) {
    case "batch": {
      const { baseOffset, lastOffset } = readBatchHeader(entry.batch);
      const where = partitionKey(entry.topicId, entry.partition);
      return `batch ${where} offsets ${baseOffset}..${lastOffset} behind ${entry.prevEnd} bytes ${entry.batch.length}`;
    }
    case "fact":
      return `fact ${JSON.stringify(entry.key)} ${entry.value === null ? "removed" : `${entry.value.length} bytes`}`;
    case "snapshot":
      return `snapshot, chain from file ${entry.chainStart}`;
    case "partition":
      return `partition ${partitionKey(entry.topicId, entry.partition)} ${entry.name} ${entry.settings.fsync}`;
    case "tombstone":
      return `tombstone ${partitionKey(entry.topicId, entry.partition)}`;
    default:
      return `${entry.type} ${partitionKey(entry.topicId, entry.partition)} ${entry.offset}`;
  }
}

export interface RepairReport {
  readonly ranges: number;
  readonly bytes: number;
}

/**
 * Takes damaged ranges out of the segments (`partidor log repair --skip`): the batches around them stay, at their
 * offsets; consumers find a gap. Torn tails are left to the next start. The folder's lock is held meanwhile.
 * @throws Error when a hub has the folder open
 */
export function repairLog(disk: Disk, random: Random): RepairReport {
  takeLock(disk, random);
  let [ranges, bytes] = [0, 0];
  try {
    for (const { key, damage } of verifyLog(disk).logs) {
      const rotten = damage.filter(({ torn }) => !torn);
      for (const base of new Set(rotten.map(({ segment }) => segment))) cleanSegment(disk, key, base);
      ranges += rotten.length;
      bytes += rotten.reduce((sum, range) => sum + range.bytes, 0);
    }
  } finally {
    releaseLock(disk);
  }
  return { ranges, bytes };
}

/** One file into one file (storage.md section 3, rule 4): write, fsync, indexes away, rename, fsync directory. */
function cleanSegment(disk: Disk, key: string, base: number): void {
  const segment = Segment.open(disk, `topics/${key}`, base);
  const cleaned = `${segment.name}.log.cleaned`;
  disk.remove(cleaned);
  const file: File = disk.open(cleaned, "create");
  let to = 0;
  try {
    walk(
      disk,
      key,
      base,
      (batch) => {
        writeFully(file, batch.bytes, to);
        to += batch.bytes.length;
      },
      () => {},
    );
    file.syncNow();
  } finally {
    file.close();
  }
  segment.dropIndexFiles();
  disk.syncDirectory(`topics/${key}`);
  disk.rename(cleaned, `${segment.name}.log`);
  disk.syncDirectory(`topics/${key}`);
}
