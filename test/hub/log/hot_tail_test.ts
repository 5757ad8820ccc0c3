// Tests of the hot tail: bounded, without gaps, whole batches.
import assert from "node:assert/strict";
import test from "node:test";
import { HotTail, TailOwner } from "../../../hub/log/hot_tail.ts";
import { seededRandom } from "../../../devices/sensors.ts";

const batch = (bytes: number, fill: number): Uint8Array => new Uint8Array(bytes).fill(fill);

test("reads whole batches up to a bound, the one that holds the offset first", () => {
  const tail = new HotTail(100_000);
  const owner = new TailOwner();
  for (let i = 0; i < 10; i += 1) tail.push(owner, i * 5, i * 5 + 5, batch(100, i));
  assert.equal(tail.read(owner, 0, 1, 50)!.length, 100);
  assert.equal(tail.read(owner, 7, 250, 50)!.length, 200);
  assert.equal(tail.read(owner, 7, 250, 50)![0], 1);
  assert.equal(tail.read(owner, 44, 9999, 50)!.length, 200);
  assert.equal(tail.read(owner, 0, 9999, 14)!.length, 200, "only batches below the end");
  assert.equal(tail.read(owner, 50, 9999, 50)!.length, 0);
  assert.equal(tail.read(new TailOwner(), 0, 10, 10), null);
});

test("the oldest of all logs go first, and a log's rest stays whole", () => {
  const tail = new HotTail(3000);
  const [a, b] = [new TailOwner(), new TailOwner()];
  for (let i = 0; i < 100; i += 1) tail.push(i % 2 === 0 ? a : b, i, i + 1, batch(100, i));
  assert.ok(tail.bytes <= 3000);
  assert.equal(tail.read(a, 0, 100, 100), null);
  assert.equal(tail.read(b, 99, 100, 100)![0], 99);
  assert.equal(a.batches.length, 6);
  tail.clear(a);
  assert.equal(tail.read(a, 98, 100, 100), null);
  for (let i = 100; i < 200; i += 1) tail.push(b, i, i + 1, batch(100, i));
  assert.ok(tail.bytes <= 3000);
});

test("a batch too large to keep empties its log's tail: no gap", () => {
  const tail = new HotTail(1000);
  const owner = new TailOwner();
  tail.push(owner, 0, 1, batch(100, 1));
  tail.push(owner, 1, 2, batch(600, 2));
  tail.push(owner, 2, 3, batch(100, 3));
  assert.equal(tail.read(owner, 0, 10, 3), null);
  assert.equal(tail.read(owner, 2, 10, 3)![0], 3);
});

test("what was read stays as it was when the ring comes round", () => {
  const tail = new HotTail(4000);
  const owner = new TailOwner();
  tail.push(owner, 0, 1, batch(900, 1));
  const read = tail.read(owner, 0, 10, 1)!;
  for (let i = 1; i < 20; i += 1) tail.push(owner, i, i + 1, batch(900, 9));
  assert.deepEqual(read, batch(900, 1));
});

test("gives back what was appended, whatever was dropped between (seeds)", () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const next = seededRandom(seed);
    const random = (below: number): number => Math.floor(next() * below);
    const bytesMax = 2_000 + random(200_000);
    const tail = new HotTail(bytesMax);
    const owners = Array.from({ length: 3 }, () => ({ owner: new TailOwner(), kept: [] as Uint8Array[] }));
    for (let step = 0; step < 400; step += 1) {
      const { owner, kept } = owners[random(3)]!;
      if (random(20) === 0) tail.clear(owner);
      const offset = kept.length;
      kept.push(batch(1 + random(bytesMax >> random(8)), step & 0xff));
      tail.push(owner, offset, offset + 1, kept[offset]!);
      assert.ok(tail.bytes <= bytesMax, `SEED=${seed}: ${tail.bytes} bytes of ${bytesMax}`);
      for (const { owner: any, kept: all } of owners) {
        if (any.batches.length === 0) continue;
        const first = any.batches.at(0).base;
        const read = tail.read(any, first, bytesMax, all.length)!;
        assert.ok(Buffer.concat(all.slice(first)).equals(read), `SEED=${seed}, step ${step}`);
      }
    }
  }
});
