// Keeps background work polite: so many bytes a second, and never long at a stretch.
import type { Clock, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";

export class Pace {
  readonly #clock: Clock;
  readonly #bytesPerSecond: number;
  #timer: Timer | null = null;
  #wake: (() => void) | null = null;
  #nextAt = 0;
  #sliceBegan = 0;
  stopped = false;

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Ends a pause under way. */
  stop(): void {
    this.stopped = true;
    this.#timer?.cancel();
    this.#wake?.();
  }

  /** Resolves when so many bytes more may be read or written. */
  async take(bytes: number): Promise<void> {
    const now = this.#clock.now();
    const due = Math.max(now, this.#nextAt);
    this.#nextAt = due + (bytes * 1000) / this.#bytesPerSecond;
    if (due > now && !this.stopped) await this.#pause(due - now);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#timer = this.#clock.after(ms, resolve);
    });
  }

  /** null while the slice lasts; else whoever else waits has its turn first. */
  breath(): Promise<void> | null {
    if (this.#clock.now() - this.#sliceBegan < limits.cleanerSliceMsMax) return null;
    return new Promise((resolve) => {
      this.#clock.soon(() => {
        this.#sliceBegan = this.#clock.now();
        resolve();
      });
    });
  }
}
