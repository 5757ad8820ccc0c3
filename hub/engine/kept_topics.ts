// Internal topics that the MQTT bridge keeps its state in: made on first use, written by hubs alone, read by anybody.
import { limits } from "../limits.ts";

export const mqttSessionsTopic = "__mqtt_sessions";
export const mqttRetainedTopic = "__mqtt_retained";

/**
 * What is acknowledged survives as much as the topics of its readings do: `log.fsync` is the hub's. Small segments keep
 * what compaction may not touch, and so what a start reads, small. What is new is not compacted: a hub that reads on
 * has to meet each claim of a client, and not only the last one.
 */
const settings: ReadonlyMap<string, string> = new Map([
  ["cleanup.policy", "compact"],
  ["compression.type", "uncompressed"],
  ["max.message.bytes", String(limits.mqttKeptBatchBytesMax)],
  ["min.compaction.lag.ms", String(limits.mqttKeptLagMs)],
  ["segment.bytes", String(limits.mqttKeptSegmentBytes)],
]);

const made = { partitions: limits.mqttKeptPartitions, configs: settings } as const;

/** How a topic of the bridge is made; undefined for any other. */
export function keptTopic(name: string): typeof made | undefined {
  return name === mqttSessionsTopic || name === mqttRetainedTopic ? made : undefined;
}
