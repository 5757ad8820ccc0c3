// DeleteAcls (31): removes the access rules that match filters (KIP-140).
import { array, int16, int32, int8, message, string } from "../schema.ts";

// Version notes
//  1  pattern types (KIP-290)
//  2  flexible
//  3  user resources (KIP-373)
const versions = { min: 1, max: 3, flexible: 2 };

export const deleteAclsRequest = message("DeleteAclsRequest", versions, {
  filters: array({
    resourceTypeFilter: int8(),
    resourceNameFilter: string({ nullable: 0 }),
    patternTypeFilter: int8({ default: 3 }),
    principalFilter: string({ nullable: 0 }),
    hostFilter: string({ nullable: 0 }),
    operation: int8(),
    permissionType: int8(),
  }),
});

export const deleteAclsResponse = message("DeleteAclsResponse", versions, {
  throttleTimeMs: int32(),
  filterResults: array({
    errorCode: int16(),
    errorMessage: string({ nullable: 0 }),
    matchingAcls: array({
      errorCode: int16(),
      errorMessage: string({ nullable: 0 }),
      resourceType: int8(),
      resourceName: string(),
      patternType: int8({ default: 3 }),
      principal: string(),
      host: string(),
      operation: int8(),
      permissionType: int8(),
    }),
  }),
});
