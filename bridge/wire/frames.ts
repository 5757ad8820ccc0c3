// Finds the packets in a stream of bytes, in place; keeps a copy only of what a read cut in two. Pure.
import { Buffer } from "node:buffer";
import { anyViolation, fault, malformed } from "./faults.ts";
import { Reason } from "./packet.ts";

const headerMax = 5;
const carryFirst = 512;
const nothing = Buffer.alloc(0);

/**
 * One connection's scanner. `push` a read, then `next` until it is false: each true leaves a packet in `bytes` from
 * `start` to `end` (its body, without the fixed header), legal until the next call. After false nothing refers to
 * the pushed buffer, so that one buffer serves all connections. A connection that stops in between calls `hold`.
 */
export class FrameScanner {
  /** The largest packet, fixed header included. It may change between packets: small until a CONNECT came. */
  maximum: number;
  /** MQTT 5: a remaining length that takes more bytes than it needs is malformed. 3.1.1 does not forbid it. */
  strict = false;
  /** The remaining length took more bytes than it needs: for a CONNECT, which comes before `strict` is known. */
  padded = false;

  bytes: Buffer = nothing;
  type = 0;
  flags = 0;
  start = 0;
  end = 0;

  #chunk: Buffer = nothing;
  #at = 0;
  /** Where the chunk's bytes end. */
  #size = 0;
  /** A packet that a read cut: its first `#kept` bytes. */
  #carry: Buffer = nothing;
  #kept = 0;
  /** Whole length of the packet in the carry, 0 until its header is whole. */
  #total = 0;

  constructor(maximum: number) {
    this.maximum = maximum;
  }

  /** Bytes that wait for the rest of their packet: at most twice what was received of it. */
  get carried(): number {
    return this.#carry.length;
  }

  /** @param size bytes of the chunk that count; those behind them are nobody's. */
  push(chunk: Buffer, size = chunk.length): void {
    if (this.#at < this.#size) throw new Error("a read was pushed before the last one was used up");
    this.#chunk = chunk;
    this.#at = 0;
    this.#size = size;
  }

  /** Copies what of the read is not used up, so that its buffer is free; the next `next` goes on from the copy. */
  hold(): void {
    this.#chunk = Buffer.from(this.#chunk.subarray(this.#at, this.#size));
    this.#at = 0;
    this.#size = this.#chunk.length;
  }

  /** Whether there is a whole packet. Throws what the fixed header breaks; the scanner is of no use then. */
  next(): boolean {
    if (this.#kept > 0) return this.#finishCarry();
    const chunk = this.#chunk;
    const at = this.#at;
    const end = this.#size;
    if (at === end) return this.#used();
    const body = this.#header(chunk, at, end);
    if (body !== 0 && at + this.#total <= end) {
      this.#at = at + this.#total;
      this.bytes = chunk;
      this.start = body;
      this.end = this.#at;
      return true;
    }
    this.#keep(chunk.subarray(at, end));
    return this.#used();
  }

  #used(): false {
    this.#chunk = nothing;
    this.bytes = nothing;
    this.#at = 0;
    this.#size = 0;
    return false;
  }

  /** Where the body begins, `#total` set; 0 if the header is not whole yet. */
  #header(bytes: Buffer, at: number, end: number): number {
    const first = bytes[at]!;
    this.#total = 0;
    let length = 0;
    for (let next = at + 1, shift = 0; next < end; next++, shift += 7) {
      const byte = bytes[next]!;
      length |= (byte & 0x7f) << shift;
      if (byte >= 0x80) {
        if (shift === 21) throw malformed(5, anyViolation, "the remaining length is longer than four bytes");
        continue;
      }
      this.padded = byte === 0 && shift > 0;
      if (this.padded && this.strict) {
        throw malformed(5, "1.5.5-1", "the remaining length takes more bytes than it needs");
      }
      this.type = first >>> 4;
      this.flags = first & 0x0f;
      if (this.type === 0) throw malformed(5, anyViolation, "packet type 0 is reserved");
      this.#total = next + 1 - at + length;
      if (this.#total > this.maximum) {
        const detail = `a packet of ${this.#total} bytes, at most ${this.maximum} are taken`;
        throw fault(5, Reason.packetTooLarge, "3.2.2-15", detail);
      }
      return next + 1;
    }
    return 0;
  }

  #keep(part: Uint8Array): void {
    const needed = this.#kept + part.length;
    if (needed > this.#carry.length) {
      const room = Math.max(needed, Math.min(Math.max(carryFirst, this.#carry.length * 2), this.#total));
      const larger = Buffer.allocUnsafeSlow(room);
      larger.set(this.#carry.subarray(0, this.#kept));
      this.#carry = larger;
    }
    this.#carry.set(part, this.#kept);
    this.#kept = needed;
  }

  #finishCarry(): boolean {
    if (this.#total === 0) this.#finishHeader();
    const chunk = this.#chunk;
    if (this.#total === 0) return this.#used();
    const missing = this.#total - this.#kept;
    const use = Math.min(missing, this.#size - this.#at);
    this.#keep(chunk.subarray(this.#at, this.#at + use));
    this.#at += use;
    if (use < missing) return this.#used();
    this.bytes = this.#carry;
    this.start = this.#header(this.#carry, 0, this.#kept);
    this.end = this.#total;
    // the packet is the caller's until the next call; the carry begins anew
    this.#carry = nothing;
    this.#kept = 0;
    return true;
  }

  /** Adds bytes to the carry until the header is whole or the read is used up. */
  #finishHeader(): void {
    while (this.#total === 0 && this.#at < this.#size && this.#kept < headerMax) {
      this.#keep(this.#chunk.subarray(this.#at, this.#at + 1));
      this.#at++;
      this.#header(this.#carry, 0, this.#kept);
    }
  }
}
