// One read buffer for all sockets, where the runtime lets us: else each read would allocate 64 KiB of its own.
import { Buffer } from "node:buffer";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { limits, slabs } from "../../hub/mod.ts";

const bufferBytes = limits.clientBatchBytes;

/** What a socket has inside when it was made with the `onread` option; accepted ones cannot be given it. */
interface Inner {
  readonly _handle?: { readonly useUserBuffer?: (buffer: Uint8Array) => void } | null;
  [slot: symbol]: unknown;
}

interface Slots {
  readonly buffer: symbol;
  readonly callback: symbol;
}

/** Where a socket keeps the buffer and the callback of `onread`; null where it keeps them elsewhere (Deno). */
function findSlots(): Slots | null {
  if ("Deno" in globalThis) return null; // it has the slots, and reads nothing into them
  const mark = Buffer.alloc(1);
  const callback = (): boolean => true;
  const sample = new Socket({ onread: { buffer: mark, callback } } as ConstructorParameters<typeof Socket>[0]);
  const inner = sample as unknown as Inner;
  const found = Object.getOwnPropertySymbols(sample);
  const bufferSlot = found.find((slot) => inner[slot] === mark);
  const callbackSlot = found.find((slot) => inner[slot] === callback);
  sample.destroy();
  return bufferSlot === undefined || callbackSlot === undefined ? null : { buffer: bufferSlot, callback: callbackSlot };
}

let slots: Slots | null | undefined;
let shared: Buffer | null = null;

/** `bytes[0, count)` is what was read, legal until the call returns. */
export type OnBytes<S> = (this: S, bytes: Buffer, count: number) => void;

/**
 * Has the socket read into the shared buffer: `onBytes` is called on it as a `data` event would be. False, and nothing
 * was done, where that is not possible. Call it before anything was read.
 */
export function readShared<S extends Duplex>(stream: S, onBytes: OnBytes<S>): boolean {
  if (!(stream instanceof Socket)) return false;
  slots ??= findSlots();
  const inner = stream as unknown as Inner;
  const handle = inner._handle;
  if (slots === null || handle === null || handle?.useUserBuffer === undefined) return false;
  shared ??= makeBuffer();
  const buffer = shared;
  inner[slots.buffer] = buffer;
  inner[slots.callback] = callbackOf(onBytes);
  handle.useUserBuffer(buffer);
  return true;
}

/** Where batches are built, so that payloads go there without a view of them; kept for good. */
function makeBuffer(): Buffer {
  return slabs.takeSource() ?? Buffer.allocUnsafeSlow(bufferBytes);
}

/** One function for all sockets that are read alike. */
const callbacks = new WeakMap<object, (count: number, buffer: Buffer) => boolean>();

function callbackOf<S>(onBytes: OnBytes<S>): (count: number, buffer: Buffer) => boolean {
  let callback = callbacks.get(onBytes);
  if (callback === undefined) {
    callback = function (this: S, count: number, buffer: Buffer): boolean {
      onBytes.call(this, buffer, count);
      return true;
    } as (count: number, buffer: Buffer) => boolean;
    callbacks.set(onBytes, callback);
  }
  return callback;
}
