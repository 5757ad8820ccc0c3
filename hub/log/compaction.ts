// Compaction in the background: one log at a time, the dirtiest first, within bounds of memory, speed and disk.
import type { DiskFault, Random, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import { chooseCleaning } from "./cleaning.ts";
import type { CleaningPlan } from "./cleaning.ts";
import { Interrupted } from "./cleaning_tools.ts";
import { CleaningPass } from "./compaction_pass.ts";
import type { LogHost, PartitionLog } from "./log.ts";
import { lastStableOf } from "./log_transactions.ts";
import { Pace } from "./pace.ts";
import { faultKind } from "./settings.ts";

export interface CleanerOptions {
  readonly random: Random;
  /** Trusted wall clock; null while there is none. */
  readonly now: () => number | null;
  /** Everything below is known synced in the segments. */
  readonly recoveryEnd: (key: string) => number;
  /** Bytes that may be written before the disk counts as full. */
  readonly room: () => number;
  readonly onDue: () => void;
}

export class Cleaner {
  readonly #host: LogHost;
  readonly #logs: ReadonlyMap<string, PartitionLog>;
  readonly #options: CleanerOptions;
  readonly #pace: Pace;
  /** Monotonic ms before which a log whose cleaning failed is left alone. */
  readonly #resting = new WeakMap<PartitionLog, number>();
  #timer: Timer | null = null;
  #running: Promise<void> | null = null;

  constructor(host: LogHost, logs: ReadonlyMap<string, PartitionLog>, options: CleanerOptions) {
    this.#host = host;
    this.#logs = logs;
    this.#options = options;
    this.#pace = new Pace(host.clock, limits.cleanerBytesPerSecondMax);
  }

  start(): void {
    if (this.#pace.stopped) return;
    this.#timer = this.#host.clock.after(limits.cleanerPassMs, () => {
      this.#options.onDue();
      this.start();
    });
  }

  /** Drops what is under way; resolves when nothing of it touches the disk any more. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#pace.stop();
    await this.#running?.catch(() => {});
  }

  /** Cleans every log that is worth it; a call during one waits for it. */
  run(): Promise<void> {
    this.#running ??= this.#round().finally(() => (this.#running = null));
    return this.#running;
  }

  async #round(): Promise<void> {
    const compacted = [...this.#logs.values()].filter(({ settings }) => settings.compacted);
    for (const log of compacted) if (this.#goesOn(log)) await log.rollWhenDue();
    const due = compacted
      .map((log) => ({ log, plan: this.#plan(log) }))
      .filter((one): one is { log: PartitionLog; plan: CleaningPlan } => one.plan !== null)
      .sort((a, b) => b.plan.ratio - a.plan.ratio);
    for (const { log } of due) await this.#clean(log);
  }

  #plan(log: PartitionLog): CleaningPlan | null {
    const now = this.#host.clock.now();
    if (!this.#goesOn(log) || (this.#resting.get(log) ?? 0) > now) return null;
    const segments = log.segments.map(({ base, nextOffset, size, appendedAt }) => {
      return { base, nextOffset, bytes: size, appendedAt };
    });
    const state = this.#host.cleanPoints.get(log.key);
    return chooseCleaning(segments, state, log.settings, this.#bound(log), this.#options.now());
  }

  #bound(log: PartitionLog): number {
    const highWatermark = log.highWatermark < 0 ? log.durableEnd : log.highWatermark;
    return Math.min(this.#options.recoveryEnd(log.key), lastStableOf(log, highWatermark), log.durableEnd);
  }

  #goesOn(log: PartitionLog): boolean {
    return !this.#pace.stopped && this.#logs.get(log.key) === log && !log.isHeld && log.settings.compacted;
  }

  /** As many passes as the map of keys needs. */
  async #clean(log: PartitionLog): Promise<void> {
    const { clock, trace } = this.#host;
    try {
      for (let plan = this.#plan(log); plan !== null; ) {
        const cleanedTo = await this.#pass(log, plan);
        plan = cleanedTo < plan.end ? this.#plan(log) : null;
      }
    } catch (error) {
      if (error instanceof Interrupted || !this.#goesOn(log)) return;
      this.#host.assertReadable();
      this.#resting.set(log, clock.now() + limits.cleanerRetryMs);
      const kind = (error as DiskFault).code === undefined ? "failed" : faultKind(error);
      const { message } = error as Error;
      trace.event("warn", "compaction_failed", { log: log.key, kind, error: message });
    }
  }

  async #pass(log: PartitionLog, plan: CleaningPlan): Promise<number> {
    const { clock, trace, cleanPoints } = this.#host;
    const began = clock.now();
    const { random, now, room } = this.#options;
    const tools = {
      host: this.#host,
      pace: this.#pace,
      seed: random.bytes(16),
      now: now(),
      room,
      goesOn: (one: PartitionLog) => this.#goesOn(one),
    };
    const result = await new CleaningPass(log, plan, tools).run();
    if (!this.#goesOn(log)) throw new Interrupted();
    cleanPoints.set(log.key, { dirtyFrom: result.cleanedTo, horizonAt: result.horizonAt });
    trace.count("compaction_passes_total");
    trace.count("compaction_bytes_freed_total", Math.max(0, result.bytesBefore - result.bytesAfter));
    trace.event("info", "log_compacted", {
      log: log.key,
      from: plan.from,
      to: result.cleanedTo,
      segments: result.segments,
      bytesBefore: result.bytesBefore,
      bytesAfter: result.bytesAfter,
      records: result.recordsKept,
      milliseconds: Math.round(clock.now() - began),
    });
    return result.cleanedTo;
  }
}
