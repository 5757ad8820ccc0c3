// The benchmark's scoring function against cases worked out by hand.
import assert from "node:assert/strict";
import test from "node:test";
import {
  bestScore,
  probationOf,
  type Scored,
  scaledSigmoid,
  scoreAt,
  standardProfile,
} from "../../../subscribers/ml/score_nab.ts";

const near = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);

/** 100 rows (probation 15), one window over rows 50..59, detections at `rows`. */
function series(...rows: number[]): Scored[] {
  return [{ scores: Array.from({ length: 100 }, (_, i) => (rows.includes(i) ? 1 : 0)), windows: [[50, 59]] }];
}

test("probation is 15% and at most 750 rows", () => {
  assert.deepEqual([100, 1000, 5000, 22_695].map(probationOf), [15, 150, 750, 750]);
});

test("the sigmoid is 0 at the end of a window, 0.98661 at its start, -1 far behind", () => {
  near(scaledSigmoid(0), 0);
  near(scaledSigmoid(-1), 0.9866142981514303);
  near(scaledSigmoid(1), -0.9866142981514303);
  assert.equal(scaledSigmoid(3.01), -1);
});

test("a detection at the first row of the only window scores 100, silence 0", () => {
  near(scoreAt(series(50), 0.5).score, 100);
  near(scoreAt(series(), 0.5).score, 0);
});

test("a later detection is worth less, the earliest of several counts", () => {
  // Row 55: position -(59-55+1)/10 = -0.5, sigmoid 2/(1+e^-2.5)-1 = 0.8482836399575129, over 0.98661 = 0.8597925...
  const late = 0.8482836399575129 / 0.9866142981514303;
  near(scoreAt(series(55), 0.5).score, (100 * (late + 1)) / 2);
  near(scoreAt(series(55, 50, 59), 0.5).score, 100);
});

test("false alarms cost 0.11 before a window and less just behind it", () => {
  near(scoreAt(series(20, 50), 0.5).score, (100 * (1 - 0.11 + 1)) / 2);
  // Row 62: position (62-59)/9 = 1/3.
  const behind = 0.11 * (2 / (1 + Math.exp(5 / 3)) - 1);
  near(scoreAt(series(50, 62), 0.5).score, (100 * (1 + behind + 1)) / 2);
});

test("probation is not judged", () => {
  near(scoreAt(series(3, 50), 0.5).score, 100);
});

test("the best threshold is found and agrees with scoring at it", () => {
  let state = Number(process.env.SEED ?? 7);
  const seed = state;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  for (let round = 0; round < 50; round++) {
    const many: Scored[] = Array.from({ length: 3 }, () => ({
      scores: Array.from({ length: 120 }, () => Math.floor(random() * 20) / 20),
      windows: [
        [30, 40],
        [80, 95],
      ],
    }));
    const best = bestScore(many);
    const all = [2, ...new Set(many.flatMap(({ scores }) => scores))].map((at) => scoreAt(many, at).score);
    const where = `SEED=${seed} round ${round}`;
    assert.ok(Math.abs(best.score - Math.max(...all)) < 1e-9, where);
    const again = scoreAt(many, best.threshold);
    assert.deepEqual([again.hits, again.falseAlarms], [best.hits, best.falseAlarms], where);
    near(again.score, best.score);
  }
});

test("a corpus without windows: silence is perfect", () => {
  assert.equal(scoreAt([{ scores: [0, 0], windows: [] }], 0.5, standardProfile).score, 100);
});
