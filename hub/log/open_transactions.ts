// Transactions that readers of committed records wait for: open ones, and ended ones not committed yet. Pure.

/** A transaction that a marker ended. */
export interface EndedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  /** The marker's own offset. */
  readonly lastOffset: number;
  readonly aborted: boolean;
  /**
   * Nothing below was open once this one had ended: every transaction that is aborted later begins at or above it, so a
   * search through the aborted ones may stop here (KIP-98).
   */
  readonly stableEnd: number;
}

export class OpenTransactions {
  /** First offset by producer; in order of first offsets, because offsets are given in order. */
  readonly #open = new Map<number, number>();
  /** Ended, by the order of their markers; those whose marker is below the high watermark are let go when asked. */
  #ended: EndedTransaction[] = [];

  get count(): number {
    return this.#open.size;
  }

  /** First offset of the producer's open transaction; -1 for none. */
  firstOffsetOf(producerId: number): number {
    return this.#open.get(producerId) ?? -1;
  }

  /** A transaction's first batch; nothing when one of this producer is open already. */
  begin(producerId: number, firstOffset: number): void {
    if (!this.#open.has(producerId)) this.#open.set(producerId, firstOffset);
  }

  /** A marker at `lastOffset`; null when the producer had nothing open. */
  end(producerId: number, lastOffset: number, aborted: boolean): EndedTransaction | null {
    const firstOffset = this.#open.get(producerId);
    if (firstOffset === undefined) return null;
    this.#open.delete(producerId);
    const stableEnd = this.#firstOpen() ?? lastOffset + 1;
    const ended = { producerId, firstOffset, lastOffset, aborted, stableEnd };
    this.#ended.push(ended);
    return ended;
  }

  #firstOpen(): number | undefined {
    return this.#open.values().next().value;
  }

  /**
   * The last stable offset: readers of committed records may have everything below. It is the first offset of the
   * earliest transaction that is open, or whose marker is not below the high watermark yet; else the watermark.
   * @param highWatermark never below that of an earlier call, but after a cut
   */
  lastStable(highWatermark: number): number {
    if (this.#open.size === 0 && this.#ended.length === 0) return highWatermark;
    let done = 0;
    while (done < this.#ended.length && this.#ended[done]!.lastOffset < highWatermark) done += 1;
    if (done > 0) this.#ended = this.#ended.slice(done);
    let stable = Math.min(highWatermark, this.#firstOpen() ?? highWatermark);
    for (const { firstOffset } of this.#ended) stable = Math.min(stable, firstOffset);
    return stable;
  }
}
