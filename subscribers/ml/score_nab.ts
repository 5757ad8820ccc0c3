// The scoring function of the Numenta Anomaly Benchmark (standard profile), for measuring the model. Pure.
// Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms" (2015): a detection counts once per labelled
// window and the more the earlier it is; a false one costs less the closer it follows a window.

/** One series with what a detector said of it. */
export interface Scored {
  /** 0..1 for each row. */
  readonly scores: readonly number[];
  /** Labelled windows as row numbers, both ends included, in order and apart. */
  readonly windows: readonly (readonly [first: number, last: number])[];
}

export interface Profile {
  readonly hit: number;
  readonly falseAlarm: number;
  readonly miss: number;
}

export const standardProfile: Profile = { hit: 1, falseAlarm: 0.11, miss: 1 };

/** Rows at the beginning that do not count: the detector learns. 15%, at most 750. */
export function probationOf(rows: number): number {
  return Math.min(Math.floor(0.15 * rows), 750);
}

/** 1 at -infinity, 0 at the end of the window (0), -1 far behind it. */
export function scaledSigmoid(position: number): number {
  return position > 3 ? -1 : 2 / (1 + Math.exp(5 * position)) - 1;
}

interface Point {
  readonly score: number;
  /** Number of the window it lies in over all series; -1 outside. */
  readonly window: number;
  /** What the row is worth as a detection. */
  readonly worth: number;
}

function pointsOf(series: readonly Scored[], profile: Profile): { points: Point[]; windows: number } {
  const points: Point[] = [];
  const best = scaledSigmoid(-1);
  let windows = 0;
  for (const { scores, windows: labelled } of series) {
    const probation = probationOf(scores.length);
    let at = 0;
    for (let row = 0; row < scores.length; row++) {
      while (at < labelled.length && row > labelled[at]![1]) at++;
      if (row < probation) continue;
      const inside = labelled[at];
      if (inside !== undefined && row >= inside[0]) {
        const position = -(inside[1] - row + 1) / (inside[1] - inside[0] + 1);
        const worth = (scaledSigmoid(position) * profile.hit) / best;
        points.push({ score: scores[row]!, window: windows + at, worth });
        continue;
      }
      const behind = labelled[at - 1];
      const position = behind === undefined ? Infinity : (row - behind[1]) / Math.max(1, behind[1] - behind[0]);
      points.push({ score: scores[row]!, window: -1, worth: scaledSigmoid(position) * profile.falseAlarm });
    }
    windows += labelled.length;
  }
  return { points, windows };
}

export interface NabScore {
  /** 100 for a perfect detector, 0 for one that says nothing; may be negative. */
  readonly score: number;
  readonly threshold: number;
  /** Windows with a detection. */
  readonly hits: number;
  readonly windows: number;
  /** Rows outside of windows at or above the threshold. */
  readonly falseAlarms: number;
}

/** The score of one threshold for all series. */
export function scoreAt(series: readonly Scored[], threshold: number, profile: Profile = standardProfile): NabScore {
  const { points, windows } = pointsOf(series, profile);
  return total(
    points.filter((point) => point.score >= threshold),
    windows,
    threshold,
    profile,
  );
}

function total(detected: readonly Point[], windows: number, threshold: number, profile: Profile): NabScore {
  const hits = new Map<number, number>();
  let raw = 0;
  let falseAlarms = 0;
  for (const { window, worth } of detected) {
    if (window >= 0) hits.set(window, Math.max(hits.get(window) ?? -Infinity, worth));
    else {
      raw += worth;
      falseAlarms += 1;
    }
  }
  for (const worth of hits.values()) raw += worth;
  raw -= (windows - hits.size) * profile.miss;
  return { score: normalised(raw, windows, profile), threshold, hits: hits.size, windows, falseAlarms };
}

function normalised(raw: number, windows: number, profile: Profile): number {
  if (windows === 0) return raw === 0 ? 100 : 0;
  const silent = -windows * profile.miss;
  return (100 * (raw - silent)) / (windows * profile.hit - silent);
}

/** The best score over all thresholds, as the benchmark does: one threshold for the whole corpus. */
export function bestScore(series: readonly Scored[], profile: Profile = standardProfile): NabScore {
  const { points, windows } = pointsOf(series, profile);
  points.sort((a, b) => b.score - a.score);
  let best = total([], windows, Number.POSITIVE_INFINITY, profile);
  const hits = new Map<number, number>();
  let raw = -windows * profile.miss;
  let falseAlarms = 0;
  points.forEach(({ score, window, worth }, i) => {
    if (window < 0) {
      raw += worth;
      falseAlarms += 1;
    } else {
      const before = hits.get(window);
      raw += before === undefined ? worth + profile.miss : Math.max(0, worth - before);
      hits.set(window, Math.max(before ?? -Infinity, worth));
    }
    if (points[i + 1]?.score === score) return;
    const value = normalised(raw, windows, profile);
    if (value > best.score) best = { score: value, threshold: score, hits: hits.size, windows, falseAlarms };
  });
  return best;
}
