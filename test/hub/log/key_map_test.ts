// The map of a cleaning: what it holds, what it takes, and its hash against published values.
import assert from "node:assert/strict";
import test from "node:test";
import { halfSip, KeyMap, keyEntryBytes } from "../../../hub/log/key_map.ts";

const encoder = new TextEncoder();
const seed = Uint8Array.from({ length: 16 }, (_, i) => i);

test("HalfSipHash-2-4 with 64 bits gives the published value", () => {
  // Key 00 01 .. 07, nothing as input: the first row of the reference implementation's vectors.
  const out = new Int32Array(2);
  halfSip(new Uint8Array(0), 0, 0, 0x0302_0100, 0x0706_0504, out, 0);
  assert.equal(Buffer.from(out.buffer).toString("hex"), "218d1f59b9b83cc8");
});

test("the newest offset of each key, whatever the order of the calls; keys of any length", () => {
  const map = new KeyMap(64 * 1024, seed);
  const model = new Map<string, number>();
  for (let i = 0; i < 5000; i += 1) {
    const key = "k".repeat((i * 31) % 40) + String((i * 7919) % 900);
    const bytes = encoder.encode(`<${key}>`);
    const offset = (i * 104_729) % 1_000_003;
    assert.ok(map.put(bytes, 1, bytes.length - 1, offset), "there is room");
    model.set(key, Math.max(model.get(key) ?? -1, offset));
  }
  assert.equal(map.count, model.size);
  for (const [key, offset] of model) {
    const bytes = encoder.encode(key);
    assert.equal(map.get(bytes, 0, bytes.length), offset, key);
  }
  assert.equal(map.get(encoder.encode("never put"), 0, 9), -1);
});

test("a full map takes no new key, and goes on with those it has; its memory is what was said", () => {
  const map = new KeyMap(100 * keyEntryBytes, seed);
  const keys = Array.from({ length: 100 }, (_, i) => encoder.encode(`key ${i}`));
  const taken = keys.filter((key, i) => map.put(key, 0, key.length, i));
  assert.equal(taken.length, map.capacity);
  assert.ok(map.capacity >= 70 && map.capacity < 100, `${map.capacity} of 100`);
  assert.equal(map.put(taken[3]!, 0, taken[3]!.length, 1000), true);
  assert.equal(map.get(taken[3]!, 0, taken[3]!.length), 1000);
});
