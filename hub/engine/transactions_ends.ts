// Carries out the ends of transactions: markers into partitions, offsets into groups, until every one of them stands.
import { HubError } from "../errors.ts";
import type { Clock, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import type { End } from "../transactions/transaction.ts";
import type { GroupEngine } from "./groups_types.ts";
import type { TransactionPartitions } from "./transactions_types.ts";

export interface EndsOptions {
  readonly partitions: TransactionPartitions;
  readonly groups: Pick<GroupEngine, "commitDecided">;
  readonly clock: Clock;
  readonly trace: Trace;
  /** Leader epoch of the coordinator's partition: it fences an older coordinator's markers. */
  readonly coordinatorEpoch: number;
}

/** One step of an end; it is repeated until it succeeds. */
interface Step {
  readonly id: string;
  readonly what: string;
  readonly run: () => Promise<void>;
  failures: number;
}

export class TransactionEnds {
  readonly #options: EndsOptions;
  readonly #ended: (id: string) => void;
  /** Steps left per transactional id. */
  readonly #left = new Map<string, number>();
  readonly #queue: Step[] = [];
  readonly #timers = new Set<Timer>();
  readonly #running = new Set<Promise<void>>();
  #closed = false;

  constructor(options: EndsOptions, ended: (id: string) => void) {
    this.#options = options;
    this.#ended = ended;
  }

  /** Steps that wait or run, all transactions together. */
  get count(): number {
    return this.#queue.length + this.#running.size + this.#timers.size;
  }

  start(id: string, end: End): void {
    const { partitions, groups, coordinatorEpoch } = this.#options;
    const { producerId, epoch: producerEpoch, commit } = end;
    const marker = { producerId, producerEpoch, coordinatorEpoch, commit };
    const steps: Step[] = [];
    const step = (what: string, run: () => Promise<void>): void => void steps.push({ id, what, run, failures: 0 });
    for (const [topic, indexes] of end.partitions) {
      for (const partition of indexes) {
        step(`${topic}-${partition}`, () => partitions.endTransaction(topic, partition, marker));
      }
    }
    for (const [group, offsets] of end.offsets) {
      step(`offsets of ${group}`, async () => {
        const error = await groups.commitDecided(group, offsets);
        if (error !== "NONE") throw new Error(error);
      });
    }
    if (steps.length === 0) return this.#ended(id);
    this.#left.set(id, steps.length);
    this.#queue.push(...steps);
    this.#pump();
  }

  #pump(): void {
    while (!this.#closed && this.#running.size < limits.transactionMarkersInFlightMax) {
      const step = this.#queue.shift();
      if (step === undefined) return;
      const running: Promise<void> = this.#try(step).then(() => {
        this.#running.delete(running);
        this.#pump();
      });
      this.#running.add(running);
    }
  }

  async #try(step: Step): Promise<void> {
    const { trace } = this.#options;
    try {
      await step.run();
    } catch (error) {
      // A newer epoch stands in the partition: this end was overtaken there and has nothing left to end.
      if (error instanceof HubError && error.kind === "INVALID_PRODUCER_EPOCH") {
        trace.event("error", "transaction_marker_overtaken", { id: step.id, at: step.what, error: error.message });
        return this.#done(step);
      }
      step.failures += 1;
      trace.count("transaction_marker_retries");
      const { id, what, failures } = step;
      if (failures === 1) trace.event("warn", "transaction_end_delayed", { id, at: what, error: String(error) });
      this.#later(step);
      return;
    }
    this.#done(step);
  }

  #done(step: Step): void {
    const left = (this.#left.get(step.id) ?? 1) - 1;
    if (left > 0) return void this.#left.set(step.id, left);
    this.#left.delete(step.id);
    if (!this.#closed) this.#ended(step.id);
  }

  /** Waits outside the bound, so that a partition that refuses holds up nobody else. */
  #later(step: Step): void {
    if (this.#closed) return;
    const pause = Math.min(limits.clientRetryMs * 2 ** Math.min(step.failures - 1, 10), limits.diskRetryMs);
    const timer = this.#options.clock.after(pause, () => {
      this.#timers.delete(timer);
      this.#queue.push(step);
      this.#pump();
    });
    this.#timers.add(timer);
  }

  /** Begins nothing more and waits for what runs; the next start does the rest. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    await Promise.all(this.#running);
  }
}
