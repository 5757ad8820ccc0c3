// Frames and headers: bytes in, frames out; the four headers in front of every message, both directions.
import type { Reader } from "../bytes/reader.ts";
import type { Writer } from "../bytes/writer.ts";
import { HubError } from "../errors.ts";
import { limits } from "../limits.ts";

const sizeBytes = 4;
/** A frame up to this size gets its buffer at once; a larger one grows to it as its bytes arrive. */
const gatherBytesFirst = 64 * 1024;

/**
 * Cuts a byte stream into frames (an int32 size, then so many bytes). A frame that lies within one chunk is a view of
 * it; one that is spread over chunks is gathered in a buffer that never grows faster than twice what has arrived.
 */
export class FrameSplitter {
  #bytesMax: number;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** The size that was cut apart by a chunk's end: its bytes so far. */
  #size = 0;
  #sizeBytes = 0;
  /** The frame being gathered, its announced size, and how much of it has arrived. */
  #gathered: Uint8Array | null = null;
  #announced = 0;
  #arrived = 0;

  /** @param bytesMax largest frame, its size field not counted. */
  constructor(bytesMax: number = limits.requestBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** From the next frame on another size is the largest. */
  allow(bytesMax: number): void {
    this.#bytesMax = bytesMax;
  }

  /** Takes the next chunk of the stream; call `next` until it answers null before the next `push`. */
  push(chunk: Uint8Array): void {
    if (this.#at !== this.#chunk.length) throw new Error("frames are left in the chunk before");
    this.#chunk = chunk;
    this.#at = 0;
  }

  /**
   * The next whole frame (without its size), or null when the chunk is used up.
   * @throws HubError INVALID_REQUEST when a size is negative or above the bound: nothing can be read from then on.
   */
  next(): Uint8Array | null {
    if (this.#gathered !== null) return this.#gather();
    while (this.#sizeBytes < sizeBytes) {
      if (this.#at === this.#chunk.length) return this.#wait();
      this.#size = (this.#size << 8) | this.#chunk[this.#at++]!;
      this.#sizeBytes += 1;
    }
    const size = this.#size;
    if (size < 0 || size > this.#bytesMax) {
      throw new HubError("INVALID_REQUEST", `a frame says ${size} bytes, 0 to ${this.#bytesMax} are allowed`);
    }
    if (size <= this.#chunk.length - this.#at) {
      const frame = this.#chunk.subarray(this.#at, this.#at + size);
      this.#at += size;
      this.#begin();
      return frame;
    }
    this.#announced = size;
    this.#arrived = 0;
    this.#gathered = new Uint8Array(Math.min(size, Math.max(gatherBytesFirst, 2 * (this.#chunk.length - this.#at))));
    return this.#gather();
  }

  /** Bytes held for a frame that is not whole yet. */
  pendingBytes(): number {
    return this.#gathered === null ? this.#sizeBytes : this.#arrived + sizeBytes;
  }

  #begin(): void {
    this.#size = 0;
    this.#sizeBytes = 0;
  }

  /** Lets go of the chunk that is used up. */
  #wait(): null {
    this.#chunk = this.#chunk.subarray(0, 0);
    this.#at = 0;
    return null;
  }

  #gather(): Uint8Array | null {
    let gathered = this.#gathered!;
    const take = Math.min(this.#announced - this.#arrived, this.#chunk.length - this.#at);
    const arrived = this.#arrived + take;
    if (arrived > gathered.length) {
      const larger = new Uint8Array(Math.min(this.#announced, 2 * arrived));
      larger.set(gathered.subarray(0, this.#arrived));
      gathered = larger;
      this.#gathered = larger;
    }
    gathered.set(this.#chunk.subarray(this.#at, this.#at + take), this.#arrived);
    this.#arrived = arrived;
    this.#at += take;
    if (arrived < this.#announced) return this.#wait();
    this.#gathered = null;
    this.#begin();
    return gathered;
  }
}

/** What stands before the body of every request. */
export interface RequestHeader {
  readonly apiKey: number;
  readonly apiVersion: number;
  /** Chosen by the client, echoed in the response. */
  readonly correlationId: number;
  readonly clientId: string | null;
}

/**
 * Reads request header v1, and of v2 all but its tagged fields (`skipTags` reads those): the version of the header
 * follows from key and version, which the caller looks up in between.
 * @throws HubError INVALID_REQUEST
 */
export function readRequestHeader(reader: Reader): RequestHeader {
  const apiKey = reader.int16();
  const apiVersion = reader.int16();
  const correlationId = reader.int32();
  const size = reader.int16();
  if (size < -1) throw new HubError("INVALID_REQUEST", "a length is negative");
  return { apiKey, apiVersion, correlationId, clientId: size === -1 ? null : reader.string(size) };
}

/** Writes request header v1, or v2 when `flexible`. The client id is in the old form in both. */
export function writeRequestHeader(writer: Writer, header: RequestHeader, flexible: boolean): void {
  writer.int16(header.apiKey);
  writer.int16(header.apiVersion);
  writer.int32(header.correlationId);
  if (header.clientId === null) writer.int16(-1);
  else writer.string(header.clientId, false);
  if (flexible) writer.uvarint(0);
}

/** Reads response header v0, or v1 when `flexible`; returns the correlation id. */
export function readResponseHeader(reader: Reader, flexible: boolean): number {
  const correlationId = reader.int32();
  if (flexible) skipTags(reader);
  return correlationId;
}

/** Writes response header v0, or v1 when `flexible`. */
export function writeResponseHeader(writer: Writer, correlationId: number, flexible: boolean): void {
  writer.int32(correlationId);
  if (flexible) writer.uvarint(0);
}

/** Skips tagged fields, of which the headers define none. */
export function skipTags(reader: Reader): void {
  const count = reader.uvarint();
  if (count === 0) return;
  reader.elements(count, 2);
  for (let index = 0; index < count; index += 1) {
    reader.uvarint();
    reader.take(reader.uvarint());
  }
}
