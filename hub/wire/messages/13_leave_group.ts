// LeaveGroup (13): members leave, or are removed by an administrator.
import { array, int16, int32, message, string } from "../schema.ts";

// Version notes
//  1  throttle time
//  3  several members, by member id or instance id (KIP-345)
//  4  flexible
//  5  reason (KIP-800)
const versions = { min: 0, max: 5, flexible: 4 };

export const leaveGroupRequest = message("LeaveGroupRequest", versions, {
  groupId: string(),
  memberId: string({ until: 2 }),
  members: array(
    {
      memberId: string({ since: 3 }),
      groupInstanceId: string({ since: 3, nullable: 3, default: null }),
      reason: string({ since: 5, nullable: 5, default: null }),
    },
    { since: 3 },
  ),
});

export const leaveGroupResponse = message("LeaveGroupResponse", versions, {
  throttleTimeMs: int32({ since: 1 }),
  errorCode: int16(),
  members: array(
    {
      memberId: string({ since: 3 }),
      groupInstanceId: string({ since: 3, nullable: 3 }),
      errorCode: int16({ since: 3 }),
    },
    { since: 3 },
  ),
});
