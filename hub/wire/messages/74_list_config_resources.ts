// ListConfigResources (74): the resources that have settings of their own (KIP-1142).
import { array, int16, int32, int8, list, message, string } from "../schema.ts";

// Version notes
//  1  all kinds of resources, by filter
const versions = { min: 0, max: 1, flexible: 0 };

export const listConfigResourcesRequest = message("ListConfigResourcesRequest", versions, {
  resourceTypes: list(int8(), { since: 1 }),
});

export const listConfigResourcesResponse = message("ListConfigResourcesResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16(),
  configResources: array({
    resourceName: string(),
    resourceType: int8({ since: 1, default: 16 }),
  }),
});
