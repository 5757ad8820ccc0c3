// ElectLeaders (43): moves leadership to the preferred replica, or to an unclean one (KIP-183, KIP-460).
import { array, int16, int32, int8, list, message, string } from "../schema.ts";

// Version notes
//  1  election type; error of the whole
//  2  flexible
const versions = { min: 0, max: 2, flexible: 2 };

export const electLeadersRequest = message("ElectLeadersRequest", versions, {
  electionType: int8({ since: 1 }),
  topicPartitions: array(
    {
      topic: string(),
      partitions: list(int32()),
    },
    { nullable: 0 },
  ),
  timeoutMs: int32({ default: 60000 }),
  /** Ours: the hub that is to lead, in place of the preferred one; -1 for none. */
  toHub: int32({ since: 2, tag: 100, default: -1 }),
});

export const electLeadersResponse = message("ElectLeadersResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16({ since: 1 }),
  replicaElectionResults: array({
    topic: string(),
    partitionResult: array({
      partitionId: int32(),
      errorCode: int16(),
      errorMessage: string({ nullable: 0 }),
    }),
  }),
});
