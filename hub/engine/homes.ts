// Where coordinators live: partitions of internal topics, and to which a group or a transactional id belongs.
import { limits } from "../limits.ts";

/** What groups are and have committed (replication.md 2.9); the name that Kafka's tools know. */
export const offsetsTopic = "__consumer_offsets";

/** Small segments keep what compaction may not touch, and so what a new coordinator reads, small. */
export const offsetsTopicSettings: ReadonlyMap<string, string> = new Map([
  ["cleanup.policy", "compact"],
  ["compression.type", "uncompressed"],
  ["segment.bytes", String(limits.offsetsTopicSegmentBytes)],
]);

/** As Kafka places groups and transactional ids, so that its tools look in the right place: Java's hash of a text. */
export function partitionOf(id: string, partitions: number): number {
  let hash = 0;
  for (let i = 0; i < id.length; i += 1) hash = (Math.imul(hash, 31) + id.charCodeAt(i)) | 0;
  return (hash & 0x7fffffff) % partitions;
}
