// Tumbling windows: contents, order, lateness, wild clocks, idle devices, and equality after a restart anywhere.
import assert from "node:assert/strict";
import test from "node:test";
import {
  newWindows,
  onSample,
  openCount,
  resumeFrom,
  type WindowOptions,
  windowOptionsDefault,
} from "../../../subscribers/analytics/window.ts";
import type { Aggregate } from "../../../subscribers/messages.ts";
import { eventTime } from "../../../subscribers/sample.ts";

interface Line {
  readonly device: string;
  readonly metric: string;
  readonly t: number;
  readonly v: number;
  readonly at: number;
}

const minute = 60_000;
const base = 1_700_000_040_000;

function run(lines: readonly Line[], options: WindowOptions = windowOptionsDefault, from = 0, emitted = 0) {
  const windows = newWindows("sensors-0", options);
  const out: Aggregate[] = [];
  for (let offset = from; offset < lines.length; offset++) {
    const closed = onSample(windows, { ...lines[offset]!, unit: "" }, offset, lines[offset]!.at);
    if (offset >= emitted) out.push(...closed);
  }
  return { out, windows };
}

const line = (device: string, t: number, v: number, at = t): Line => ({ device, metric: "m", t, v, at });

test("a window closes when its device's time passes end plus lateness, with exact figures", () => {
  const { out } = run([
    line("a", base, 3),
    line("a", base + 30_000, 1),
    line("a", base + minute + 9_999, 100),
    line("a", base + 59_999, 2),
    line("a", base + minute + 10_000, 100),
  ]);
  assert.equal(out.length, 1);
  const expected = { start: base, end: base + minute, count: 3, min: 1, mean: 2, max: 3, late: 0, first: 0, last: 3 };
  assert.deepEqual({ ...out[0] }, { id: `sensors-0-0/m/${base}`, device: "a", metric: "m", unit: "", ...expected });
});

test("a late reading is counted in the oldest open window and opens no closed one", () => {
  const { out } = run([
    line("a", base, 1),
    line("a", base + 2 * minute, 5),
    line("a", base + 1, 9),
    line("a", base + 4 * minute, 5),
  ]);
  assert.deepEqual(
    out.map(({ start, count, late, min }) => [(start - base) / minute, count, late, min]),
    [
      [0, 1, 0, 1],
      [1, 0, 1, null],
      [2, 1, 0, 5],
    ],
  );
});

test("a device with a clock in 2106 does not touch the windows of others", () => {
  const far = Date.UTC(2106, 1, 7);
  assert.equal(eventTime(far, base), base);
  assert.equal(eventTime(0, base), base);
  assert.equal(eventTime(base - minute, base), base - minute);
  const lines: Line[] = [];
  for (let i = 0; i < 500; i++) {
    lines.push(line("wild", far + i * 1000, 1), line("a", base + i * 100, 1), line("b", base + i * 100, 1));
  }
  const { out } = run(lines);
  assert.equal(out.filter((aggregate) => aggregate.device !== "wild").length, 0);
});

test("a silent device is closed when two others agree that time went on", () => {
  const lines = [line("a", base, 1)];
  for (let i = 1; i < 100; i++) lines.push(line("b", base + i * 10_000, 1));
  assert.equal(run(lines).out.filter(({ device }) => device === "a").length, 0);
  for (let i = 1; i < 100; i++)
    lines.push(line("c", base + (100 + i) * 10_000, 1), line("b", base + (100 + i) * 10_000, 1));
  const { out, windows } = run(lines);
  assert.equal(out.filter(({ device }) => device === "a").length, 1);
  assert.equal(windows.devices.has("a"), false);
});

test("the number of devices is bounded; the longest silent goes first", () => {
  const options = { ...windowOptionsDefault, devicesMax: 10 };
  const { out, windows } = run(
    Array.from({ length: 100 }, (_, i) => line(`d${i}`, base + i, 1)),
    options,
  );
  assert.equal(windows.devices.size, 10);
  assert.equal(openCount(windows), 10);
  assert.deepEqual(
    out.slice(0, 3).map(({ device }) => device),
    ["d0", "d1", "d2"],
  );
});

test("sums are compensated and do not overflow", () => {
  const small = run([
    line("a", base, 1e16),
    ...Array.from({ length: 10 }, () => line("a", base, 1)),
    line("a", base, -1e16),
  ]);
  const window = [...small.windows.devices.get("a")!.windows.values()][0]!;
  assert.equal(window.sum + window.lost, 10);
  const { out } = run([line("a", base, 1.7e308), line("a", base, 1.7e308), line("a", base + 2 * minute, 0)]);
  assert.equal(out[0]!.mean, 1.7e308);
});

const seed = Number(process.env.SEED ?? Date.now() % 1e9);

function randomOf(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A stream with disorder, backfill, silence and clocks that step. */
function randomLines(random: () => number): Line[] {
  const devices = 1 + Math.floor(random() * 6);
  const skew = Array.from({ length: devices }, () => (random() < 0.3 ? Math.floor((random() - 0.7) * 600_000) : 0));
  let wall = base;
  const lines: Line[] = [];
  const count = 50 + Math.floor(random() * 1_500);
  for (let i = 0; i < count; i++) {
    wall += Math.floor(random() * 4_000);
    if (random() < 0.002) wall += Math.floor((random() - 0.2) * 900_000);
    const which = Math.floor(random() * random() * devices);
    if (random() < 0.003) skew[which] = Math.floor((random() - 0.7) * 600_000);
    const jitter = random() < 0.2 ? Math.floor(random() * 90_000) : 0;
    const t = eventTime(wall + skew[which]! - jitter, wall);
    lines.push({
      device: `d${which}`,
      metric: random() < 0.5 ? "m" : "n",
      t,
      v: Math.round(random() * 1e6) / 7,
      at: wall,
    });
  }
  return lines;
}

test("after a crash anywhere the aggregates are those of an uninterrupted run", () => {
  for (let round = 0; round < 300; round++) {
    const random = randomOf(seed + round);
    const lines = randomLines(random);
    const whole = run(lines).out;
    const cut = Math.floor(random() * lines.length);
    const before = run(lines.slice(0, cut));
    const from = resumeFrom(before.windows, cut);
    assert.ok(from <= cut);
    const after = run(lines, windowOptionsDefault, from, cut);
    assert.deepEqual([...before.out, ...after.out], whole, `SEED=${seed} round ${round} cut ${cut}`);
  }
});

test("every reading is in one aggregate or counted late once, and no window is written twice", () => {
  for (let round = 0; round < 100; round++) {
    const lines = randomLines(randomOf(seed + 5_000 + round));
    const options = { ...windowOptionsDefault, idleMs: Infinity, lateMs: 10_000 };
    const { out, windows } = run(lines, options);
    const open = [...windows.devices.values()].flatMap((device) => [...device.windows.values()]);
    const counted = [...out, ...open].reduce((sum, { count, late }) => sum + count + late, 0);
    assert.equal(counted, lines.length, `SEED=${seed} round ${round}`);
    const names = out.map(({ device, metric, start }) => `${device}/${metric}/${start}`);
    assert.equal(new Set(names).size, names.length, `SEED=${seed} round ${round}`);
    for (const { min, mean, max, count } of out) {
      if (count > 0) assert.ok(min! <= mean! && mean! <= max!, `SEED=${seed} round ${round}`);
    }
    assert.ok(open.length <= 6 * 2 * 2, `open windows ${open.length}`);
  }
});
