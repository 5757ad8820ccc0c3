// Background work on files: a few syncs at a time, and the open files of closed segments.
import type { File } from "../io/ports.ts";
import type { Segment } from "./segment.ts";

/** Two at a time leave threads of the pool to the journal and to readers (storage.md section 9). */
const syncsMax = 2;

/** Runs syncs, at most two at a time, in the order asked for. */
export class SyncQueue {
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  async sync(file: File): Promise<void> {
    if (this.#running >= syncsMax) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
    try {
      await file.sync();
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }
}

/** Closed segments that were read: the least recently used beyond the bound are closed, their indexes forgotten. */
export class OpenSegments {
  readonly #max: number;
  readonly #used = new Set<Segment>();

  constructor(max: number) {
    this.#max = max;
  }

  touch(segment: Segment): void {
    this.#used.delete(segment);
    this.#used.add(segment);
    if (this.#used.size <= this.#max) return;
    for (const old of this.#used) {
      if (old.readers > 0 || old === segment) continue;
      this.#used.delete(old);
      old.closeFile();
      old.dropIndex();
      return;
    }
  }

  forget(segment: Segment): void {
    this.#used.delete(segment);
  }
}
