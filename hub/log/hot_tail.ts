// The newest batches of all logs in memory, so that readers at the tail do not touch the disk. Bounded, oldest out.
//
// DESIGN. One ring of bytes holds copies, in the order of the appends. Kept as arrays of their own, batches would be
// what the collector runs for: at 300,000 messages a second ten times a second, for a third of the hub's CPU.

interface TailBatch {
  readonly owner: TailOwner;
  readonly base: number;
  readonly end: number;
  readonly length: number;
  /** Where it stands in the ring. */
  at: number;
  dropped: boolean;
}

/** A queue over an array: `shift` of a long array would move all of it. */
class Queue<T> {
  #items: T[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** From the oldest on. */
  *[Symbol.iterator](): Iterator<T> {
    for (let place = this.#head; place < this.#items.length; place += 1) yield this.#items[place]!;
  }

  at(place: number): T {
    return this.#items[this.#head + place]!;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T {
    const item = this.#items[this.#head]!;
    this.#head += 1;
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
  }
}

/** The part of one log: batches without a gap up to the log's end. */
export class TailOwner {
  readonly batches = new Queue<TailBatch>();
}

/** What an entry takes beside its bytes, roughly. */
const entryBytes = 150;
const ringBytesMin = 64 * 1024;

export class HotTail {
  readonly #bytesMax: number;
  /** Every entry of the ring, oldest first; a dropped one holds its place until it is the oldest. */
  readonly #queue = new Queue<TailBatch>();
  /** Grows up to `bytesMax`. */
  #ring = new Uint8Array(0);
  /** Where the next batch goes. Not above the oldest entry's place: the ring has come round. */
  #next = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps a copy of the batch. */
  push(owner: TailOwner, base: number, end: number, batch: Uint8Array): void {
    const { length } = batch;
    if (length > this.#bytesMax / 4) return this.clear(owner); // and so the tail stays without a gap
    const entry: TailBatch = { owner, base, end, length, at: this.#room(length), dropped: false };
    this.#ring.set(batch, entry.at);
    this.#next = entry.at + length;
    owner.batches.push(entry);
    this.#queue.push(entry);
    this.#bytes += length + entryBytes;
    while (this.#bytes > this.#bytesMax) this.#evict();
  }

  /** A place for so many bytes in a row. */
  #room(bytes: number): number {
    for (;;) {
      const size = this.#ring.length;
      while (this.#queue.length > 0 && this.#queue.at(0).dropped) this.#queue.shift();
      if (this.#queue.length === 0) this.#next = 0;
      const oldest = this.#queue.length === 0 ? size : this.#queue.at(0).at;
      if (this.#next > oldest) {
        if (size - this.#next >= bytes) return this.#next;
        this.#next = 0;
      }
      if (oldest - this.#next >= bytes) return this.#next;
      if (size < this.#bytesMax) this.#grow(bytes);
      else this.#evict();
    }
  }

  #grow(bytes: number): void {
    const ring = new Uint8Array(Math.min(this.#bytesMax, Math.max(ringBytesMin, 2 * (this.#ring.length + bytes))));
    let at = 0;
    for (const entry of this.#queue) {
      ring.set(this.#bytesOf(entry), at);
      entry.at = at;
      at += entry.length;
    }
    this.#ring = ring;
    this.#next = at;
  }

  #bytesOf({ at, length }: TailBatch): Uint8Array {
    return this.#ring.subarray(at, at + length);
  }

  #evict(): void {
    const entry = this.#queue.shift();
    if (entry.dropped) return;
    entry.owner.batches.shift();
    this.#drop(entry);
  }

  #drop(entry: TailBatch): void {
    entry.dropped = true;
    this.#bytes -= entry.length + entryBytes;
  }

  /** Forgets a log: it was cut, closed or removed. */
  clear(owner: TailOwner): void {
    for (const entry of owner.batches) this.#drop(entry);
    owner.batches.clear();
  }

  /**
   * Whole batches from the one that holds `offset`, below `endOffset`, at least one and then up to `bytesMax`: a copy.
   * null when the tail begins later than `offset`.
   */
  read(owner: TailOwner, offset: number, bytesMax: number, endOffset: number): Uint8Array | null {
    const { batches } = owner;
    if (batches.length === 0 || offset < batches.at(0).base) return null;
    let low = 0;
    let high = batches.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (batches.at(middle).base <= offset) low = middle;
      else high = middle - 1;
    }
    if (batches.at(low).end <= offset) low += 1; // in a gap behind it, or at the end
    let bytes = 0;
    let to = low;
    for (; to < batches.length && batches.at(to).end <= endOffset; to += 1) {
      const { length } = batches.at(to);
      if (to > low && bytes + length > bytesMax) break;
      bytes += length;
    }
    const joined = new Uint8Array(bytes);
    let at = 0;
    for (let i = low; i < to; i += 1) {
      joined.set(this.#bytesOf(batches.at(i)), at);
      at += batches.at(i).length;
    }
    return joined;
  }
}
