// What transactions that other hubs coordinate hold for the groups coordinated here (KIP-447).
import type { Clock, Timer } from "../io/ports.ts";
import type { CommittedOffset } from "../io/registry.ts";
import { limits } from "../limits.ts";
import type { UnstableOffsets } from "./transactions_offsets.ts";
import type { HeldRow } from "./transactions_types.ts";

interface Held {
  partitions: ReadonlySet<string>;
  decided: boolean;
  /** The decision came here and is applied, whatever the transaction's coordinator still says of it. */
  applied: boolean;
  /** Number of the last change here: an answer that was asked for earlier does not go over it. */
  change: number;
}

export interface HeldOffsetsOptions {
  readonly clock: Clock;
  /** Everything that is held, of all transactions; null when not every coordinator could be asked. */
  readonly ask: () => Promise<readonly HeldRow[] | null>;
  readonly owns: (group: string) => boolean;
}

/**
 * Offsets come through the group's coordinator, so it knows what is held from the first moment; what became of it, and
 * what a coordinator before this one let through, the transactions' coordinators know. They are asked until nothing is
 * held any more. Bounded by what transactions may hold (limits.transactionalIdsMax).
 */
export class HeldOffsets implements UnstableOffsets {
  readonly #options: HeldOffsetsOptions;
  readonly #held = new Map<string, Map<string, Held>>();
  readonly #watchers = new Set<() => void>();
  #changes = 0;
  #complete = false;
  #looking: Promise<void> | null = null;
  #timer: Timer | null = null;
  #closed = false;

  constructor(options: HeldOffsetsOptions) {
    this.#options = options;
    void this.#look();
  }

  /** A transaction is about to hold these; until its coordinator says otherwise they are unstable. */
  note(group: string, transactionalId: string, offsets: readonly CommittedOffset[]): void {
    const of = this.#held.get(group) ?? new Map<string, Held>();
    this.#held.set(group, of);
    const before = of.get(transactionalId);
    const keep = before !== undefined && !before.applied ? before.partitions : [];
    const partitions = new Set([...keep, ...offsets.map(keyOf)]);
    of.set(transactionalId, { partitions, decided: false, applied: false, change: ++this.#changes });
    this.#arm();
  }

  /** What was decided is committed to the group. */
  applied(group: string, transactionalId: string): void {
    const held = this.#held.get(group)?.get(transactionalId);
    if (!held) return;
    held.applied = true;
    held.change = ++this.#changes;
    this.#tell();
  }

  isPending(group: string, topicId: string, partition: number): boolean {
    if (!this.#complete) return true;
    for (const { partitions, applied } of this.#held.get(group)?.values() ?? []) {
      if (!applied && partitions.has(`${topicId} ${partition}`)) return true;
    }
    return false;
  }

  settled(group: string): Promise<void> | null {
    return this.#complete && !this.#waits(group, ({ applied }) => !applied) ? null : this.#settle(group);
  }

  async #settle(group: string): Promise<void> {
    await this.#look();
    while (!this.#closed && (!this.#complete || this.#waits(group, ({ decided, applied }) => decided && !applied))) {
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  #waits(group: string, what: (held: Held) => boolean): boolean {
    for (const held of this.#held.get(group)?.values() ?? []) if (what(held)) return true;
    return false;
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher();
    this.#watchers.clear();
  }

  /** Those who ask meanwhile wait for the same answer. */
  #look(): Promise<void> {
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = null;
      this.#arm();
    });
    return this.#looking;
  }

  async #lookOnce(): Promise<void> {
    const asked = this.#changes;
    const rows = await this.#options.ask();
    if (rows === null || this.#closed) return;
    this.#take(rows, asked);
    this.#complete = true;
    this.#tell();
  }

  #take(rows: readonly HeldRow[], asked: number): void {
    const told = new Set<string>();
    for (const { group, transactionalId, decided, partitions } of rows) {
      if (!this.#options.owns(group)) continue;
      told.add(`${transactionalId} ${group}`);
      const of = this.#held.get(group) ?? new Map<string, Held>();
      this.#held.set(group, of);
      const known = of.get(transactionalId);
      if (known && (known.change > asked || (known.applied && decided))) continue;
      const keys = new Set(partitions.map(keyOf));
      of.set(transactionalId, { partitions: keys, decided, applied: false, change: asked });
    }
    for (const [group, of] of this.#held) {
      for (const [id, { change }] of of) if (change <= asked && !told.has(`${id} ${group}`)) of.delete(id);
      if (of.size === 0) this.#held.delete(group);
    }
  }

  #arm(): void {
    if (this.#closed || this.#timer !== null || (this.#complete && this.#held.size === 0)) return;
    const pause = this.#complete ? limits.heldOffsetsLookMs : limits.heldOffsetsRetryMs;
    this.#timer = this.#options.clock.after(pause, () => {
      this.#timer = null;
      void this.#look();
    });
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#tell();
  }
}

const keyOf = ({ topicId, partition }: { readonly topicId: string; readonly partition: number }): string =>
  `${topicId} ${partition}`;
