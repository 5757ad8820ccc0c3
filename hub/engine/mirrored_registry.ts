// The registry of a hub with Redis: Redis is the store of record while it is there, the hub's journal holds a mirror.
import { HubError } from "../errors.ts";
import type { LiveImage } from "../groups/image.ts";
import {
  comparePositions,
  deleteUpTo,
  deletionsOf,
  imageOf,
  mergeInto,
  newerParts,
  newImage,
  partsOf,
  positionOf,
  putOffset,
  putRecord,
} from "../groups/image.ts";
import type { Clock, Timer } from "../io/ports.ts";
import type {
  CommitFence,
  CommitResult,
  CommittedOffset,
  FactStore,
  GroupImage,
  MergeableRegistry,
  Position,
  RemoteRegistry,
  StoredGroup,
} from "../io/registry.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import { openEmbeddedRegistry } from "./embedded_registry.ts";

// DESIGN
// - While Redis is up a write is acknowledged by Redis and reaches the journal within `redisMirrorMsMax`. While it is
//   down, or a write to it failed or timed out, the write is acknowledged by the journal, synced.
// - Every write has a place (coordinatorEpoch, sequence), every part keeps the highest, so copies merge in any order.
//   No decision looks at the time of day.
// - Whenever Redis comes (back), and whenever its mark is missing, all it has is compared with all the mirror has, and
//   each takes what is newer in the other. A Redis that was emptied or put back to an older state is made whole so.
//
// Promise: an acknowledged commit is never lost and a group never resumes ahead of what was committed, with one
// exception that repeats records and skips none: Redis lost AND the hub killed within `redisMirrorMsMax` of the commit
// rewinds the group by the commits of that time. While the journal refuses (a full disk) and Redis takes writes, the
// mirror is behind for as long as that lasts.
// A hub whose journal never met this Redis (a new disk) waits for it before it serves groups: starting without would
// let groups begin at "latest" and skip.

const metFact = "groups/redis";

export interface MirroredRegistryOptions {
  readonly facts: FactStore;
  readonly remote: RemoteRegistry;
  readonly clock: Clock;
  readonly trace: Trace;
  /** Milliseconds, when not those of limits.ts. */
  readonly times?: Partial<typeof defaultTimes>;
}

const defaultTimes = {
  /** How long a known Redis is waited for at the start. */
  patienceMs: limits.redisReconnectMsMax as number,
  mirrorMs: limits.redisMirrorMsMax as number,
  probeMs: limits.redisProbeMs as number,
};

/** Opens it at once; `beginEpoch` waits for Redis where it must. */
export function openMirroredRegistry(options: MirroredRegistryOptions): MergeableRegistry {
  return new MirroredRegistry(options);
}

class MirroredRegistry implements MergeableRegistry {
  readonly kind = "redis";
  readonly #facts: FactStore;
  readonly #mirror: MergeableRegistry;
  readonly #remote: RemoteRegistry;
  readonly #clock: Clock;
  readonly #trace: Trace;
  readonly #times: typeof defaultTimes;
  /** Acknowledged by Redis, not in the journal yet; one last value a part. */
  #pending = new Map<string, LiveImage>();
  /** Groups of which the mirror holds something that Redis may not have. */
  readonly #behind = new Set<string>();
  #phase: "down" | "comparing" | "up" = "down";
  #closed = false;
  #flushTimer: Timer | null = null;
  #probeTimer: Timer | null = null;
  #comparing: Promise<void> | null = null;
  #pushing = false;
  /** A call failed or timed out since Redis last answered: nobody waits for it until it does again. */
  #suspect = false;
  /** Called at the end of each comparison, and on close. */
  #waiters: (() => void)[] = [];
  #highest: Position = { coordinatorEpoch: 0, sequence: 0 };

  constructor({ facts, remote, clock, trace, times }: MirroredRegistryOptions) {
    this.#times = { ...defaultTimes, ...times };
    this.#facts = facts;
    this.#remote = remote;
    this.#clock = clock;
    this.#trace = trace;
    this.#mirror = openEmbeddedRegistry(facts, (group, deleted) => {
      if (remote.state() === "up") void remote.forget(group, deleted).catch(() => {});
    });
    remote.watch((up) => this.#remoteChanged(up));
    if (remote.state() === "up") this.#remoteChanged(true);
    this.#armProbe();
  }

  state(): "up" | "down" {
    return this.#phase === "up" && !this.#suspect ? "up" : "down";
  }

  async beginEpoch(atLeast: number): Promise<number> {
    const met = this.#facts.get(metFact) !== undefined;
    if (!met && this.#phase !== "up") this.#trace.event("warn", "groups_wait_for_redis", {});
    await this.#compared(met ? this.#times.patienceMs : null);
    if (this.#closed) throw new HubError("COORDINATOR_NOT_AVAILABLE", "The registry was closed");
    const mirrored = await this.#mirror.beginEpoch(atLeast);
    if (this.#phase !== "up") return mirrored;
    try {
      const remote = await this.#remote.beginEpoch(mirrored);
      // what a coordinator before this one had acknowledged until then is there now
      await this.#compare();
      return remote === mirrored ? mirrored : await this.#mirror.beginEpoch(remote);
    } catch {
      return mirrored;
    }
  }

  /** Waits for the first comparison, `waitMs` at the longest (null: as long as it takes, or until `close`). */
  #compared(waitMs: number | null): Promise<void> {
    if (this.#phase === "up" || this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = waitMs === null ? null : this.#clock.after(waitMs, resolve);
      this.#waiters.push(() => {
        timer?.cancel();
        resolve();
      });
    });
  }

  async loadGroups(): Promise<GroupImage[]> {
    await this.#flush();
    return this.#mirror.loadGroups();
  }

  async storeGroup(group: StoredGroup): Promise<CommitResult> {
    return this.#write(
      group.group,
      group,
      (registry) => registry.storeGroup(group),
      (image) => {
        putRecord(image, group);
      },
    );
  }

  async commitOffsets(fence: CommitFence, offsets: readonly CommittedOffset[]): Promise<CommitResult> {
    return this.#write(
      fence.group,
      fence,
      (registry) => registry.commitOffsets(fence, offsets),
      (image) => {
        for (const part of partsOf(fence, offsets)) putOffset(image, part);
      },
    );
  }

  async deleteOffsets(
    fence: CommitFence,
    partitions: readonly { readonly topicId: string; readonly partition: number }[],
  ): Promise<CommitResult> {
    return this.#write(
      fence.group,
      fence,
      (registry) => registry.deleteOffsets(fence, partitions),
      (image) => {
        for (const part of deletionsOf(fence, partitions)) putOffset(image, part);
      },
    );
  }

  async deleteGroup(fence: CommitFence): Promise<CommitResult> {
    return this.#write(
      fence.group,
      fence,
      (registry) => registry.deleteGroup(fence),
      (image) => {
        deleteUpTo(image, positionOf(fence));
      },
    );
  }

  async #write(
    group: string,
    position: Position,
    write: (registry: MergeableRegistry) => Promise<CommitResult>,
    note: (image: LiveImage) => void,
  ): Promise<CommitResult> {
    if (comparePositions(position, this.#highest) > 0) this.#highest = positionOf(position);
    if (this.state() === "up" && !this.#behind.has(group)) {
      try {
        const result = await write(this.#remote);
        if (result === "stored") this.#note(group, note);
        // A Redis that lost the group refuses its generation; the mirror knows better.
        if (result !== "stale-generation") return result;
      } catch {
        // Whether Redis took it is unknown; the same place is pushed again later, which is harmless.
        this.#suspect = true;
      }
    }
    return this.#writeMirror(group, write);
  }

  async #writeMirror(
    group: string,
    write: (registry: MergeableRegistry) => Promise<CommitResult>,
  ): Promise<CommitResult> {
    // What Redis acknowledged before belongs below this write: a fence may rest on it.
    const flushed = this.#flush();
    this.#behind.add(group);
    const result = await write(this.#mirror);
    await flushed;
    if (this.state() === "up") void this.#push();
    return result;
  }

  /** Remembers for the journal what Redis acknowledged. */
  #note(group: string, note: (image: LiveImage) => void): void {
    const image = this.#pending.get(group) ?? newImage(group);
    note(image);
    this.#pending.set(group, image);
    if (this.#closed || this.#flushTimer !== null) return;
    this.#flushTimer = this.#clock.after(this.#times.mirrorMs, () => void this.#flush());
  }

  /** Visible in the mirror at once, in the journal when it resolves; what the journal refuses is tried again. */
  async #flush(): Promise<void> {
    this.#flushTimer?.cancel();
    this.#flushTimer = null;
    const pending = this.#pending;
    this.#pending = new Map();
    await Promise.all(
      [...pending.values()].map(async (image) => {
        try {
          await this.#mirror.merge(imageOf(image));
        } catch (error) {
          this.#trace.event("error", "group_mirror_failed", { group: image.group, error: String(error) });
          this.#note(image.group, (later) => mergeInto(later, imageOf(image)));
        }
      }),
    );
  }

  #remoteChanged(up: boolean): void {
    if (this.#closed) return;
    if (up) void this.#compare();
    else {
      this.#phase = "down";
      void this.#flush();
    }
  }

  /** Each side takes what is newer in the other; writes go to the mirror meanwhile. */
  #compare(): Promise<void> {
    this.#comparing ??= this.#compareOnce().finally(() => {
      this.#comparing = null;
    });
    return this.#comparing;
  }

  async #compareOnce(): Promise<void> {
    this.#phase = "comparing";
    try {
      await this.#flush();
      const theirs = await this.#remote.loadGroups();
      const remote = new Map(theirs.map((image) => [image.group, image]));
      for (const image of theirs) await this.#mirror.merge(image);
      // From here on what the mirror gets first is in #behind.
      this.#behind.clear();
      const ours = await this.#mirror.loadGroups();
      let pushed = 0;
      for (const image of ours) {
        const newer = newerParts(image, remote.get(image.group));
        if (newer !== null) pushed += await this.#pushImage(newer);
      }
      await this.#remote.probe(this.#highest);
      if (this.#facts.get(metFact) === undefined) await this.#facts.put([[metFact, new Uint8Array([1])]]);
      if (this.#closed || this.#remote.state() !== "up") return;
      this.#phase = "up";
      this.#suspect = false;
      this.#trace.event("info", "redis_compared", { groups: ours.length, read: theirs.length, pushed });
      for (const waiter of this.#waiters.splice(0)) waiter();
      void this.#push();
    } catch (error) {
      this.#phase = "down";
      this.#trace.event("warn", "redis_compare_failed", { error: String(error) });
    }
  }

  /** In bounded calls; the record goes with the first, so that fences hold from then on. */
  async #pushImage(image: GroupImage): Promise<number> {
    const { offsets } = image;
    const max = limits.redisRepushBatchMax;
    for (let at = 0; at === 0 || at < offsets.length; at += max) {
      await this.#remote.merge({ ...image, offsets: offsets.slice(at, at + max) });
    }
    return offsets.length;
  }

  /** Pushes groups whose last writes only the mirror has. */
  async #push(): Promise<void> {
    if (this.#pushing || this.#behind.size === 0) return;
    this.#pushing = true;
    try {
      while (this.#behind.size > 0 && this.state() === "up" && !this.#closed) {
        const groups = new Set(this.#behind);
        // Cleared before the push: a write that comes now goes to Redis behind it, on the same connection.
        this.#behind.clear();
        try {
          for (const image of await this.#mirror.loadGroups()) {
            if (groups.has(image.group)) await this.#pushImage(image);
          }
        } catch {
          for (const group of groups) this.#behind.add(group);
          this.#suspect = true; // the next probe tries again
        }
      }
    } finally {
      this.#pushing = false;
    }
  }

  #armProbe(): void {
    if (this.#closed) return;
    this.#probeTimer = this.#clock.after(this.#times.probeMs, () => {
      void this.#probe().finally(() => this.#armProbe());
    });
  }

  /** Redis may be emptied or exchanged without a connection being lost. */
  async #probe(): Promise<void> {
    if (this.#phase === "down" && this.#remote.state() === "up") return this.#compare();
    if (this.#phase !== "up") return;
    try {
      const whole = await this.#remote.probe(this.#highest);
      this.#suspect = false;
      if (whole) return this.#push();
      this.#trace.event("warn", "redis_lost_its_mark", {});
      await this.#compare();
    } catch {
      this.#suspect = true;
    }
  }

  async merge(image: GroupImage): Promise<void> {
    await this.#mirror.merge(image);
    this.#behind.add(image.group);
    if (this.state() === "up") await this.#push();
  }

  async forget(group: string, deleted: Position): Promise<void> {
    await this.#flush();
    await this.#mirror.forget(group, deleted);
    if (this.#phase === "up") await this.#remote.forget(group, deleted);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#probeTimer?.cancel();
    await this.#flush();
    this.#flushTimer?.cancel();
    for (const waiter of this.#waiters.splice(0)) waiter();
    await this.#remote.close();
    await this.#comparing;
  }
}
