// Batches that were handed out lately, for sessions a little behind: they need not be read again. Bounded. Pure.
import { type InBatch, limits } from "../../hub/mod.ts";
import type { Feed } from "./feed.ts";

export interface Kept {
  readonly feed: Feed;
  /** Offset it was read from; the batch goes on to its `nextOffset`. */
  readonly from: number;
  readonly batch: InBatch;
  readonly bytes: number;
}

/** About what a record costs beside its value. */
const recordBytes = 200;

export class Recent {
  /** Oldest first from #head on; what was dropped is undefined. */
  #kept: (Kept | undefined)[] = [];
  #head = 0;
  #records = 0;
  #bytes = 0;

  get records(): number {
    return this.#records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  keep(feed: Feed, from: number, batch: InBatch): void {
    const last = feed.recent.at(-1);
    if (last !== undefined && last.batch === batch) return;
    if (last !== undefined && last.batch.nextOffset !== from) this.drop(feed);
    let bytes = 0;
    for (const { value } of batch.records) bytes += recordBytes + (value?.length ?? 0);
    const kept = { feed, from, batch, bytes };
    feed.recent.push(kept);
    this.#kept.push(kept);
    this.#records += batch.records.length;
    this.#bytes += bytes;
    while (this.#records > limits.mqttRecentRecordsMax || this.#bytes > limits.mqttRecentBytesMax) this.#evict();
  }

  drop(feed: Feed): void {
    for (const kept of feed.recent) {
      this.#kept[this.#kept.indexOf(kept, this.#head)] = undefined;
      this.#count(kept);
    }
    feed.recent = [];
  }

  /** The batch that the record at `offset` is in, or would be. */
  find(feed: Feed, offset: number): InBatch | null {
    const { recent } = feed;
    if (recent.length === 0 || offset < recent[0]!.from) return null;
    for (const { batch } of recent) if (offset < batch.nextOffset) return batch;
    return null;
  }

  #evict(): void {
    const kept = this.#kept[this.#head++];
    if (kept !== undefined) {
      kept.feed.recent.shift(); // the oldest of all is the oldest of its feed
      this.#count(kept);
    }
    if (this.#head > 64 && this.#head * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#head);
      this.#head = 0;
    }
  }

  #count({ batch, bytes }: Kept): void {
    this.#records -= batch.records.length;
    this.#bytes -= bytes;
  }
}
