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

/** One end, and how many of its steps are left. */
interface Work {
  readonly id: string;
  left: number;
}

/** One step of an end; it is repeated until it succeeds. */
interface Step {
  readonly work: Work;
  readonly what: string;
  /** Whose offsets these are; null for a marker. */
  readonly group: string | null;
  readonly run: () => Promise<void>;
  failures: number;
}

export class TransactionEnds {
  readonly #options: EndsOptions;
  readonly #ended: (id: string) => void;
  /**
   * Steps of each group in the order of the decisions, the first one under way: were a later decision applied before an
   * earlier one that is tried again, the group would go back.
   */
  readonly #lines = new Map<string, Step[]>();
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
    let count = this.#queue.length + this.#running.size + this.#timers.size;
    for (const line of this.#lines.values()) count += line.length - 1;
    return count;
  }

  /** Ends are to be started in the order of their decisions. */
  start(id: string, end: End): void {
    const { partitions, groups, coordinatorEpoch } = this.#options;
    const { producerId, epoch: producerEpoch, commit } = end;
    const marker = { producerId, producerEpoch, coordinatorEpoch, commit };
    const work: Work = { id, left: 0 };
    const step = (what: string, group: string | null, run: () => Promise<void>): void => {
      work.left += 1;
      this.#enter({ work, what, group, run, failures: 0 });
    };
    for (const [topic, indexes] of end.partitions) {
      for (const partition of indexes) {
        step(`${topic}-${partition}`, null, () => partitions.endTransaction(topic, partition, marker));
      }
    }
    for (const [group, offsets] of end.offsets) {
      step(`offsets of ${group}`, group, async () => {
        const error = await groups.commitDecided(group, offsets, id);
        if (error !== "NONE") throw new Error(error);
      });
    }
    if (work.left === 0) return this.#ended(id);
    this.#pump();
  }

  /** Ends what no id will end: else readers of committed records would wait behind it for ever. */
  startLost(ends: readonly End[]): void {
    for (const end of ends) {
      const { producerId, epoch, commit } = end;
      const [topic = "", indexes] = [...end.partitions][0] ?? [];
      const partition = [...(indexes ?? [])][0] ?? -1;
      this.#options.trace.event("warn", "transaction_without_marker", { topic, partition, producerId, epoch, commit });
      this.start("", end); // nobody's id
    }
  }

  #enter(step: Step): void {
    if (step.group !== null) {
      const line = this.#lines.get(step.group);
      if (line !== undefined) return void line.push(step);
      this.#lines.set(step.group, [step]);
    }
    this.#queue.push(step);
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
        trace.event("error", "transaction_marker_overtaken", { id: step.work.id, at: step.what, error: error.message });
        return this.#done(step);
      }
      step.failures += 1;
      trace.count("transaction_marker_retries");
      const { work, what, failures } = step;
      if (failures === 1)
        trace.event("warn", "transaction_end_delayed", { id: work.id, at: what, error: String(error) });
      this.#later(step);
      return;
    }
    this.#done(step);
  }

  #done(step: Step): void {
    const { work, group } = step;
    if (group !== null) {
      const line = this.#lines.get(group)!;
      line.shift();
      if (line.length > 0) this.#queue.push(line[0]!);
      else this.#lines.delete(group);
    }
    work.left -= 1;
    if (work.left === 0 && !this.#closed) this.#ended(work.id);
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
