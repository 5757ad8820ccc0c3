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

export interface Publication {
  readonly state: PublishedState;
  /** Of a candidate, which may have lost meanwhile. */
  readonly isClaim: boolean;
  /** What may be put on top of exactly what stands there; null: nothing, it is outdated. */
  readonly revised: (there: PublishedState | undefined) => PublishedState | null;
  readonly stored: (state: PublishedState) => void;
}

interface Waiting extends Publication {
  readonly topicId: string;
  readonly partition: number;
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

  publish(topicId: string, partition: number, publication: Publication): void {
    const key = `${topicId}/${partition}`;
    const before = this.#waiting.get(key);
    // what is said about an old epoch may not take the place of what this hub has become since, and not only stood for
    if (before && !before.isClaim && before.state.leaderEpoch > publication.state.leaderEpoch) return;
    this.#waiting.set(key, { ...publication, topicId, partition });
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
    const told = batch.flatMap(([key, waiting]) => {
      const there = memory.partitions.get(key);
      const state = waiting.revised(there?.state);
      if (state !== null) return { key, waiting, there, state };
      if (this.#waiting.get(key) === waiting) this.#waiting.delete(key);
      return [];
    });
    if (told.length === 0) return true;
    const entries = told.map(({ waiting: { topicId, partition }, there, state }) => ({
      topicId,
      partition,
      expectedVer: there?.ver ?? 0,
      leaderEpoch: state.leaderEpoch,
      state: JSON.stringify(state),
    }));
    let results: Awaited<ReturnType<Coordination["casPartitions"]>>;
    try {
      results = await coordination.casPartitions(change, entries);
    } catch {
      return false;
    }
    if (typeof results === "string") return false;
    memory.mark = opId; // what it answered is known from now on, and looked for by the next poll
    let isOn = true;
    for (const [i, { key, waiting, there, state }] of told.entries()) {
      const { kind, entry } = results[i]!;
      // another version stands there: what becomes of this one is said on top of that
      if (entry !== null) memory.takePartition(entry);
      if (kind !== "stored") {
        // what stands there is older than what is known here: Redis was put back, and is mended first
        if (memory.partitions.get(key) === there) isOn = false;
        continue;
      }
      if (this.#waiting.get(key) === waiting) this.#waiting.delete(key);
      this.#tellIsr(waiting, state, there?.state);
      waiting.stored(state);
    }
    return isOn;
  }

  #tellIsr({ topicId, partition }: Waiting, state: PublishedState, before: PublishedState | undefined): void {
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
