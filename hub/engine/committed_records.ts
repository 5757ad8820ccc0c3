// Reads what is committed in a partition of an internal topic, from its start to its watermark.
import { HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import { readBatchHeader } from "../record/batch.ts";
import { decodeRecords, type StoredRecord } from "../record/record.ts";
import type { Partition } from "./partition.ts";

/**
 * Gives every committed record to `each`, in order; resolves with their number.
 * @throws HubError CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR
 */
export async function readCommitted(partition: Partition, each: (record: StoredRecord) => void): Promise<number> {
  const { log, highWatermark } = partition;
  let records = 0;
  for (let offset = log.logStart; offset < highWatermark; ) {
    const bytes = await log.read(offset, limits.transactionLogReadBytes, highWatermark);
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
