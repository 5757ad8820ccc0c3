// Seeded signals: repeatable, and each fault is seen where it was asked for.
import assert from "node:assert/strict";
import test from "node:test";
import { type Fault, seededRandom, signal } from "../../devices/sensors.ts";

function first(count: number, faults: Fault[] = [], noise = 1): (number | null)[] {
  const values = signal(7, { mean: 20, amplitude: 5, period: 24, noise }, faults);
  return Array.from({ length: count }, () => values.next().value as number | null);
}

test("signal gives the same values for the same seed", () => {
  assert.deepEqual(first(100), first(100));
  assert.equal(new Set(first(100)).size > 90, true);
});

test("signal shows stuck, spike, drift and silent where they were asked for", () => {
  const clean = first(20, [], 0);
  const broken = first(
    20,
    [
      { kind: "stuck", from: 3, steps: 2 },
      { kind: "spike", from: 8, by: 50 },
      { kind: "drift", from: 12, steps: 3, by: 1 },
      { kind: "silent", from: 17, steps: 1 },
    ],
    0,
  );
  const moved = broken.map((value, step) => (value === null ? null : Math.round((value - clean[step]!) * 100) / 100));
  assert.deepEqual([broken[3], broken[4]], [clean[2], clean[2]]);
  assert.deepEqual(moved.slice(5, 17), [0, 0, 0, 50, 0, 0, 0, 1, 2, 3, 0, 0]);
  assert.equal(broken[17], null);
});

test("seededRandom stays in [0, 1) and is spread evenly", () => {
  const random = seededRandom(3);
  let sum = 0;
  for (let count = 0; count < 10_000; count++) {
    const value = random();
    assert.ok(value >= 0 && value < 1);
    sum += value;
  }
  assert.ok(Math.abs(sum / 10_000 - 0.5) < 0.02);
});
