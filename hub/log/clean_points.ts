// The file of clean points: up to where each compacted log was cleaned. A cache: without it everything is cleaned anew.
import type { Disk } from "../io/ports.ts";
import type { CleaningState } from "./cleaning.ts";
import { openCache, readWhole, replaceFile, sealText } from "./small_file.ts";

const pointsFile = "meta/cleaner-checkpoint";
const kind = "partidor-clean-points";

const never: CleaningState = { dirtyFrom: 0, horizonAt: Number.POSITIVE_INFINITY };

export class CleanPoints {
  readonly #disk: Disk;
  #points: Map<string, CleaningState> | null = null;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Read when it is first asked for: most folders hold no compacted log. */
  get #known(): Map<string, CleaningState> {
    this.#points ??= decode(readWhole(this.#disk, pointsFile));
    return this.#points;
  }

  get(key: string): CleaningState {
    return this.#known.get(key) ?? never;
  }

  /** Notes how far a log is cleaned, durably. */
  set(key: string, state: CleaningState): void {
    this.#known.set(key, state);
    this.#write();
  }

  /**
   * Forgets that anything from `offset` on is clean, durably: the log is being cut there, or removed, and what comes in
   * its place must not be taken for cleaned.
   */
  lower(key: string, offset: number): void {
    const state = this.#known.get(key);
    if (state === undefined || (offset > 0 && state.dirtyFrom <= offset)) return;
    if (offset > 0) this.#known.set(key, { ...state, dirtyFrom: offset });
    else this.#known.delete(key);
    this.#write();
  }

  #write(): void {
    const lines = [...this.#known].map(([key, { dirtyFrom, horizonAt }]) => {
      return [key, dirtyFrom, horizonAt === Number.POSITIVE_INFINITY ? -1 : horizonAt].join(" ");
    });
    replaceFile(this.#disk, pointsFile, sealText(kind, 1, lines));
  }
}

function decode(bytes: Uint8Array | null): Map<string, CleaningState> {
  const points = new Map<string, CleaningState>();
  for (const line of openCache(kind, 1, bytes) ?? []) {
    const [key, dirtyFrom, horizonAt] = line.split(" ");
    const at = Number(horizonAt);
    points.set(key!, { dirtyFrom: Number(dirtyFrom), horizonAt: at < 0 ? Number.POSITIVE_INFINITY : at });
  }
  return points;
}
