// Reads what is committed in a partition of an internal topic, from its start to its watermark.
import { HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import { readBatchHeader } from "../record/batch.ts";
import { decodeRecords, type StoredRecord } from "../record/record.ts";
import type { Partition } from "./partition.ts";
import type { FetchPlace, ParkedFetch } from "./waiting_room.ts";

/**
 * Gives every committed record to `each`, in order; resolves with their number. What cannot be read and is fetched
 * from another replica is waited for.
 * @throws HubError CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR
 */
export async function readCommitted(partition: Partition, each: (record: StoredRecord) => void): Promise<number> {
  const { log, highWatermark } = partition;
  let records = 0;
  for (let offset = log.logStart; offset < highWatermark; ) {
    const bytes = await readAt(partition, offset, highWatermark);
    if (bytes.length === 0) return records;
    for (let at = 0; at < bytes.length; ) {
      const header = readBatchHeader(bytes.subarray(at));
      if (header.size > bytes.length - at) throw new HubError("CORRUPT_MESSAGE", `${log.key}: a batch is cut short`);
      for (const record of decodeRecords(bytes.subarray(at, at + header.size))) {
        each(record);
        records += 1;
      }
      at += header.size;
      offset = header.lastOffset + 1;
    }
  }
  return records;
}

async function readAt(partition: Partition, offset: number, end: number): Promise<Uint8Array> {
  const { log, place } = partition;
  for (;;) {
    try {
      return await log.read(offset, limits.transactionLogReadBytes, end);
    } catch (error) {
      const isCorrupt = error instanceof HubError && error.kind === "CORRUPT_MESSAGE";
      if (!isCorrupt || !log.repairing || !partition.leads) throw error;
      await disturbance(place);
    }
  }
}

/** Resolves when what waits at a place is to look again: a repair brought something, or leadership ended. */
function disturbance({ waiting }: FetchPlace): Promise<void> {
  return new Promise((resolve) => {
    const parked: ParkedFetch = { missingBytes: Number.POSITIVE_INFINITY, wake, places: [], timer: null };
    function wake(): void {
      waiting.delete(parked);
      resolve();
    }
    waiting.add(parked);
  });
}
