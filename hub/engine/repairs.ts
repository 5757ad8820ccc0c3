// Bit rot is repaired from the other replicas: what cannot be read here is fetched from one that can, range by range.
//
// DESIGN. Whoever meets damage (recovery, a cold read, the scrub) notes the segment; the log is `repairing` from then
// on, and readers wait instead of being told CORRUPT_MESSAGE. One log after another: each damaged range is fetched from
// the members of the partition's config that live, its leader first, and written into the segment's place. Only what is
// committed is taken, below the watermark here and that of a follower who is asked: there all replicas hold the same
// (I2), and a leader holds whatever is below anybody's watermark (I1). What lies above may
// become committed meanwhile; if not, a follower gives it up and fetches it anew (cluster/follower.ts, unreadable).
// After so many rounds that brought nothing readers are told, and `possible_loss`: no replica that lives has it.
import { durable, unreadable } from "../cluster/replica.ts";
import { hubOfReplica, membersOf } from "../cluster/quorum.ts";
import type { HubId } from "../cluster/types.ts";
import { errorNameOf, HubError } from "../errors.ts";
import type { Clock, Millis, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import { type Damage, damageIn } from "../log/damage.ts";
import type { PartitionLog, Store } from "../log/store.ts";
import type { Segment } from "../log/segment.ts";
import { type Patch, patchOf, repairSegment } from "../log/segment_repair.ts";
import type { Trace } from "../trace.ts";
import type { Partition } from "./partition.ts";
import type { Partitions } from "./partitions.ts";
import type { Peers } from "./peers.ts";

export interface RepairsOptions {
  readonly store: Pick<Store, "host" | "partition" | "partitions">;
  readonly partitions: Pick<Partitions, "ofLog" | "disturbed" | "run">;
  readonly peers: Pick<Peers, "call">;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly me: { readonly hubId: HubId };
  readonly isDown: (hub: HubId) => boolean;
}

/** A log that is being repaired, or that could not be. */
interface Patient {
  readonly log: PartitionLog;
  /** Rounds that brought nothing, one after another. */
  tries: number;
  isLost: boolean;
  /** Ranges that were told of. */
  readonly told: Set<number>;
  timer: Timer | null;
}

export class Repairs {
  readonly #options: RepairsOptions;
  readonly #patients = new Map<PartitionLog, Patient>();
  readonly #queue = new Set<Patient>();
  #running = false;
  #closed = false;

  constructor(options: RepairsOptions) {
    this.#options = options;
  }

  /** What recovery found. */
  start(): void {
    for (const log of this.#options.store.partitions()) if (log.damaged.size > 0) this.stir(log);
  }

  /** Something in a log cannot be read; told each time it is met. */
  stir(log: PartitionLog): void {
    if (this.#closed || this.#patients.has(log)) return;
    const patient: Patient = { log, tries: 0, isLost: false, told: new Set(), timer: null };
    this.#patients.set(log, patient);
    log.repairing = true;
    this.#enqueue(patient);
  }

  close(): void {
    this.#closed = true;
    const { partitions } = this.#options;
    for (const { log, timer } of this.#patients.values()) {
      timer?.cancel();
      log.repairing = false;
      const partition = partitions.ofLog(log);
      if (partition) partitions.disturbed(partition); // nobody waits for what does not come any more
    }
  }

  #enqueue(patient: Patient): void {
    patient.timer = null;
    this.#queue.add(patient);
    if (this.#running) return;
    this.#running = true;
    void this.#work();
  }

  async #work(): Promise<void> {
    for (const patient of this.#queue) {
      this.#queue.delete(patient);
      if (this.#closed) return;
      let result: Round = "nothing";
      try {
        result = await this.#round(patient);
      } catch (error) {
        const { name: topic, partition } = patient.log;
        this.#options.trace.event("warn", "repair_failed", { topic, partition, error: (error as Error).message });
      }
      if (!this.#closed) this.#rounded(patient, result);
    }
    this.#running = false; // in the turn in which nothing was left
  }

  #rounded(patient: Patient, result: Round): void {
    const { clock, partitions } = this.#options;
    const { log } = patient;
    const partition = partitions.ofLog(log);
    if (result === "whole") {
      this.#patients.delete(log);
      log.repairing = false;
      // a short log may be whole with it
      if (partition) partitions.run(partition, durable(partition.replica, clock.now()));
    } else {
      // a log whose topic is not known yet has nobody who could be asked
      if (partition) patient.tries = result === "some" ? 0 : patient.tries + 1;
      if (patient.tries === limits.repairTriesMax && !patient.isLost) this.#giveUp(patient, partition);
      patient.timer = clock.after(pauseOf(patient), () => this.#enqueue(patient));
    }
    if (partition) partitions.disturbed(partition);
  }

  #giveUp(patient: Patient, partition: Partition | undefined): void {
    const { trace, partitions, clock } = this.#options;
    const { log, told } = patient;
    patient.isLost = true;
    log.repairing = false;
    trace.count("possible_loss");
    const detail = `no replica that lives has what is damaged from offset ${[...told].join(", ")} on`;
    trace.event("error", "possible_loss", { topic: log.name, partition: log.partition, detail });
    if (partition && !partition.leads) {
      for (const from of told) partitions.run(partition, unreadable(partition.replica, from));
      // Of two replicas of which one is short the watermark stands still, and what it does not pass nobody delivers:
      // it may count again, and the range comes in a later round.
      partitions.run(partition, durable(partition.replica, clock.now()));
    }
  }

  async #round(patient: Patient): Promise<Round> {
    const { store, partitions } = this.#options;
    const { log } = patient;
    if (store.partition(log.topicId, log.partition) !== log) return "whole"; // deleted
    const partition = partitions.ofLog(log);
    if (!partition) return "nothing";
    let [isWhole, some] = [true, false];
    for (const segment of [...log.damaged]) {
      const result = await this.#segment(patient, partition, segment);
      if (result !== "whole") isWhole = false;
      if (result !== "nothing") some = true;
    }
    if (isWhole && log.damaged.size === 0) return "whole";
    return some ? "some" : "nothing";
  }

  async #segment(patient: Patient, partition: Partition, segment: Segment): Promise<Round> {
    const { store, trace } = this.#options;
    const { log } = partition;
    const place = { topic: log.name, partition: log.partition };
    if (segment === log.active) await log.roll();
    if (!log.segments.includes(segment)) {
      log.damaged.delete(segment); // removed, cut away or cleaned meanwhile
      return "whole";
    }
    const found = await damageIn(log, store.host, segment);
    if (found === null) return "nothing";
    const patches: Patch[] = [];
    for (const damage of found) {
      const { from, to } = damage;
      if (!patient.told.has(from)) {
        patient.told.add(from);
        trace.count("damaged_ranges");
        trace.event("error", "range_damaged", { ...place, from, to });
      }
      const patch = await this.#fetch(partition, damage);
      if (patch !== null) patches.push(patch);
    }
    if (patches.length > 0) await repairSegment(log, store.host, segment, patches);
    else if (found.length === 0) log.damaged.delete(segment); // below the log start by now
    const isWhole = patches.length === found.length && patches.every(({ damage, upTo }) => upTo >= damage.to);
    for (const { damage, records, upTo, by } of patches as (Patch & { by: HubId })[]) {
      patient.told.delete(damage.from);
      trace.count("repaired_ranges");
      trace.count("repaired_bytes", records.length);
      trace.event("info", "range_repaired", { ...place, from: damage.from, to: upTo, bytes: records.length, by });
    }
    return isWhole ? "whole" : patches.length > 0 ? "some" : "nothing";
  }

  /** What the replicas that live have of a range, the first that has anything; null for none. */
  async #fetch(partition: Partition, damage: Damage): Promise<(Patch & { readonly by: HubId }) | null> {
    const { log, highWatermark } = partition;
    const from = Math.max(damage.from, log.logStart);
    const end = Math.min(damage.to, highWatermark);
    if (from >= end) return null;
    for (const hub of this.#others(partition)) {
      try {
        const { records, upTo } = await this.#ask(hub, log, from, end);
        if (upTo > from) return { ...patchOf(log, damage, from, records, upTo), by: hub };
      } catch (error) {
        const { name: topic, partition: index } = log;
        const why = (error as Error).message;
        this.#options.trace.event("info", "range_not_had", { topic, partition: index, from, end, hub, why });
      }
    }
    return null;
  }

  /** Members of the config that live, the leader first. */
  #others({ replica }: Partition): HubId[] {
    const { me, isDown } = this.#options;
    const leader = replica.leader === null ? -1 : hubOfReplica(replica.leader);
    const hubs = membersOf(replica.state.config).map(hubOfReplica);
    return hubs.filter((hub) => hub !== me.hubId && !isDown(hub)).sort((hub) => (hub === leader ? -1 : 1));
  }

  async #ask(
    hub: HubId,
    { topicId, partition }: PartitionLog,
    from: number,
    to: number,
  ): Promise<{ readonly records: Uint8Array; readonly upTo: number }> {
    const parts: Uint8Array[] = [];
    let [upTo, bytes] = [from, 0];
    while (upTo < to && bytes < limits.repairBytesMax) {
      const bytesMax = limits.replicaFetchPartitionBytes;
      const call = { topicId, partition, from: upTo, to, bytesMax };
      const reply = await this.#options.peers.call(hub, "replicaRange", call, limits.repairCallMsMax);
      if (reply.errorCode !== 0) throw new HubError(errorNameOf(reply.errorCode), reply.errorMessage ?? undefined);
      const records = reply.records ?? new Uint8Array(0);
      if (reply.upTo <= upTo || reply.upTo > to) break;
      parts.push(records);
      bytes += records.length;
      upTo = reply.upTo;
    }
    return { records: joined(parts, bytes), upTo };
  }
}

/** What a round over a log or a segment came to. */
type Round = "whole" | "some" | "nothing";

function pauseOf({ tries, isLost }: Patient): Millis {
  return isLost ? limits.repairLostRetryMs : Math.min(limits.repairRetryMs * 2 ** tries, limits.repairRetryMsMax);
}

function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
