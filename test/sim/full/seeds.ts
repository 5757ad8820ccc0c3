// Seeds that once broke an invariant, kept for ever: what they drew, and why they failed.

export interface RecordedSeed {
  readonly seed: number;
  /** Kinds of faults instead of those that it draws. */
  readonly faults?: readonly string[];
  /** Numbers of the faults that were enough (shrink.ts); all of them when left out. */
  readonly only?: readonly number[];
  readonly why: string;
}

const rotting = ["rot", "kill", "powerAll", "midWrite", "partition", "stop", "fullDisk", "redisDown"];

/**
 * A change of what seeds draw makes other runs of them: the bugs themselves have tests of their own, and these are
 * runs that came close to one.
 */
export const recordedSeeds: readonly RecordedSeed[] = [
  { seed: 45, why: "members whose joins waited at a hub that lost its power waited for more than a minute" },
  { seed: 303, why: "a hub that knew a later version than Redis, which was put back, published without end" },
  { seed: 327, why: "an epoch that Redis had lost was known to all hubs, and nobody put it back" },
  { seed: 458, why: "a Redis that was put back counted as far again before anybody looked" },
  {
    seed: 5114,
    faults: ["handover", "move", "kill", "pause", "partition", "redisDown", "redisEarlier", "power", "stop"],
    only: [3, 7, 8, 10, 12],
    why: "a hub that was joining when Redis was put back kept versions that stood there no more",
  },
  { seed: 879, why: "what was published while Redis was being filled again was written over" },
  { seed: 111, faults: rotting, why: "a leader whose watermark waited for the damaged replica gave it nothing" },
  { seed: 150, faults: rotting, why: "as 111, with the first batch of the log" },
];
