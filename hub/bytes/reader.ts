// Reads the primitives of Kafka's wire language from one byte array, refusing what does not fit.
import { Buffer } from "node:buffer";
import { HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import { readUnsigned } from "./varint.ts";

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const two32 = 4_294_967_296;
/** Strings up to this length are built without a call into the engine's decoder when they are ASCII. */
const asciiLengthMax = 24;

/** A Buffer over the same bytes, without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * A cursor over one message. Every method throws HubError INVALID_REQUEST when the bytes end early or a number is
 * outside its bounds, and never allocates more than the bytes at hand justify.
 */
export class Reader {
  readonly bytes: Uint8Array;
  /** Next byte to read; 0 <= at <= bytes.length. */
  at: number;
  /** Array elements that may still be read, all arrays of the message together. */
  #elementsLeft: number = limits.arrayElementsMax;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  remaining(): number {
    return this.bytes.length - this.at;
  }

  /** Moves on by `count` bytes; returns where they begin. */
  take(count: number): number {
    const start = this.at;
    const end = start + count;
    if (count < 0 || end > this.bytes.length) throw short(count, this.bytes.length - start);
    this.at = end;
    return start;
  }

  int8(): number {
    return (this.bytes[this.take(1)]! << 24) >> 24;
  }

  bool(): boolean {
    return this.bytes[this.take(1)] !== 0;
  }

  int16(): number {
    const at = this.take(2);
    return (((this.bytes[at]! << 8) | this.bytes[at + 1]!) << 16) >> 16;
  }

  uint16(): number {
    const at = this.take(2);
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!;
  }

  int32(): number {
    const at = this.take(4);
    const bytes = this.bytes;
    return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  }

  /** An int64 as a number: the one place where |value| < 2^53 is asserted for the whole wire. */
  int64(): number {
    const high = this.int32();
    const value = high * two32 + (this.int32() >>> 0);
    if (!Number.isSafeInteger(value)) throw new HubError("INVALID_REQUEST", "a 64-bit number is 2^53 or larger");
    return value;
  }

  /** An IEEE 754 double, big-endian. */
  float64(): number {
    const at = this.take(8);
    const { buffer, byteOffset } = this.bytes;
    return new DataView(buffer, byteOffset + at, 8).getFloat64(0);
  }

  /** Unsigned varint, 0 <= value < 2^53. */
  uvarint(): number {
    const byte = this.bytes[this.at];
    if (byte !== undefined && byte < 0x80) {
      this.at += 1;
      return byte;
    }
    return readUnsigned(this.bytes, this);
  }

  /** The next `count` bytes as a view. */
  view(count: number): Uint8Array {
    const start = this.take(count);
    return this.bytes.subarray(start, start + count);
  }

  /** The next `count` bytes as a copy that does not hold on to the frame. */
  copy(count: number): Uint8Array {
    const start = this.take(count);
    // Not `slice`: a Buffer's shares its memory.
    return new Uint8Array(this.bytes.subarray(start, start + count));
  }

  /** UTF-8 of `count` bytes; what is not UTF-8 becomes U+FFFD. */
  string(count: number): string {
    const start = this.take(count);
    const end = start + count;
    if (count > asciiLengthMax) return asBuffer(this.bytes).toString("utf8", start, end);
    const bytes = this.bytes;
    let text = "";
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at]!;
      if (byte >= 0x80) return asBuffer(bytes).toString("utf8", start, end);
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** 16 bytes as canonical text of 36 characters. */
  uuid(): string {
    const at = this.take(16);
    let text = "";
    for (let index = 0; index < 16; index += 1) {
      if (index === 4 || index === 6 || index === 8 || index === 10) text += "-";
      text += hex[this.bytes[at + index]!];
    }
    return text;
  }

  /**
   * Accepts the element count of an array: refused before anything is allocated when the bytes that are left cannot
   * hold it, or when the arrays of this message hold more than `arrayElementsMax` in all.
   */
  elements(count: number, elementBytesMin: number): number {
    if (count < 0) throw new HubError("INVALID_REQUEST", "an array has a negative length");
    if (count * elementBytesMin > this.remaining()) {
      throw new HubError("INVALID_REQUEST", `an array says ${count} elements, ${this.remaining()} bytes are left`);
    }
    this.#elementsLeft -= count;
    if (this.#elementsLeft < 0) {
      throw new HubError("INVALID_REQUEST", `the arrays of one message hold over ${limits.arrayElementsMax} elements`);
    }
    return count;
  }
}

function short(wanted: number, left: number): HubError {
  if (wanted < 0) return new HubError("INVALID_REQUEST", "a length is negative");
  return new HubError("INVALID_REQUEST", `${wanted} bytes are announced, ${left} are left`);
}
