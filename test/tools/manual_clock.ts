// A clock that stands still until a test moves it; timers fire in order, and work they begin is let finish.
import type { Clock, Millis, Timer } from "../../hub/io/ports.ts";

export class ManualClock implements Clock {
  #now = 1_000;
  readonly #timers: { at: Millis; call: () => void }[] = [];

  now(): Millis {
    return this.#now;
  }

  wall(): Millis {
    return 1_700_000_000_000 + Math.floor(this.#now);
  }

  wallTrusted(): boolean {
    return true;
  }

  after(delayMs: Millis, call: () => void): Timer {
    const timer = { at: this.#now + delayMs, call };
    this.#timers.push(timer);
    return {
      cancel: () => {
        const at = this.#timers.indexOf(timer);
        if (at >= 0) this.#timers.splice(at, 1);
      },
    };
  }

  soon(call: () => void): void {
    setImmediate(call);
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#timers.length;
  }

  /** Moves on by `ms`, firing what is due on the way. */
  async advance(ms: Millis): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settle();
      const next = this.#timers.reduce((least, { at }) => Math.min(least, at), Infinity);
      if (next > end) break;
      this.#now = Math.max(this.#now, next);
      const due = this.#timers.findIndex(({ at }) => at === next);
      this.#timers.splice(due, 1)[0]?.call();
    }
    this.#now = end;
    await settle();
  }
}

/** Lets promises that can go on do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
