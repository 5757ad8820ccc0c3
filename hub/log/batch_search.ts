// Finds the batches of a file: the one at a place, checked, and where they go on behind bytes that are none.
import { getInt64 } from "../bytes/fixed.ts";
import { HubError } from "../errors.ts";
import type { File } from "../io/ports.ts";
import { limits } from "../limits.ts";
import { At, batchHeaderBytes, batchSize, checkStoredBatch } from "../record/batch.ts";
import type { BatchHeader } from "../record/batch.ts";

const scanBytes = 1024 * 1024;

/** One batch where it stands. `bytes` is a view that lives until the scan goes on. */
export interface PlacedBatch {
  readonly header: BatchHeader;
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Reads a file in large steps; a batch that lies across two is read whole. */
export class ChunkReader {
  readonly #file: File;
  readonly #end: number;
  #bytes = new Uint8Array(0);
  #from = 0;

  constructor(file: File, end: number) {
    this.#file = file;
    this.#end = end;
  }

  /** `count` bytes at `at`, fewer at the end; a view that lives until the next call. */
  at(at: number, count: number): Uint8Array {
    const offset = at - this.#from;
    if (offset >= 0 && offset + count <= this.#bytes.length) return this.#bytes.subarray(offset, offset + count);
    const bytes = new Uint8Array(Math.max(0, Math.min(Math.max(count, scanBytes), this.#end - at)));
    this.#bytes = bytes.subarray(0, this.#file.read(bytes, at));
    this.#from = at;
    return this.#bytes.subarray(0, count);
  }
}

/** The valid batch at `at`, or what is wrong with it. */
export function checkAt(reader: ChunkReader, at: number, to: number, offsetMin: number): PlacedBatch | string {
  const head = reader.at(at, batchHeaderBytes);
  if (head.length < batchHeaderBytes) return "a batch header is cut short";
  const size = batchSize(head);
  if (head[At.magic] !== 2) return `magic ${head[At.magic]}`;
  if (size < batchHeaderBytes || size > limits.batchBytesMax) return `a batch length of ${size}`;
  if (at + size > to) return "a batch is cut short";
  const base = getInt64(head, At.baseOffset);
  if (!Number.isSafeInteger(base) || base < offsetMin) return `base offset ${base} where ${offsetMin} was expected`;
  try {
    const bytes = reader.at(at, size);
    const header = checkStoredBatch(bytes);
    if (base === offsetMin || at + size >= to) return { header, at, bytes };
    // The base offset is outside the CRC: one that rotted upwards makes a gap, and its neighbour lies below its end.
    const neighbour = checkNext(reader, at + size, to);
    if (neighbour >= 0 && neighbour <= header.lastOffset) return `base offset ${base} behind ${neighbour}`;
    return { header, at, bytes: reader.at(at, size) };
  } catch (error) {
    return error instanceof HubError ? error.message : String(error);
  }
}

/** The base offset of the valid batch at a place; -1 for none. */
function checkNext(reader: ChunkReader, at: number, to: number): number {
  if (at + batchHeaderBytes > to) return -1;
  const size = batchSize(reader.at(at, batchHeaderBytes));
  if (size < batchHeaderBytes || size > limits.batchBytesMax || at + size > to) return -1;
  try {
    return checkStoredBatch(reader.at(at, size)).baseOffset;
  } catch {
    return -1;
  }
}

export function isBatchAt(file: File, at: number, to: number, offsetMin: number): boolean {
  return typeof checkAt(new ChunkReader(file, to), at, to, offsetMin) !== "string";
}

/** Byte by byte: the first place in [from, to) from which valid batches lead exactly to `to`; -1 for none. */
export function searchBatch(file: File, from: number, to: number, offsetMin: number): number {
  const reader = new ChunkReader(file, to);
  for (let at = from; at + batchHeaderBytes <= to; at += 1) {
    if (reader.at(at + At.magic, 1)[0] === 2 && leadsTo(reader, at, to, offsetMin)) return at;
  }
  return -1;
}

function leadsTo(reader: ChunkReader, from: number, to: number, offsetMin: number): boolean {
  let offset = offsetMin;
  for (let at = from; at < to; ) {
    const batch = checkAt(reader, at, to, offset);
    if (typeof batch === "string") return false;
    offset = batch.header.lastOffset + 1;
    at += batch.header.size;
  }
  return true;
}
