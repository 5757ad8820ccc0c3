// Follows partitions at the hubs that lead them: which partition is fetched where, and how fast when it is far behind.
import type { Epoch, FollowerFetch, HubId, LeaderWord, Offset } from "../cluster/types.ts";
import type { ErrorName } from "../errors.ts";
import type { Clock, Millis, Random } from "../io/ports.ts";
import type { Trace } from "../trace.ts";
import { FollowLoop } from "./follow_loop.ts";
import type { Peers } from "./peers.ts";
import type { LeaderHint } from "./replica_office.ts";

/** A partition of this hub that follows; one object for as long as it is followed. */
export interface Followed {
  readonly topicId: string;
  readonly topic: string;
  readonly partition: number;
  /** What to tell the leader; null while nothing may be said. `offset`, the durable end, is the acknowledgement. */
  fetchOf(): FollowerFetch | null;
  /** The end of what is written, synced or not: reading goes on there. */
  logEnd(): Offset;
  /**
   * Records are whole batches with their offsets and epochs, from `logEnd()` on; empty when there are none. They are
   * views of the frame that brought them: nobody else writes to it, and it stays whole in memory as long as a view
   * does. Resolves when the partition may be read on (written, not synced); a rejection (a full disk) is retried.
   */
  answered(
    word: LeaderWord,
    diverging: { readonly epoch: Epoch; readonly endOffset: Offset } | null,
    records: Uint8Array,
  ): Promise<void> | void;
  /** It is tried again after a pause, until `stop` or another `follow`. `epoch` is the one that was fetched in. */
  refused(epoch: Epoch, error: ErrorName, hint: LeaderHint | null): void;
}

export interface ReplicatorOptions {
  readonly peers: Pick<Peers, "call">;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly hubId: HubId;
  /** `follower.replication.throttled.rate`: bytes a second for partitions far behind, all together; asked each time. */
  readonly throttledRate?: () => number;
}

/**
 * What partitions far behind may bring, all leaders together. Partitions whose last answer reached the leader's end are
 * never held back: what is throttled is the past.
 */
export class CatchUpBudget {
  readonly #rate: () => number;
  readonly #clock: Clock;
  #left = 0;
  #at: Millis;

  constructor(rate: () => number, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
    this.#at = clock.now();
  }

  /** Milliseconds until something may be brought; 0 for now. */
  waitMs(): Millis {
    const rate = this.#rate();
    if (rate === Number.POSITIVE_INFINITY) return 0;
    const now = this.#clock.now();
    // one second's worth is the most that idleness saves up
    this.#left = Math.min(rate, this.#left + ((now - this.#at) / 1000) * rate);
    this.#at = now;
    return this.#left >= 0 ? 0 : Math.min(1000, Math.ceil((-this.#left / Math.max(1, rate)) * 1000));
  }

  /** Bytes of one answer at most. */
  bytesMax(bytes: number): number {
    return Math.max(1, Math.min(bytes, this.#rate()));
  }

  spend(bytes: number): void {
    this.#left -= bytes;
  }
}

export class Replicator {
  readonly #options: ReplicatorOptions;
  readonly #budget: CatchUpBudget;
  readonly #loops = new Map<HubId, FollowLoop>();
  readonly #places = new Map<Followed, FollowLoop>();
  #closed = false;

  constructor(options: ReplicatorOptions) {
    this.#options = options;
    this.#budget = new CatchUpBudget(options.throttledRate ?? (() => Number.POSITIVE_INFINITY), options.clock);
  }

  /** Fetches the partition from that hub from now on, and from no other. */
  follow(partition: Followed, leader: HubId): void {
    if (this.#closed) return;
    const loop = this.#loopOf(leader);
    const before = this.#places.get(partition);
    if (before === loop) {
      loop.kick(partition);
      return;
    }
    before?.remove(partition);
    this.#places.set(partition, loop);
    loop.add(partition);
  }

  /** Nothing of it is told any more once this returns. */
  stop(partition: Followed): void {
    this.#places.get(partition)?.remove(partition);
    this.#places.delete(partition);
  }

  /** Something about it changed (its durable end, a cut that is done, a stored promise): tells the leader now. */
  kick(partition: Followed): void {
    this.#places.get(partition)?.kick(partition);
  }

  close(): void {
    this.#closed = true;
    for (const loop of this.#loops.values()) loop.close();
    this.#loops.clear();
    this.#places.clear();
  }

  #loopOf(leader: HubId): FollowLoop {
    let loop = this.#loops.get(leader);
    if (loop === undefined) {
      loop = new FollowLoop(leader, this.#options, this.#budget);
      this.#loops.set(leader, loop);
    }
    return loop;
  }
}
