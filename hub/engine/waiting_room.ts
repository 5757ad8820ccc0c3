// Requests that wait: fetches for more bytes, produces for their commit, each with a deadline.
import { limits } from "../limits.ts";
import type { Clock, Timer } from "../io/ports.ts";

/** A parked fetch: woken when enough bytes became readable, or at its deadline. */
export interface ParkedFetch {
  /** Bytes that must still become readable before it is worth another look. */
  missingBytes: number;
  readonly wake: () => void;
  readonly places: readonly FetchPlace[];
  timer: Timer | null;
}

/** Where fetches of one partition wait. */
export class FetchPlace {
  readonly waiting = new Set<ParkedFetch>();
  /** Moves whenever something became readable or was disturbed here: a fetch that looked before must look again. */
  changes = 0;
}

/**
 * Bytes that were appended and that readers may not have yet: never less than there are, and no more than what came in
 * since the move before the last.
 */
export class UnreadBytes {
  #old = 0;
  #fresh = 0;
  /** The log's end at the last move. */
  #end = 0;

  add(bytes: number): void {
    this.#fresh += bytes;
  }

  /** Readers may have everything below `readable` now; returns what that gives them at most. */
  passed(readable: number, logEnd: number): number {
    const bytes = this.#old + this.#fresh;
    if (readable >= logEnd) this.#old = 0;
    else this.#old = readable >= this.#end ? this.#fresh : bytes;
    this.#fresh = 0;
    this.#end = logEnd;
    return bytes;
  }
}

/** Parks fetches; a parked one costs its own object, one timer and a set entry a partition. */
export class FetchRoom {
  readonly #clock: Clock;
  readonly #parked = new Set<ParkedFetch>();
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#parked.size;
  }

  /** True when nothing more is parked here: who would wait takes what there is. */
  get full(): boolean {
    return this.#closed || this.#parked.size >= limits.parkedRequestsMax;
  }

  /** Wakes everything; nothing is parked from now on. */
  close(): void {
    this.#closed = true;
    for (const fetch of this.#parked) fetch.wake();
  }

  /** Resolves when `missingBytes` have become readable in the places, or after `waitMs`; at once when it is full. */
  park(places: readonly FetchPlace[], missingBytes: number, waitMs: number): { woken: Promise<void>; leave(): void } {
    if (this.full || waitMs <= 0) return { woken: Promise.resolve(), leave() {} };
    let resolve: () => void = () => {};
    const woken = new Promise<void>((done) => {
      resolve = done;
    });
    const leave = (): void => {
      if (fetch.timer === null) return;
      fetch.timer.cancel();
      fetch.timer = null;
      this.#parked.delete(fetch);
      for (const place of places) place.waiting.delete(fetch);
      resolve();
    };
    const fetch: ParkedFetch = { missingBytes, wake: leave, places, timer: null };
    fetch.timer = this.#clock.after(Math.min(waitMs, limits.fetchWaitMsMax), leave);
    this.#parked.add(fetch);
    for (const place of places) place.waiting.add(fetch);
    return { woken, leave };
  }

  /** Calls `wake` once, when something becomes readable at the place or changes there; null when it is full. */
  watch(place: FetchPlace, wake: () => void): { leave(): void } | null {
    if (this.full) return null;
    const leave = (): void => {
      this.#parked.delete(fetch);
      place.waiting.delete(fetch);
    };
    const woken = (): void => {
      leave();
      wake();
    };
    const fetch: ParkedFetch = { missingBytes: 1, wake: woken, places: [place], timer: null };
    this.#parked.add(fetch);
    place.waiting.add(fetch);
    return { leave };
  }

  /** Bytes became readable at a place. */
  advanced(place: FetchPlace, bytes: number): void {
    place.changes++;
    for (const fetch of place.waiting) {
      fetch.missingBytes -= bytes;
      if (fetch.missingBytes <= 0) fetch.wake();
    }
  }

  /** Something other than bytes changed at a place (deleted, closed): look again now. */
  disturbed(place: FetchPlace): void {
    place.changes++;
    for (const fetch of place.waiting) fetch.wake();
  }
}

/** Called once: null when the watermark passed the write, else why it will not be answered so. */
export type Committed = (error: Error | null) => void;

interface Write {
  readonly end: number;
  readonly committed: Committed;
}

/** Writes of one partition that wait for the watermark, in offset order. */
export class WriteQueue {
  #writes: Write[] = [];
  #head = 0;

  get length(): number {
    return this.#writes.length - this.#head;
  }

  /** `end` is the offset after the write; never below that of an earlier one. */
  add(end: number, committed: Committed): void {
    this.#writes.push({ end, committed });
  }

  /** Answers every write that ends at or below the watermark, in order. */
  passed(watermark: number): void {
    while (this.#head < this.#writes.length && this.#writes[this.#head]!.end <= watermark) {
      this.#writes[this.#head++]!.committed(null);
    }
    if (this.#head === this.#writes.length) {
      this.#writes = [];
      this.#head = 0;
    } else if (this.#head > 1024) {
      this.#writes = this.#writes.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Answers everything that waits with the error. */
  fail(error: Error): void {
    const waiting = this.#writes.slice(this.#head);
    this.#writes = [];
    this.#head = 0;
    for (const write of waiting) write.committed(error);
  }
}
