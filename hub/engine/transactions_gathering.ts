// Partitions that one turn's batches add to a transaction by themselves become one record of the log (KIP-890).
import type { ErrorName } from "../errors.ts";
import type { Partitions } from "../transactions/transaction.ts";

interface Claim {
  readonly id: string;
  readonly producerId: number;
  readonly epoch: number;
}

interface Gathered {
  readonly claim: Claim;
  readonly partitions: Map<string, Set<number>>;
  readonly answer: Promise<ErrorName>;
}

/** A produce request names many partitions at once; each would else wait for the write of the one before. */
export class PartitionsGathered {
  readonly #add: (claim: Claim, partitions: Partitions) => Promise<ErrorName>;
  readonly #open = new Map<string, Gathered>();

  constructor(add: (claim: Claim, partitions: Partitions) => Promise<ErrorName>) {
    this.#add = add;
  }

  /** Resolves when the partition belongs to the transaction, durably, or with why not. */
  add(claim: Claim, topic: string, partition: number): Promise<ErrorName> {
    const key = `${claim.producerId} ${claim.epoch} ${claim.id}`;
    let gathered = this.#open.get(key);
    if (gathered === undefined) {
      gathered = { claim, partitions: new Map(), answer: this.#afterThisTurn(key) };
      this.#open.set(key, gathered);
    }
    const indexes = gathered.partitions.get(topic) ?? new Set();
    gathered.partitions.set(topic, indexes.add(partition));
    return gathered.answer;
  }

  async #afterThisTurn(key: string): Promise<ErrorName> {
    await Promise.resolve();
    const gathered = this.#open.get(key)!;
    this.#open.delete(key);
    return this.#add(gathered.claim, gathered.partitions);
  }
}
