// Vote (1001): a candidate asks a replica for its promise of an epoch, for many partitions at once.
import { array, bool, int16, int32, int64, message, string, uuid } from "../schema.ts";

// Between hubs only. Configs are JSON (hub/cluster/types.ts PartitionConfig).
const versions = { min: 0, max: 0, flexible: 0 };

export const voteRequest = message("VoteRequest", versions, {
  partitions: array({
    topicId: uuid(),
    partition: int32(),
    epoch: int32(),
    /** "<hubId>:<dirId>" */
    candidate: string(),
    config: string(),
  }),
});

export const voteResponse = message("VoteResponse", versions, {
  errorCode: int16(),
  errorMessage: string({ nullable: 0, default: null }),
  partitions: array({
    topicId: uuid(),
    partition: int32(),
    /** 0: what follows is the replica's reply. */
    errorCode: int16(),
    from: string({ default: "" }),
    epoch: int32({ default: -1 }),
    granted: bool({ default: false }),
    counts: bool({ default: false }),
    promisedEpoch: int32({ default: -1 }),
    acceptedEpoch: int32({ default: -1 }),
    durableEnd: int64({ default: -1 }),
    /** Empty with an error. */
    config: string({ default: "" }),
  }),
});
