// Offsets that transactions hold for groups: which are unstable now, and when what was decided is applied (KIP-447).
import type { Transaction } from "../transactions/transaction.ts";
import { TransactionState } from "../transactions/transaction.ts";
import type { HeldRow } from "./transactions_types.ts";

/** What the group engine asks before it tells or takes offsets. */
export interface UnstableOffsets {
  /** True while a transaction holds an offset of this partition for the group. */
  isPending(group: string, topicId: string, partition: number): boolean;
  /**
   * Resolves when every commit that was decided for the group is applied; null when none is under way. A later commit
   * waits for it: a decision that a crash makes the hub apply again must not go over it.
   */
  settled(group: string): Promise<void> | null;
}

interface Held {
  readonly partitions: ReadonlySet<string>;
  readonly decided: boolean;
}

/** Follows the transactions; filled by the transaction engine, asked by the group engine. */
export class PendingOffsets implements UnstableOffsets {
  /** group -> transactional id -> what it holds. */
  readonly #held = new Map<string, Map<string, Held>>();
  readonly #groupsOf = new Map<string, readonly string[]>();
  readonly #waiting = new Map<string, { readonly promise: Promise<void>; readonly resolve: () => void }>();
  #complete = false;

  /** Everything is read from the log. */
  get complete(): boolean {
    return this.#complete;
  }

  /** What is held now, for the coordinators of the groups. */
  *rows(): Iterable<HeldRow> {
    for (const [group, of] of this.#held) {
      for (const [transactionalId, { partitions, decided }] of of) {
        yield { group, transactionalId, decided, partitions: [...partitions].map(placeOf) };
      }
    }
  }

  /** Until everything is read from the log, any partition may have offsets that wait. */
  loaded(): void {
    this.#complete = true;
    for (const group of [...this.#waiting.keys()]) this.#settle(group);
  }

  /** Takes over what a transaction holds now; undefined: the id is gone. */
  update(id: string, transaction: Transaction | undefined): void {
    const before = this.#groupsOf.get(id) ?? [];
    const now = transaction?.offsets ?? new Map();
    const decided = transaction?.image?.state === TransactionState.PrepareCommit;
    for (const group of before) if (!now.has(group)) this.#drop(group, id);
    for (const [group, offsets] of transaction?.offsets ?? []) {
      const of = this.#held.get(group) ?? new Map<string, Held>();
      this.#held.set(group, of);
      const partitions = new Set(offsets.map(({ topicId, partition }) => keyOf(topicId, partition)));
      of.set(id, { partitions, decided });
    }
    if (now.size === 0) this.#groupsOf.delete(id);
    else this.#groupsOf.set(id, [...now.keys()]);
    for (const group of before) this.#settle(group);
  }

  #drop(group: string, id: string): void {
    const of = this.#held.get(group);
    of?.delete(id);
    if (of?.size === 0) this.#held.delete(group);
  }

  #settle(group: string): void {
    if (this.#isDeciding(group)) return;
    this.#waiting.get(group)?.resolve();
    this.#waiting.delete(group);
  }

  #isDeciding(group: string): boolean {
    if (!this.#complete) return true; // a decision may stand in the log, and will be applied
    for (const { decided } of this.#held.get(group)?.values() ?? []) if (decided) return true;
    return false;
  }

  isPending(group: string, topicId: string, partition: number): boolean {
    if (!this.#complete) return true;
    for (const { partitions } of this.#held.get(group)?.values() ?? []) {
      if (partitions.has(keyOf(topicId, partition))) return true;
    }
    return false;
  }

  settled(group: string): Promise<void> | null {
    if (!this.#isDeciding(group)) return null;
    let waiting = this.#waiting.get(group);
    if (waiting === undefined) {
      let resolve = (): void => {};
      const promise = new Promise<void>((done) => {
        resolve = done;
      });
      waiting = { promise, resolve };
      this.#waiting.set(group, waiting);
    }
    return waiting.promise;
  }
}

function placeOf(key: string): { readonly topicId: string; readonly partition: number } {
  const [topicId = "", partition] = key.split(" ");
  return { topicId, partition: Number(partition) };
}

const keyOf = (topicId: string, partition: number): string => `${topicId} ${partition}`;
