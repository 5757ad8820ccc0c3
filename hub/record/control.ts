// Control batches: the markers that end a transaction in a partition (KIP-98). Built and read; pure.
import { getInt16, getInt32, setInt16, setInt32 } from "../bytes/fixed.ts";
import { encodeBatch } from "./builder.ts";
import { controlType, decodeRecords } from "./record.ts";

/** What one marker says. */
export interface MarkerContent {
  readonly commit: boolean;
  /** Epoch of the coordinator that wrote it; -1 when the marker does not say. */
  readonly coordinatorEpoch: number;
}

export interface NewMarker extends MarkerContent {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** Key: version int16, type int16 (0 abort, 1 commit). Value: version int16, coordinator epoch int32. */
const keyBytes = 4;
const valueBytes = 6;
const Type = { abort: 0, commit: 1 } as const;

/** The control batch of a marker: one record, transactional and control bits set, no sequence. */
export function encodeMarker(marker: NewMarker, timestamp: number): Uint8Array {
  const key = new Uint8Array(keyBytes);
  setInt16(key, 2, marker.commit ? Type.commit : Type.abort);
  const value = new Uint8Array(valueBytes);
  setInt32(value, 2, marker.coordinatorEpoch);
  const { producerId, producerEpoch } = marker;
  const options = { producerId, producerEpoch, baseSequence: -1, transactional: true, control: true };
  return encodeBatch([{ key, value }], options, timestamp);
}

/**
 * What a control batch says; null when it is none of ours to know (another type), or was emptied by compaction: then
 * nothing is left of its transaction.
 */
export function readMarker(batch: Uint8Array): MarkerContent | null {
  const [record] = decodeRecords(batch);
  const type = record === undefined ? null : controlType(record);
  if (record === undefined || type === null) return null;
  const { value } = record;
  const known = value !== null && value.length >= valueBytes && getInt16(value, 0) >= 0;
  return { commit: type === "commit", coordinatorEpoch: known ? getInt32(value, 2) : -1 };
}
