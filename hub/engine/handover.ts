// Handing leadership over: the old leader takes nothing more, waits until the new one has all, and lets it be elected.
import { publishedOf } from "../cluster/replica.ts";
import { HubError } from "../errors.ts";
import type { Epoch, HubId } from "../cluster/types.ts";
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
  /** Tells the partition who leads it now. */
  readonly announce: (partition: Partition, epoch: Epoch, hub: HubId) => void;
  /** How far a follower's disk is, as far as this leader was told; -1 for one that is not in sync. */
  readonly endOf: (partition: Partition, hub: HubId) => number;
}

const stepMs = 2;
/** Elections that may begin within so many ms are asked for in one call: calls to one hub are answered one by one. */
const gatherMs = 4;

interface Asked {
  readonly asked: TryLeadAsked;
  readonly settle: (told: Promise<TryLeadTold | undefined>) => void;
}

/**
 * Moves leadership to another hub while it is up (replication.md 2.8). While it lasts produce waits; then it is refused
 * with NOT_LEADER_OR_FOLLOWER and the new leader's name. When the target does not catch up within `handoverMsMax`, or
 * is not elected, this hub goes on leading and takes what waited.
 */
export class Handovers {
  readonly #options: HandoverOptions;
  readonly #outbox = new Map<HubId, Asked[]>();

  constructor(options: HandoverOptions) {
    this.#options = options;
  }

  /** True when the target leads now. */
  async handOver(partition: Partition, to: HubId): Promise<boolean> {
    if (!partition.leads || partition.handover !== null) return false;
    if (hubOf(partition.replica.id) === to) return true;
    const moving = this.#move(partition, to);
    // however it ends: a partition that stayed so would take nothing any more
    const over = (): void => {
      partition.handover = null;
    };
    partition.handover = moving.then(over, over);
    return await moving;
  }

  async #move(partition: Partition, to: HubId): Promise<boolean> {
    const { clock, trace, announce } = this.#options;
    const { topicId, partition: index } = partition.log;
    const began = clock.now();
    try {
      if (!(await this.#caughtUp(partition, to))) return false;
      // above this epoch: whoever leads in it already need not stand
      const seenEpoch = partition.epoch + 1;
      const outcome = await this.#ask(to, { topicId, partition: index, seenEpoch, kind: "clean" });
      const done = outcome?.result === "led";
      // known here before Redis tells it: what waited is sent there at once
      if (done) announce(partition, outcome.epoch, to);
      const ms = Math.round(clock.now() - began);
      trace.event("info", "leadership_handed_over", { topic: partition.topic, partition: index, to, done, ms });
      return done;
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      return false;
    }
  }

  /** Hands everything that is led here to others in the ISR, for as long as `drainMsMax`. */
  async drain(partitions: readonly Partition[], isDown: (hub: HubId) => boolean): Promise<void> {
    const { clock, trace } = this.#options;
    const until = clock.now() + limits.drainMsMax;
    const led = partitions.filter(({ leads }) => leads);
    const handOver = async (partition: Partition): Promise<void> => {
      const me = hubOf(partition.replica.id);
      for (const hub of publishedOf(partition.replica).isr.map(hubOf)) {
        if (hub === me || clock.now() > until || isDown(hub)) continue;
        if (await this.handOver(partition, hub)) return;
      }
    };
    await Promise.all(led.map(handOver));
    const left = led.filter(({ leads }) => leads).length;
    trace.event("info", "drained", { handedOver: led.length - left, left });
  }

  /** Together with what else is handed to the same hub at this moment. */
  #ask(to: HubId, asked: TryLeadAsked): Promise<TryLeadTold | undefined> {
    return new Promise((resolve) => {
      const waiting = this.#outbox.get(to);
      if (waiting) return void waiting.push({ asked, settle: resolve });
      const batch: Asked[] = [{ asked, settle: resolve }];
      this.#outbox.set(to, batch);
      this.#options.clock.after(gatherMs, () => {
        this.#outbox.delete(to);
        const told = this.#options.tryLead(
          to,
          batch.map((one) => one.asked),
        );
        for (const [i, { settle }] of batch.entries()) settle(told.then((all) => all[i]));
      });
    });
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
