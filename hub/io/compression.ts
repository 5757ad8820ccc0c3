// Kafka's four codecs behind one bounded, synchronous face; a codec is loaded when it is first used.
import { createRequire } from "node:module";
import zlib from "node:zlib";
import { HubError } from "../errors.ts";
import { limits } from "../limits.ts";

/** The codec number in a batch's attributes. */
export const Codec = { None: 0, Gzip: 1, Snappy: 2, Lz4: 3, Zstd: 4 } as const;
export type Codec = (typeof Codec)[keyof typeof Codec];

interface SnappyModule {
  compressSync(input: Uint8Array, options: { copyOutputData: boolean }): Uint8Array;
  uncompressSync(input: Uint8Array, options: { asBuffer: boolean; copyOutputData: boolean }): Uint8Array;
}

interface Lz4Module {
  compressFrameSync(input: Uint8Array): Uint8Array;
  decompressFrameSync(input: Uint8Array): Uint8Array;
}

interface ZstdModule {
  init(): Promise<void>;
  compress(input: Uint8Array, level?: number): Uint8Array;
  decompress(input: Uint8Array, options: { defaultHeapSize: number }): Uint8Array;
}

interface ZstdOfNode {
  zstdCompressSync?(input: Uint8Array, options?: { params: Record<number, number> }): Uint8Array;
  zstdDecompressSync?(input: Uint8Array, options: { maxOutputLength: number }): Uint8Array;
}

const require = createRequire(import.meta.url);
const zstdOfNode = zlib as ZstdOfNode;
let zstdLoading: Promise<void> | undefined;
let zstdLoaded: ZstdModule | undefined;

/**
 * Makes a codec ready; resolves at once for all but zstd on a Node without it (a WebAssembly module is compiled).
 * @throws HubError UNSUPPORTED_COMPRESSION_TYPE for an unknown number or a codec this machine cannot load
 */
export async function loadCodec(codec: number): Promise<void> {
  if (!(codec >= Codec.None && codec <= Codec.Zstd)) throw unsupported(`compression type ${codec} is unknown`);
  if (codec !== Codec.Zstd || zstdOfNode.zstdDecompressSync || zstdLoaded) return;
  zstdLoading ??= (async () => {
    const loaded = library<ZstdModule>("@bokuweb/zstd-wasm");
    await loaded.init();
    zstdLoaded = loaded;
  })();
  await zstdLoading;
}

/**
 * Compresses; `codec` must be loaded.
 * @param level of gzip (-1..9) or zstd (-131072..22), KIP-390; null is the library's own. The others have none here.
 */
export function compress(codec: Codec, bytes: Uint8Array, level: number | null = null): Uint8Array {
  switch (codec) {
    case Codec.None:
      return bytes;
    case Codec.Gzip:
      return level === null ? zlib.gzipSync(bytes) : zlib.gzipSync(bytes, { level });
    case Codec.Snappy:
      return compressXerial(bytes);
    case Codec.Lz4:
      return library<Lz4Module>("lz4-napi").compressFrameSync(asBuffer(bytes));
    case Codec.Zstd:
      return compressZstd(bytes, level);
    default:
      throw unsupported(`compression type ${String(codec satisfies never)} is unknown`);
  }
}

/** The most that `compressed` bytes may open to. */
export function openedBytesMax(compressed: number): number {
  const byRatio = Math.max(1024 * 1024, compressed * limits.decompressionRatioMax);
  return Math.min(limits.decompressedBytesMax, byRatio);
}

/**
 * Decompresses, never to more than `max` bytes: what says more is refused before it is allocated.
 * @throws HubError CORRUPT_MESSAGE (broken or too large), UNSUPPORTED_COMPRESSION_TYPE (unknown, or not loaded)
 */
export function decompress(codec: number, bytes: Uint8Array, max = openedBytesMax(bytes.length)): Uint8Array {
  try {
    switch (codec) {
      case Codec.None:
        return bytes;
      case Codec.Gzip:
        return zlib.gunzipSync(bytes, { maxOutputLength: max });
      case Codec.Snappy:
        return decompressSnappy(bytes, max);
      case Codec.Lz4:
        return decompressLz4(bytes, max);
      case Codec.Zstd:
        return decompressZstd(bytes, max);
      default:
        throw unsupported(`compression type ${codec} is unknown`);
    }
  } catch (error) {
    if (error instanceof HubError) throw error;
    throw new HubError("CORRUPT_MESSAGE", `compressed records do not open: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

const libraries = new Map<string, unknown>();

function library<T>(name: string): T {
  if (!libraries.has(name)) {
    try {
      libraries.set(name, require(name));
    } catch (error) {
      throw new HubError("UNSUPPORTED_COMPRESSION_TYPE", `${name} does not load on this machine`, { cause: error });
    }
  }
  return libraries.get(name) as T;
}

function zstdNow(): ZstdModule {
  if (zstdLoaded) return zstdLoaded;
  loadCodec(Codec.Zstd).catch(() => {}); // the next try finds it, or the same refusal
  throw unsupported("zstd is being loaded");
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function unsupported(detail: string): HubError {
  return new HubError("UNSUPPORTED_COMPRESSION_TYPE", detail);
}

function tooLarge(max: number): HubError {
  return new HubError("CORRUPT_MESSAGE", `compressed records open to more than ${max} bytes`);
}

// Snappy. Java clients write xerial's stream: magic, version, then blocks of [int32 length, raw snappy]; librdkafka
// and others write one raw block.

const xerialMagic = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00];
const xerialHeaderBytes = 16;
const xerialBlockBytes = 32 * 1024;

function compressXerial(bytes: Uint8Array): Uint8Array {
  const snappy = library<SnappyModule>("snappy");
  const parts: Uint8Array[] = [Uint8Array.from([...xerialMagic, 0, 0, 0, 1, 0, 0, 0, 1])];
  for (let at = 0; at < bytes.length; at += xerialBlockBytes) {
    const block = snappy.compressSync(bytes.subarray(at, at + xerialBlockBytes), { copyOutputData: true });
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

function decompressSnappy(bytes: Uint8Array, max: number): Uint8Array {
  if (!xerialMagic.every((byte, i) => bytes[i] === byte)) return openSnappyBlock(bytes, max);
  const view = asBuffer(bytes);
  const parts: Uint8Array[] = [];
  let opened = 0;
  for (let at = xerialHeaderBytes; at < bytes.length; ) {
    const length = view.readInt32BE(at); // a cut length throws RangeError: CORRUPT_MESSAGE
    at += 4;
    if (length < 0 || at + length > bytes.length) throw new Error("a snappy block is cut short");
    const part = openSnappyBlock(bytes.subarray(at, at + length), max - opened);
    opened += part.length;
    parts.push(part);
    at += length;
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

function openSnappyBlock(block: Uint8Array, max: number): Uint8Array {
  let size = 0;
  for (let i = 0; ; i += 1) {
    const byte = block[i];
    if (byte === undefined || i > 4) throw new Error("a snappy block has no length");
    size += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) break;
  }
  if (size > max) throw tooLarge(max);
  return library<SnappyModule>("snappy").uncompressSync(block, { asBuffer: true, copyOutputData: true });
}

// LZ4 frame (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md). The library opens without a bound, so the
// blocks are counted first: cheaply by their maximum, exactly when that is over the bound.

const lz4BlockBytes = [0, 0, 0, 0, 64, 256, 1024, 4096].map((kib) => kib * 1024);

function decompressLz4(bytes: Uint8Array, max: number): Uint8Array {
  const view = asBuffer(bytes);
  if (view.readUInt32LE(0) !== 0x184d_2204) throw new Error("no LZ4 frame");
  const flags = bytes[4]!;
  const blockMax = lz4BlockBytes[(bytes[5]! >> 4) & 7]!;
  if ((flags & 1) !== 0 || blockMax === 0) throw new Error("an LZ4 frame of an unknown kind");
  const checksum = (flags & 0x10) !== 0 ? 4 : 0;
  let at = 7 + ((flags & 0x08) !== 0 ? 8 : 0);
  let atMost = 0;
  const blocks: Uint8Array[] = [];
  for (;;) {
    const head = view.readUInt32LE(at);
    at += 4;
    if (head === 0) break;
    const length = head & 0x7fff_ffff;
    if (length > blockMax || at + length > bytes.length) throw new Error("an LZ4 block is cut short");
    const plain = head > 0x7fff_ffff;
    atMost += plain ? length : Math.min(blockMax, length * 255);
    if (!plain) blocks.push(bytes.subarray(at, at + length));
    else if (length > max) throw tooLarge(max);
    at += length + checksum;
  }
  if (atMost > max && blocks.reduce((sum, block) => sum + lz4BlockSize(block), 0) > max) throw tooLarge(max);
  return library<Lz4Module>("lz4-napi").decompressFrameSync(view);
}

/** The bytes one LZ4 block opens to, from its tokens alone. */
function lz4BlockSize(block: Uint8Array): number {
  let size = 0;
  let at = 0;
  const long = (start: number): number => {
    let length = start;
    let byte = 255;
    while (start === 15 && byte === 255 && at < block.length) {
      byte = block[at++]!;
      length += byte;
    }
    return length;
  };
  while (at < block.length) {
    const token = block[at++]!;
    const literals = long(token >> 4);
    at += literals;
    size += literals;
    if (at >= block.length) break;
    at += 2;
    size += long(token & 15) + 4;
  }
  return size;
}

/** ZSTD_c_compressionLevel (zstd.h). */
const zstdLevelParameter = 100;

function compressZstd(bytes: Uint8Array, level: number | null): Uint8Array {
  if (!zstdOfNode.zstdCompressSync)
    return level === null ? zstdNow().compress(bytes) : zstdNow().compress(bytes, level);
  if (level === null) return zstdOfNode.zstdCompressSync(bytes);
  return zstdOfNode.zstdCompressSync(bytes, { params: { [zstdLevelParameter]: level } });
}

function decompressZstd(bytes: Uint8Array, max: number): Uint8Array {
  if (zstdOfNode.zstdDecompressSync) return zstdOfNode.zstdDecompressSync(bytes, { maxOutputLength: max });
  const zstd = zstdNow();
  const known = zstdContentSize(asBuffer(bytes));
  if (known !== null) {
    if (known > max) throw tooLarge(max);
    return zstd.decompress(bytes, { defaultHeapSize: known });
  }
  for (let room = Math.min(max, Math.max(64 * 1024, bytes.length * 8)); ; room = Math.min(max, room * 8)) {
    try {
      return zstd.decompress(bytes, { defaultHeapSize: room });
    } catch (error) {
      if (room >= max) throw error;
    }
  }
}

/** The size a zstd frame says it opens to (RFC 8878 section 3.1.1.1), null when it does not say. */
function zstdContentSize(frame: Buffer): number | null {
  if (frame.readUInt32LE(0) !== 0xfd2f_b528) throw new Error("no zstd frame");
  const descriptor = frame.readUInt8(4);
  const single = (descriptor & 0x20) !== 0;
  const at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  switch (descriptor >> 6) {
    case 0:
      return single ? frame.readUInt8(at) : null;
    case 1:
      return frame.readUInt16LE(at) + 256;
    case 2:
      return frame.readUInt32LE(at);
    default:
      return Number(frame.readBigUInt64LE(at));
  }
}
