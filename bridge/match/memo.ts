// Remembers recent answers by topic within a bound, in two generations: what is used stays, the rest goes. Pure.

interface Entry<V> {
  readonly value: V;
  readonly cost: number;
}

/**
 * A map whose costs stay within `costMax`. The younger half takes new entries; when it is full it becomes the older
 * half, and what nobody asked for since the last time is dropped in one go: no list to keep in order on every read.
 */
export class Memo<V> {
  readonly #halfMax: number;
  #young = new Map<string, Entry<V>>();
  #old = new Map<string, Entry<V>>();
  #youngCost = 0;
  #oldCost = 0;

  constructor(costMax: number) {
    this.#halfMax = Math.floor(costMax / 2);
  }

  /** Costs held; at most `costMax`. */
  get cost(): number {
    return this.#youngCost + this.#oldCost;
  }

  get(key: string): V | undefined {
    const entry = this.#young.get(key);
    if (entry !== undefined) return entry.value;
    const older = this.#old.get(key);
    if (older === undefined) return undefined;
    this.#old.delete(key);
    this.#oldCost -= older.cost;
    this.#add(key, older);
    return older.value;
  }

  /** Remembers the answer, unless it alone costs more than half of the bound. */
  set(key: string, value: V, cost: number): void {
    this.delete(key);
    if (cost <= this.#halfMax) this.#add(key, { value, cost });
  }

  delete(key: string): void {
    const young = this.#young.get(key);
    if (young !== undefined) {
      this.#young.delete(key);
      this.#youngCost -= young.cost;
      return;
    }
    const old = this.#old.get(key);
    if (old === undefined) return;
    this.#old.delete(key);
    this.#oldCost -= old.cost;
  }

  clear(): void {
    if (this.#young.size > 0) this.#young = new Map();
    if (this.#old.size > 0) this.#old = new Map();
    this.#youngCost = 0;
    this.#oldCost = 0;
  }

  #add(key: string, entry: Entry<V>): void {
    if (this.#youngCost + entry.cost > this.#halfMax) {
      this.#old = this.#young;
      this.#oldCost = this.#youngCost;
      this.#young = new Map();
      this.#youngCost = 0;
    }
    this.#young.set(key, entry);
    this.#youngCost += entry.cost;
  }
}
