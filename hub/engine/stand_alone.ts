// While Redis is away nobody governs; a partition whose only replica is here needs nobody: this hub leads it by itself.
import { membersOf } from "../cluster/quorum.ts";
import { tryLead } from "../cluster/replica.ts";
import type { Clock, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Partitions } from "./partitions.ts";

export interface StandAloneOptions {
  readonly partitions: Partitions;
  readonly clock: Clock;
  /** Whether Redis can be asked: then the controller decides. */
  readonly isGoverned: () => boolean;
}

/** Safe whatever others believe: its own promise is the whole quorum (R = N = 1). */
export class StandAlone {
  readonly #options: StandAloneOptions;
  #timer: Timer | null = null;
  #closed = false;

  constructor(options: StandAloneOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#closed) return;
    this.#look();
    this.#timer = this.#options.clock.after(limits.standAloneMs, () => this.start());
  }

  #look(): void {
    const { partitions, clock, isGoverned } = this.#options;
    if (isGoverned()) return;
    for (const partition of partitions.all()) {
      const { replica } = partition;
      if (replica.role !== "idle" || membersOf(replica.state.config).join() !== replica.id) continue;
      partitions.run(partition, tryLead(replica, 0, "clean", clock.now()));
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }
}
