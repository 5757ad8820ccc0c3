// The invariants that are seen by looking at the replicas themselves, after each event of their hub.
import { hubOf } from "../../../hub/engine/cluster_view.ts";
import type { Partition } from "../../../hub/engine/partition.ts";
import type { SimHub, Stage } from "./stage.ts";
import type { World } from "./world.ts";

/** One replica as last seen; kept over crashes, since promises are. */
interface Seen {
  promised: number;
  accepted: number;
  watermark: number;
  life: number;
  leads: boolean;
  truncating: boolean;
  /** The highest durable end that the replica had while it had accepted an epoch. */
  readonly durable: Map<number, number>;
  end: number;
  version: number;
}

export class Watch {
  readonly #world: World;
  readonly #stage: Stage;
  readonly #seen = new Map<string, Map<string, Seen>>();
  readonly #known = new WeakMap<Partition, Seen>();
  readonly #leaders = new Map<string, string>();
  /** Partitions with an unclean election or a roll call: told so by alarms, which are no violations then. */
  readonly marked = new Set<string>();

  constructor(stage: Stage) {
    this.#world = stage.world;
    this.#stage = stage;
  }

  look(hub: SimHub): void {
    for (const partition of this.#stage.partitionsOf(hub)) this.#look(hub, partition);
  }

  #seenOf(place: string, replica: string): Seen {
    let replicas = this.#seen.get(place);
    if (!replicas) this.#seen.set(place, (replicas = new Map()));
    let seen = replicas.get(replica);
    if (!seen) {
      seen = {
        promised: 0,
        accepted: 0,
        watermark: 0,
        life: -1,
        leads: false,
        truncating: false,
        durable: new Map(),
        end: 0,
        version: -1,
      };
      replicas.set(replica, seen);
    }
    return seen;
  }

  #look(hub: SimHub, partition: Partition): void {
    const { log, replica, topic } = partition;
    let seen = this.#known.get(partition);
    if (seen === undefined) {
      seen = this.#seenOf(`${topic}-${log.partition}`, replica.id);
      this.#known.set(partition, seen);
    }
    const { life } = hub.machine;
    const watermark = replica.highWatermark;
    const durable = log.durableEnd;
    const same = seen.life === life && seen.watermark === watermark && seen.end === durable;
    if (same && seen.version === replica.storedVersion && seen.leads === partition.leads) return;
    const place = `${topic}-${log.partition}`;
    this.#promises(place, hub, partition, seen);
    if (seen.life !== life) this.#kept(place, hub, partition, seen);
    const { acceptedEpoch } = replica.stored;
    if (durable > (seen.durable.get(acceptedEpoch) ?? -1)) seen.durable.set(acceptedEpoch, durable);
    if (partition.leads) this.#leads(place, hub, partition, seen);
    seen.watermark = watermark;
    seen.end = durable;
    seen.life = life;
    seen.truncating = replica.truncating;
    seen.leads = partition.leads;
    seen.version = replica.storedVersion;
  }

  /** Under `always` a new process has all that was durable in the one before it, or says that it may not. */
  #kept(place: string, hub: SimHub, { replica, log }: Partition, seen: Seen): void {
    if (log.logEnd >= seen.end || seen.truncating || replica.stored.amnesia !== "none") return;
    const less = `${log.logEnd} of ${seen.end} durable records`;
    this.#world.violated("I18 AckMeansFsync", `${place} on ${hub.machine.name} has ${less}, and calls itself whole`);
  }

  #promises(place: string, hub: SimHub, { replica, log }: Partition, seen: Seen): void {
    const { stored, state } = replica;
    const who = `${place} on ${hub.machine.name}`;
    if (stored.promisedEpoch < seen.promised) {
      this.#world.violated("I4 EpochMonotonic", `${who}: promised ${stored.promisedEpoch}, was ${seen.promised}`);
    }
    if (stored.acceptedEpoch < seen.accepted) {
      this.#world.violated("I4 EpochMonotonic", `${who}: accepted ${stored.acceptedEpoch}, was ${seen.accepted}`);
    }
    if (state.promisedEpoch < state.acceptedEpoch || state.promisedEpoch < log.latestEpoch) {
      const has = `promised ${state.promisedEpoch}, accepted ${state.acceptedEpoch}, last record ${log.latestEpoch}`;
      this.#world.violated("I4 EpochMonotonic", `${who}: ${has}`);
    }
    seen.promised = Math.max(seen.promised, stored.promisedEpoch);
    seen.accepted = Math.max(seen.accepted, stored.acceptedEpoch);
  }

  #leads(place: string, hub: SimHub, { replica }: Partition, seen: Seen): void {
    const key = `${place}/${replica.epoch}`;
    const me = `${hub.id}/${hub.machine.life}`;
    const leader = this.#leaders.get(key);
    if (leader === undefined) this.#leaders.set(key, me);
    else if (leader !== me) {
      this.#world.violated("I3 OneLeaderPerEpoch", `${key} is led by hub/life ${leader} and by ${me}`);
    }
    const watermark = replica.highWatermark;
    if (seen.life === hub.machine.life && watermark <= seen.watermark) return;
    const { old, next } = replica.stored.config;
    for (const set of next === null ? [old] : [old, next]) {
      const holders = set.members.filter((member) => {
        return (this.#seenOf(place, member).durable.get(replica.epoch) ?? -1) >= watermark;
      });
      if (holders.length >= set.m || watermark <= replica.epochStart) continue;
      const who = `${holders.map(hubOf).join(",")} of ${set.members.map(hubOf).join(",")}`;
      this.#world.violated("I7 MinIsr", `${place}: watermark ${watermark} in epoch ${replica.epoch}, held by ${who}`);
    }
  }
}
