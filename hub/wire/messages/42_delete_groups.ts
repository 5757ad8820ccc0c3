// DeleteGroups (42): removes empty groups and their offsets (KIP-229).
import { array, int16, int32, list, message, string } from "../schema.ts";

// Version notes
//  2  flexible
const versions = { min: 0, max: 2, flexible: 2 };

export const deleteGroupsRequest = message("DeleteGroupsRequest", versions, {
  groupsNames: list(string()),
});

export const deleteGroupsResponse = message("DeleteGroupsResponse", versions, {
  throttleTimeMs: int32(),
  results: array({
    groupId: string(),
    errorCode: int16(),
  }),
});
