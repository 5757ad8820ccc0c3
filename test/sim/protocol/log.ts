// A log as two arrays, epochs and values, one record an offset: what is written, what counts as durable, what is synced.
import type { LogView } from "../../../hub/cluster/types.ts";

/** What a log knows of an epoch's end. */
export interface EpochEnd {
  readonly epoch: number;
  readonly endOffset: number;
}

const unknown: EpochEnd = { epoch: -1, endOffset: -1 };

export class SimLog implements LogView {
  readonly epochs: number[] = [];
  readonly values: number[] = [];
  readonly logStart = 0;
  /** Covered by the log's fsync policy. */
  durableEnd = 0;
  /** On the platter: what a power cut leaves for sure. */
  syncedEnd = 0;

  get logEnd(): number {
    return this.epochs.length;
  }

  get latestEpoch(): number {
    const { length } = this.epochs;
    return length === 0 ? -1 : this.epochs[length - 1]!;
  }

  append(epoch: number, value: number): void {
    this.epochs.push(epoch);
    this.values.push(value);
  }

  truncate(to: number): void {
    if (to >= this.epochs.length) return;
    this.epochs.length = to;
    this.values.length = to;
    if (this.durableEnd > to) this.durableEnd = to;
    if (this.syncedEnd > to) this.syncedEnd = to;
  }

  endOffsetForEpoch(epoch: number): EpochEnd {
    const { epochs } = this;
    for (let at = epochs.length - 1; at >= 0; at--) {
      if (epochs[at]! <= epoch) return { epoch: epochs[at]!, endOffset: at + 1 };
    }
    return unknown;
  }
}
