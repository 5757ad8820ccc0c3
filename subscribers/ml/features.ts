// Views of one series, each with a small constant memory: running mean, ranks, season. Pure.

/** Mean and mean absolute deviation with exponential forgetting; a plain average until `memory` values were seen. */
export interface Running {
  mean: number;
  deviation: number;
  count: number;
  readonly memory: number;
}

export function newRunning(memory: number): Running {
  return { mean: 0, deviation: 0, count: 0, memory };
}

/** Takes a value; O(1). */
export function learn(running: Running, value: number): void {
  running.count += 1;
  const rate = 1 / Math.min(running.count, running.memory);
  const off = value - running.mean;
  running.mean += rate * off;
  running.deviation += rate * (Math.abs(off) - running.deviation);
}

const bucketCount = 48;
/** Buckets per factor of ten. */
const perDecade = 8;
const smallest = 0.01;

/** How often a nonconformity of each size was seen: buckets on a logarithmic scale, with forgetting. */
export interface Histogram {
  readonly buckets: Float64Array;
  total: number;
  readonly memory: number;
}

export function newHistogram(memory: number): Histogram {
  return { buckets: new Float64Array(bucketCount), total: 0, memory };
}

function bucketOf(value: number): number {
  const at = Math.floor(Math.log10(Math.max(value, smallest) / smallest) * perDecade);
  return Math.min(bucketCount - 1, at);
}

/**
 * Conformal p-value: the share of past nonconformities at least as large, the new one counted in, in (0, 1].
 * Under exchangeable data P(p <= x) <= x, whatever the distribution.
 */
export function pValue(histogram: Histogram, value: number): number {
  const from = bucketOf(value);
  let above = histogram.buckets[from]! / 2;
  for (let at = from + 1; at < bucketCount; at++) above += histogram.buckets[at]!;
  return (above + 1) / (histogram.total + 1);
}

/** Takes a nonconformity; O(1). The weights of old ones fade by growing that of new ones; rescaled now and then. */
export function note(histogram: Histogram, value: number): void {
  const fade = histogram.total >= histogram.memory ? 1 - 1 / histogram.memory : 1;
  if (fade < 1) {
    for (let at = 0; at < bucketCount; at++) histogram.buckets[at]! *= fade;
    histogram.total *= fade;
  }
  const at = bucketOf(value);
  histogram.buckets[at] = histogram.buckets[at]! + 1;
  histogram.total += 1;
}

/** Slots of a day and of the two kinds of weekday: the daily season. */
export const slotsPerDay = 48;
const dayMs = 86_400_000;

export function slotOf(time: number): number {
  return Math.floor((((time % dayMs) + dayMs) % dayMs) / (dayMs / slotsPerDay));
}
