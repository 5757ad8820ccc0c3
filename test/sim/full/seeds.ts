// Seeds that once broke an invariant, kept for ever: what they drew, and why they failed.

export interface RecordedSeed {
  readonly seed: number;
  /** Numbers of the faults that were enough (shrink.ts); all of them when left out. */
  readonly only?: readonly number[];
  readonly why: string;
}

/**
 * A change of what seeds draw makes other runs of them: the bugs themselves have tests of their own, and these are
 * runs that came close to one.
 */
export const recordedSeeds: readonly RecordedSeed[] = [];
