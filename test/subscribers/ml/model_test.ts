// The model: bounded scores, silence on calm series, alerts on what is plainly wrong; its parts by their definitions.
import assert from "node:assert/strict";
import test from "node:test";
import type { InRecord } from "../../../hub/client/faces.ts";
import { decodeAlert } from "../../../subscribers/messages.ts";
import { learn, newHistogram, newRunning, note, pValue, slotOf } from "../../../subscribers/ml/features.ts";
import { mlTask, Scorer, seriesMax } from "../../../subscribers/ml/ml.ts";
import { alertThreshold, newSeries, observe } from "../../../subscribers/ml/model.ts";

const seed = Number(process.env.SEED ?? 4711);

function randomOf(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const minutes = (i: number): number => 1_700_000_000_000 + i * 300_000;

/** Rows with an alert. */
function alerts(values: readonly number[]): number[] {
  const state = newSeries();
  return values.flatMap((value, i) => (observe(state, minutes(i), value).score >= alertThreshold ? [i] : []));
}

function noise(count: number, of: (i: number) => number, random = randomOf(seed)): number[] {
  return Array.from({ length: count }, (_, i) => of(i) + (random() + random() + random() - 1.5));
}

const daily = (i: number): number => 20 + 5 * Math.sin((i / 288) * 2 * Math.PI);

test("a constant series and a clean daily wave raise nothing", () => {
  assert.deepEqual(alerts(new Array(5_000).fill(21.5)), []);
  assert.deepEqual(
    alerts(Array.from({ length: 5_000 }, (_, i) => daily(i))).filter((row) => row > 900),
    [],
  );
});

test("noise raises few alerts", () => {
  const { length } = alerts(noise(20_000, daily));
  assert.ok(length <= 60, `${length} alerts, SEED=${seed}`);
});

test("a jump in level, a stuck sensor's jump and a burst are found soon", () => {
  const base = (i: number): number => daily(i);
  const cases: [string, (i: number) => number][] = [
    ["level", (i) => base(i) + (i >= 4_000 ? 25 : 0)],
    ["stuck far off", (i) => (i >= 4_000 && i < 4_100 ? -40 : base(i))],
    ["burst", (i) => base(i) + (i >= 4_000 && i < 4_060 ? (i % 2) * 30 - 15 : 0)],
  ];
  for (const [name, of] of cases) {
    const found = alerts(noise(4_300, of)).filter((row) => row >= 4_000 && row < 4_060);
    assert.ok(found.length >= 1, `${name} is not found, SEED=${seed}`);
  }
});

test("an event is announced once, then the series is held", () => {
  const rows = alerts(noise(4_300, (i) => daily(i) + (i >= 4_000 ? 25 : 0))).filter((row) => row >= 4_000);
  for (let i = 1; i < rows.length; i++) assert.ok(rows[i]! - rows[i - 1]! >= 50);
});

test("the score stays within 0..1 whatever comes", () => {
  const random = randomOf(seed);
  const odd = [0, -0, 1e308, -1e308, 1.7e308, 5e-324, 1, -1];
  const state = newSeries();
  for (let i = 0; i < 20_000; i++) {
    const value =
      random() < 0.5 ? odd[Math.floor(random() * odd.length)]! : random() * 10 ** Math.floor(random() * 300);
    const { score } = observe(state, Math.floor((random() - 0.5) * 1e16), value);
    assert.ok(score >= 0 && score <= 1, `${score} SEED=${seed} row ${i}`);
  }
});

test("p-values are ranks: uniform data gives p <= x about x of the time", () => {
  const random = randomOf(seed);
  const histogram = newHistogram(1e9);
  let below = 0;
  for (let i = 0; i < 20_000; i++) {
    const value = 10 ** (random() * 4 - 1);
    if (pValue(histogram, value) <= 0.1) below += 1;
    note(histogram, value);
  }
  assert.ok(Math.abs(below / 20_000 - 0.1) < 0.03, `${below / 20_000} SEED=${seed}`);
});

test("a running mean is a plain average first, then forgets", () => {
  const running = newRunning(4);
  for (const value of [1, 2, 3, 4]) learn(running, value);
  assert.equal(running.mean, 2.5);
  for (let i = 0; i < 100; i++) learn(running, 10);
  assert.ok(Math.abs(running.mean - 10) < 1e-6);
  assert.deepEqual([0, 1_799_999, 1_800_000, -1, 86_400_000].map(slotOf), [0, 0, 1, 47, 0]);
});

test("series are bounded; the longest silent is forgotten", () => {
  const scorer = new Scorer();
  for (let i = 0; i < seriesMax + 10; i++) scorer.score({ device: `d${i}`, metric: "m", t: 0, v: 1, unit: "" });
  assert.equal(scorer.size, seriesMax);
});

test("an alert bears the place of its reading as id, the same on every run", () => {
  const values = noise(1_200, (i) => daily(i) + (i >= 1_000 ? 60 : 0));
  const run = (): string[] => {
    const task = mlTask("sensors", 3);
    return values.flatMap((v, offset) => {
      const value = new TextEncoder().encode(JSON.stringify({ t: minutes(offset), v }));
      const place = { topic: "sensors", partition: 3, offset, timestamp: minutes(offset), headers: [] };
      const emits = task.onRecord({ ...place, key: new TextEncoder().encode("dev-1"), value } as InRecord);
      assert.ok(typeof emits !== "string");
      return emits.map((emit) => new TextDecoder().decode(emit.value));
    });
  };
  const first = run();
  assert.ok(first.length > 0);
  assert.deepEqual(run(), first);
  for (const text of first) {
    const alert = decodeAlert(new TextEncoder().encode(text));
    assert.match(alert.id, /^sensors-3-\d+$/);
    assert.ok(alert.device === "dev-1" && alert.why.includes(":") && alert.score >= alertThreshold);
  }
});
