// A lone hub becomes the first of a cluster: its topics, settings and users become what all hubs share.
import type { FactStore, GroupImage, Position, RemoteRegistry } from "../io/registry.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import { openEmbeddedRegistry } from "./embedded_registry.ts";
import type { Governor } from "./governor.ts";
import { encodeTopic, topicOf, topicPrefix } from "./topics.ts";

/** What a lone hub keeps under the same keys that a cluster shares. */
const sharedPrefixes = ["settings/", "access/"];
const decoder = new TextDecoder();

export interface MovingInOptions {
  /** This hub's journal. */
  readonly facts: FactStore;
  /** The facts that all share, by then. */
  readonly shared: Pick<FactStore, "put">;
  readonly governor: Pick<Governor, "change" | "takeSeat" | "knows" | "view">;
  /** It never belonged to a cluster. */
  readonly isFirst: boolean;
  readonly trace: Trace;
}

/**
 * A journal that holds topics of its own is a lone hub's that has not moved in, or not to the end: every step can be
 * repeated, and the topics go from the journal last, so that it stays the truth until all of it is shared. No client is
 * served before (replication.md 2.4).
 */
export async function moveIn(options: MovingInOptions): Promise<void> {
  const { facts, shared, governor, isFirst, trace } = options;
  const { replicaId: me } = governor.view;
  const isKnown = (key: string): boolean => governor.knows(key);
  const topics = [...facts.entries(topicPrefix)];
  const others = sharedPrefixes.flatMap((prefix) => [...facts.entries(prefix)]).filter(([key]) => !isKnown(key));
  if (topics.length === 0 && !(isFirst && others.length > 0)) return;
  await governor.takeSeat();
  const max = limits.publishedPerCallMax;
  for (let at = 0; at < others.length; at += max) await shared.put(others.slice(at, at + max));
  const entries = topics.flatMap(([key, value]) => {
    if (isKnown(key)) return [];
    const topic = topicOf(key.slice(topicPrefix.length), decoder.decode(value));
    const assignment = Array.from({ length: topic.partitions }, () => [me]);
    return [{ key, value: encodeTopic({ ...topic, assignment, m: 1 }) }];
  });
  for (let at = 0; at < entries.length; at += max) await governor.change(entries.slice(at, at + max));
  await facts.put(topics.map(([key]) => [key, null] as const));
  trace.event("info", "lone_hub_moved_in", { topics: topics.length, others: others.length });
}

const groupPrefix = "groups/";

/**
 * Groups and offsets of a lone hub go to where a cluster keeps them, before a coordinator reads there; then they leave
 * the journal. Epochs of a lone hub count its starts: here they are below every election's.
 */
export async function moveGroupsIn(facts: FactStore, remote: Pick<RemoteRegistry, "merge">): Promise<void> {
  const keys = [...facts.entries(groupPrefix)].map(([key]) => key);
  if (keys.length === 0) return;
  for (const image of await openEmbeddedRegistry(facts).loadGroups()) await remote.merge(asFirst(image));
  const max = limits.publishedPerCallMax;
  for (let at = 0; at < keys.length; at += max) {
    await facts.put(keys.slice(at, at + max).map((key) => [key, null] as const));
  }
}

function asFirst({ group, record, deleted, offsets }: GroupImage): GroupImage {
  const first = <P extends Position>(position: P): P => ({ ...position, coordinatorEpoch: 1 });
  return {
    group,
    fenceEpoch: 1,
    record: record && first(record),
    deleted: deleted && first(deleted),
    offsets: offsets.map((one) => ({ ...one, position: first(one.position) })),
  };
}
