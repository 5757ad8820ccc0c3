// The map a cleaning works with: 128-bit hash of a key -> its newest offset, in a fixed amount of memory. Pure.
//
// Keys themselves are not kept. The hash is keyed by chance (two lanes of HalfSipHash-2-4), so nobody can choose two
// keys that meet, and by accident two of a million do so with a probability of 2^-89.
import { getUint32 } from "../bytes/fixed.ts";

/** Four hash words and the offset. */
export const keyEntryBytes = 24;
/** Beyond this share of slots looking up takes too many steps. */
const loadMax = 0.75;

export class KeyMap {
  readonly #slots: number;
  readonly #hashes: Int32Array;
  readonly #offsets: Float64Array;
  readonly #seed: Int32Array;
  readonly #hash = new Int32Array(4);
  #count = 0;

  /**
   * @param bytes memory it takes, at least 1 KiB
   * @param seed 16 bytes of chance
   */
  constructor(bytes: number, seed: Uint8Array) {
    this.#slots = Math.max(Math.floor(bytes / keyEntryBytes), 42);
    this.#hashes = new Int32Array(this.#slots * 4);
    this.#offsets = new Float64Array(this.#slots).fill(-1);
    this.#seed = Int32Array.from([0, 4, 8, 12], (at) => getUint32(seed, at) | 0);
  }

  get count(): number {
    return this.#count;
  }

  /** Keys it takes. */
  get capacity(): number {
    return Math.floor(this.#slots * loadMax);
  }

  /** Notes the key in bytes[from, to); false, and nothing noted, when it is new and the map is full. */
  put(bytes: Uint8Array, from: number, to: number, offset: number): boolean {
    const slot = this.#find(bytes, from, to);
    if (this.#offsets[slot]! < 0) {
      if (this.#count >= this.capacity) return false;
      this.#count += 1;
      this.#hashes.set(this.#hash, slot * 4);
    }
    if (offset > this.#offsets[slot]!) this.#offsets[slot] = offset;
    return true;
  }

  /** The newest offset noted for the key; -1 for none. */
  get(bytes: Uint8Array, from: number, to: number): number {
    return this.#count === 0 ? -1 : this.#offsets[this.#find(bytes, from, to)]!;
  }

  #find(bytes: Uint8Array, from: number, to: number): number {
    const hash = this.#hash;
    const seed = this.#seed;
    halfSip(bytes, from, to, seed[0]!, seed[1]!, hash, 0);
    halfSip(bytes, from, to, seed[2]!, seed[3]!, hash, 2);
    const hashes = this.#hashes;
    const [a, b, c, d] = [hash[0]!, hash[1]!, hash[2]!, hash[3]!];
    for (let slot = (a >>> 0) % this.#slots; ; slot = slot + 1 === this.#slots ? 0 : slot + 1) {
      if (this.#offsets[slot]! < 0) return slot;
      const at = slot * 4;
      if (hashes[at] === a && hashes[at + 1] === b && hashes[at + 2] === c && hashes[at + 3] === d) return slot;
    }
  }
}

/** HalfSipHash-2-4 with 64 bits of output (https://github.com/veorq/SipHash) of bytes[from, to). */
export function halfSip(
  bytes: Uint8Array,
  from: number,
  to: number,
  key0: number,
  key1: number,
  out: Int32Array,
  outAt: number,
): void {
  let v0 = key0 | 0;
  let v1 = key1 ^ 0xee;
  let v2 = key0 ^ 0x6c79_6765;
  let v3 = key1 ^ 0x7465_6462;
  let last = (to - from) << 24;
  const whole = from + ((to - from) & ~3);
  for (let i = whole; i < to; i += 1) last |= bytes[i]! << (8 * (i - whole));
  for (let at = from; at <= whole; at += 4) {
    const word =
      at === whole ? last : bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    v3 ^= word;
    for (let i = 0; i < 2; i += 1) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    v0 ^= word;
  }
  for (let half = 0; half < 2; half += 1) {
    if (half === 0) v2 ^= 0xee;
    else v1 ^= 0xdd;
    for (let i = 0; i < 4; i += 1) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    out[outAt + half] = v1 ^ v3;
  }
}
