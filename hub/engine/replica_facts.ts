// What a replica must not forget, as facts in the journal: synced before anybody hears of it.
import type { StoredReplica } from "../cluster/types.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Kept when the replica's log goes: a tombstone outlives the data (replication.md 2.7). */
export function replicaKey(topicId: string, partition: number): string {
  return `replica/${topicId}/${partition}`;
}

export function encodeReplica(state: StoredReplica): Uint8Array {
  return encoder.encode(JSON.stringify(state));
}

export function decodeReplica(bytes: Uint8Array): StoredReplica {
  return JSON.parse(decoder.decode(bytes)) as StoredReplica;
}
