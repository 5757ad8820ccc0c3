// Heartbeat (12): a member lives, and learns of a rebalance.
import { int16, int32, message, string } from "../schema.ts";

// Version notes
//  1  throttle time
//  3  static members (KIP-345)
//  4  flexible
const versions = { min: 0, max: 4, flexible: 4 };

export const heartbeatRequest = message("HeartbeatRequest", versions, {
  groupId: string(),
  generationId: int32(),
  memberId: string(),
  groupInstanceId: string({ since: 3, nullable: 3, default: null }),
});

export const heartbeatResponse = message("HeartbeatResponse", versions, {
  throttleTimeMs: int32({ since: 1 }),
  errorCode: int16(),
});
