// The groups of a cluster: each belongs to a partition of __consumer_offsets, and whoever leads that coordinates it.
//
// DESIGN. The coordinator of a lone hub serves here too, one for each partition that this hub leads; its registry keeps
// what it must remember in that partition, which every replica of it has, and in Redis (mirrored_registry.ts). Its
// epoch is the leader's or higher: a coordinator that was replaced and does not know it yet is refused by Redis, and
// by the other replicas.
import type { Clock } from "../io/ports.ts";
import type { FactStore, Registry } from "../io/registry.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import { absentGroups } from "./absent_groups.ts";
import type { GroupEngine } from "./groups_types.ts";
import { HeldOffsets, type HeldOffsetsOptions } from "./held_offsets.ts";
import { offsetsTopic, partitionOf } from "./homes.ts";
import type { Partition } from "./partition.ts";
import type { Partitions } from "./partitions.ts";
import { openTopicFacts } from "./topic_facts.ts";
import type { UnstableOffsets } from "./transactions_offsets.ts";

export interface GroupHomesOptions {
  readonly partitions: Partitions;
  readonly clock: Clock;
  readonly trace: Trace;
  /** The registry of one partition's groups, over the facts in that partition. */
  readonly openRegistry: (facts: FactStore, index: number, owns: (group: string) => boolean) => Registry;
  readonly openEngine: (
    registry: Registry,
    coordinatorEpoch: number,
    unstable: UnstableOffsets,
  ) => Promise<GroupEngine>;
  /** All that transactions hold for groups; null when not every coordinator of them could be asked. */
  readonly askHeld: HeldOffsetsOptions["ask"];
}

/** One leadership of one partition. */
interface Home {
  readonly partition: Partition;
  readonly epoch: number;
  engine: GroupEngine;
  registry: Registry | null;
  held: HeldOffsets | null;
  over: boolean;
}

const elsewhere = absentGroups("NOT_COORDINATOR");
const loading = absentGroups("COORDINATOR_LOAD_IN_PROGRESS");
const noSuchPlace = absentGroups("COORDINATOR_NOT_AVAILABLE");

export class GroupHomes implements GroupEngine {
  readonly #options: GroupHomesOptions;
  readonly #homes = new Map<number, Home>();
  readonly #closing = new Set<Promise<void>>();
  readonly loaded: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: GroupHomesOptions) {
    this.#options = options;
    options.partitions.onLeadership((partition, leads) => {
      if (partition.topic === offsetsTopic) this.#moved(partition, leads);
    });
    for (const partition of options.partitions.of(offsetsTopic) ?? [])
      if (partition.leads) this.#moved(partition, true);
  }

  #moved(partition: Partition, leads: boolean): void {
    const index = partition.log.partition;
    const before = this.#homes.get(index);
    this.#homes.delete(index);
    if (before) this.#end(before);
    if (!leads || this.#closed) return;
    const home: Home = { partition, epoch: partition.epoch, engine: loading, registry: null, held: null, over: false };
    this.#homes.set(index, home);
    void this.#open(home, index);
  }

  async #open(home: Home, index: number): Promise<void> {
    const { partitions, clock, trace, openRegistry, openEngine, askHeld } = this.#options;
    const place = { partition: index, epoch: home.epoch };
    while (!home.over) {
      try {
        const facts = await openTopicFacts(partitions, home.partition, clock);
        if (home.over) return;
        const owns = (group: string): boolean => this.#indexOf(group) === index;
        const registry = openRegistry(facts, index, owns);
        home.registry = registry;
        home.held = new HeldOffsets({ clock, ask: askHeld, owns });
        home.engine = await openEngine(registry, home.epoch, home.held);
        if (home.over) await this.#close(home);
        else trace.event("info", "coordinating", place);
        return;
      } catch (error) {
        if (home.over) return;
        trace.event("warn", "groups_not_opened", { ...place, error: String(error) });
        await new Promise<void>((resolve) => void clock.after(limits.diskRetryMs, resolve));
      }
    }
  }

  #end(home: Home): void {
    home.over = true;
    const closing = this.#close(home).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  async #close({ engine, registry, held }: Home): Promise<void> {
    held?.close();
    await engine.close();
    await registry?.close();
  }

  #indexOf(group: string): number {
    return partitionOf(group, this.#options.partitions.topics.byName(offsetsTopic)?.partitions ?? 1);
  }

  #of(group: string): GroupEngine {
    if (!this.#options.partitions.topics.byName(offsetsTopic)) return noSuchPlace;
    return this.#homes.get(this.#indexOf(group))?.engine ?? elsewhere;
  }

  join: GroupEngine["join"] = (request) => this.#of(request.group).join(request);
  sync: GroupEngine["sync"] = (request) => this.#of(request.group).sync(request);
  heartbeat: GroupEngine["heartbeat"] = (group, claim) => this.#of(group).heartbeat(group, claim);
  consumerHeartbeat: GroupEngine["consumerHeartbeat"] = (asked) => this.#of(asked.group).consumerHeartbeat(asked);
  describeConsumer: GroupEngine["describeConsumer"] = (group) => this.#of(group).describeConsumer(group);
  checkFetch: GroupEngine["checkFetch"] = (group, member, epoch) => this.#of(group).checkFetch(group, member, epoch);
  leave: GroupEngine["leave"] = (group, leavers) => this.#of(group).leave(group, leavers);
  commit: GroupEngine["commit"] = (group, claim, topics) => this.#of(group).commit(group, claim, topics);
  fetchOffsets: GroupEngine["fetchOffsets"] = (group, topics, stable) =>
    this.#of(group).fetchOffsets(group, topics, stable);
  checkTransactional: GroupEngine["checkTransactional"] = (group, claim, topics) =>
    this.#of(group).checkTransactional(group, claim, topics);
  commitDecided: GroupEngine["commitDecided"] = (group, offsets, id) =>
    this.#of(group).commitDecided(group, offsets, id);
  describe: GroupEngine["describe"] = (group) => this.#of(group).describe(group);
  delete: GroupEngine["delete"] = (group) => this.#of(group).delete(group);
  deleteOffsets: GroupEngine["deleteOffsets"] = (group, topics) => this.#of(group).deleteOffsets(group, topics);

  /** What transactions hold for the groups beside this one; undefined where another hub knows. */
  held(group: string): HeldOffsets | undefined {
    return this.#homes.get(this.#indexOf(group))?.held ?? undefined;
  }

  /** The groups that this hub coordinates: who wants all of them asks every hub, as with any Kafka cluster. */
  list(states: readonly string[]): ReturnType<GroupEngine["list"]> {
    const found = [...this.#homes.values()].map(({ engine }) => engine.list(states));
    const error = found.find((one) => one.error !== "NONE")?.error ?? "NONE";
    return { error, groups: error === "NONE" ? found.flatMap(({ groups }) => groups) : [] };
  }

  async topicDeleted(topicId: string): Promise<void> {
    await Promise.all([...this.#homes.values()].map(({ engine }) => engine.topicDeleted(topicId)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const home of this.#homes.values()) this.#end(home);
    this.#homes.clear();
    await Promise.all(this.#closing);
  }
}
