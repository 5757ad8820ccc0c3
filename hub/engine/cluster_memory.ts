// What a hub knows of its cluster: hubs, metadata, partition states; mirrored in the journal as far as it must last.
import type { HubId, PublishedState } from "../cluster/types.ts";
import type {
  ControllerSeat,
  CoordinationImage,
  HubEntry,
  Incarnation,
  MetaEntry,
  PartitionEntry,
  Poll,
} from "../io/coordination.ts";
import type { FactStore } from "../io/registry.ts";
import { isRemoved, leaveKey } from "./moves.ts";

const metaPrefix = "cluster/meta/";
const hubPrefix = "cluster/hub/";
const seenKey = "cluster/seen";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The newest that this hub has seen of the place of coordination; older means that it was put back or emptied. */
export interface Seen {
  readonly clusterId: string;
  readonly incarnation: number;
  readonly seq: number;
  readonly ctlEpoch: number;
}

/** True for a journal that has met a cluster: it is no lone hub's any more. */
export function belongsToCluster(facts: FactStore): boolean {
  return facts.get(seenKey) !== undefined;
}

export interface MemoryListener {
  meta(key: string, value: string | null): void;
  partition(topicId: string, partition: number, state: PublishedState): void;
  changed(): void;
}

export interface KnownState {
  readonly ver: number;
  readonly state: PublishedState;
}

export class ClusterMemory {
  readonly #facts: FactStore;
  readonly #listener: MemoryListener;
  readonly hubs = new Map<HubId, HubEntry>();
  readonly meta = new Map<string, MetaEntry>();
  readonly partitions = new Map<string, KnownState>();
  ctl: ControllerSeat = { hubId: -1, ctlEpoch: 0 };
  inc: Incarnation | null = null;
  /** null: this hub never belonged to a cluster. */
  seen: Seen | null = null;
  /** Up to where polls have been applied; -1 asks for everything. */
  seq = -1;
  /** The last change known to be carried out by Redis, at that poll or by this hub since. */
  mark = "";
  /** This process has asked to be registered, whether it was told the answer or not. */
  asked = false;
  /** Up to where the journal has the metadata. */
  storedSeq = 0;

  constructor(facts: FactStore, listener: MemoryListener) {
    this.#facts = facts;
    this.#listener = listener;
    const seen = facts.get(seenKey);
    if (seen) this.seen = read<Seen>(seen);
    for (const [, value] of facts.entries(hubPrefix)) {
      const hub = read<HubEntry>(value);
      this.hubs.set(hub.hubId, hub);
    }
    for (const [, value] of facts.entries(metaPrefix)) {
      const entry = read<MetaEntry>(value);
      this.meta.set(entry.key, entry);
    }
    this.storedSeq = this.seen?.seq ?? 0;
  }

  /** Tells what the journal holds: how a hub starts while Redis is away. */
  replay(): void {
    for (const { key, value } of this.meta.values()) this.#listener.meta(key, value);
  }

  /** Whether what a poll says is older than what this hub has seen. */
  isStale({ inc, seq, ctl, runId }: Poll): boolean {
    if (inc === null || this.seen === null) return false;
    if (inc.incarnation < this.seen.incarnation) return true;
    if (inc.incarnation > this.seen.incarnation) return false;
    return seq < Math.max(this.seq, this.seen.seq) || ctl.ctlEpoch < this.seen.ctlEpoch || runId !== inc.runId;
  }

  /**
   * Whether this hub knows something that Redis does not, in the same incarnation. One that was put back may count as
   * far again as it had, with other changes, before anybody looks.
   */
  isAheadOf({ inc, changes }: Poll): boolean {
    if (inc === null || changes === null || inc.incarnation !== this.inc?.incarnation) return false;
    const hubs = new Map(changes.hubs.map((hub) => [hub.hubId, hub.bootSeq]));
    for (const { hubId, bootSeq } of this.hubs.values()) if (bootSeq > (hubs.get(hubId) ?? -1)) return true;
    const meta = new Map(changes.meta.map((entry) => [entry.key, entry]));
    for (const { key, version, committed } of this.meta.values()) {
      const there = meta.get(key);
      if (version > (there?.version ?? 0) || (version === there?.version && committed && !there.committed)) return true;
    }
    return this.newerThan(changes.partitions).length > 0;
  }

  /** Partitions of which this hub knows a later state than these entries say, which are all that stand there. */
  newerThan(entries: readonly PartitionEntry[]): PartitionEntry[] {
    const there = new Map(entries.map((entry) => [`${entry.topicId}/${entry.partition}`, entry]));
    return this.#entries().filter((mine) => {
      const theirs = there.get(`${mine.topicId}/${mine.partition}`);
      return theirs === undefined || isNewer(mine, theirs);
    });
  }

  #entries(): PartitionEntry[] {
    return [...this.partitions].map(([key, { ver, state }]) => {
      const at = key.lastIndexOf("/");
      const place = { topicId: key.slice(0, at), partition: Number(key.slice(at + 1)) };
      return { ...place, ver, leaderEpoch: state.leaderEpoch, state: JSON.stringify(state), seq: 0 };
    });
  }

  /** Takes over what changed; the metadata are in the journal before anybody is told of them. */
  async apply({ inc, seq, ctl, changes, mark }: Poll): Promise<void> {
    if (inc === null || changes === null) return;
    const facts: [string, Uint8Array | null][] = [];
    for (const hub of changes.hubs) {
      this.hubs.set(hub.hubId, hub);
      facts.push([hubPrefix + hub.hubId, write(hub)]);
    }
    const news: MetaEntry[] = [];
    for (const entry of changes.meta) {
      const before = this.meta.get(entry.key);
      this.meta.set(entry.key, entry);
      if (before?.version === entry.version && before.committed === entry.committed) continue;
      facts.push([metaPrefix + entry.key, write(entry)]);
      if (before?.value !== entry.value) news.push(entry);
    }
    const left = this.#removed();
    for (const hub of left) {
      this.hubs.delete(hub);
      facts.push([hubPrefix + hub, null]);
    }
    const moved = this.inc?.incarnation !== inc.incarnation || this.ctl.ctlEpoch !== ctl.ctlEpoch;
    this.inc = inc;
    this.ctl = ctl;
    this.seq = seq;
    this.mark = mark;
    if (facts.length > 0 || moved || this.seen === null) {
      const { clusterId, incarnation } = inc;
      const seen = { clusterId, incarnation, seq, ctlEpoch: ctl.ctlEpoch };
      await this.#facts.put([...facts, [seenKey, write(seen)]]);
      this.seen = seen;
    }
    this.storedSeq = Math.max(this.storedSeq, seq);
    for (const { key, value } of news) this.#listener.meta(key, value);
    for (const entry of changes.partitions) this.takePartition(entry);
    if (changes.hubs.length > 0 || left.length > 0 || moved) this.#listener.changed();
  }

  /** Hubs that were removed and are still listed. */
  #removed(): HubId[] {
    const gone = (hub: HubEntry): boolean => isRemoved(this.meta.get(leaveKey(hub.hubId))?.value, hub);
    return [...this.hubs.values()].filter(gone).map(({ hubId }) => hubId);
  }

  /** A partition's state, if it is newer than what is known. */
  takePartition({ topicId, partition, ver, state: text }: PartitionEntry): void {
    const state = JSON.parse(text) as PublishedState;
    const key = `${topicId}/${partition}`;
    const known = this.partitions.get(key);
    if (
      known &&
      isNewer({ ver: known.ver, leaderEpoch: known.state.leaderEpoch }, { ver, leaderEpoch: state.leaderEpoch })
    )
      return;
    this.partitions.set(key, { ver, state });
    this.#listener.partition(topicId, partition, state);
  }

  /** All this hub knows, merged with what stands in Redis: of each part the higher version (replication.md 2.2). */
  merged(image: CoordinationImage | null, clusterId: string): CoordinationImage {
    const hubs = new Map([...this.hubs.values(), ...(image?.hubs ?? [])].map((hub) => [hub.hubId, hub]));
    for (const hub of hubs.values()) {
      if (isRemoved(this.meta.get(leaveKey(hub.hubId))?.value, hub)) hubs.delete(hub.hubId);
    }
    const meta = new Map(this.meta);
    for (const entry of image?.meta ?? []) {
      const mine = meta.get(entry.key);
      const wins = !mine || (entry.committed && !mine.committed) || entry.version > mine.version;
      if (wins && !(mine?.committed && !entry.committed)) meta.set(entry.key, entry);
    }
    const states = new Map(this.#entries().map((entry) => [`${entry.topicId}/${entry.partition}`, entry]));
    for (const entry of image?.partitions ?? []) {
      const key = `${entry.topicId}/${entry.partition}`;
      const mine = states.get(key);
      if (!mine || isNewer(entry, mine)) states.set(key, entry);
    }
    const incarnation = 1 + Math.max(this.seen?.incarnation ?? 0, image?.inc?.incarnation ?? 0);
    const ctlEpoch = 1 + Math.max(this.seen?.ctlEpoch ?? 0, image?.ctl.ctlEpoch ?? 0);
    const seq = 1 + Math.max(this.seq, this.seen?.seq ?? 0, image?.seq ?? 0);
    return {
      inc: { clusterId, incarnation, runId: "", formatVersion: 1, state: "normal" },
      seq,
      ctl: { hubId: -1, ctlEpoch },
      hubs: [...hubs.values()],
      meta: [...meta.values()],
      partitions: [...states.values()],
    };
  }
}

type Version = Pick<PartitionEntry, "leaderEpoch" | "ver">;

function isNewer(one: Version, other: Version): boolean {
  return one.leaderEpoch > other.leaderEpoch || (one.leaderEpoch === other.leaderEpoch && one.ver > other.ver);
}

function read<T>(bytes: Uint8Array): T {
  return JSON.parse(decoder.decode(bytes)) as T;
}

function write(value: object): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}
