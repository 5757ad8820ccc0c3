// The newest batches of all logs in memory, so that readers at the tail do not touch the disk. Bounded, oldest out.

interface TailBatch {
  readonly owner: TailOwner;
  readonly base: number;
  readonly end: number;
  readonly bytes: Uint8Array;
  dropped: boolean;
}

/** A queue over an array: `shift` of a long array would move all of it. */
class Queue<T> {
  #items: T[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
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

/** A batch that keeps more than this many times its bytes alive is copied. */
const slack = 2;
/** What an entry takes beside its bytes, roughly. */
const entryBytes = 150;

export class HotTail {
  readonly #bytesMax: number;
  readonly #queue = new Queue<TailBatch>();
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
    this.#bytes += bytes.length + entryBytes;
    while (this.#bytes > this.#bytesMax) this.#evict();
  }

  #evict(): void {
    const entry = this.#queue.shift();
    if (entry.dropped) return;
    entry.owner.batches.shift();
    this.#drop(entry);
  }

  #drop(entry: TailBatch): void {
    entry.dropped = true;
    this.#bytes -= entry.bytes.length + entryBytes;
  }

  /** Forgets a log: it was cut, closed or removed. */
  clear(owner: TailOwner): void {
    for (let i = 0; i < owner.batches.length; i += 1) this.#drop(owner.batches.at(i));
    owner.batches.clear();
  }

  /**
   * Whole batches from the one that holds `offset`, below `endOffset`, at least one and then up to `bytesMax`.
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
      const { length } = batches.at(to).bytes;
      if (to > low && bytes + length > bytesMax) break;
      bytes += length;
    }
    if (to === low) return new Uint8Array(0);
    if (to === low + 1) return batches.at(low).bytes;
    const joined = new Uint8Array(bytes);
    let at = 0;
    for (let i = low; i < to; i += 1) {
      joined.set(batches.at(i).bytes, at);
      at += batches.at(i).bytes.length;
    }
    return joined;
  }
}
