// Writes the primitives of Kafka's wire language into a list of parts, taking large byte arrays by reference.
import { Buffer } from "node:buffer";
import { unsignedSize, writeUnsigned } from "./varint.ts";

const two32 = 4_294_967_296;
const chunkBytesFirst = 256;
const chunkBytesMax = 64 * 1024;
/** Byte arrays below this size are copied: one part more costs about as much as copying so many bytes. */
const referenceBytesMin = 1024;
const asciiLengthMax = 24;

/**
 * A growing list of parts. Nothing that is written is ever moved: a full chunk is closed and a new one begun.
 * Numbers outside their width are a mistake of ours and throw RangeError.
 */
export class Writer {
  #parts: Uint8Array[] = [];
  #chunk: Buffer;
  /** First byte of the chunk that is not in a part yet. */
  #start = 0;
  #at = 0;
  /** Bytes in #parts. */
  #closed = 0;

  constructor(sizeHint = chunkBytesFirst) {
    this.#chunk = Buffer.allocUnsafe(sizeHint);
  }

  /** Bytes written so far. */
  size(): number {
    return this.#closed + this.#at - this.#start;
  }

  /** Everything written, in order; the writer must not be used afterwards. */
  parts(): Uint8Array[] {
    this.#close();
    return this.#parts;
  }

  /** Everything written as one array. */
  join(): Uint8Array {
    const parts = this.parts();
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  #close(): void {
    if (this.#at === this.#start) return;
    this.#parts.push(this.#chunk.subarray(this.#start, this.#at));
    this.#closed += this.#at - this.#start;
    this.#start = this.#at;
  }

  /** Reserves `count` bytes; returns where they begin in #chunk. */
  #reserve(count: number): number {
    let at = this.#at;
    if (at + count > this.#chunk.length) {
      this.#close();
      this.#chunk = Buffer.allocUnsafe(Math.max(count, Math.min(chunkBytesMax, this.#chunk.length * 2)));
      this.#start = 0;
      at = 0;
    }
    this.#at = at + count;
    return at;
  }

  int8(value: number): void {
    check(value, -0x80, 0x7f);
    const at = this.#reserve(1);
    this.#chunk[at] = value;
  }

  bool(value: boolean): void {
    const at = this.#reserve(1);
    this.#chunk[at] = value ? 1 : 0;
  }

  int16(value: number): void {
    check(value, -0x8000, 0x7fff);
    const at = this.#reserve(2);
    this.#chunk[at] = value >> 8;
    this.#chunk[at + 1] = value;
  }

  uint16(value: number): void {
    check(value, 0, 0xffff);
    const at = this.#reserve(2);
    this.#chunk[at] = value >> 8;
    this.#chunk[at + 1] = value;
  }

  int32(value: number): void {
    if ((value | 0) !== value) throw new RangeError(`${value} is not a 32-bit integer`);
    this.#int32(this.#reserve(4), value);
  }

  #int32(at: number, value: number): void {
    const chunk = this.#chunk;
    chunk[at] = value >> 24;
    chunk[at + 1] = value >> 16;
    chunk[at + 2] = value >> 8;
    chunk[at + 3] = value;
  }

  /** |value| < 2^53. */
  int64(value: number): void {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not an integer below 2^53`);
    const at = this.#reserve(8);
    const high = Math.floor(value / two32);
    this.#int32(at, high | 0);
    this.#int32(at + 4, (value - high * two32) | 0);
  }

  /** An IEEE 754 double, big-endian. */
  float64(value: number): void {
    const at = this.#reserve(8);
    const { buffer, byteOffset } = this.#chunk;
    new DataView(buffer, byteOffset + at, 8).setFloat64(0, value);
  }

  /** 0 <= value < 2^53. */
  uvarint(value: number): void {
    if (value < 0x80) {
      const at = this.#reserve(1);
      this.#chunk[at] = value;
      return;
    }
    const at = this.#reserve(unsignedSize(value));
    writeUnsigned(this.#chunk, at, value);
  }

  /** An int32 to be filled in later by `patchInt32`; allowed only as the first thing written. */
  reserveInt32First(): void {
    if (this.size() !== 0) throw new Error("only the first four bytes can be filled in later");
    this.#reserve(4);
  }

  /** Fills what `reserveInt32First` left open; call it on the finished parts. */
  static patchInt32First(parts: readonly Uint8Array[], value: number): void {
    const first = parts[0]!;
    first[0] = value >> 24;
    first[1] = value >> 16;
    first[2] = value >> 8;
    first[3] = value;
  }

  /** Appends the bytes; large ones by reference, so they must not change until the parts are sent. */
  bytes(bytes: Uint8Array): void {
    if (bytes.length >= referenceBytesMin) {
      this.#close();
      this.#parts.push(bytes);
      this.#closed += bytes.length;
      return;
    }
    const at = this.#reserve(bytes.length);
    this.#chunk.set(bytes, at);
  }

  /** UTF-8 with its length before it: int16, or `compact` an unsigned varint of length + 1. */
  string(text: string, compact: boolean): void {
    const ascii = text.length <= asciiLengthMax && isAscii(text);
    const size = ascii ? text.length : Buffer.byteLength(text);
    if (compact) this.uvarint(size + 1);
    else this.int16(size);
    const at = this.#reserve(size);
    if (!ascii) {
      this.#chunk.write(text, at, size, "utf8");
      return;
    }
    for (let index = 0; index < size; index += 1) this.#chunk[at + index] = text.charCodeAt(index);
  }

  /** Canonical text of 36 characters (upper or lower case) as 16 bytes. */
  uuid(text: string): void {
    const digits = text.replaceAll("-", "");
    if (!/^[0-9a-fA-F]{32}$/.test(digits)) throw new RangeError(`${text} is not a UUID`);
    const at = this.#reserve(16);
    this.#chunk.write(digits, at, 16, "hex");
  }
}

function check(value: number, min: number, max: number): void {
  if (!(value >= min && value <= max && Number.isInteger(value))) {
    throw new RangeError(`${value} is not an integer from ${min} to ${max}`);
  }
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (text.charCodeAt(index) >= 0x80) return false;
  return true;
}
