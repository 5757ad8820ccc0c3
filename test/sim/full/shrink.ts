// Shrinks a failing seed: which of the faults that it draws are enough to break the same invariant.
import type { RunResult } from "./run.ts";

/** Runs the seed with these faults alone. */
export type Attempt = (only: ReadonlySet<number>) => Promise<Pick<RunResult, "violation" | "faults">>;

/** The part of a violation that names the invariant. */
function invariantOf(violation: string | null): string | null {
  return violation?.split(":", 1)[0] ?? null;
}

/**
 * Leaves faults out, half of them first, then fewer and fewer at a time, as long as the invariant still breaks.
 * A fault has draws of its own, so that the others stay what they are.
 * @returns the numbers of the faults that are left
 */
export async function shrink(
  failed: Pick<RunResult, "violation" | "faults">,
  attempt: Attempt,
  attemptsMax = 60,
): Promise<readonly number[]> {
  const invariant = invariantOf(failed.violation);
  let left = Array.from({ length: failed.faults }, (_, index) => index + 1);
  let attempts = 0;
  for (let size = Math.ceil(left.length / 2); left.length > 0 && attempts < attemptsMax; ) {
    let shrunk = false;
    for (let at = 0; at < left.length && attempts < attemptsMax; ) {
      const fewer = [...left.slice(0, at), ...left.slice(at + size)];
      attempts += 1;
      const { violation } = await attempt(new Set(fewer));
      if (invariantOf(violation) === invariant) [left, shrunk] = [fewer, true];
      else at += size;
    }
    if (size === 1 && !shrunk) break;
    size = Math.max(1, Math.floor(size / 2));
  }
  return left;
}
