// Variable-length integers: base 128, and zigzag for signed ones, as in record batches and compact wire fields.
import { HubError } from "../errors.ts";
import type { ErrorName } from "../errors.ts";

/** A place in a byte array that reading moves on. Anything with an `at` will do (a Reader is one). */
export interface Cursor {
  at: number;
}

const safe = Number.MAX_SAFE_INTEGER;

/** Bytes that `writeUnsigned` takes for `value` (0 <= value < 2^53). */
export function unsignedSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  let size = 4;
  for (let rest = Math.floor(value / 0x1000_0000); rest > 0; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

/** Bytes that `writeSigned` takes for `value` (|value| < 2^53). */
export function signedSize(value: number): number {
  if (value >= -0x4000_0000 && value < 0x4000_0000) return unsignedSize(((value << 1) ^ (value >> 31)) >>> 0);
  if (Math.abs(value) >= 2 ** 52) return 8;
  return unsignedSize(value >= 0 ? value * 2 : -value * 2 - 1);
}

/** Writes an unsigned number (0 <= value < 2^53) at `at`; returns the position after it. */
export function writeUnsigned(target: Uint8Array, at: number, value: number): number {
  let rest = value;
  let to = at;
  while (rest >= 0x8000_0000) {
    target[to++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 0x80) {
    target[to++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[to++] = rest;
  return to;
}

/** Writes a signed number (|value| < 2^53) as zigzag at `at`; returns the position after it. */
export function writeSigned(target: Uint8Array, at: number, value: number): number {
  if (value >= -0x4000_0000 && value < 0x4000_0000) {
    return writeUnsigned(target, at, ((value << 1) ^ (value >> 31)) >>> 0);
  }
  if (Math.abs(value) < 2 ** 52) return writeUnsigned(target, at, value >= 0 ? value * 2 : -value * 2 - 1);
  return writeWide(target, at, value);
}

function writeWide(target: Uint8Array, at: number, value: number): number {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not an integer below 2^53`);
  let rest = BigInt(value);
  rest = rest >= 0n ? rest * 2n : -rest * 2n - 1n;
  let to = at;
  for (; rest >= 0x80n; rest >>= 7n) target[to++] = Number(rest & 0x7fn) | 0x80;
  target[to++] = Number(rest);
  return to;
}

/**
 * Reads an unsigned number below 2^53 and moves the cursor behind it.
 * @throws HubError of `kind` when the bytes end early, go on for more than 10 bytes, or say 2^53 and more.
 */
export function readUnsigned(bytes: Uint8Array, cursor: Cursor, kind: ErrorName = "INVALID_REQUEST"): number {
  let at = cursor.at;
  let value = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined) throw short(kind);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      cursor.at = at;
      return value;
    }
  }
  const wide = readWide(bytes, cursor, kind);
  if (wide > BigInt(safe)) throw new HubError(kind, "a variable-length integer is 2^53 or larger");
  return Number(wide);
}

/** As `readUnsigned`, for a zigzag number (-2^53 < value < 2^53). */
export function readSigned(bytes: Uint8Array, cursor: Cursor, kind: ErrorName = "INVALID_REQUEST"): number {
  let at = cursor.at;
  let value = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined) throw short(kind);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      cursor.at = at;
      return (value >>> 1) ^ -(value & 1);
    }
  }
  const wide = readWide(bytes, cursor, kind);
  const signed = (wide & 1n) === 0n ? wide >> 1n : -(wide >> 1n) - 1n;
  if (signed > BigInt(safe) || signed < -BigInt(safe)) {
    throw new HubError(kind, "a variable-length integer is 2^53 or larger");
  }
  return Number(signed);
}

/** The rare long form, 5 to 10 bytes. */
function readWide(bytes: Uint8Array, cursor: Cursor, kind: ErrorName): bigint {
  let value = 0n;
  for (let count = 0; count < 10; count += 1) {
    const byte = bytes[cursor.at + count];
    if (byte === undefined) throw short(kind);
    value |= BigInt(byte & 0x7f) << BigInt(7 * count);
    if (byte < 0x80) {
      cursor.at += count + 1;
      return value;
    }
  }
  throw new HubError(kind, "a variable-length integer goes on for more than 10 bytes");
}

function short(kind: ErrorName): HubError {
  return new HubError(kind, "a variable-length integer is cut short");
}
