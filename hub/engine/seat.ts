// The controller's seat: taken when nobody lives on it. Two who think they sit there are harmless.
import type { Coordination } from "../io/coordination.ts";
import type { Clock, Millis, Random, Timer } from "../io/ports.ts";
import type { Trace } from "../trace.ts";
import type { ClusterMemory } from "./cluster_memory.ts";
import type { Pulse } from "./pulse.ts";
import { uuidText } from "./topics.ts";

export interface SeatOptions {
  readonly coordination: Coordination;
  readonly memory: ClusterMemory;
  readonly pulse: Pulse;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly hubId: number;
  readonly sessionMs: Millis;
  readonly poll: () => Promise<boolean>;
  readonly changed: () => void;
}

const haste = 200;

export class Seat {
  readonly #options: SeatOptions;
  #timer: Timer | null = null;
  #closed = false;

  constructor(options: SeatOptions) {
    this.#options = options;
  }

  /** Takes the seat when nobody lives on it, after a moment of chance, so that not all try at once. */
  watch(): void {
    const { clock, random, sessionMs, memory, pulse, hubId: me } = this.#options;
    const { hubId } = memory.ctl;
    if (this.#timer !== null || this.#closed || pulse.isDraining(me)) return;
    const empty = hubId < 0 || !memory.hubs.has(hubId);
    // a connection that is gone for this hub alone is reason enough: a second controller does no harm
    const lost = !empty && hubId !== me && (pulse.isDown(hubId) || pulse.isGone(hubId));
    if (!empty && !lost && !pulse.isDraining(hubId)) return;
    const late = hubId >= 0 && pulse.isLate(hubId);
    const waitMs = random.float() * (late ? Math.min(1000, sessionMs / 6) : haste);
    this.#timer = clock.after(waitMs, () => {
      this.#timer = null;
      void this.#acquire(hubId);
    });
  }

  /** Tries to take it now, whoever sits there; after a moment when that failed. */
  async take(): Promise<void> {
    const { memory, clock, hubId } = this.#options;
    await this.#acquire(memory.ctl.hubId);
    if (memory.ctl.hubId !== hubId) await new Promise<void>((resolve) => void clock.after(haste, resolve));
  }

  async #acquire(from: number): Promise<void> {
    const { coordination, random, trace, memory, hubId, poll, changed } = this.#options;
    const { ctl, inc } = memory;
    if (ctl.hubId !== from || inc === null || coordination.state() === "down" || this.#closed) return;
    const change = { incarnation: inc.incarnation, opId: uuidText(random.uuid()) };
    try {
      const seat = await coordination.acquireController(change, hubId, ctl.ctlEpoch);
      if (typeof seat !== "string" && seat.hubId === hubId) {
        trace.count("controller_elections");
        trace.event("info", "controller_elected", { hub: seat.hubId, ctlEpoch: seat.ctlEpoch, after: from });
      }
    } catch {
      // Redis is away: the next beat looks again
    }
    await poll();
    changed();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }
}
