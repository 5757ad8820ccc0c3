// What operators want of replicas and hubs: moves of partitions, hubs that leave. Shared metadata, so that they outlive
// the controller that was asked; the hub on its seat works them off.
import type { Governed } from "../cluster/controller.ts";
import { configOf } from "../cluster/controller.ts";
import { hubOfReplica, membersOf } from "../cluster/quorum.ts";
import type { HubId, ReplicaId, ReplicaSet } from "../cluster/types.ts";
import { isSameSet, lostOf, type Place, shortOf, wantedOf } from "../cluster/wanted.ts";
import { HubError } from "../errors.ts";
import type { HubEntry } from "../io/coordination.ts";
import { limits } from "../limits.ts";
import { hubOf, type HubView } from "./cluster_view.ts";
import { minInSyncOf, type Topic } from "./topics.ts";

const movePrefix = "move/";
const leavePrefix = "leaving/";
const lostPrefix = "lost/";

/**
 * `drain`: its replicas go elsewhere; `remove`: then it is no hub of the cluster any more; `return`: it stays;
 * `replace`: what it had on earlier folders is gone for good, the one that it has now stands in.
 */
export type Leave = "drain" | "remove" | "return" | "replace";

export interface MoveAsked {
  readonly topic: string;
  readonly partition: number;
  /** null: what is under way is called off. */
  readonly hubs: readonly HubId[] | null;
}

/** A partition whose replicas are about to change. */
export interface Move {
  readonly topic: string;
  readonly partition: number;
  readonly from: readonly HubId[];
  readonly to: readonly HubId[];
}

type Entry = { readonly key: string; readonly value: string | null };

export interface MovesOptions {
  /** Shared metadata (engine/governor.ts). */
  readonly change: (entries: readonly Entry[]) => Promise<void>;
  readonly hubs: () => readonly HubView[];
  readonly entryOf: (hub: HubId) => HubEntry | undefined;
  /** What makes `removed` final: the place of coordination forgets the hub. */
  readonly forget: (hub: HubId) => Promise<void>;
  readonly governed: () => Iterable<Governed>;
  readonly topicOf: (topicId: string) => Topic | undefined;
  readonly hubSettings: ReadonlyMap<string, string>;
}

/** True for metadata that this file reads. */
export const isMoveKey = (key: string): boolean => {
  return key.startsWith(movePrefix) || key.startsWith(leavePrefix) || key.startsWith(lostPrefix);
};

/** A hub on this folder was removed, for good: with an empty one it may come back. */
export function isRemoved(value: string | null | undefined, { dirId }: { readonly dirId: string }): boolean {
  return value === `removed ${dirId}`;
}

export const leaveKey = (hub: HubId): string => leavePrefix + hub;

const keyOf = ({ topicId, partition }: Governed): string => `${movePrefix}${topicId}/${partition}`;

export class Moves {
  readonly #options: MovesOptions;
  readonly #asked = new Map<string, readonly HubId[]>();
  readonly #leaving = new Map<HubId, string>();
  /** Of each hub, replicas on folders that are gone for good. */
  readonly #lost = new Map<HubId, readonly ReplicaId[]>();
  /** Entries that are being taken back, so that they are asked for once. */
  readonly #closing = new Set<string>();

  constructor(options: MovesOptions) {
    this.#options = options;
  }

  learn(key: string, value: string | null): void {
    if (key.startsWith(movePrefix)) {
      if (value === null) this.#asked.delete(key);
      else this.#asked.set(key, value.split(",").map(Number));
      this.#closing.delete(key);
      return;
    }
    if (key.startsWith(lostPrefix)) {
      this.#lost.set(Number(key.slice(lostPrefix.length)), value?.split(",") ?? []);
      return;
    }
    const hub = Number(key.slice(leavePrefix.length));
    if (value === null || value.startsWith("removed")) this.#leaving.delete(hub);
    else this.#leaving.set(hub, value);
  }

  leaves(hub: HubId): boolean {
    return this.#leaving.has(hub);
  }

  places(): Map<HubId, Place> {
    return new Map(
      this.#options.hubs().map(({ hubId, dirId, alive, draining }) => {
        return [hubId, { hubId, replica: `${hubId}:${dirId}`, alive: alive && !draining, leaves: this.leaves(hubId) }];
      }),
    );
  }

  wantedOf(governed: Governed, places: ReadonlyMap<HubId, Place>): ReplicaSet {
    const { topicOf, hubSettings } = this.#options;
    const topic = topicOf(governed.topicId);
    const staying = [...places.values()].filter(({ leaves }) => !leaves).length;
    return wantedOf(governed, {
      asked: this.#asked.get(keyOf(governed)) ?? null,
      places,
      copies: topic?.internal ? Math.min(3, staying) : 0,
      lost: this.#allLost(),
      minInSync: (replicas) => (topic ? minInSyncOf(topic, hubSettings, replicas) : governed.m),
    });
  }

  #allLost(): ReadonlySet<ReplicaId> {
    return new Set([...this.#lost.values()].flat());
  }

  /** What its leader is to give up for the set. */
  lostOf(governed: Governed, target: ReplicaSet): ReplicaId[] {
    return lostOf(governed, target, this.#allLost());
  }

  /** The partition is as it was asked for. */
  settled(governed: Governed): void {
    const key = keyOf(governed);
    if (!this.#asked.has(key) || this.#closing.has(key)) return;
    this.#closing.add(key);
    this.#options.change([{ key, value: null }]).catch(() => this.#closing.delete(key)); // asked again at the next look
  }

  /** Keys that end with a topic. */
  keysOf(topicId: string): string[] {
    return [...this.#asked.keys()].filter((key) => key.startsWith(`${movePrefix}${topicId}/`));
  }

  #isChanging({ published }: Governed): boolean {
    return published !== undefined && (published.config.next !== null || published.target !== undefined);
  }

  /** What is under way, or waits for its turn. */
  *list(): Generator<Move> {
    const places = this.places();
    for (const governed of this.#options.governed()) {
      const topic = this.#options.topicOf(governed.topicId);
      if (!topic) continue;
      const { old, next } = configOf(governed);
      const target = next ?? governed.published?.target ?? this.wantedOf(governed, places);
      if (isSameSet(old, target)) continue;
      const { partition } = governed;
      yield { topic: topic.name, partition, from: old.members.map(hubOf), to: target.members.map(hubOf) };
    }
  }

  /** On the controller's hub alone. Answers for each why it was refused; null: it is wanted from now on. */
  async ask(asked: readonly MoveAsked[], find: (asked: MoveAsked) => Governed): Promise<(HubError | null)[]> {
    const entries = new Map<number, Entry>();
    const answers = asked.map((one, i) => {
      try {
        const entry = this.#entryOf(find(one), one.hubs);
        if (entry !== null) entries.set(i, entry);
        return null;
      } catch (error) {
        if (error instanceof HubError) return error;
        throw error;
      }
    });
    const all = [...entries];
    for (let at = 0; at < all.length; at += limits.publishedPerCallMax) {
      const some = all.slice(at, at + limits.publishedPerCallMax);
      try {
        await this.#options.change(some.map(([, entry]) => entry));
      } catch (error) {
        if (!(error instanceof HubError)) throw error;
        for (const [i] of some) answers[i] = error;
      }
    }
    return answers;
  }

  #entryOf(governed: Governed, hubs: readonly HubId[] | null): Entry | null {
    const key = keyOf(governed);
    if (hubs !== null) return { key, value: hubs.join() };
    const { old, next } = configOf(governed);
    const present = old.members.map(hubOf).join();
    const waits = (this.#asked.get(key)?.join() ?? present) !== present;
    if (!waits && !this.#isChanging(governed)) throw new HubError("NO_REASSIGNMENT_IN_PROGRESS");
    // A joint config cannot be left the way it was entered: it is finished, and then changed back.
    return { key, value: next === null ? null : present };
  }

  /**
   * On the controller's hub alone. Resolves when the hub holds nothing any more, and was removed if that was asked.
   * @throws HubError REASSIGNMENT_IN_PROGRESS until then; BROKER_ID_NOT_REGISTERED, POLICY_VIOLATION
   */
  async leave(hub: HubId, how: Leave): Promise<void> {
    const { entryOf, change } = this.#options;
    if (!entryOf(hub)) throw new HubError("BROKER_ID_NOT_REGISTERED", `There is no hub ${hub} in this cluster`);
    const key = leaveKey(hub);
    if (how === "return") {
      if (this.leaves(hub)) await change([{ key, value: null }]);
      return;
    }
    if (how === "replace") return await this.#replace(hub);
    this.#mustSpare(hub);
    if (this.#leaving.get(hub) !== how) await change([{ key, value: how }]);
    const left = [...this.#options.governed()].filter((governed) => holds(governed, hub)).length;
    if (left > 0) {
      throw new HubError("REASSIGNMENT_IN_PROGRESS", `${left} replicas are still on hub ${hub}; they are being moved`);
    }
    if (how === "remove") await this.#remove(hub);
  }

  /** Partitions whose only copy is lost stay without a leader: there is nobody to take it from. */
  async #replace(hub: HubId): Promise<void> {
    const place = this.places().get(hub);
    const earlier = new Set<ReplicaId>();
    let left = 0;
    for (const governed of this.#options.governed()) {
      const members = membersOf(configOf(governed)).filter(
        (one) => hubOfReplica(one) === hub && one !== place?.replica,
      );
      for (const member of members) earlier.add(member);
      if (members.length > 0 && configOf(governed).old.members.length > 1) left += 1;
    }
    if (left === 0) {
      if (this.#lost.has(hub)) return;
      const remedy = "start it with its new folder first";
      throw new HubError("POLICY_VIOLATION", `As far as is known hub ${hub} has the folder of its replicas: ${remedy}`);
    }
    if (!place?.alive) throw new HubError("POLICY_VIOLATION", `Hub ${hub} is down: start it with its new folder first`);
    const known = this.#allLost();
    const value = [...earlier].join();
    if (![...earlier].every((one) => known.has(one))) await this.#options.change([{ key: lostPrefix + hub, value }]);
    throw new HubError("REASSIGNMENT_IN_PROGRESS", `${left} replicas of hub ${hub} are being copied to its new folder`);
  }

  #mustSpare(hub: HubId): void {
    const places = this.places();
    if ([...places.values()].every(({ hubId, leaves }) => leaves || hubId === hub)) {
      throw new HubError("POLICY_VIOLATION", `Hub ${hub} is the last one: there is nowhere to go`);
    }
    for (const governed of this.#options.governed()) {
      const short = shortOf(governed, hub, places);
      if (short === null) continue;
      const name = this.#options.topicOf(governed.topicId)?.name ?? governed.topicId;
      const what = `${name}-${governed.partition} needs ${short.needed} copies and would have ${short.left}`;
      throw new HubError("POLICY_VIOLATION", `Without hub ${hub} ${what}: add a hub first`);
    }
  }

  async #remove(hub: HubId): Promise<void> {
    const { change, entryOf, forget } = this.#options;
    await change([{ key: leaveKey(hub), value: `removed ${entryOf(hub)!.dirId}` }]);
    await forget(hub);
  }
}

/** A replica there counts, or is about to. */
function holds({ published, assignment }: Governed, hub: HubId): boolean {
  const members = published ? [...membersOf(published.config), ...(published.target?.members ?? [])] : assignment;
  return members.some((replica) => hubOfReplica(replica) === hub);
}
