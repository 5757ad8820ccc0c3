// IncrementalAlterConfigs (44): changes single settings of a topic or broker (KIP-339).
import { array, bool, int8, int16, int32, message, string } from "../schema.ts";

// Version notes
//  1  flexible
const versions = { min: 0, max: 1, flexible: 1 };

export const incrementalAlterConfigsRequest = message("IncrementalAlterConfigsRequest", versions, {
  resources: array({
    resourceType: int8(),
    resourceName: string(),
    configs: array({
      name: string(),
      /** 0 set, 1 delete, 2 append, 3 subtract. */
      configOperation: int8(),
      value: string({ nullable: 0 }),
    }),
  }),
  validateOnly: bool(),
});

export const incrementalAlterConfigsResponse = message("IncrementalAlterConfigsResponse", versions, {
  throttleTimeMs: int32(),
  responses: array({
    errorCode: int16(),
    errorMessage: string({ nullable: 0 }),
    resourceType: int8(),
    resourceName: string(),
  }),
});
