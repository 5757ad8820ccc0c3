// Runs retention: a pass every five minutes, only ever with a clock that may be believed (storage.md sections 3 and 7).
import type { Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { LogHost, PartitionLog } from "./log.ts";
import { removeSegmentsBelow } from "./log_change.ts";
import { expiredSegments, folderExcess } from "./retention.ts";
import type { Tuning } from "./settings.ts";

const hourMs = 3_600_000;

export class Retainer {
  readonly #host: LogHost;
  readonly #logs: ReadonlyMap<string, PartitionLog>;
  readonly #tuning: Tuning;
  readonly #onDue: () => void;
  #timer: Timer | null = null;
  #stopped = false;
  /** Wall minus monotonic clock at the last pass; null before the first trusted one. */
  #offset: number | null = null;
  #graceUntil = 0;
  #running: Promise<void> | null = null;

  constructor(host: LogHost, logs: ReadonlyMap<string, PartitionLog>, tuning: Tuning, onDue: () => void) {
    this.#onDue = onDue;
    this.#host = host;
    this.#logs = logs;
    this.#tuning = tuning;
  }

  start(): void {
    if (this.#stopped) return;
    this.#timer = this.#host.clock.after(limits.retentionPassMs, () => {
      this.#onDue();
      this.start();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** One pass; a call during one waits for it. */
  run(): Promise<void> {
    this.#running ??= this.#pass().finally(() => (this.#running = null));
    return this.#running;
  }

  async #pass(): Promise<void> {
    const now = this.trustedNow();
    for (const log of [...this.#logs.values()]) {
      log.producers.expire(this.#host.clock.now());
      if (now !== null) for (const segment of log.segments) segment.appendedAt ||= now; // age counts from here
      // A log that is compacted and not deleted from has neither bound (engine/partitions.ts).
      const count = expiredSegments(ages(log), log.settings, highWatermark(log), now);
      await this.#dropOldest(log, count);
    }
    const excess = this.#excessBytes();
    if (excess <= 0) return;
    const logs = [...this.#logs.values()].map((log) => ({
      log,
      segments: ages(log),
      highWatermark: highWatermark(log),
      pinned: log.settings.pinned || log.settings.compacted,
    }));
    for (const [log, count] of folderExcess(logs, excess)) await this.#dropOldest(log, count);
  }

  /** Trusted wall clock; null while there is none, and for an hour after it stepped forward by more than one. */
  trustedNow(): number | null {
    const { clock, trace } = this.#host;
    trace.gauge("clock_trusted", clock.wallTrusted() ? 1 : 0);
    if (!clock.wallTrusted()) return null;
    const offset = clock.wall() - clock.now();
    if (this.#offset !== null && offset - this.#offset > hourMs) {
      this.#graceUntil = clock.now() + hourMs;
      trace.event("warn", "clock_stepped", { seconds: Math.round((offset - this.#offset) / 1000) });
    }
    this.#offset = offset;
    return clock.now() < this.#graceUntil ? null : clock.wall();
  }

  #excessBytes(): number {
    const { disk, trace } = this.#host;
    let bytes = 0;
    for (const log of this.#logs.values()) bytes += log.sizeBytes;
    trace.gauge("log_bytes", bytes);
    const { diskBytesMax } = this.#tuning;
    return bytes - (diskBytesMax >= 0 ? diskBytesMax : disk.space().totalBytes * 0.8);
  }

  async #dropOldest(log: PartitionLog, count: number): Promise<void> {
    if (count === 0) return;
    const offset = log.segments[count - 1]!.nextOffset;
    const { topicId, partition } = log;
    if (offset > log.logStart) {
      await this.#host.journal.put([{ type: "logStart", topicId, partition, offset }]);
      log.applyLogStart(offset);
    }
    removeSegmentsBelow(log, this.#host, offset);
  }
}

function ages(log: PartitionLog): { nextOffset: number; bytes: number; appendedAt: number }[] {
  return log.segments.map(({ nextOffset, size, appendedAt }) => ({ nextOffset, bytes: size, appendedAt }));
}

function highWatermark(log: PartitionLog): number {
  return log.highWatermark < 0 ? log.durableEnd : Math.min(log.highWatermark, log.durableEnd);
}
