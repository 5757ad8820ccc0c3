// Names of headers: few, and told with every record, so that the recent ones are decoded once. Pure.

const slots = 256;
/** Longer names are decoded each time. */
const lengthMax = 64;
/** A byte order mark is part of the name. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

interface Known {
  readonly bytes: Uint8Array;
  readonly name: string;
}

/** By the name's length, first and last bytes; a name displaces another of its slot. */
const known: (Known | undefined)[] = new Array<Known | undefined>(slots).fill(undefined);

/** The text between the two places; what is not UTF-8 becomes U+FFFD. */
export function nameAt(bytes: Uint8Array, from: number, to: number): string {
  const length = to - from;
  if (length === 0) return "";
  const slot = (length * 31 + bytes[from]! * 7 + bytes[to - 1]! * 3 + bytes[from + (length >> 1)]!) & (slots - 1);
  const entry = known[slot];
  if (entry !== undefined && isSame(entry.bytes, bytes, from, length)) return entry.name;
  const name = decoder.decode(bytes.subarray(from, to));
  if (length <= lengthMax) known[slot] = { bytes: bytes.slice(from, to), name };
  return name;
}

function isSame(name: Uint8Array, bytes: Uint8Array, from: number, length: number): boolean {
  if (name.length !== length) return false;
  for (let at = 0; at < length; at += 1) if (name[at] !== bytes[from + at]) return false;
  return true;
}
