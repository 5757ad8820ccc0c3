// Places in a log as a person writes them: earliest, latest, -1h, a time, an offset. Pure.
import type { PartitionOffset, StartAt, TopicPartition } from "../hub/mod.ts";
import { UsageError } from "./exit.ts";

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** For help texts. */
export const placeDoc = "earliest, latest, -1h (ago), a time (2026-01-31T12:00:00Z), or an offset";

/** @param now ms since the Unix epoch. @throws UsageError */
export function parsePlace(text: string, now: number, flag: string): StartAt {
  if (text === "earliest" || text === "latest") return text;
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return { offset: Number(text) };
  const ago = agoMs(text);
  if (ago !== null) return { time: now - ago };
  if (/^\d{4}-\d\d-\d\d/.test(text)) {
    const time = Date.parse(text);
    if (Number.isFinite(time)) return { time };
  }
  throw new UsageError(`--${flag} takes ${placeDoc}; not ${JSON.stringify(text)}`);
}

/** "-1h30m" -> 5_400_000; null when it is no such thing. */
function agoMs(text: string): number | null {
  if (!/^-(\d{1,9}(ms|[smhdw]))+$/.test(text)) return null;
  let sum = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[smhdw])/g)) sum += Number(count) * unitMs[unit!]!;
  return sum;
}

/**
 * Where each partition goes: an offset is kept within the log, a time after the last record means the end. Pure.
 * The maps are by `topic/partition`.
 */
export function targetsOf(
  at: StartAt,
  places: readonly TopicPartition[],
  starts: ReadonlyMap<string, number>,
  ends: ReadonlyMap<string, number>,
  times: ReadonlyMap<string, number>,
): PartitionOffset[] {
  return places.map(({ topic, partition }) => {
    const key = `${topic}/${partition}`;
    const [start, end] = [starts.get(key) ?? 0, ends.get(key) ?? 0];
    if (at === "earliest") return { topic, partition, offset: start };
    if (at === "latest") return { topic, partition, offset: end };
    if ("offset" in at) return { topic, partition, offset: Math.min(end, Math.max(start, at.offset)) };
    const found = times.get(key) ?? -1;
    return { topic, partition, offset: found < 0 ? end : found };
  });
}
