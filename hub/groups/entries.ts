// The table of one coordinator: its groups, each with what it has committed. Pure.
import type { ConsumerGroup, ConsumerWorld } from "./consumer_group.ts";
import type { Group, GroupSettings } from "./group.ts";
import type { Offsets } from "./offsets.ts";

/** A group and what it has committed. */
export interface Entry {
  /** The classic group; that of a group of the server-side protocol stays Empty and counts its empty time. */
  group: Group;
  /** The group of the server-side protocol (KIP-848), when it is one. */
  consumer: ConsumerGroup | null;
  readonly offsets: Offsets;
  /** Commits on their way to the registry: the group is not swept away under them. */
  commitsUnderWay: number;
}

export interface Coordinator {
  readonly settings: GroupSettings;
  readonly world: ConsumerWorld;
  readonly groups: Map<string, Entry>;
}

/** A coordinator without groups. */
export function newCoordinator(settings: GroupSettings, world: ConsumerWorld): Coordinator {
  return { settings, world, groups: new Map() };
}

/** Adds a group nobody knows yet. */
export function addGroup(coordinator: Coordinator, group: Group): Entry {
  const entry: Entry = { group, consumer: null, offsets: new Map(), commitsUnderWay: 0 };
  coordinator.groups.set(group.id, entry);
  return entry;
}
