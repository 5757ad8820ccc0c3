// Reconfigure (1003): the controller asks a leader to change who replicates its partition, or to hand leadership over.
import { array, int16, int32, message, string, uuid } from "../schema.ts";

// Between hubs only.
const versions = { min: 0, max: 0, flexible: 0 };

export const reconfigureRequest = message("ReconfigureRequest", versions, {
  ctlEpoch: int32(),
  partitions: array({
    topicId: uuid(),
    partition: int32(),
    /** The set that is to replicate it, as JSON (ReplicaSet); null for a handover. */
    target: string({ nullable: 0, default: null }),
    /** The hub that is to lead it; -1 for a change of the set. */
    handoverTo: int32({ default: -1 }),
  }),
});

export const reconfigureResponse = message("ReconfigureResponse", versions, {
  errorCode: int16(),
  errorMessage: string({ nullable: 0, default: null }),
  partitions: array({
    topicId: uuid(),
    partition: int32(),
    errorCode: int16(),
    errorMessage: string({ nullable: 0, default: null }),
  }),
});
