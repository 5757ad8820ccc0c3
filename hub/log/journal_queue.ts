// What waits for the journal: entries in chunks, a chunk for each turn of the event loop; groups are made of chunks.
import { batchEntryOverhead } from "./frame.ts";
import type { SmallEntry } from "./frame.ts";

export interface BatchItem<Log> {
  readonly log: Log;
  readonly prevEnd: number;
  readonly end: number;
  readonly batch: Uint8Array;
}

export interface SmallItem {
  readonly entry: SmallEntry;
  readonly bytes: Uint8Array;
}

export interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

/** What one turn queued; never divided between groups unless it alone is over the bound. */
export interface Chunk<Log> {
  readonly items: (BatchItem<Log> | SmallItem)[];
  readonly waiters: Waiter[];
  bytes: number;
}

const itemBytes = <Log>(item: BatchItem<Log> | SmallItem): number =>
  "batch" in item ? batchEntryOverhead + item.batch.length : item.bytes.length;

export class JournalQueue<Log> {
  #chunks: Chunk<Log>[] = [];
  #open = false;
  #bytes = 0;

  /** Bytes of all entries that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  /** True when a chunk is closed, so that a group can be made. */
  get hasClosed(): boolean {
    return this.#chunks.length > (this.#open ? 1 : 0);
  }

  /** True when the next `push` begins a chunk, so that its end has to be arranged for. */
  get beginsChunk(): boolean {
    return !this.#open;
  }

  push(item: BatchItem<Log> | SmallItem): void {
    const chunk = this.#last();
    const bytes = itemBytes(item);
    chunk.items.push(item);
    chunk.bytes += bytes;
    this.#bytes += bytes;
  }

  /** Settled with the group that holds the newest entry. The queue must not be empty. */
  wait(waiter: Waiter): void {
    this.#chunks.at(-1)!.waiters.push(waiter);
  }

  #last(): Chunk<Log> {
    if (!this.#open) {
      this.#chunks.push({ items: [], waiters: [], bytes: 0 });
      this.#open = true;
    }
    return this.#chunks.at(-1)!;
  }

  /** Ends the turn's chunk. */
  closeChunk(): void {
    this.#open = false;
  }

  /** Closed chunks up to the bound; of a chunk over the bound, as many entries as fit, at least one. */
  take(bytesMax: number): Chunk<Log> {
    const closed = this.#open ? this.#chunks.length - 1 : this.#chunks.length;
    const taken: Chunk<Log> = { items: [], waiters: [], bytes: 0 };
    let count = 0;
    for (; count < closed; count += 1) {
      const chunk = this.#chunks[count]!;
      if (count > 0 && taken.bytes + chunk.bytes > bytesMax) break;
      if (chunk.bytes > bytesMax && chunk.items.length > 1) {
        divide(chunk, taken, bytesMax);
        if (chunk.items.length > 0) break;
      } else {
        for (const item of chunk.items) taken.items.push(item);
        taken.bytes += chunk.bytes;
      }
      taken.waiters.push(...chunk.waiters);
    }
    this.#chunks.splice(0, count);
    this.#bytes -= taken.bytes;
    return taken;
  }

  /** Empties the queue; whoever waited is given back. */
  clear(): Waiter[] {
    const waiters = this.#chunks.flatMap((chunk) => chunk.waiters);
    this.#chunks = [];
    this.#open = false;
    this.#bytes = 0;
    return waiters;
  }
}

function divide<Log>(chunk: Chunk<Log>, taken: Chunk<Log>, bytesMax: number): void {
  let count = 0;
  for (const item of chunk.items) {
    const bytes = itemBytes(item);
    if (count > 0 && taken.bytes + bytes > bytesMax) break;
    taken.items.push(item);
    taken.bytes += bytes;
    chunk.bytes -= bytes;
    count += 1;
  }
  chunk.items.splice(0, count);
}
