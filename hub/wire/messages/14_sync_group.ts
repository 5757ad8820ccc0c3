// SyncGroup (14): the leader hands the assignment in, every member takes its own.
import { array, bytes, int16, int32, message, string } from "../schema.ts";

// Version notes
//  1  throttle time
//  3  static members (KIP-345)
//  4  flexible
//  5  protocol type and name, checked and echoed (KIP-559)
const versions = { min: 0, max: 5, flexible: 4 };

export const syncGroupRequest = message("SyncGroupRequest", versions, {
  groupId: string(),
  generationId: int32(),
  memberId: string(),
  groupInstanceId: string({ since: 3, nullable: 3, default: null }),
  protocolType: string({ since: 5, nullable: 5, default: null }),
  protocolName: string({ since: 5, nullable: 5, default: null }),
  /** Empty from all but the leader. */
  assignments: array({
    memberId: string(),
    assignment: bytes(),
  }),
});

export const syncGroupResponse = message("SyncGroupResponse", versions, {
  throttleTimeMs: int32({ since: 1 }),
  errorCode: int16(),
  protocolType: string({ since: 5, nullable: 5, default: null }),
  protocolName: string({ since: 5, nullable: 5, default: null }),
  assignment: bytes(),
});
