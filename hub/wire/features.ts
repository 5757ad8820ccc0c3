// Finalized features that ApiVersions tells: what a client may rely on beyond the ranges of versions (KIP-584).

export interface Feature {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** The level in force. */
  readonly level: number;
}

/** Grows as what a level promises becomes true. */
export const features: readonly Feature[] = [
  // 1: the server-side group protocol (KIP-848).
  { name: "group.version", min: 0, max: 1, level: 1 },
  // 2: ends bump the epoch; first batches and first offsets join their transaction by themselves (KIP-890, part 2).
  { name: "transaction.version", min: 0, max: 2, level: 2 },
];

/** Counts changes of the table above, so that a client can tell an older answer from a newer one. */
export const featuresEpoch = 2;
