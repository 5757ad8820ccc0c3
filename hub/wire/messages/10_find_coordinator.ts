// FindCoordinator (10): which hub coordinates a group or a transactional id.
import { array, int8, int16, int32, list, message, string } from "../schema.ts";

// Version notes
//  1  key type, throttle time, error message (KIP-98)
//  3  flexible
//  4  several keys in one request (KIP-699)
//  5  TRANSACTION_ABORTABLE (KIP-890)
//  6  share groups (KIP-932)
const versions = { min: 0, max: 6, flexible: 3 };

export const findCoordinatorRequest = message("FindCoordinatorRequest", versions, {
  key: string({ until: 3 }),
  /** 0 group, 1 transactional id, 2 share partition. */
  keyType: int8({ since: 1, default: 0 }),
  coordinatorKeys: list(string(), { since: 4 }),
});

export const findCoordinatorResponse = message("FindCoordinatorResponse", versions, {
  throttleTimeMs: int32({ since: 1 }),
  errorCode: int16({ until: 3 }),
  errorMessage: string({ since: 1, until: 3, nullable: 1 }),
  nodeId: int32({ until: 3 }),
  host: string({ until: 3 }),
  port: int32({ until: 3 }),
  coordinators: array(
    {
      key: string({ since: 4 }),
      nodeId: int32({ since: 4 }),
      host: string({ since: 4 }),
      port: int32({ since: 4 }),
      errorCode: int16({ since: 4 }),
      errorMessage: string({ since: 4, nullable: 4 }),
    },
    { since: 4 },
  ),
});
