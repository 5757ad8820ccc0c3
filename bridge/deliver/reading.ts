// What a record of a partition is to MQTT: its topic, and when it came. Pure.
import type { InRecord } from "../../hub/mod.ts";
import type { Message } from "../session/message.ts";
import type { UserProperty } from "../wire/packet.ts";
import { downlinkTopic } from "./downlink.ts";
import { filterMatches } from "../match/filter.ts";
import type { Feed, Stream } from "./feed.ts";
import { messageUnder, topicOfRecord } from "./headers.ts";
import { textOf } from "./texts.ts";

/** The topic a record goes to: the one it names, else the one its downlink makes; null: to nobody. */
export function topicIn({ downlink }: Pick<Feed, "downlink">, record: InRecord): string | null {
  const named = topicOfRecord(record);
  if (named !== null || downlink === null || record.value === null) return named;
  const key = textOf(record.key);
  return key === null ? null : downlinkTopic(downlink, key);
}

export function messageIn({ downlink }: Pick<Feed, "downlink">, topic: string, record: InRecord): Message {
  return messageUnder(topic, record, downlink?.qos ?? 0);
}

/**
 * A record as a replay sends it: with its place and time, and under the name of the replay when it names no topic; at
 * the QoS that was granted. Null: it is not in it.
 */
export function replayIn(feed: Feed, { topic: of, filter }: Stream, record: InRecord): Message | null {
  if (record.value === null) return null;
  const named = topicIn(feed, record);
  if (filter !== null && (named === null || !filterMatches(filter, named))) return null;
  const message = messageUnder(named ?? `$stream/${of}`, record, 2);
  const userProperties: UserProperty[] = [
    ...(message.properties.userProperties ?? []),
    ["stream-partition", String(record.partition)],
    ["stream-offset", String(record.offset)],
    ["stream-ts", String(record.timestamp)],
  ];
  return { ...message, qos: 2, properties: { ...message.properties, userProperties } };
}

/** Whether the record was for a device, but its key makes no topic. */
export function isUnaddressed({ downlink }: Pick<Feed, "downlink">, { value }: InRecord): boolean {
  return downlink !== null && value !== null;
}

/**
 * When a record arrived, for the comparison with a subscription's begin. Whoever writes commands sets their time as he
 * likes, and none is older than the cursor that reads it: they count as new.
 */
export function arrivalOf({ downlink }: Pick<Feed, "downlink">, { timestamp }: InRecord, skewMs: number): number {
  return downlink !== null || timestamp < 0 ? Number.POSITIVE_INFINITY : timestamp + skewMs;
}
