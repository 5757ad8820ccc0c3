// OffsetDelete (47): removes single committed offsets of a group (KIP-496).
import { array, int16, int32, message, string } from "../schema.ts";

// Version notes
//  0  the only one, not flexible
const versions = { min: 0, max: 0, flexible: Infinity };

export const offsetDeleteRequest = message("OffsetDeleteRequest", versions, {
  groupId: string(),
  topics: array({
    name: string(),
    partitions: array({ partitionIndex: int32() }),
  }),
});

export const offsetDeleteResponse = message("OffsetDeleteResponse", versions, {
  errorCode: int16(),
  throttleTimeMs: int32(),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
    }),
  }),
});
