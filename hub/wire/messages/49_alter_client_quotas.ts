// AlterClientQuotas (49): sets or removes quotas of entities (KIP-546).
import { array, bool, float64, int16, int32, message, string } from "../schema.ts";

// Version notes
//  1  flexible
const versions = { min: 0, max: 1, flexible: 1 };

export const alterClientQuotasRequest = message("AlterClientQuotasRequest", versions, {
  entries: array({
    entity: array({
      entityType: string(),
      entityName: string({ nullable: 0 }),
    }),
    ops: array({
      key: string(),
      value: float64(),
      remove: bool(),
    }),
  }),
  validateOnly: bool(),
});

export const alterClientQuotasResponse = message("AlterClientQuotasResponse", versions, {
  throttleTimeMs: int32(),
  entries: array({
    errorCode: int16(),
    errorMessage: string({ nullable: 0 }),
    entity: array({
      entityType: string(),
      entityName: string({ nullable: 0 }),
    }),
  }),
});
