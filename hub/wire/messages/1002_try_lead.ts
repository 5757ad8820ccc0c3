// TryLead (1002): the controller asks a hub to stand for election; answered when each election has ended.
import { array, int16, int32, int8, message, string, uuid } from "../schema.ts";

// Between hubs only.
const versions = { min: 0, max: 0, flexible: 0 };

export const tryLeadRequest = message("TryLeadRequest", versions, {
  ctlEpoch: int32(),
  partitions: array({
    topicId: uuid(),
    partition: int32(),
    /** The highest epoch the controller has seen of the partition. */
    seenEpoch: int32(),
    /** 0 clean, 1 roll call, 2 unclean. */
    kind: int8(),
  }),
});

export const tryLeadResponse = message("TryLeadResponse", versions, {
  errorCode: int16(),
  errorMessage: string({ nullable: 0, default: null }),
  partitions: array({
    topicId: uuid(),
    partition: int32(),
    /** 0 led, 1 failed, 2 no such replica here. */
    result: int8(),
    epoch: int32({ default: -1 }),
    /** Of a failed one: the ElectionFailure as JSON. */
    why: string({ nullable: 0, default: null }),
  }),
});
