// JoinGroup (11): enters a group, or enters it again for its next generation; parked until all members have.
import { array, bool, bytes, int16, int32, message, string } from "../schema.ts";

// Version notes
//  1  rebalance timeout apart from the session timeout
//  2  throttle time
//  4  MEMBER_ID_REQUIRED to a first join without an id (KIP-394)
//  5  static members (KIP-345)
//  6  flexible
//  7  protocol type echoed; protocol name may be null
//  8  reason (KIP-800)
//  9  skip assignment (KIP-814)
const versions = { min: 0, max: 9, flexible: 6 };

export const joinGroupRequest = message("JoinGroupRequest", versions, {
  groupId: string(),
  sessionTimeoutMs: int32(),
  rebalanceTimeoutMs: int32({ since: 1, default: -1 }),
  memberId: string(),
  groupInstanceId: string({ since: 5, nullable: 5, default: null }),
  protocolType: string(),
  protocols: array({
    name: string(),
    /** Opaque to the coordinator. */
    metadata: bytes(),
  }),
  reason: string({ since: 8, nullable: 8, default: null }),
});

export const joinGroupResponse = message("JoinGroupResponse", versions, {
  throttleTimeMs: int32({ since: 2 }),
  errorCode: int16(),
  generationId: int32({ default: -1 }),
  protocolType: string({ since: 7, nullable: 7, default: null }),
  protocolName: string({ nullable: 7 }),
  leader: string(),
  skipAssignment: bool({ since: 9, default: false }),
  memberId: string(),
  /** All members for the leader, empty for the others. */
  members: array({
    memberId: string(),
    groupInstanceId: string({ since: 5, nullable: 5, default: null }),
    metadata: bytes(),
  }),
});
