// Changes of what all hubs share: through the place of coordination, and done once a majority has them in its journal.
import { HubError } from "../errors.ts";
import type { Coordination } from "../io/coordination.ts";
import type { Clock, Random } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { ClusterMemory } from "./cluster_memory.ts";
import type { Pulse } from "./pulse.ts";
import { uuidText } from "./topics.ts";

export interface SharedChangesOptions {
  readonly coordination: Coordination;
  readonly memory: ClusterMemory;
  readonly pulse: Pulse;
  readonly clock: Clock;
  readonly random: Random;
  readonly hubId: number;
  readonly poll: () => Promise<boolean>;
  readonly isController: () => boolean;
}

export interface Change {
  readonly key: string;
  /** null: deleted. */
  readonly value: string | null;
}

export class SharedChanges {
  readonly #options: SharedChangesOptions;
  readonly #waiters = new Set<() => void>();

  constructor(options: SharedChangesOptions) {
    this.#options = options;
  }

  /** A beat told what another hub has stored, or this hub stored more. */
  heard(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  /**
   * Changes shared metadata, all of the entries or none; resolves when a majority of the hubs has them in its journal,
   * so that no two sides of a split Redis can both succeed (replication.md 2.2).
   * @throws HubError NOT_CONTROLLER, COORDINATOR_NOT_AVAILABLE, REQUEST_TIMED_OUT (then it may yet happen)
   */
  async change(entries: readonly Change[]): Promise<void> {
    const { coordination, random, memory, poll, isController } = this.#options;
    if (!isController()) throw new HubError("NOT_CONTROLLER", "Another hub is the controller");
    for (let attempt = 0; ; attempt++) {
      const { inc, ctl, meta } = memory;
      const change = { incarnation: inc!.incarnation, opId: uuidText(random.uuid()) };
      const asked = entries.map(({ key, value }) => ({ key, value, expectedVersion: meta.get(key)?.version ?? 0 }));
      const result = await this.#ask(() => coordination.putMeta(change, ctl.ctlEpoch, asked));
      if (result.kind === "stored") {
        await poll();
        await this.#majority(result.seq);
        const commit = { ...change, opId: uuidText(random.uuid()) };
        await this.#ask(() => coordination.commitMeta(commit, ctl.ctlEpoch, result.entries));
        void poll();
        return;
      }
      await poll();
      if (result.kind === "stale-controller" || attempt >= 2) {
        throw new HubError("NOT_CONTROLLER", `The change was refused: ${result.kind}`);
      }
    }
  }

  /**
   * A call whose answer was lost may have been made: asked once more, under the id it had, it is answered as it was
   * then. Without that a change that stands would be reported as failed, or made a second time.
   */
  async #ask<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (this.#options.coordination.state() === "down") throw error;
      return await call();
    }
  }

  #majority(seq: number): Promise<void> {
    const { memory, pulse, hubId } = this.#options;
    const stored = (): boolean => {
      const hubs = [...memory.hubs.keys()];
      const have = hubs.filter((hub) => {
        if (hub === hubId) return memory.storedSeq >= seq;
        return (pulse.beatOf(hub)?.metaSeq ?? 0) >= seq;
      });
      return have.length > hubs.length / 2;
    };
    if (stored()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!stored()) return;
        this.#waiters.delete(look);
        timer.cancel();
        resolve();
      };
      const timer = this.#options.clock.after(limits.metadataChangeMsMax, () => {
        this.#waiters.delete(look);
        reject(new HubError("REQUEST_TIMED_OUT", "No majority of the hubs has stored the change yet"));
      });
      this.#waiters.add(look);
    });
  }
}
