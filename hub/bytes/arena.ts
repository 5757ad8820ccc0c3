// Byte arrays that are used again and again: slabs of one memory, within which bytes are copied without a view of them.
// Pure.
import { Buffer } from "node:buffer";

/** So many times in a row there was no slab: too many were not given back, and a new memory is begun. */
const missesMax = 1_024;

/**
 * A slab of which nobody can say when it is free need not be given back: it is as good as any other array. The memory
 * is taken when the first slab is, and the system lends pages of it as they are written.
 */
export class Arena {
  readonly slabBytes: number;
  readonly #count: number;
  #whole: Uint8Array | null = null;
  #misses = 0;
  #source: Buffer | null = null;
  #hadSource = false;
  /** Slabs that are free; the one used last is taken first, as it is in the processor's cache. */
  readonly #free: Uint8Array[] = [];

  constructor(slabBytes: number, count: number) {
    this.slabBytes = slabBytes;
    this.#count = count;
  }

  /** Slabs that can be taken. */
  get free(): number {
    return this.#whole === null ? this.#count : this.#free.length;
  }

  /** A slab, with whatever its last user left in it; null when all are taken. */
  take(): Uint8Array | null {
    if (this.#whole === null || this.#misses >= missesMax) this.#fill();
    const slab = this.#free.pop() ?? null;
    this.#misses = slab === null ? this.#misses + 1 : 0;
    return slab;
  }

  #fill(): void {
    const { slabBytes } = this;
    this.#misses = 0;
    this.#source = null;
    this.#free.length = 0; // those of the memory before, if any came back just now
    this.#whole = new Uint8Array(slabBytes * this.#count);
    for (let at = this.#count - 1; at >= 0; at -= 1) {
      this.#free.push(this.#whole.subarray(at * slabBytes, (at + 1) * slabBytes));
    }
  }

  /** The slab that this is a part of is free, and nobody looks at it any more; other arrays are let pass. */
  give(part: Uint8Array): void {
    if (!this.owns(part)) return;
    const from = part.byteOffset - (part.byteOffset % this.slabBytes);
    this.#free.push(this.#whole!.subarray(from, from + this.slabBytes));
  }

  /** Where an array stands in the arena: what `copy` wants to know; -1 for others. */
  placeOf(part: Uint8Array): number {
    return this.owns(part) ? part.byteOffset : -1;
  }

  owns(part: Uint8Array): boolean {
    return this.#whole !== null && part.buffer === this.#whole.buffer;
  }

  /**
   * Sets a slab aside for good: what is read into it is copied from it by `copy`. One for the arena; null when all are
   * taken, or the memory was begun anew: batches of the one before may still be open, and are no place for `copy`.
   */
  takeSource(): Buffer | null {
    if (this.#source !== null || this.#hadSource) return this.#source;
    this.#hadSource = true;
    const slab = this.take();
    if (slab !== null) this.#source = Buffer.from(slab.buffer, slab.byteOffset, slab.length);
    return this.#source;
  }

  /** Copies `source[start, end)` to the place `to` of the arena; false, and nothing was done, for any other source. */
  copy(to: number, source: Uint8Array, start: number, end: number): boolean {
    if (source !== this.#source) return false;
    const from = source.byteOffset;
    this.#whole!.copyWithin(to, from + start, from + end);
    return true;
  }
}
