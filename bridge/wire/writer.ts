// Writes the fields of one packet into a buffer that grows; what MQTT cannot carry is our own mistake. Pure.
import { Buffer } from "node:buffer";
import { isSendable } from "./utf8.ts";

/** The largest remaining length (MQTT5 section 1.5.5). */
export const varintMax = 268_435_455;
const fieldMax = 65_535;
/** Room in front of the body for the fixed header. */
const headerRoom = 5;

export function varintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}

/** Writes a variable byte integer and returns where it ends. */
export function putVarint(bytes: Uint8Array, at: number, value: number): number {
  let left = value;
  let to = at;
  while (left >= 0x80) {
    bytes[to++] = (left & 0x7f) | 0x80;
    left >>>= 7;
  }
  bytes[to++] = left;
  return to;
}

export class Writer {
  #bytes: Buffer;
  #at = headerRoom;

  constructor(room = 256) {
    this.#bytes = Buffer.allocUnsafe(room);
  }

  /** Bytes of the body so far. */
  get length(): number {
    return this.#at - headerRoom;
  }

  byte(value: number): void {
    this.#grow(1);
    this.#bytes[this.#at++] = value;
  }

  two(value: number, what: string): void {
    if (!(value >= 0 && value <= 0xffff)) throw new RangeError(`${what} is not two bytes: ${value}`);
    this.#grow(2);
    this.#bytes[this.#at++] = value >>> 8;
    this.#bytes[this.#at++] = value & 0xff;
  }

  four(value: number, what: string): void {
    if (!(value >= 0 && value <= 0xffff_ffff)) throw new RangeError(`${what} is not four bytes: ${value}`);
    this.#grow(4);
    this.#at = this.#bytes.writeUInt32BE(value, this.#at);
  }

  varint(value: number, what: string): void {
    if (!(value >= 0 && value <= varintMax)) throw new RangeError(`${what} is out of range: ${value}`);
    this.#grow(4);
    this.#at = putVarint(this.#bytes, this.#at, value);
  }

  string(text: string, what: string): void {
    if (!isSendable(text)) throw new RangeError(`${what} holds U+0000 or half a surrogate pair`);
    this.#grow(2 + text.length * 3);
    const length = this.#bytes.write(text, this.#at + 2, "utf8");
    if (length > fieldMax) throw new RangeError(`${what} is longer than ${fieldMax} bytes: ${length}`);
    this.#bytes.writeUInt16BE(length, this.#at);
    this.#at += 2 + length;
  }

  binary(data: Uint8Array, what: string): void {
    if (data.length > fieldMax) throw new RangeError(`${what} is longer than ${fieldMax} bytes: ${data.length}`);
    this.two(data.length, what);
    this.raw(data);
  }

  raw(data: Uint8Array): void {
    this.#grow(data.length);
    this.#bytes.set(data, this.#at);
    this.#at += data.length;
  }

  /** What `write` writes, with its length as a variable byte integer in front. */
  measured(what: string, write: () => void): void {
    const start = this.#at;
    this.byte(0);
    write();
    const length = this.#at - start - 1;
    if (length > varintMax) throw new RangeError(`${what} are too long: ${length}`);
    const more = varintSize(length) - 1;
    if (more > 0) {
      this.#grow(more);
      this.#bytes.copyWithin(start + 1 + more, start + 1, this.#at);
      this.#at += more;
    }
    putVarint(this.#bytes, start, length);
  }

  /** The body as written. */
  body(): Buffer {
    return this.#bytes.subarray(headerRoom, this.#at);
  }

  /** The packet: fixed header and body. */
  packet(firstByte: number): Buffer {
    const length = this.length;
    if (length > varintMax) throw new RangeError(`the packet is too long: ${length}`);
    const start = headerRoom - 1 - varintSize(length);
    this.#bytes[start] = firstByte;
    putVarint(this.#bytes, start + 1, length);
    return this.#bytes.subarray(start, this.#at);
  }

  #grow(more: number): void {
    const needed = this.#at + more;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}
