// A Redis that lost something: emptied or put back, it is filled from the hubs' memory under a higher incarnation.
import type { PublishedState } from "../cluster/types.ts";
import type { Coordination, HubEntry, Poll } from "../io/coordination.ts";
import type { Clock, Random } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import type { ClusterMemory } from "./cluster_memory.ts";
import type { Pulse } from "./pulse.ts";
import { uuidText } from "./topics.ts";

/** What this hub leads, as it stands on its disk. */
export interface Led {
  readonly topicId: string;
  readonly partition: number;
  readonly state: PublishedState;
}

export interface MendingOptions {
  readonly coordination: Coordination;
  readonly memory: ClusterMemory;
  readonly pulse: Pulse;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly me: HubEntry;
  readonly clusterId: () => string;
  readonly led: () => Iterable<Led>;
}

export class Mending {
  readonly #options: MendingOptions;
  #running = false;

  constructor(options: MendingOptions) {
    this.#options = options;
  }

  /** The hub that knows most puts everything back; the others look a little later whether it did. */
  async mend(poll: Poll): Promise<void> {
    const { coordination, memory, pulse, random, trace, clock, clusterId } = this.#options;
    if (this.#running) return;
    this.#running = true;
    try {
      trace.count("redis_lost_state");
      trace.event("warn", poll.inc === null ? "redis_empty" : "redis_stale", { seq: poll.seq, seen: memory.seq });
      pulse.forgive();
      if (!this.#knowsMost()) await new Promise<void>((resolve) => void clock.after(limits.mendWaitMs, resolve));
      const now = await coordination.poll(-1);
      if (now.inc !== null && !memory.isStale(now) && !memory.isAheadOf(now)) return;
      const image = now.inc === null ? null : { ...now.changes!, inc: now.inc, seq: now.seq, ctl: now.ctl };
      const merged = memory.merged(image, clusterId());
      const restored = await coordination.restore(merged, now.seq, uuidText(random.uuid()));
      if (restored === "conflict") return;
      trace.event("info", "redis_restored", { incarnation: restored.incarnation, entries: merged.meta.length });
    } finally {
      this.#running = false;
      memory.seq = -1; // everything is asked for anew
      memory.mark = "";
    }
  }

  /** Of the hubs that beat, the one with the newest metadata goes first; of several the lowest number. */
  #knowsMost(): boolean {
    const { memory, pulse, me } = this.#options;
    const mine = memory.storedSeq;
    return pulse.beats().every(({ hubId, metaSeq }) => {
      return hubId === me.hubId || metaSeq < mine || (metaSeq === mine && hubId > me.hubId);
    });
  }

  /**
   * Another incarnation: what this hub leads and what it is must stand there too, and what it heard of others last.
   * Whoever filled Redis may have known less of a partition, and of one epoch nobody takes an older version back.
   */
  async reassert(): Promise<void> {
    const { coordination, memory, random, led, me, trace } = this.#options;
    const change = () => ({ incarnation: memory.inc!.incarnation, opId: uuidText(random.uuid()) });
    const { changes } = await coordination.poll(-1);
    const heard = memory.newerThan(changes!.partitions);
    const own = [...led()].map(({ topicId, partition, state }) => {
      const ver = memory.partitions.get(`${topicId}/${partition}`)?.ver ?? 0;
      return { topicId, partition, ver: ver + 1, leaderEpoch: state.leaderEpoch, state: JSON.stringify(state) };
    });
    const entries = [...heard, ...own];
    const max = limits.publishedPerCallMax;
    for (let at = 0; at < entries.length; at += max) {
      const asserted = change();
      const there = await coordination.assertPartitions(asserted, entries.slice(at, at + max));
      if (typeof there === "string") return;
      memory.mark = asserted.opId;
      for (const entry of there) memory.takePartition(entry);
    }
    // a hub that is about to join registers when it has looked who else did: it would take its own entry for another's
    if (memory.asked) await coordination.registerHub(change(), me);
    trace.event("info", "reasserted", { partitions: entries.length, incarnation: memory.inc!.incarnation });
  }
}
