// Simulated time and chance: one seed, one queue of events, no real clock.
import { setImmediate } from "node:timers";
import type { Clock, Millis, Random, Timer } from "../../hub/io/ports.ts";

/** A small fast generator (mulberry32): the same seed, the same run. */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The Random port over a seeded generator. */
export function simRandom(float: () => number): Random {
  const bytes = (count: number): Uint8Array => Uint8Array.from({ length: count }, () => Math.floor(float() * 256));
  return {
    float,
    bytes,
    uuid() {
      const id = bytes(16);
      id[6] = (id[6]! & 0x0f) | 0x40;
      id[8] = (id[8]! & 0x3f) | 0x80;
      return id;
    },
  };
}

/** A class, since there are many: no closure to cancel each. */
class Event implements Timer {
  readonly time: Millis;
  readonly order: number;
  readonly call: () => void;
  cancelled = false;

  constructor(time: Millis, order: number, call: () => void) {
    this.time = time;
    this.order = order;
    this.call = call;
  }

  cancel(): void {
    this.cancelled = true;
  }
}

/** Time that moves only when `step` is called. Events at one time run in the order they were asked for. */
export class SimClock implements Clock {
  #now: Millis;
  #wallOffset: Millis;
  #order = 0;
  #events: Event[] = [];
  trusted = true;

  constructor(start: Millis = 1000, wall: Millis = Date.UTC(2027, 0, 1)) {
    this.#now = start;
    this.#wallOffset = wall - start;
  }

  now(): Millis {
    return this.#now;
  }

  wall(): Millis {
    return Math.floor(this.#now + this.#wallOffset);
  }

  wallTrusted(): boolean {
    return this.trusted;
  }

  /** Steps the wall clock, either way. */
  stepWall(by: Millis): void {
    this.#wallOffset += by;
  }

  after(delayMs: Millis, call: () => void): Timer {
    const event = new Event(this.#now + Math.max(0, delayMs), this.#order, call);
    this.#order += 1;
    this.#push(event);
    return event;
  }

  soon(call: () => void): void {
    this.after(0, call);
  }

  /** Runs the next event and every microtask behind it; false when there is none. */
  async step(): Promise<boolean> {
    if (!this.runNext(Number.POSITIVE_INFINITY)) return false;
    await microtasks();
    return true;
  }

  /** Runs the next event if it is due by `until`; the microtasks behind it are the caller's. */
  runNext(until: Millis): boolean {
    const next = this.#peek();
    if (next === undefined || next.time > until) return false;
    this.#pop();
    this.#now = Math.max(this.#now, next.time);
    next.call();
    return true;
  }

  /** Time goes on to here; what was due before has run. */
  reach(time: Millis): void {
    this.#now = Math.max(this.#now, time);
  }

  /** Runs events until the promise settles. Throws when there is no event left and it has not. */
  async settle<T>(promise: Promise<T> | T, stepsMax = 100_000): Promise<T> {
    let settled = false;
    const watched = Promise.resolve(promise).finally(() => (settled = true));
    watched.catch(() => {});
    await microtasks();
    for (let steps = 0; !settled; steps += 1) {
      if (steps > stepsMax) throw new Error(`a promise is not settled after ${stepsMax} events`);
      if (!(await this.step())) throw new Error("a promise waits for an event that never comes");
    }
    return watched;
  }

  /** Runs all events of the next `ms`. */
  async advance(ms: Millis): Promise<void> {
    const until = this.#now + ms;
    while ((this.#peek()?.time ?? Number.POSITIVE_INFINITY) <= until) await this.step();
    this.#now = Math.max(this.#now, until);
  }

  #peek(): Event | undefined {
    while (this.#events[0]?.cancelled) this.#pop();
    return this.#events[0];
  }

  #push(event: Event): void {
    const events = this.#events;
    let at = events.length;
    events.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (before(events[parent]!, event)) break;
      events[at] = events[parent]!;
      at = parent;
    }
    events[at] = event;
  }

  #pop(): Event | undefined {
    const events = this.#events;
    const first = events[0];
    const last = events.pop();
    if (last === undefined || events.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= events.length) break;
      if (child + 1 < events.length && before(events[child + 1]!, events[child]!)) child += 1;
      if (before(last, events[child]!)) break;
      events[at] = events[child]!;
      at = child;
    }
    events[at] = last;
    return first;
  }
}

function before(a: Event, b: Event): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}

function microtasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
