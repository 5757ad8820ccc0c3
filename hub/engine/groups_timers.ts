// One timer a group, for the next thing that time does to it.
import type { Clock, Millis, Timer } from "../io/ports.ts";

export class GroupTimers {
  readonly #clock: Clock;
  readonly #due: (group: string) => void;
  readonly #timers = new Map<string, { readonly at: Millis; readonly timer: Timer }>();
  #closed = false;

  constructor(clock: Clock, due: (group: string) => void) {
    this.#clock = clock;
    this.#due = due;
  }

  /** A timer that is early stays: deadlines move away with each heartbeat, and who is woken early looks again. */
  arm(group: string, at: Millis): void {
    if (this.#closed) return;
    const armed = this.#timers.get(group);
    if (armed !== undefined && armed.at <= at && at !== Infinity) return;
    armed?.timer.cancel();
    this.#timers.delete(group);
    if (at === Infinity) return;
    const timer = this.#clock.after(Math.max(0, at - this.#clock.now()), () => {
      this.#timers.delete(group);
      this.#due(group);
    });
    this.#timers.set(group, { at, timer });
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }
}
