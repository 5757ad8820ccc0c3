// Chance from the operating system, and hash functions.
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import type { Hashing, Random } from "./ports.ts";

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

const hashBytes = { sha256: 32, sha512: 64 } as const;

export function openHashing(): Hashing {
  return {
    digest: (hash, data) => createHash(hash).update(data).digest(),
    hmac: (hash, key, data) => createHmac(hash, key).update(data).digest(),
    stretch: (hash, password, salt, iterations) =>
      new Promise((resolve, reject) => {
        pbkdf2(password, salt, iterations, hashBytes[hash], hash, (error, key) => {
          if (error) reject(error);
          else resolve(key);
        });
      }),
    equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
  };
}
