// Who has something to do at which second: buckets, so that twenty thousand keep-alives cost no timers. Pure.

const bucketMs = 1_000;

/**
 * Entries are put under a time; `due` gives those whose second has passed. An entry that was put again meanwhile is
 * given for its earliest time: whoever takes it looks whether it is really due and puts it again.
 */
export class Deadlines<T> {
  readonly #buckets = new Map<number, Set<T>>();
  readonly #places = new Map<T, number>();
  #lowest = Number.POSITIVE_INFINITY;

  get size(): number {
    return this.#places.size;
  }

  /** @param at milliseconds. Later than what the entry has already: nothing changes until that is due. */
  put(entry: T, at: number): void {
    const bucket = Math.ceil(at / bucketMs);
    const known = this.#places.get(entry);
    if (known !== undefined) {
      if (known <= bucket) return;
      this.#take(known, entry);
    }
    this.#places.set(entry, bucket);
    const held = this.#buckets.get(bucket);
    if (held === undefined) this.#buckets.set(bucket, new Set([entry]));
    else held.add(entry);
    if (bucket < this.#lowest) this.#lowest = bucket;
  }

  delete(entry: T): void {
    const known = this.#places.get(entry);
    if (known === undefined) return;
    this.#places.delete(entry);
    this.#take(known, entry);
  }

  /** Takes out what is due at `now`. */
  due(now: number): T[] {
    const last = Math.floor(now / bucketMs);
    if (this.#lowest > last) return [];
    const found: T[] = [];
    let lowest = Number.POSITIVE_INFINITY;
    for (const [bucket, entries] of this.#buckets) {
      if (bucket > last) {
        if (bucket < lowest) lowest = bucket;
        continue;
      }
      this.#buckets.delete(bucket);
      for (const entry of entries) {
        this.#places.delete(entry);
        found.push(entry);
      }
    }
    this.#lowest = lowest;
    return found;
  }

  #take(bucket: number, entry: T): void {
    const held = this.#buckets.get(bucket);
    held?.delete(entry);
    if (held?.size === 0) this.#buckets.delete(bucket);
  }
}
