// ReplicaStates (1004): what a hub's own disk says of its replicas: for reassertion, roll call and a replaced disk.
import { array, int16, int32, int64, message, string, uuid } from "../schema.ts";

// Between hubs only.
const versions = { min: 0, max: 0, flexible: 0 };

export const replicaStatesRequest = message("ReplicaStatesRequest", versions, {
  /** null for all there are. */
  partitions: array({ topicId: uuid(), partition: int32() }, { nullable: 0 }),
});

export const replicaStatesResponse = message("ReplicaStatesResponse", versions, {
  errorCode: int16(),
  errorMessage: string({ nullable: 0, default: null }),
  /** What is not here is left out. */
  partitions: array({
    topicId: uuid(),
    partition: int32(),
    replica: string(),
    role: string(),
    /** Led or followed. */
    epoch: int32(),
    leader: string({ nullable: 0, default: null }),
    logStart: int64(),
    durableEnd: int64(),
    highWatermark: int64(),
    /** StoredReplica as JSON. */
    state: string(),
    /** PublishedState as JSON: the newest this hub knows. */
    published: string({ nullable: 0, default: null }),
  }),
});
