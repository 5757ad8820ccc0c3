// Chance from the operating system.
import { randomBytes } from "node:crypto";
import type { Random } from "./ports.ts";

const bytesMax = 65_536;

export function openRandom(): Random {
  return {
    float: () => randomBytes(4).readUInt32LE(0) / 2 ** 32,
    bytes(count) {
      if (!(count >= 0 && count <= bytesMax)) throw new RangeError(`random.bytes: ${count} is not in 0..${bytesMax}`);
      return randomBytes(count);
    },
    uuid() {
      const id = randomBytes(16);
      id[6] = (id[6]! & 0x0f) | 0x40; // version 4
      id[8] = (id[8]! & 0x3f) | 0x80; // variant 1 (RFC 9562 section 4.1)
      return id;
    },
  };
}
