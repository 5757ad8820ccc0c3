// The newest batches of all logs in memory, so that readers at the tail do not touch the disk. Bounded, oldest out.

interface TailBatch {
  readonly owner: TailOwner;
  readonly base: number;
  readonly end: number;
  readonly bytes: Uint8Array;
  dropped: boolean;
}

/** The part of one log: batches without a gap up to the log's end. */
export class TailOwner {
  readonly batches: TailBatch[] = [];
}

/** A batch that keeps much more memory alive than it has bytes is copied. */
const slack = 2;

export class HotTail {
  readonly #bytesMax: number;
  #queue: TailBatch[] = [];
  #head = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(owner: TailOwner, base: number, end: number, batch: Uint8Array): void {
    if (batch.length > this.#bytesMax / 4) return this.clear(owner); // and so the tail stays without a gap
    const bytes = batch.buffer.byteLength > batch.length * slack ? batch.slice() : batch;
    const entry: TailBatch = { owner, base, end, bytes, dropped: false };
    owner.batches.push(entry);
    this.#queue.push(entry);
    this.#bytes += bytes.length;
    while (this.#bytes > this.#bytesMax) this.#evict();
  }

  #evict(): void {
    const entry = this.#queue[this.#head]!;
    this.#head += 1;
    if (!entry.dropped) {
      entry.owner.batches.shift();
      this.#drop(entry);
    }
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }

  #drop(entry: TailBatch): void {
    entry.dropped = true;
    this.#bytes -= entry.bytes.length;
  }

  /** Forgets a log: it was cut, closed or removed. */
  clear(owner: TailOwner): void {
    for (const entry of owner.batches) this.#drop(entry);
    owner.batches.length = 0;
  }

  /**
   * Whole batches from the one that holds `offset`, below `endOffset`, at least one and then up to `bytesMax`.
   * null when the tail begins later than `offset`.
   */
  read(owner: TailOwner, offset: number, bytesMax: number, endOffset: number): Uint8Array | null {
    const { batches } = owner;
    if (batches.length === 0 || offset < batches[0]!.base) return null;
    let low = 0;
    let high = batches.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (batches[middle]!.base <= offset) low = middle;
      else high = middle - 1;
    }
    if (batches[low]!.end <= offset) low += 1; // in a gap behind it, or at the end
    let bytes = 0;
    let to = low;
    for (; to < batches.length && batches[to]!.end <= endOffset; to += 1) {
      const { length } = batches[to]!.bytes;
      if (to > low && bytes + length > bytesMax) break;
      bytes += length;
    }
    if (to === low) return new Uint8Array(0);
    if (to === low + 1) return batches[low]!.bytes;
    const joined = new Uint8Array(bytes);
    let at = 0;
    for (let i = low; i < to; i += 1) {
      joined.set(batches[i]!.bytes, at);
      at += batches[i]!.bytes.length;
    }
    return joined;
  }
}
