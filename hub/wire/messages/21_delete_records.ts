// DeleteRecords (21): moves the log start of partitions forward (KIP-107).
import { array, int16, int32, int64, message, string } from "../schema.ts";

// Version notes
//  2  flexible
const versions = { min: 0, max: 2, flexible: 2 };

export const deleteRecordsRequest = message("DeleteRecordsRequest", versions, {
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      /** First offset to stay; -1 for the high watermark. */
      offset: int64(),
    }),
  }),
  timeoutMs: int32(),
});

export const deleteRecordsResponse = message("DeleteRecordsResponse", versions, {
  throttleTimeMs: int32(),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      lowWatermark: int64(),
      errorCode: int16(),
    }),
  }),
});
