// Producer ids that nobody has.
import type { Random } from "../io/ports.ts";

/** 52 random bits: a counter would hand the same id out twice after a rollback (replication.md 2.11). */
export function newProducerId(random: Random): number {
  const bytes = random.bytes(8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  return view.getUint32(0) + (view.getUint32(4) & 0xfffff) * 2 ** 32;
}
