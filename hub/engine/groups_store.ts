// The group engine's way to the registry: every write gets its place in the order, every refusal an error name.
import type { ErrorName } from "../errors.ts";
import type { CommitFence, CommitResult, CommittedOffset, Registry } from "../io/registry.ts";
import type { Trace } from "../trace.ts";

/** What became of a write, and its place among the writes of this coordinator. */
export interface Written {
  readonly error: ErrorName;
  readonly sequence: number;
}

const errorOf: Readonly<Record<CommitResult, ErrorName>> = {
  stored: "NONE",
  "stale-coordinator": "NOT_COORDINATOR",
  "stale-generation": "ILLEGAL_GENERATION",
};

/** Writes of one coordinator epoch. */
export class GroupStore {
  readonly #registry: Registry;
  readonly #trace: Trace;
  readonly #epoch: number;
  readonly #underWay = new Set<Promise<Written>>();
  #sequence = 0;

  constructor(registry: Registry, trace: Trace, epoch: number) {
    this.#registry = registry;
    this.#trace = trace;
    this.#epoch = epoch;
  }

  storeGroup(group: string, generation: number, record: Uint8Array): Promise<Written> {
    return this.#write(group, -1, ({ coordinatorEpoch, sequence }) => {
      return this.#registry.storeGroup({ group, coordinatorEpoch, sequence, generation, record });
    });
  }

  /** `generation` -1: a consumer outside any generation. */
  commit(group: string, generation: number, offsets: readonly CommittedOffset[]): Promise<Written> {
    return this.#write(group, generation, (fence) => this.#registry.commitOffsets(fence, offsets));
  }

  deleteOffsets(
    group: string,
    partitions: readonly { readonly topicId: string; readonly partition: number }[],
  ): Promise<Written> {
    return this.#write(group, -1, (fence) => this.#registry.deleteOffsets(fence, partitions));
  }

  deleteGroup(group: string): Promise<Written> {
    return this.#write(group, -1, (fence) => this.#registry.deleteGroup(fence));
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #write(group: string, generation: number, write: (fence: CommitFence) => Promise<CommitResult>): Promise<Written> {
    this.#sequence += 1;
    const fence = { group, generation, coordinatorEpoch: this.#epoch, sequence: this.#sequence };
    const written = this.#try(fence, write);
    this.#underWay.add(written);
    void written.then(() => this.#underWay.delete(written));
    return written;
  }

  async #try(fence: CommitFence, write: (fence: CommitFence) => Promise<CommitResult>): Promise<Written> {
    const { sequence, group } = fence;
    try {
      const result = await write(fence);
      if (result !== "stored") this.#trace.event("warn", "group_write_refused", { group, result });
      return { error: errorOf[result], sequence };
    } catch (error) {
      this.#trace.event("error", "group_write_failed", { group, error: String(error) });
      return { error: "COORDINATOR_NOT_AVAILABLE", sequence };
    }
  }
}
