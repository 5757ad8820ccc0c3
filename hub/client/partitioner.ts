// Which partition a key belongs to: murmur2, as in Kafka's own clients. Pure.

const seed = 0x9747b28c;
const factor = 0x5bd1e995;

/** MurmurHash2, 32 bit, with Kafka's seed: a signed 32-bit number. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes;
  let hash = seed ^ length;
  const end = length - (length & 3);
  for (let at = 0; at < end; at += 4) {
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    word = Math.imul(word, factor);
    word ^= word >>> 24;
    word = Math.imul(word, factor);
    hash = Math.imul(hash, factor) ^ word;
  }
  const rest = length & 3;
  if (rest === 3) hash ^= bytes[end + 2]! << 16;
  if (rest >= 2) hash ^= bytes[end + 1]! << 8;
  if (rest >= 1) hash = Math.imul(hash ^ bytes[end]!, factor);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, factor);
  hash ^= hash >>> 15;
  return hash | 0;
}

/**
 * The partition for a key: murmur2(key) & 0x7fffffff modulo `count`, so that what Java, Python and JavaScript clients
 * write under one key lies in one partition with ours. Without a key the caller's `turn` (0, 1, 2 ...) goes round.
 * @param count partitions of the topic; 0 gives 0
 */
export function choosePartition(key: Uint8Array | null, count: number, turn = 0): number {
  if (count <= 1) return 0;
  return (key === null ? turn & 0x7fff_ffff : murmur2(key) & 0x7fff_ffff) % count;
}
