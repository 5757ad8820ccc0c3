// Reads the fields of one packet: integers, text, binary data; what is cut or ill-formed is refused. Pure.
import type { Buffer } from "node:buffer";
import { anyViolation, malformed, type Statement } from "./faults.ts";
import type { MqttProblem, Version } from "./packet.ts";
import { Text, textKind } from "./utf8.ts";

export class Reader {
  readonly bytes: Buffer;
  readonly version: Version;
  readonly end: number;
  at: number;

  constructor(bytes: Buffer, start: number, end: number, version: Version) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.version = version;
  }

  get left(): number {
    return this.end - this.at;
  }

  /** A reader of the next `length` bytes, which this one skips. */
  part(length: number, what: string): Reader {
    const start = this.#take(length, what);
    return new Reader(this.bytes, start, start + length, this.version);
  }

  byte(what: string): number {
    return this.bytes[this.#take(1, what)]!;
  }

  two(what: string): number {
    const at = this.#take(2, what);
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!;
  }

  four(what: string): number {
    const at = this.#take(4, what);
    return this.two16(at) * 65_536 + this.two16(at + 2);
  }

  /** A variable byte integer, in as few bytes as it needs. */
  varint(what: string): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte(what);
      value |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      if (byte === 0 && shift > 0) throw this.#malformed(`${what} takes more bytes than it needs`, "1.5.5-1");
      return value;
    }
    throw this.#malformed(`${what} is longer than four bytes`, anyViolation);
  }

  string(what: string): string {
    const length = this.two(what);
    const at = this.#take(length, what);
    return decodeText(this.bytes, at, at + length, this.version, what);
  }

  /** A copy of the binary data, which outlives the buffer it was read from. */
  binary(what: string): Uint8Array {
    const length = this.two(what);
    const at = this.#take(length, what);
    return copyOf(this.bytes, at, at + length);
  }

  /** Throws unless everything was read. */
  done(what: string): void {
    if (this.at !== this.end) throw this.#malformed(`${this.left} bytes stand after ${what}`, anyViolation);
  }

  two16(at: number): number {
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!;
  }

  #take(length: number, what: string): number {
    const at = this.at;
    if (at + length > this.end) throw this.#malformed(`the packet ends within ${what}`, anyViolation);
    this.at = at + length;
    return at;
  }

  #malformed(detail: string, statement: Statement): MqttProblem {
    return malformed(this.version, statement, detail);
  }
}

/** The text of the bytes; throws if it is not UTF-8 as MQTT wants it. A byte order mark stays. */
export function decodeText(bytes: Buffer, start: number, end: number, version: Version, what: string): string {
  const kind = textKind(bytes, start, end);
  if (kind === Text.ascii) return bytes.toString("latin1", start, end);
  if (kind === Text.wide) return bytes.toString("utf8", start, end);
  if (kind === Text.zero) throw malformed(version, ["1.5.3-2", "1.5.4-2"], `${what} holds U+0000`);
  throw malformed(version, ["1.5.3-1", "1.5.4-1"], `${what} is not well-formed UTF-8`);
}

/** Bytes of their own: what is read stands in a buffer that the next read fills anew. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end));
}
