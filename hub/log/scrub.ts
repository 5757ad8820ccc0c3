// Background scrub: every stored batch is read and its CRC checked once a week, slowly, so that rot is found in time.
//
// A damaged range stays where it is, as recovery and cold reads leave it: it is stepped over by `Segment.resync`, and
// whoever reads inside gets CORRUPT_MESSAGE or a counted gap. What the kernel still has in its page cache is checked
// there and not on the medium; on a folder larger than memory a week is enough for that to pass.
import type { DiskFault, File, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { LogHost, PartitionLog } from "./log.ts";
import { batchAt, LaterReader } from "./log_read.ts";
import type { Segment } from "./segment.ts";

/** Who is told of what was promised and cannot be read any more. */
export interface ScrubListener {
  possibleLoss(log: PartitionLog, detail: string): void;
}

/** A range that is no valid batch. */
interface Damage {
  readonly at: number;
  readonly to: number;
  /** The first offset that may be missing. */
  readonly offset: number;
  readonly fault: string;
}

export class Scrub {
  readonly #host: LogHost;
  readonly #logs: ReadonlyMap<string, PartitionLog>;
  readonly #listener: ScrubListener;
  #timer: Timer | null = null;
  #wake: (() => void) | null = null;
  #stopped = false;
  /** Monotonic ms before which nothing more is read. */
  #nextReadAt = 0;
  /** Places told already. */
  readonly #told = new WeakMap<Segment, Set<number>>();

  constructor(host: LogHost, logs: ReadonlyMap<string, PartitionLog>, listener: ScrubListener) {
    this.#host = host;
    this.#logs = logs;
    this.#listener = listener;
  }

  start(): void {
    this.#arm(limits.scrubFirstMs);
  }

  /** Ends a pass under way before its next read. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#wake?.();
  }

  #arm(delayMs: number): void {
    if (this.#stopped) return;
    const { clock } = this.#host;
    this.#timer = clock.after(delayMs, () => {
      const began = clock.now();
      const again = (): void => this.#arm(Math.max(0, began + limits.scrubPeriodMs - clock.now()));
      this.#pass().then(again, again); // it rejects when the store has failed, which has been told
    });
  }

  async #pass(): Promise<void> {
    for (const log of [...this.#logs.values()]) {
      for (const segment of [...log.segments]) {
        if (!this.#isThere(log, segment, segment.cuts)) continue;
        try {
          await this.#scrub(log, segment);
        } catch (error) {
          this.#host.assertReadable();
          const { code, message } = error as DiskFault;
          // Between two looks the log may have been deleted, or the store closed.
          if (code === "ENOENT" || !this.#isThere(log, segment, segment.cuts)) continue;
          this.#host.trace.event("warn", "scrub_failed", { log: log.key, segment: segment.base, error: message });
        }
      }
    }
    if (!this.#stopped) this.#host.trace.count("scrub_passes_total");
  }

  /** False once the segment was deleted or cut, or the store stopped: then what was read of it says nothing. */
  #isThere(log: PartitionLog, segment: Segment, cuts: number): boolean {
    if (this.#stopped || this.#logs.get(log.key) !== log || log.isHeld) return false;
    return segment.cuts === cuts && log.segments.includes(segment);
  }

  /** A file handle of its own: the segment's may be closed, or its file removed, while a read is under way. */
  async #scrub(log: PartitionLog, segment: Segment): Promise<void> {
    const { cuts, nextOffset } = segment;
    const end = segment === log.active ? segment.syncedSize : segment.size;
    if (end === 0) return;
    const file = this.#host.disk.open(`${segment.name}.log`, "read");
    try {
      const paced = { readLater: (target: Uint8Array, position: number) => this.#read(file, target, position) };
      const reader = new LaterReader(paced, end, limits.scrubChunkBytes);
      let offset = segment.base;
      let count = 0;
      for (let at = this.#start(log, segment); at < end; ) {
        const batch = await batchAt(reader, at, offset, nextOffset).catch(unreadable);
        if (!this.#isThere(log, segment, cuts)) return;
        if (batch !== null && typeof batch !== "string") {
          at += batch.header.size;
          offset = batch.header.lastOffset + 1;
          continue;
        }
        const to = batch === null ? this.#behind(segment, at, offset, end) : end;
        this.#tell(log, segment, { at, to, offset, fault: batch ?? "no valid batch" });
        at = to;
        count += 1;
        if (count >= limits.scrubDamagePerSegmentMax) return;
      }
    } finally {
      file.close();
    }
  }

  /** What lies below the log start concerns nobody. */
  #start(log: PartitionLog, segment: Segment): number {
    if (segment.base >= log.logStart) return 0;
    this.#host.touched(segment);
    return segment.index.placeOf(log.logStart);
  }

  /** Where valid batches go on. */
  #behind(segment: Segment, at: number, offset: number, end: number): number {
    this.#host.touched(segment);
    const next = segment.resync(at, offset);
    return next < 0 ? end : next;
  }

  #tell(log: PartitionLog, segment: Segment, { at, to, offset, fault }: Damage): void {
    const told = this.#told.get(segment) ?? new Set();
    log.noteDamage(segment);
    if (told.has(at)) return;
    this.#told.set(segment, told.add(at));
    const { trace } = this.#host;
    const { name: topic, partition } = log;
    trace.count("scrub_damaged_total");
    trace.event("error", "scrub_damage", { topic, partition, segment: segment.base, at, to, offset, fault });
    if (log.repairing) return;
    const where = `segment ${segment.base}: bytes ${at} to ${to - 1} (from offset ${offset}) are damaged: ${fault}`;
    this.#listener.possibleLoss(log, `${topic}-${partition}: ${where}`);
  }

  /** Reads at most so many bytes a second, all segments together. */
  async #read(file: File, target: Uint8Array, position: number): Promise<number> {
    const { clock, trace } = this.#host;
    const now = clock.now();
    const due = Math.max(now, this.#nextReadAt);
    this.#nextReadAt = due + (target.length * 1000) / limits.scrubBytesPerSecondMax;
    if (due > now) await this.#pause(due - now);
    if (this.#stopped) return 0;
    const count = await file.readLater(target, position);
    trace.count("scrub_bytes_total", count);
    return count;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#timer = this.#host.clock.after(ms, resolve);
    });
  }
}

/** A place that the medium does not give back is damage too; anything else is none of the scrub's. */
function unreadable(error: unknown): string {
  const { code, message } = error as DiskFault;
  if (code !== "EIO") throw error;
  return message;
}
