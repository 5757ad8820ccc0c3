// Keys of `__mqtt_sessions`: what a record is about, whose it is, and the epoch it was written in. Pure.
import { Reader, Writer } from "../../hub/mod.ts";

/**
 * An epoch in the key keeps what a hub writes that lost the client apart from what its new owner wrote: compaction
 * keeps the newest record of a key, and so would drop the owner's.
 */
export const Kind = { session: 1, will: 2, inboundId: 3, claim: 4, heir: 5, left: 6, base: 7 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export interface KeptKey {
  readonly kind: Kind;
  readonly clientId: string;
  /** Of sessions, wills, ids and bases; of heirs that of the claim; 0 for the others, and on a lone hub. */
  readonly epoch: number;
  /**
   * Of ids; 0 for the others. A place for an open id, used again as soon as it is free: a key for each packet id would
   * leave 65,535 tombstones a client.
   */
  readonly slot: number;
}

const kinds: ReadonlySet<number> = new Set(Object.values(Kind));

export function keyOf(kind: Kind, clientId: string, epoch = 0, slot = 0): Uint8Array {
  const writer = new Writer();
  writer.int8(kind);
  writer.uvarint(epoch);
  writer.uint16(slot);
  writer.string(clientId, true);
  return writer.join();
}

/** Null for what only newer hubs know. @throws HubError INVALID_REQUEST when the bytes are none of ours */
export function readKey(bytes: Uint8Array): KeptKey | null {
  const reader = new Reader(bytes);
  const kind = reader.int8();
  if (!kinds.has(kind)) return null;
  const epoch = reader.uvarint();
  const slot = reader.uint16();
  const size = reader.uvarint();
  return { kind: kind as Kind, clientId: reader.string(size - 1), epoch, slot };
}
