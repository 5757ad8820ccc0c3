// Online anomaly score of one series: conformal p-values of four views, smoothed and set against their own past. Pure.
//
// DESIGN. Each reading is seen as level, step, departure from the usual value of this half hour of the day, and
// roughness (fast against slow mean step). A view's nonconformity, in deviations of its own past, becomes a p-value by
// its rank among the nonconformities seen before: no distribution is assumed. The least likely view counts. A single
// unlikely reading happens in every long series, so the score is that of the smoothed surprise, in deviations from its
// own long mean: `thresholdDeviations` of them is 0.5. After an alert the series is held at 0 for `calmReadings`,
// so that one event is announced once. About 3 KiB and 1.5 us per reading; nothing is trained in advance.
import {
  type Histogram,
  learn,
  newHistogram,
  newRunning,
  note,
  pValue,
  type Running,
  slotOf,
  slotsPerDay,
} from "./features.ts";

/** A score at or above this is an alert. */
export const alertThreshold = 0.5;

/** Chosen on the benchmark's series (test/bench/nab_bench.ts), in readings unless the name says otherwise. */
const tuning = {
  levelMemory: 100,
  viewMemory: 300,
  rankMemory: 4_000,
  fastMemory: 20,
  slowMemory: 300,
  seasonMemory: 5,
  smoothing: 16,
  surpriseMemory: 1_000,
  thresholdDeviations: 3.5,
  calmReadings: 50,
  /** Before so many readings nothing is ranked. */
  learning: 20,
  /** Before so many readings nothing is announced: what is usual is not known yet. */
  settling: 150,
} as const;

/** Larger values are taken as this: differences of two of them must stay finite. */
const valueMax = 1e150;

interface View {
  readonly running: Running;
  readonly ranks: Histogram;
}

/** Everything the model remembers of one series. */
export interface SeriesState {
  count: number;
  last: number;
  readonly level: View;
  readonly step: View;
  readonly season: View;
  readonly rough: View;
  readonly fast: Running;
  readonly slow: Running;
  /** Usual value by half hour of the day (UTC), and how often each was seen. */
  readonly slots: Float64Array;
  readonly slotCounts: Uint16Array;
  surprise: number;
  readonly surprises: Running;
  /** Readings until the series may raise an alert again. */
  calm: number;
}

export interface Verdict {
  /** 0..1. */
  readonly score: number;
  /** The view that was surprised most, with its figures; "" below the threshold. */
  readonly why: string;
}

export function newSeries(): SeriesState {
  const view = (memory: number): View => ({ running: newRunning(memory), ranks: newHistogram(tuning.rankMemory) });
  return {
    count: 0,
    last: 0,
    level: view(tuning.levelMemory),
    step: view(tuning.viewMemory),
    season: view(tuning.viewMemory),
    rough: view(tuning.viewMemory),
    fast: newRunning(tuning.fastMemory),
    slow: newRunning(tuning.slowMemory),
    slots: new Float64Array(slotsPerDay),
    slotCounts: new Uint16Array(slotsPerDay),
    surprise: 0,
    surprises: newRunning(tuning.surpriseMemory),
    calm: 0,
  };
}

/**
 * Scores one reading and learns from it. O(1).
 * @param time event time in ms since the Unix epoch; only its place in the day is used.
 * @param value finite.
 */
export function observe(state: SeriesState, time: number, value: number): Verdict {
  const v = Math.max(-valueMax, Math.min(valueMax, value));
  state.count += 1;
  const step = state.count === 1 ? 0 : v - state.last;
  state.last = v;
  const offSeason = v - seasonal(state, slotOf(time), v);
  learn(state.fast, Math.abs(step));
  learn(state.slow, Math.abs(step));
  const rough = Math.log((state.fast.mean + 1e-9) / (state.slow.mean + 1e-9));
  const { mean, deviation } = state.level.running;
  const found: [name: string, surprise: number, text: () => string][] = [
    ["level", surpriseOf(state.level, v), () => `${short(v)} where ${short(mean)} \u00b1 ${short(deviation)} is usual`],
    ["step", surpriseOf(state.step, step), () => `a step of ${short(step)}`],
    ["season", surpriseOf(state.season, offSeason), () => `${short(offSeason)} off the usual for this time of day`],
    ["roughness", surpriseOf(state.rough, rough), () => `steps ${short(Math.exp(rough))} times the usual size`],
  ];
  const top = found.reduce((best, entry) => (entry[1] > best[1] ? entry : best));
  state.surprise += (top[1] - state.surprise) / tuning.smoothing;
  const deviations = (state.surprise - state.surprises.mean) / Math.max(state.surprises.deviation, 0.05);
  learn(state.surprises, state.surprise);
  const score = 1 - 2 ** (-Math.max(0, deviations) / tuning.thresholdDeviations);
  if (state.calm > 0 || state.count < tuning.settling) {
    state.calm = Math.max(0, state.calm - 1);
    return { score: 0, why: "" };
  }
  if (score < alertThreshold) return { score, why: "" };
  state.calm = tuning.calmReadings - 1;
  return { score, why: `${top[0]}: ${top[2]()}` };
}

/** -log10 of the p-value of this value in the view's past; learns it. */
function surpriseOf(view: View, value: number): number {
  const { running, ranks } = view;
  if (running.count < tuning.learning) {
    learn(running, value);
    return 0;
  }
  const scale = Math.max(running.deviation, Math.abs(running.mean) * 1e-4, 1e-9);
  const off = Math.abs(value - running.mean) / scale;
  const p = pValue(ranks, off);
  note(ranks, off);
  learn(running, value);
  return -Math.log10(p);
}

/** The usual value of this slot so far; learns the new one. */
function seasonal(state: SeriesState, slot: number, value: number): number {
  const seen = state.slotCounts[slot]!;
  const usual = seen > 0 ? state.slots[slot]! : state.level.running.mean;
  if (seen < 65_535) state.slotCounts[slot] = seen + 1;
  state.slots[slot] = usual + (value - usual) / Math.min(seen + 1, tuning.seasonMemory);
  return usual;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
