// Handing leadership over: the old leader takes nothing more, waits until the new one has all, and lets it be elected.
import { HubError } from "../errors.ts";
import type { HubId } from "../cluster/types.ts";
import type { Clock } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import { hubOf } from "./cluster_view.ts";
import type { Partition } from "./partition.ts";
import type { TryLeadAsked, TryLeadTold } from "./replica_office.ts";

export interface HandoverOptions {
  readonly clock: Clock;
  readonly trace: Trace;
  /** Asks a hub to stand for election. */
  readonly tryLead: (hub: HubId, asked: readonly TryLeadAsked[]) => Promise<readonly TryLeadTold[]>;
  /** How far a follower's disk is, as far as this leader was told; -1 for one that is not in sync. */
  readonly endOf: (partition: Partition, hub: HubId) => number;
}

const stepMs = 2;

/**
 * Moves leadership to another hub while it is up (replication.md 2.8). While it lasts produce is refused with
 * NOT_LEADER_OR_FOLLOWER, so that clients look for the leader; when the target does not catch up within
 * `handoverMsMax`, or is not elected, this hub goes on leading.
 */
export class Handovers {
  readonly #options: HandoverOptions;

  constructor(options: HandoverOptions) {
    this.#options = options;
  }

  /** True when the target leads now. */
  async handOver(partition: Partition, to: HubId): Promise<boolean> {
    const { clock, trace, tryLead } = this.#options;
    if (!partition.leads || partition.handingOver) return false;
    if (hubOf(partition.replica.id) === to) return true;
    const { topicId, partition: index } = partition.log;
    const began = clock.now();
    partition.handingOver = true;
    try {
      if (!(await this.#caughtUp(partition, to))) return false;
      // above this epoch: whoever leads in it already need not stand
      const seenEpoch = partition.epoch + 1;
      const [outcome] = await tryLead(to, [{ topicId, partition: index, seenEpoch, kind: "clean" }]);
      const done = outcome?.result === "led";
      const ms = Math.round(clock.now() - began);
      trace.event("info", "leadership_handed_over", { topic: partition.topic, partition: index, to, done, ms });
      return done;
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      return false;
    } finally {
      partition.handingOver = false;
    }
  }

  async #caughtUp(partition: Partition, to: HubId): Promise<boolean> {
    const { clock, endOf } = this.#options;
    const until = clock.now() + limits.handoverMsMax;
    while (partition.leads && endOf(partition, to) < partition.log.logEnd) {
      if (clock.now() >= until) return false;
      await new Promise<void>((resolve) => void clock.after(stepMs, resolve));
    }
    return partition.leads;
  }
}
