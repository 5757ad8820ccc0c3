// DescribeGroups (15): states and members of groups.
import { array, bool, bytes, int16, int32, list, message, string } from "../schema.ts";

// Version notes
//  1  throttle time
//  3  authorised operations (KIP-430)
//  4  static members (KIP-345)
//  5  flexible
//  6  error message; GROUP_ID_NOT_FOUND in place of state Dead (KIP-1043)
const versions = { min: 0, max: 6, flexible: 5 };

export const describeGroupsRequest = message("DescribeGroupsRequest", versions, {
  groups: list(string()),
  includeAuthorizedOperations: bool({ since: 3 }),
});

export const describeGroupsResponse = message("DescribeGroupsResponse", versions, {
  throttleTimeMs: int32({ since: 1 }),
  groups: array({
    errorCode: int16(),
    errorMessage: string({ since: 6, nullable: 6, default: null }),
    groupId: string(),
    groupState: string(),
    protocolType: string(),
    /** Name of the chosen protocol. */
    protocolData: string(),
    members: array({
      memberId: string(),
      groupInstanceId: string({ since: 4, nullable: 4, default: null }),
      clientId: string(),
      clientHost: string(),
      memberMetadata: bytes(),
      memberAssignment: bytes(),
    }),
    authorizedOperations: int32({ since: 3, default: -2_147_483_648 }),
  }),
});
