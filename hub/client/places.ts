// From a place (earliest, latest, a time) to offsets: ListOffsets at the leaders.
import { HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { ReplyOf } from "../wire/apis.ts";
import type { Connection } from "./connection.ts";
import type { PartitionOffset, StartAt, TopicPartition } from "./faces.ts";
import { mustBeNone, retrying } from "./routes.ts";
import type { Routes } from "./routes.ts";

export interface Place extends TopicPartition {
  readonly at: StartAt;
}

export type Found = PartitionOffset & { readonly timestamp: number };

const latest = -1;
const earliest = -2;

function timestampOf(at: Exclude<StartAt, { readonly offset: number }>): number {
  return at === "latest" ? latest : at === "earliest" ? earliest : at.time;
}

/**
 * The offsets of places, in their order. For a time later than every record the offset is -1.
 * Leaders are looked up again and asked again while that can help.
 * @param committedOnly as a reader of committed records sees it: the end is the last stable offset (KIP-98)
 */
export function findOffsets(routes: Routes, places: readonly Place[], committedOnly = false): Promise<Found[]> {
  return retrying(routes.clock, async () => {
    const found: (Found | undefined)[] = places.map(({ topic, partition, at }) =>
      typeof at === "object" && "offset" in at ? { topic, partition, offset: at.offset, timestamp: -1 } : undefined,
    );
    const open = places.map((place, index) => ({ place, index })).filter(({ index }) => found[index] === undefined);
    if (open.length === 0) return found as Found[];
    const topics = [...new Set(open.map(({ place }) => place.topic))];
    await routes.refresh(topics);
    const byLeader = new Map<Connection, typeof open>();
    for (const entry of open) {
      const connection = await routes.leader(entry.place.topic, entry.place.partition);
      const entries = byLeader.get(connection);
      if (entries === undefined) byLeader.set(connection, [entry]);
      else entries.push(entry);
    }
    await Promise.all(
      [...byLeader].map(async ([connection, entries]) => {
        const reply = await ask(
          connection,
          entries.map(({ place }) => place),
          committedOnly,
        );
        for (const { place, index } of entries) found[index] = pick(reply, place);
      }),
    );
    return found as Found[];
  });
}

function ask(
  connection: Connection,
  places: readonly Place[],
  committedOnly: boolean,
): Promise<ReplyOf<"listOffsets">> {
  const topics = new Map<string, { partitionIndex: number; timestamp: number }[]>();
  for (const { topic, partition, at } of places) {
    const entry = { partitionIndex: partition, timestamp: timestampOf(at as "latest") };
    const partitions = topics.get(topic);
    if (partitions === undefined) topics.set(topic, [entry]);
    else partitions.push(entry);
  }
  return connection.call("listOffsets", {
    replicaId: -1,
    isolationLevel: committedOnly ? 1 : 0,
    topics: [...topics].map(([name, partitions]) => ({ name, partitions })),
    timeoutMs: limits.clientRequestMsMax,
  });
}

function pick(reply: ReplyOf<"listOffsets">, { topic, partition }: Place): Found {
  const answer = reply.topics
    .filter(({ name }) => name === topic)
    .flatMap(({ partitions }) => partitions)
    .find(({ partitionIndex }) => partitionIndex === partition);
  if (answer === undefined) throw new HubError("UNKNOWN_SERVER_ERROR", `no offset for ${topic}-${partition}`);
  mustBeNone(answer.errorCode, `offset of ${topic}-${partition}`);
  return { topic, partition, offset: answer.offset, timestamp: answer.timestamp };
}

/** As `findOffsets`, for a reader: later than every record means the end. */
export async function findStarts(
  routes: Routes,
  places: readonly Place[],
  committedOnly = false,
): Promise<PartitionOffset[]> {
  const found = await findOffsets(routes, places, committedOnly);
  const late = found.filter(({ offset }, index) => offset < 0 && typeof places[index]!.at === "object");
  const ends =
    late.length === 0
      ? []
      : await findOffsets(
          routes,
          late.map((place) => ({ ...place, at: "latest" })),
          committedOnly,
        );
  return found.map(({ topic, partition, offset }) => {
    const end = ends.find((other) => other.topic === topic && other.partition === partition);
    return { topic, partition, offset: Math.max(0, end?.offset ?? offset) };
  });
}

/** Positions as a fetch request wants them. */
export function fetchTopics(
  positions: readonly (TopicPartition & { readonly next: number })[],
  partitionMaxBytes: number,
) {
  const topics = new Map<string, { partition: number; fetchOffset: number; partitionMaxBytes: number }[]>();
  for (const { topic, partition, next } of positions) {
    const entry = { partition, fetchOffset: next, partitionMaxBytes };
    const partitions = topics.get(topic);
    if (partitions === undefined) topics.set(topic, [entry]);
    else partitions.push(entry);
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }));
}
