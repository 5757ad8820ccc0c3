// AlterConfigs (33): replaces all settings of a topic or broker.
import { array, bool, int8, int16, int32, message, string } from "../schema.ts";

// Version notes
//  2  flexible
const versions = { min: 0, max: 2, flexible: 2 };

export const alterConfigsRequest = message("AlterConfigsRequest", versions, {
  resources: array({
    resourceType: int8(),
    resourceName: string(),
    configs: array({
      name: string(),
      value: string({ nullable: 0 }),
    }),
  }),
  validateOnly: bool(),
});

export const alterConfigsResponse = message("AlterConfigsResponse", versions, {
  throttleTimeMs: int32(),
  responses: array({
    errorCode: int16(),
    errorMessage: string({ nullable: 0 }),
    resourceType: int8(),
    resourceName: string(),
  }),
});
