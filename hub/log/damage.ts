// Damaged ranges of one segment: which offsets cannot be read, and the bytes that stand in their place.
//
// A range is between two batches that can be read, so its ends are ends of batches on every replica. What is missing at
// the end of a segment, where the next one says that more was there, is a range of no bytes.
import type { DiskFault, File } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { LogHost, PartitionLog } from "./log.ts";
import { batchAt, LaterReader } from "./log_read.ts";
import type { Segment } from "./segment.ts";

export interface Damage {
  /** Offsets [from, to) cannot be read. */
  readonly from: number;
  readonly to: number;
  /** Bytes [at, end) stand in their place. */
  readonly at: number;
  readonly end: number;
  /** Epochs of the batches around it. */
  readonly epochMin: number;
  readonly epochMax: number;
}

/** Every range of a segment above the log start, in order; null when the segment was cut or replaced meanwhile. */
export async function damageIn(log: PartitionLog, host: LogHost, segment: Segment): Promise<Damage[] | null> {
  const { cuts, size, nextOffset } = segment;
  const stands = (): boolean => segment.cuts === cuts && !log.isHeld && log.segments.includes(segment);
  if (!stands()) return null;
  const file = host.disk.open(`${segment.name}.log`, "read");
  try {
    const found = await walk(log, host, segment, file, size, nextOffset, stands);
    return found === null ? null : found.filter(({ to }) => to > log.logStart);
  } finally {
    file.close();
  }
}

async function walk(
  log: PartitionLog,
  host: LogHost,
  segment: Segment,
  file: File,
  size: number,
  nextOffset: number,
  stands: () => boolean,
): Promise<Damage[] | null> {
  const reader = new LaterReader(file, size, limits.scrubChunkBytes);
  const found: Damage[] = [];
  let [from, epoch, damagedAt] = [segment.base, -1, -1];
  const close = (to: number, end: number, epochMax: number): void => {
    if (to > from) found.push({ from, to, at: damagedAt, end, epochMin: epoch, epochMax });
    damagedAt = -1;
  };
  for (let at = 0; at < size; ) {
    const batch = await batchAt(reader, at, from, nextOffset).catch(unreadable);
    if (!stands()) return null;
    if (batch !== null && batch !== "unreadable") {
      const { baseOffset, lastOffset, leaderEpoch, size: bytes } = batch.header;
      if (damagedAt >= 0) close(baseOffset, at, leaderEpoch);
      from = lastOffset + 1;
      epoch = leaderEpoch;
      at += bytes;
      continue;
    }
    if (damagedAt < 0) damagedAt = at;
    host.touched(segment);
    const next = batch === null ? segment.resync(at, from) : -1;
    at = next < 0 ? size : next;
  }
  if (damagedAt < 0) damagedAt = size;
  close(nextOffset, size, log.latestEpoch);
  return found;
}

/** A place that the medium does not give back is damage too. */
function unreadable(error: unknown): "unreadable" {
  if ((error as DiskFault).code !== "EIO") throw error;
  return "unreadable";
}
