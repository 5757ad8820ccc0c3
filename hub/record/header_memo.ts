// Headers of records: the same few blocks over and over, so that those seen lately are decoded once. Pure.
import type { RecordHeader } from "./record.ts";

/** A power of two. A block has the choice of two slots, and displaces the older one of them. */
const slots = 4096;
/** Longer blocks, and names, are decoded each time. */
const blockBytesMax = 256;
const nameBytesMax = 64;
/** A byte order mark is part of a name. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

interface Known<T> {
  readonly hash: number;
  /** A copy: what was read goes its own ways. */
  readonly bytes: Uint8Array;
  readonly value: T;
}

const names: (Known<string> | undefined)[] = new Array<Known<string> | undefined>(slots).fill(undefined);
const blocks: (Known<readonly RecordHeader[]> | undefined)[] = new Array<undefined>(slots).fill(undefined);
/** Hashes of blocks seen once: what never comes again is not kept. */
const seen = new Int32Array(slots);

/** The text between the two places; what is not UTF-8 becomes U+FFFD. */
export function nameAt(bytes: Uint8Array, from: number, to: number): string {
  const hash = hashOf(bytes, from, to);
  const known = names[hash & (slots - 1)];
  if (known !== undefined && known.hash === hash && isSame(known.bytes, bytes, from, to)) return known.value;
  const value = decoder.decode(bytes.subarray(from, to));
  if (to - from <= nameBytesMax) names[hash & (slots - 1)] = { hash, bytes: copyOf(bytes, from, to), value };
  return value;
}

/**
 * The headers of the block between the two places, which `decode` reads from bytes of that length. Those that come
 * again are one frozen array, with bytes of their own.
 */
export function headersAt(
  bytes: Uint8Array,
  from: number,
  to: number,
  decode: (bytes: Uint8Array, from: number, to: number) => readonly RecordHeader[],
): readonly RecordHeader[] {
  if (to - from > blockBytesMax) return decode(bytes, from, to);
  const hash = hashOf(bytes, from, to);
  const slot = hash & (slots - 2);
  const known = blocks[slot];
  if (known !== undefined && known.hash === hash && isSame(known.bytes, bytes, from, to)) return known.value;
  const older = blocks[slot + 1];
  if (older !== undefined && older.hash === hash && isSame(older.bytes, bytes, from, to)) return older.value;
  if (seen[slot] !== hash) {
    seen[slot] = hash;
    return decode(bytes, from, to);
  }
  const copy = copyOf(bytes, from, to);
  const value = Object.freeze(decode(copy, 0, copy.length));
  blocks[slot + 1] = known;
  blocks[slot] = { hash, bytes: copy, value };
  return value;
}

/** Four bytes a step: each multiplication waits for the one before. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = to - from;
  let at = from;
  for (; at + 4 <= to; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash = Math.imul(hash ^ word, 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  for (; at < to; at += 1) hash = Math.imul(hash ^ bytes[at]!, 0x0100_0193);
  return hash ^ (hash >>> 13);
}

function isSame(known: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (known.length !== to - from) return false;
  for (let at = 0; at < known.length; at += 1) if (known[at] !== bytes[from + at]) return false;
  return true;
}

/** A Buffer's own `slice` would be a view. */
function copyOf(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(bytes.subarray(from, to));
}
