// How far a group is behind: records and seconds, per partition.
import type { Admin, HubClient, PartitionOffset, TopicPartition } from "../hub/mod.ts";
import { placeKey } from "./hub_client.ts";

export interface Lag extends TopicPartition {
  /** null: nothing committed. */
  readonly committed: number | null;
  readonly start: number;
  readonly end: number;
  readonly lag: number;
  /** Age of the first record that the group has not done; 0 without lag, null when it could not be read. */
  readonly lagSeconds: number | null;
}

/** Time allowed to read the first open record of each partition. */
const peekMsMax = 3_000;

/** Lag from committed offsets and the ends of the logs. Pure. */
export function lagOf(
  committed: number | null,
  start: number,
  end: number,
  openRecordTime: number | undefined,
  now: number,
): Pick<Lag, "lag" | "lagSeconds"> {
  const lag = Math.max(0, end - Math.max(committed ?? start, start));
  if (lag === 0) return { lag, lagSeconds: 0 };
  return { lag, lagSeconds: openRecordTime === undefined ? null : Math.max(0, (now - openRecordTime) / 1_000) };
}

/** Lag of these partitions; one read per partition that is behind. */
export async function lagsOf(
  client: HubClient,
  admin: Admin,
  places: readonly TopicPartition[],
  committed: readonly PartitionOffset[],
): Promise<Lag[]> {
  const done = new Map(committed.map((at) => [placeKey(at), at.offset]));
  const starts = new Map((await admin.offsets(places, "earliest")).map((at) => [placeKey(at), at.offset]));
  const ends = new Map((await admin.offsets(places, "latest")).map((at) => [placeKey(at), at.offset]));
  const known = places.map((place) => {
    const key = placeKey(place);
    return { place, key, done: done.get(key) ?? null, start: starts.get(key) ?? 0, end: ends.get(key) ?? 0 };
  });
  const open = known.flatMap(({ place, done, start, end }) => {
    const offset = Math.max(done ?? start, start);
    return offset < end ? [{ ...place, from: { offset } }] : [];
  });
  const times = await firstTimes(client, open);
  const now = Date.now();
  return known.map(({ place, key, done, start, end }) => {
    return { ...place, committed: done, start, end, ...lagOf(done, start, end, times.get(key), now) };
  });
}

async function firstTimes(
  client: HubClient,
  open: readonly (TopicPartition & { from: { offset: number } })[],
): Promise<Map<string, number>> {
  const times = new Map<string, number>();
  if (open.length === 0) return times;
  const consumer = client.consumer({ fetchBytesMax: 64 * 1024 });
  try {
    await consumer.assign(open);
    const end = Date.now() + peekMsMax;
    while (times.size < open.length && Date.now() < end) {
      for (const batch of await consumer.poll(200)) {
        const first = batch.records[0];
        if (first === undefined) continue;
        if (!times.has(placeKey(batch))) times.set(placeKey(batch), first.timestamp);
        consumer.pause([batch]);
      }
    }
  } finally {
    await consumer.close();
  }
  return times;
}
