// Byte arrays that are used again and again: slabs of one memory, within which bytes are copied without a view of them.
// Pure.

/**
 * Slabs that are not given back are lost to the arena, not to the program: they are as good as any other array. The
 * memory is taken when the first slab is, and the system lends pages of it as they are written.
 */
export class Arena {
  readonly slabBytes: number;
  readonly #count: number;
  #whole: Uint8Array | null = null;
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
    if (this.#whole === null) this.#fill();
    return this.#free.pop() ?? null;
  }

  #fill(): void {
    const { slabBytes } = this;
    this.#whole = new Uint8Array(slabBytes * this.#count);
    for (let at = this.#count - 1; at >= 0; at -= 1) {
      this.#free.push(this.#whole.subarray(at * slabBytes, (at + 1) * slabBytes));
    }
  }

  owns(part: Uint8Array): boolean {
    return this.#whole !== null && part.buffer === this.#whole.buffer;
  }

  /** The slab that this is a part of is free, and nobody looks at it any more; other arrays are let pass. */
  give(part: Uint8Array): void {
    if (this.#whole === null || !this.owns(part)) return;
    const from = part.byteOffset - (part.byteOffset % this.slabBytes);
    this.#free.push(this.#whole.subarray(from, from + this.slabBytes));
  }

  /** Copies `source[start, end)` to `target[at...]`; true if both are of this arena, else nothing was done. */
  copy(target: Uint8Array, at: number, source: Uint8Array, start: number, end: number): boolean {
    if (this.#whole === null || !this.owns(target) || !this.owns(source)) return false;
    const { byteOffset } = source;
    this.#whole.copyWithin(target.byteOffset + at, byteOffset + start, byteOffset + end);
    return true;
  }
}
