// CreateAcls (30): adds access rules (KIP-140).
import { array, int16, int32, int8, message, string } from "../schema.ts";

// Version notes
//  1  pattern types (KIP-290)
//  2  flexible
//  3  user resources (KIP-373)
const versions = { min: 1, max: 3, flexible: 2 };

export const createAclsRequest = message("CreateAclsRequest", versions, {
  creations: array({
    resourceType: int8(),
    resourceName: string(),
    resourcePatternType: int8({ default: 3 }),
    principal: string(),
    host: string(),
    operation: int8(),
    permissionType: int8(),
  }),
});

export const createAclsResponse = message("CreateAclsResponse", versions, {
  throttleTimeMs: int32(),
  results: array({
    errorCode: int16(),
    errorMessage: string({ nullable: 0 }),
  }),
});
