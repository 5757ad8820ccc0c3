// A log as an array of epochs, for the machines: one record an offset.
import type { LogView } from "../../../hub/cluster/types.ts";

export class ArrayLog implements LogView {
  epochs: number[];
  durableEnd: number;
  logStart = 0;
  repairing = false;

  constructor(epochs: readonly number[]) {
    this.epochs = [...epochs];
    this.durableEnd = epochs.length;
  }

  get logEnd(): number {
    return this.epochs.length;
  }

  get latestEpoch(): number {
    return this.epochs.at(-1) ?? -1;
  }

  append(epoch: number): void {
    this.epochs.push(epoch);
  }

  sync(): void {
    this.durableEnd = this.epochs.length;
  }

  truncate(to: number): void {
    this.epochs.length = Math.min(this.epochs.length, to);
    this.durableEnd = Math.min(this.durableEnd, to);
  }

  endOffsetForEpoch(epoch: number): { readonly epoch: number; readonly endOffset: number } {
    for (let at = this.epochs.length - 1; at >= 0; at--) {
      if (this.epochs[at]! <= epoch) return { epoch: this.epochs[at]!, endOffset: at + 1 };
    }
    return { epoch: -1, endOffset: -1 };
  }
}
