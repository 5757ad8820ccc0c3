// Leader epochs of one log: which epoch began at which offset (KIP-101, OffsetForLeaderEpoch). Pure.
import { openCache, sealText } from "./small_file.ts";

export interface EpochStart {
  readonly epoch: number;
  readonly start: number;
}

const kind = "partidor-epochs";
/** 2: up to which offset it tells. The file is not synced, so an older one may be there after a power cut. */
const version = 2;

/** Ascending in both fields. */
export class Epochs {
  #starts: EpochStart[];
  /** True when the file on disk says something else. */
  changed = false;

  constructor(starts: readonly EpochStart[] = []) {
    this.#starts = [...starts];
  }

  get starts(): readonly EpochStart[] {
    return this.#starts;
  }

  /** -1 when there is none. */
  get latest(): number {
    return this.#starts.at(-1)?.epoch ?? -1;
  }

  /** Notes that `epoch` wrote at `offset`; only its first offset matters. An epoch below the latest changes nothing. */
  assign(epoch: number, offset: number): void {
    if (epoch <= this.latest || epoch < 0) return;
    // An epoch that wrote nothing leaves an entry at the same offset: the newer one takes its place.
    while ((this.#starts.at(-1)?.start ?? -1) >= offset) this.#starts.pop();
    this.#starts.push({ epoch, start: offset });
    this.changed = true;
  }

  /** The end of the largest epoch <= `epoch`: where the next one begins, or the log's end. (-1, -1) for none. */
  endOf(epoch: number, logEnd: number): { readonly epoch: number; readonly endOffset: number } {
    let found = -1;
    for (let i = 0; i < this.#starts.length && this.#starts[i]!.epoch <= epoch; i += 1) found = i;
    if (found < 0) return { epoch: -1, endOffset: -1 };
    return { epoch: this.#starts[found]!.epoch, endOffset: this.#starts[found + 1]?.start ?? logEnd };
  }

  /** The epoch that wrote `offset`; -1 when it is not known. */
  epochOf(offset: number): number {
    let epoch = -1;
    for (const entry of this.#starts) {
      if (entry.start > offset) break;
      epoch = entry.epoch;
    }
    return epoch;
  }

  /** Forgets what began at or above `offset`: the log was cut there. */
  cutFrom(offset: number): void {
    while ((this.#starts.at(-1)?.start ?? -1) >= offset) {
      this.#starts.pop();
      this.changed = true;
    }
  }

  /** Raises the starts of epochs that lie below the log start; the last of them stays, beginning there. */
  cutBelow(logStart: number): void {
    let keep = 0;
    while (keep + 1 < this.#starts.length && this.#starts[keep + 1]!.start <= logStart) keep += 1;
    if (keep > 0) this.changed = true;
    this.#starts.splice(0, keep);
    const first = this.#starts[0];
    if (first && first.start < logStart) {
      this.#starts[0] = { epoch: first.epoch, start: logStart };
      this.changed = true;
    }
  }

  /** The file `leader-epoch-checkpoint`: of all batches below `logEnd`. */
  encode(logEnd: number): Uint8Array {
    return sealText(kind, version, [`${logEnd}`, ...this.#starts.map(({ epoch, start }) => `${epoch} ${start}`)]);
  }

  /** null when the file is missing or torn: then it is made anew from the batches. It tells of those below `upTo`. */
  static decode(bytes: Uint8Array | null): { readonly epochs: Epochs; readonly upTo: number } | null {
    const lines = openCache(kind, version, bytes);
    if (lines === null) return null;
    const starts = lines.slice(1).map((line) => {
      const [epoch, start] = line.split(" ");
      return { epoch: Number(epoch), start: Number(start) };
    });
    return { epochs: new Epochs(starts), upTo: Number(lines[0]) };
  }
}
