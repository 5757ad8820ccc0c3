// The journal's bytes: a group frame and its typed entries (storage.md section 2). Pure.
import { getInt32, getInt64, getUint32, setInt32, setInt64 } from "../bytes/fixed.ts";
import { crc32c } from "../io/crc32c.ts";
import { defaultLogSettings } from "./settings.ts";
import type { LogSettings } from "./settings.ts";

// Frame, big-endian:
//   0 magic u32 | 4 crc32c u32 of bytes 8.. | 8 life 8 bytes | 16 sequence i64 | 24 next file's life 8 bytes, or zeros
//   32 payload bytes u32 | 36 entries u32 | 40 entries
// Entry: type u8, body bytes u32, body.
export const frameMagic = 0x50444a31; // "PDJ1"
export const frameHeaderBytes = 40;
const entryHeaderBytes = 5;
const partitionBytes = 20;

const Type = { batch: 1, truncation: 2, logStart: 3, partition: 4, tombstone: 5, fact: 6, snapshot: 7 } as const;

/** A record batch: `prevEnd` is the log end it was appended at. Its base offset and epoch stand in the bytes. */
export interface BatchEntry {
  readonly type: "batch";
  readonly topicId: string;
  readonly partition: number;
  readonly prevEnd: number;
  readonly batch: Uint8Array;
}

/** A partition was made, or configured anew. */
export interface PartitionEntry {
  readonly type: "partition";
  readonly topicId: string;
  readonly partition: number;
  readonly name: string;
  readonly settings: LogSettings;
  /** Everything below is synced in the segments; -1 says nothing about it. */
  readonly syncedEnd: number;
}

/** A fact of the registry; null removes it. */
export interface FactEntry {
  readonly type: "fact";
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** Begins a snapshot: forget all small state, the rest of this group is all of it. */
export interface SnapshotEntry {
  readonly type: "snapshot";
  /** Number of the first journal file that replay needs. */
  readonly chainStart: number;
}

/**
 * `truncation`: the log is being cut to `offset`, a batch boundary; batches that stand earlier in the journal and begin
 * at or above it are void, and no more than `offset` is known synced.
 */
export type SmallEntry =
  | { readonly type: "truncation"; readonly topicId: string; readonly partition: number; readonly offset: number }
  | { readonly type: "logStart"; readonly topicId: string; readonly partition: number; readonly offset: number }
  | { readonly type: "tombstone"; readonly topicId: string; readonly partition: number }
  | PartitionEntry
  | FactEntry
  | SnapshotEntry;

export type Entry = BatchEntry | SmallEntry;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Bytes of a batch entry around its batch. */
export const batchEntryOverhead = entryHeaderBytes + partitionBytes + 8;

/** Writes a batch entry at `at`; returns the place after it. */
export function writeBatchEntry(target: Uint8Array, at: number, id: Uint8Array, entry: BatchEntry): number {
  target[at] = Type.batch;
  setInt32(target, at + 1, partitionBytes + 8 + entry.batch.length);
  target.set(id, at + 5);
  setInt64(target, at + 25, entry.prevEnd);
  target.set(entry.batch, at + batchEntryOverhead);
  return at + batchEntryOverhead + entry.batch.length;
}

/** The 20 bytes that name a partition in an entry. `topicId` is a UUID in its 36-character form. */
export function partitionIdBytes(topicId: string, partition: number): Uint8Array {
  const hex = topicId.replaceAll("-", "");
  if (!/^[0-9a-f]{32}$/.test(hex) || topicId.length !== 36) {
    throw new Error(`topic id ${topicId} is no lower-case UUID`);
  }
  const bytes = new Uint8Array(partitionBytes);
  for (let i = 0; i < 16; i += 1) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  setInt32(bytes, 16, partition);
  return bytes;
}

function readPartitionId(bytes: Uint8Array, at: number): { topicId: string; partition: number } {
  let hex = "";
  for (let i = 0; i < 16; i += 1) hex += bytes[at + i]!.toString(16).padStart(2, "0");
  const topicId = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  return { topicId, partition: getInt32(bytes, at + 16) };
}

/** A small entry with its head, ready to be put into a frame. */
export function encodeSmallEntry(entry: SmallEntry): Uint8Array {
  const body = encodeBody(entry);
  const bytes = new Uint8Array(entryHeaderBytes + body.length);
  bytes[0] = Type[entry.type];
  setInt32(bytes, 1, body.length);
  bytes.set(body, entryHeaderBytes);
  return bytes;
}

function encodeBody(entry: SmallEntry): Uint8Array {
  switch (entry.type) {
    case "truncation":
    case "logStart": {
      const bytes = new Uint8Array(partitionBytes + 8);
      bytes.set(partitionIdBytes(entry.topicId, entry.partition));
      setInt64(bytes, partitionBytes, entry.offset);
      return bytes;
    }
    case "tombstone":
      return partitionIdBytes(entry.topicId, entry.partition);
    case "partition": {
      const { name, settings, syncedEnd } = entry;
      return joined(
        partitionIdBytes(entry.topicId, entry.partition),
        encoder.encode(JSON.stringify({ name, settings, syncedEnd })),
      );
    }
    case "fact": {
      const key = encoder.encode(entry.key);
      const head = new Uint8Array(5);
      setInt32(head, 0, key.length);
      head[4] = entry.value === null ? 0 : 1;
      return joined(head, key, entry.value ?? new Uint8Array(0));
    }
    case "snapshot": {
      const bytes = new Uint8Array(8);
      setInt64(bytes, 0, entry.chainStart);
      return bytes;
    }
    default:
      throw new Error(`no such entry: ${String(entry satisfies never)}`);
  }
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function decodeBody(type: number, body: Uint8Array): Entry | null {
  switch (type) {
    case Type.batch:
      return {
        type: "batch",
        ...readPartitionId(body, 0),
        prevEnd: getInt64(body, partitionBytes),
        batch: body.subarray(partitionBytes + 8),
      };
    case Type.truncation:
      return { type: "truncation", ...readPartitionId(body, 0), offset: getInt64(body, partitionBytes) };
    case Type.logStart:
      return { type: "logStart", ...readPartitionId(body, 0), offset: getInt64(body, partitionBytes) };
    case Type.tombstone:
      return { type: "tombstone", ...readPartitionId(body, 0) };
    case Type.partition: {
      const rest = JSON.parse(decoder.decode(body.subarray(partitionBytes))) as {
        name: string;
        settings: Partial<LogSettings>;
        syncedEnd: number;
      };
      // An entry of an earlier version lacks what has come since.
      const settings = { ...defaultLogSettings, ...rest.settings };
      return { type: "partition", ...readPartitionId(body, 0), ...rest, settings };
    }
    case Type.fact: {
      const keyEnd = 5 + getInt32(body, 0);
      const value = body[4] === 0 ? null : body.slice(keyEnd);
      return { type: "fact", key: decoder.decode(body.subarray(5, keyEnd)), value };
    }
    case Type.snapshot:
      return { type: "snapshot", chainStart: getInt64(body, 0) };
    default:
      return null; // of a later version, and said to be skippable by standing there
  }
}

/** Writes the frame's header around the entries that stand in `frame` from byte 40 on. */
export function sealFrame(
  frame: Uint8Array,
  life: Uint8Array,
  sequence: number,
  nextLife: Uint8Array | null,
  entries: number,
): void {
  setInt32(frame, 0, frameMagic);
  frame.set(life, 8);
  setInt64(frame, 16, sequence);
  if (nextLife === null) frame.fill(0, 24, 32);
  else frame.set(nextLife, 24);
  setInt32(frame, 32, frame.length - frameHeaderBytes);
  setInt32(frame, 36, entries);
  setInt32(frame, 4, crc32c(frame.subarray(8)));
}

/** A valid frame at a place in a file. */
export interface Frame {
  readonly life: string;
  readonly sequence: number;
  /** Life of the file that follows; "" when this frame names none. */
  readonly nextLife: string;
  readonly bytes: number;
}

/** The frame at `at`; null when there is none, or it is torn. */
export function readFrame(file: Uint8Array, at: number): Frame | null {
  if (file.length - at < frameHeaderBytes || getUint32(file, at) !== frameMagic) return null;
  const bytes = frameHeaderBytes + getUint32(file, at + 32);
  if (bytes > file.length - at) return null;
  if (crc32c(file.subarray(at + 8, at + bytes)) !== getUint32(file, at + 4)) return null;
  const nextLife = lifeText(file.subarray(at + 24, at + 32));
  return {
    life: lifeText(file.subarray(at + 8, at + 16)),
    sequence: getInt64(file, at + 16),
    nextLife: nextLife === noLife ? "" : nextLife,
    bytes,
  };
}

const noLife = "0000000000000000";

/** A life as text, to compare and to show. */
export function lifeText(life: Uint8Array): string {
  let text = "";
  for (const byte of life) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** The entries of the valid frame at `at`, each with the place of its body in the file. Batches are views. */
export function* readEntries(file: Uint8Array, at: number): Generator<{ readonly entry: Entry; readonly at: number }> {
  const end = at + frameHeaderBytes + getUint32(file, at + 32);
  let place = at + frameHeaderBytes;
  while (place < end) {
    const bodyAt = place + entryHeaderBytes;
    const bodyEnd = bodyAt + getUint32(file, place + 1);
    if (bodyEnd > end) throw new Error("an entry leaves its frame"); // the CRC held: a writer's mistake
    const entry = decodeBody(file[place]!, file.subarray(bodyAt, bodyEnd));
    if (entry !== null) yield { entry, at: bodyAt };
    place = bodyEnd;
  }
}

/** Where the batch of a batch entry begins within its body. */
export const batchInBody = partitionBytes + 8;
