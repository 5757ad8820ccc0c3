// The file of recovery points: up to where each partition is known synced. Its one writer is checkpoint.ts.
import type { Disk } from "../io/ports.ts";
import { openText, readWhole, replaceFile, sealText } from "./small_file.ts";

const pointsFile = "meta/recovery-point";
const pointsKind = "partidor-recovery-point";
const version = 1;

/** What the file of recovery points says of one partition. */
export interface RecoveryPoint {
  /** Everything below is synced in the segments. */
  readonly syncedEnd: number;
  readonly highWatermark: number;
  readonly logStart: number;
}

/** By partition key. null when the file is unreadable; empty when there is none yet. */
export function readRecoveryPoints(disk: Disk): Map<string, RecoveryPoint> | null {
  const bytes = readWhole(disk, pointsFile);
  if (bytes === null) return new Map();
  const lines = openText(pointsKind, version, bytes);
  if (!Array.isArray(lines)) return null;
  const points = new Map<string, RecoveryPoint>();
  for (const line of lines) {
    const [key, syncedEnd, highWatermark, logStart] = line.split(" ");
    points.set(key!, {
      syncedEnd: Number(syncedEnd),
      highWatermark: Number(highWatermark),
      logStart: Number(logStart),
    });
  }
  return points;
}

export function writeRecoveryPoints(disk: Disk, points: ReadonlyMap<string, RecoveryPoint>): void {
  const lines = [...points].map(([key, { syncedEnd, highWatermark, logStart }]) =>
    [key, syncedEnd, highWatermark, logStart].join(" "),
  );
  replaceFile(disk, pointsFile, sealText(pointsKind, version, lines));
}
