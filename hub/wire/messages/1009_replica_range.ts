// ReplicaRange (1009): what a replica has of a range that another replica cannot read any more.
import { int16, int32, int64, message, records, string, uuid } from "../schema.ts";

// Between hubs only.
const versions = { min: 0, max: 0, flexible: 0 };

export const replicaRangeRequest = message("ReplicaRangeRequest", versions, {
  topicId: uuid(),
  partition: int32(),
  /** Offsets [from, to); `to` is committed as far as the asking replica knows. */
  from: int64(),
  to: int64(),
  bytesMax: int32(),
});

export const replicaRangeResponse = message("ReplicaRangeResponse", versions, {
  errorCode: int16(),
  errorMessage: string({ nullable: 0, default: null }),
  /** All that is committed and stands below is in `records`: whole batches, none of which reaches beyond. */
  upTo: int64({ default: -1 }),
  records: records(),
});
