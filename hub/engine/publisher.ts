// Tells the world what this hub's partitions became (PS_CAS): batched, repeated until told or outdated.
import type { PublishedState } from "../cluster/types.ts";
import type { Coordination } from "../io/coordination.ts";
import type { Clock, Random } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import type { ClusterMemory } from "./cluster_memory.ts";
import { uuidText } from "./topics.ts";

export interface PublisherOptions {
  readonly coordination: Coordination;
  readonly memory: ClusterMemory;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
}

interface Waiting {
  readonly topicId: string;
  readonly partition: number;
  readonly state: PublishedState;
}

export class Publisher {
  readonly #options: PublisherOptions;
  /** The newest state of each partition alone: what it replaces need not be told any more. */
  readonly #waiting = new Map<string, Waiting>();
  #running = false;
  #closed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  publish(topicId: string, partition: number, state: PublishedState): void {
    const key = `${topicId}/${partition}`;
    // what is said about an old epoch may not take the place of what this hub has become since
    if ((this.#waiting.get(key)?.state.leaderEpoch ?? -1) > state.leaderEpoch) return;
    this.#waiting.set(key, { topicId, partition, state });
    if (!this.#running) this.#options.clock.soon(() => void this.#run());
  }

  /** Tries again now: Redis is back, or has another incarnation. */
  retry(): void {
    if (this.#waiting.size > 0) void this.#run();
  }

  async #run(): Promise<void> {
    if (this.#running || this.#closed) return;
    this.#running = true;
    try {
      while (this.#waiting.size > 0 && !this.#closed) {
        if (!(await this.#tell([...this.#waiting].slice(0, limits.publishedPerCallMax)))) return;
      }
    } finally {
      this.#running = false;
      if (this.#waiting.size > 0 && !this.#closed) {
        this.#options.clock.after(limits.publishRetryMs, () => void this.#run());
      }
    }
  }

  /** False when nothing could be told now. */
  async #tell(batch: readonly (readonly [string, Waiting])[]): Promise<boolean> {
    const { coordination, memory, random } = this.#options;
    if (memory.inc === null || coordination.state() === "down") return false;
    const opId = uuidText(random.uuid());
    const change = { incarnation: memory.inc.incarnation, opId };
    const entries = batch.map(([key, { topicId, partition, state }]) => ({
      topicId,
      partition,
      expectedVer: memory.partitions.get(key)?.ver ?? 0,
      leaderEpoch: state.leaderEpoch,
      state: JSON.stringify(state),
    }));
    const known = new Map(batch.map(([key]) => [key, memory.partitions.get(key)?.state]));
    let results: Awaited<ReturnType<Coordination["casPartitions"]>>;
    try {
      results = await coordination.casPartitions(change, entries);
    } catch {
      return false;
    }
    if (typeof results === "string") return false;
    for (const [i, [key, waiting]] of batch.entries()) {
      const result = results[i]!;
      const { entry } = result;
      if (entry !== null) memory.takePartition(entry);
      if (result.kind === "stored") this.#tellIsr(waiting, known.get(key));
      const isNewest = this.#waiting.get(key) === waiting;
      // Another version stands there: of an older epoch it is tried again on top, a newer one has outdated this.
      const outdated = entry !== null && entry.leaderEpoch > waiting.state.leaderEpoch;
      if (isNewest && (result.kind === "stored" || outdated)) this.#waiting.delete(key);
    }
    return true;
  }

  #tellIsr({ topicId, partition, state }: Waiting, before: PublishedState | undefined): void {
    const { trace } = this.#options;
    if (before?.leaderEpoch !== state.leaderEpoch || before.isr.length === state.isr.length) return;
    const shrank = state.isr.length < before.isr.length;
    trace.count(shrank ? "isr_shrinks" : "isr_expands");
    trace.event("info", shrank ? "isr_shrank" : "isr_expanded", { topicId, partition, inSync: state.isr.length });
  }

  close(): void {
    this.#closed = true;
  }
}
