// ListGroups (16): the groups a hub coordinates.
import { array, int16, int32, list, message, string } from "../schema.ts";

// Version notes
//  1  throttle time
//  3  flexible
//  4  states, and a filter by them (KIP-518)
//  5  types, and a filter by them (KIP-848)
const versions = { min: 0, max: 5, flexible: 3 };

export const listGroupsRequest = message("ListGroupsRequest", versions, {
  /** Empty: all. */
  statesFilter: list(string(), { since: 4 }),
  typesFilter: list(string(), { since: 5 }),
});

export const listGroupsResponse = message("ListGroupsResponse", versions, {
  throttleTimeMs: int32({ since: 1 }),
  errorCode: int16(),
  groups: array({
    groupId: string(),
    protocolType: string(),
    groupState: string({ since: 4 }),
    groupType: string({ since: 5 }),
  }),
});
