// Keys of __mqtt_sessions: there and back, each its own, and those of newer hubs.
import assert from "node:assert/strict";
import test from "node:test";
import { Kind, keyOf, readKey } from "../../../bridge/keep/keys.ts";

test("every key is read as it was written, and no two are the same", () => {
  const seen = new Set<string>();
  for (const kind of Object.values(Kind)) {
    for (const clientId of ["", "a", "ä/ß", "x".repeat(1_024)]) {
      for (const epoch of [0, 1, 127, 128, 2 ** 52]) {
        for (const slot of [0, 1, 65_535]) {
          const key = keyOf(kind, clientId, epoch, slot);
          assert.deepEqual(readKey(key), { kind, clientId, epoch, slot });
          seen.add(key.join());
        }
      }
    }
  }
  assert.equal(seen.size, 7 * 4 * 5 * 3);
});

test("a kind that only newer hubs know is left alone, garbage is refused", () => {
  assert.equal(readKey(Uint8Array.of(8, 1, 2, 3)), null);
  assert.throws(() => readKey(Uint8Array.of(1, 0)), { kind: "INVALID_REQUEST" });
  assert.throws(() => readKey(Uint8Array.of(1, 0, 0, 0, 9, 97)), { kind: "INVALID_REQUEST" });
});
