// Puts what a replica has in the place of damaged bytes: one segment file into one segment file.
//
// Power may go at any moment: the new file is written and synced under another name, the indexes go, then it takes the
// old one's place in one rename (storage.md section 3, rule 4). Before the rename there is the damage, behind it the
// repair; the next start removes what was not renamed. Bytes that nobody could replace are copied as they are, so that
// a repair may bring a part and the rest stays what it was: damage.
import { HubError } from "../errors.ts";
import type { DiskFault, File } from "../io/ports.ts";
import { limits } from "../limits.ts";
import { checkStoredBatch } from "../record/batch.ts";
import type { Damage } from "./damage.ts";
import type { LogHost, PartitionLog } from "./log.ts";
import { Segment } from "./segment.ts";
import { faultKind, storageError } from "./settings.ts";

/** What stands in the place of a damaged range from now on. */
export interface Patch {
  readonly damage: Damage;
  readonly records: Uint8Array;
  /** All there is below is in `records`; where that is not the end of the range, the rest stays damaged. */
  readonly upTo: number;
  readonly maxTimestamp: number;
}

/**
 * What a replica has of a damaged range, checked batch by batch: its CRC, that nothing is missing between them (a
 * compacted log may have gaps where its neighbour has records), and that they were written in the epochs that this log
 * knows of its own. `upTo` is committed on both sides, so that both hold the same there (I2).
 * @param wanted the first offset that is missing: the range's begin, or the log start within it
 * @throws HubError CORRUPT_MESSAGE
 */
export function patchOf(log: PartitionLog, damage: Damage, wanted: number, records: Uint8Array, upTo: number): Patch {
  const misfit = (what: string): HubError =>
    new HubError("CORRUPT_MESSAGE", `${log.key}: ${what} does not fit into ${damage.from}..${damage.to - 1}`);
  let [next, epoch, maxTimestamp] = [damage.from, damage.epochMin, -1];
  for (let at = 0; at < records.length; ) {
    const header = checkStoredBatch(records, at);
    const { baseOffset, lastOffset, leaderEpoch } = header;
    const place = `the batch ${baseOffset}..${lastOffset} of epoch ${leaderEpoch}`;
    if (baseOffset < next || lastOffset >= upTo) throw misfit(place);
    const mayMiss = log.settings.compacted || baseOffset <= wanted;
    if (baseOffset > next && !mayMiss) throw misfit(place);
    const known = log.epochs.endOf(leaderEpoch, log.logEnd);
    if (leaderEpoch < epoch || leaderEpoch > damage.epochMax) throw misfit(place);
    if (known.epoch === leaderEpoch && lastOffset >= known.endOffset) throw misfit(place);
    next = lastOffset + 1;
    epoch = leaderEpoch;
    maxTimestamp = Math.max(maxTimestamp, header.maxTimestamp);
    at += header.size;
  }
  if (upTo > damage.to || (next < upTo && !log.settings.compacted)) throw misfit(`an end of ${next} for ${upTo}`);
  return { damage, records, upTo, maxTimestamp };
}

/**
 * Writes a closed segment anew with the patches in it.
 * @throws HubError KAFKA_STORAGE_ERROR when the log changed meanwhile, or there is no room: to be tried again
 */
export async function repairSegment(
  log: PartitionLog,
  host: LogHost,
  segment: Segment,
  patches: readonly Patch[],
): Promise<void> {
  try {
    await log.serially(() => rewrite(log, host, segment, patches));
  } catch (error) {
    if (error instanceof HubError) throw error;
    host.fault(faultKind(error), error);
    throw storageError((error as Error).message, error);
  }
}

async function rewrite(log: PartitionLog, host: LogHost, segment: Segment, patches: readonly Patch[]): Promise<void> {
  host.assertWritable();
  const { disk } = host;
  const { cuts, size } = segment;
  const mustStand = (): void => {
    host.assertWritable();
    const stands = segment.cuts === cuts && segment.size === size && segment !== log.active && !log.isHeld;
    if (!stands || !log.segments.includes(segment)) throw storageError(`${log.key} changed while it was repaired`);
  };
  mustStand();
  if (disk.space().freeBytes < size + limits.diskHardLineBytes) throw storageError("no room for a repair");
  const name = `${segment.name}.log.repaired`;
  disk.remove(name);
  const target = disk.open(name, "create");
  let bytes = 0;
  try {
    bytes = await write(host, segment, target, patches, mustStand);
    await host.sync(target);
    mustStand();
  } catch (error) {
    target.close();
    disk.remove(name);
    throw error;
  }
  target.close();
  commit(log, host, segment, name, patches, bytes);
}

/** The old bytes with the patches between them. */
async function write(
  host: LogHost,
  segment: Segment,
  target: File,
  patches: readonly Patch[],
  mustStand: () => void,
): Promise<number> {
  let to = 0;
  const put = (bytes: Uint8Array): void => {
    if (target.writeAll([bytes], to) < bytes.length) throw storageError("no room for a repair");
    to += bytes.length;
  };
  const source = host.disk.open(`${segment.name}.log`, "read");
  try {
    let from = 0;
    const copy = async (end: number): Promise<void> => {
      while (from < end) {
        const bytes = new Uint8Array(Math.min(limits.cleanerChunkBytes, end - from));
        const count = await source.readLater(bytes, from).catch(notGiven);
        if (count < bytes.length) throw storageError(`${segment.name}.log cannot be copied`);
        mustStand();
        put(bytes);
        from += count;
      }
    };
    for (const { damage, records, upTo } of patches) {
      await copy(damage.at);
      if (records.length > 0) put(records);
      if (upTo >= damage.to) from = damage.end;
    }
    await copy(segment.size);
  } finally {
    source.close();
  }
  return to;
}

/** The medium does not give a place back that no patch covers. */
function notGiven(error: unknown): number {
  if ((error as DiskFault).code !== "EIO") throw error;
  return 0;
}

/** In one turn. */
function commit(
  log: PartitionLog,
  host: LogHost,
  old: Segment,
  name: string,
  patches: readonly Patch[],
  size: number,
): void {
  const { disk } = host;
  const fresh = Segment.open(disk, log.directory, old.base);
  fresh.size = fresh.syncedSize = size;
  fresh.nextOffset = old.nextOffset;
  fresh.maxTimestamp = Math.max(old.maxTimestamp, ...patches.map(({ maxTimestamp }) => maxTimestamp));
  fresh.appendedAt = old.appendedAt;
  fresh.aborted = old.aborted;
  const isWhole = patches.every(({ damage, upTo }) => upTo >= damage.to);
  disk.remove(`${old.name}.index`);
  disk.remove(`${old.name}.timeindex`);
  disk.syncDirectory(log.directory);
  disk.rename(name, `${old.name}.log`);
  log.replaceSegments(log.segments.indexOf(old), 1, fresh);
  log.damaged.delete(old);
  if (!isWhole) log.damaged.add(fresh);
  disk.syncDirectory(log.directory);
}
