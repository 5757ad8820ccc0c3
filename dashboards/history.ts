// History: where a subscription begins, and a reader of its own that brings it from there to the live tail.
import { type Admin, type Consumer, type HubClient, type InBatch, limits } from "../hub/mod.ts";
import type { From } from "./protocol.ts";

/** Where one partition begins, and the ends of its log at that moment. */
export interface Start {
  readonly partition: number;
  /** The offset asked for; less than `start` when the log no longer has it. */
  readonly wanted: number;
  readonly at: number;
  readonly start: number;
  readonly end: number;
}

/** Finds the offsets where a subscription begins. @param now wall clock of the hub, ms since the epoch. */
export async function resolveStarts(
  admin: Admin,
  topic: string,
  partitions: readonly number[],
  from: From,
  now: number,
): Promise<Start[]> {
  const places = partitions.map((partition) => ({ topic, partition }));
  const time = from.kind === "time" ? from.time : from.kind === "lastMs" ? Math.max(0, now - from.ms) : null;
  const [starts, ends, times] = await Promise.all([
    admin.offsets(places, "earliest"),
    admin.offsets(places, "latest"),
    time === null ? [] : admin.offsets(places, { time }),
  ]);
  const pick = (list: readonly { partition: number; offset: number }[], partition: number): number =>
    list.find((entry) => entry.partition === partition)?.offset ?? -1;
  return partitions.map((partition) => {
    const start = Math.max(0, pick(starts, partition));
    const end = Math.max(start, pick(ends, partition));
    const wanted = wantedOffset(from, partition, start, end, pick(times, partition));
    // beyond the end: the log was lost and began anew; what it has now is all new to the browser
    const at = wanted > end ? start : Math.max(wanted, start);
    return { partition, wanted, at, start, end };
  });
}

function wantedOffset(from: From, partition: number, start: number, end: number, atTime: number): number {
  switch (from.kind) {
    case "latest":
      return end;
    case "earliest":
      return start;
    case "offset":
      return Math.min(Math.max(from.offset, start), end);
    case "offsets":
      return from.offsets.get(partition) ?? start; // a partition added meanwhile is read from its beginning
    case "lastRecords":
      return Math.max(start, end - from.records);
    case "time":
    case "lastMs":
      return atTime < 0 ? end : Math.max(atTime, start);
  }
}

/** What a history read asks of its subscription. */
export interface HistoryTaker {
  /** Partitions that still need history, with the offset each goes on from. */
  wanting(): { readonly partition: number; readonly offset: number }[];
  /** Resolves when the browser takes more, or the subscription ends. */
  room(): Promise<void>;
  take(batch: InBatch): void;
  /** The log no longer has [from, to). */
  gap(partition: number, from: number, to: number): void;
  ended(): boolean;
}

let reads = 0;
const turns: (() => void)[] = [];

/** At most `historyReadsMax` reads at a time, first come first served. */
async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (reads >= limits.historyReadsMax) await new Promise<void>((resolve) => turns.push(resolve));
  else reads++;
  try {
    return await work();
  } finally {
    const next = turns.shift();
    if (next === undefined) reads--;
    else next();
  }
}

const pollMs = 200;
const retryMs = 300;
/** Empty answers after which the reader asks whether the log still begins where it thinks. */
const emptyPollsMax = 5;

/** Reads until every partition has met the live tail, or the subscription ends. */
export async function readHistory(client: HubClient, topic: string, taker: HistoryTaker): Promise<void> {
  while (!taker.ended() && taker.wanting().length > 0) {
    // out of range means that retention passed the reader: it goes on at the log's beginning
    const options = {
      clientId: "dashboard-history",
      from: "earliest",
      fetchBytesMax: limits.historyFetchBytes,
    } as const;
    const consumer = client.consumer(options);
    try {
      const places = taker.wanting();
      const assigned = places.map(({ partition, offset }) => ({ topic, partition, from: { offset } }));
      await consumer.assign(assigned);
      await readOn(client, consumer, topic, places, taker);
    } catch (error) {
      if (taker.ended()) return;
      if ((error as { kind?: string }).kind === "UNKNOWN_TOPIC_OR_PARTITION") return;
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    } finally {
      await consumer.close().catch(() => {});
    }
    if (!taker.ended()) await mindTheGap(client, topic, taker);
  }
}

/** Reads while answers come; returns when the partitions are to be assigned anew. */
async function readOn(
  client: HubClient,
  consumer: Consumer,
  topic: string,
  places: readonly { readonly partition: number }[],
  taker: HistoryTaker,
): Promise<void> {
  const reading = new Set(places.map(({ partition }) => partition));
  let empty = 0;
  while (!taker.ended() && empty < emptyPollsMax) {
    await taker.room();
    if (taker.ended()) return;
    const batches = await inTurn(() => consumer.poll(pollMs));
    empty = batches.length === 0 ? empty + 1 : 0;
    for (const batch of batches) {
      if (!reading.has(batch.partition)) continue;
      const at = taker.wanting().find(({ partition }) => partition === batch.partition)?.offset;
      const first = batch.records[0]?.offset;
      // a hole is what compaction left, or what retention took: the log's beginning tells which
      if (at !== undefined && first !== undefined && first > at) await mindTheGap(client, topic, taker);
      taker.take(batch);
    }
    const still = new Set(taker.wanting().map(({ partition }) => partition));
    if (still.size === 0) return;
    for (const partition of still) if (!reading.has(partition)) return; // one fell behind meanwhile
    for (const partition of reading) {
      if (still.has(partition)) continue;
      consumer.pause([{ topic, partition }]);
      reading.delete(partition);
    }
  }
}

/** Retention may have passed the reader: it goes on at the log's beginning and says so. */
async function mindTheGap(client: HubClient, topic: string, taker: HistoryTaker): Promise<void> {
  const places = taker.wanting();
  if (places.length === 0) return;
  const admin: Admin = client.admin();
  try {
    const starts = await admin.offsets(
      places.map(({ partition }) => ({ topic, partition })),
      "earliest",
    );
    for (const { partition, offset } of places) {
      const start = starts.find((entry) => entry.partition === partition)?.offset ?? 0;
      if (start > offset) taker.gap(partition, offset, start);
    }
  } catch {
    // the reader asks again after its next try
  } finally {
    await admin.close().catch(() => {});
  }
}
