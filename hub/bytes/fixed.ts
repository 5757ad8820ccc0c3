// Fixed-width big-endian integers at a place in a byte array; int64 as a JS number.

export function getInt16(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) >> 16) | bytes[at + 1]!;
}

export function getInt32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

export function getUint32(bytes: Uint8Array, at: number): number {
  return getInt32(bytes, at) >>> 0;
}

/** Exact below 2^53; the caller refuses what `Number.isSafeInteger` does not hold for. */
export function getInt64(bytes: Uint8Array, at: number): number {
  return getInt32(bytes, at) * 0x1_0000_0000 + getUint32(bytes, at + 4);
}

export function setInt16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
}

/** Takes signed and unsigned values. */
export function setInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 24;
  bytes[at + 1] = value >> 16;
  bytes[at + 2] = value >> 8;
  bytes[at + 3] = value;
}

/** @param value a safe integer */
export function setInt64(bytes: Uint8Array, at: number, value: number): void {
  setInt32(bytes, at, Math.floor(value / 0x1_0000_0000));
  setInt32(bytes, at + 4, value);
}
