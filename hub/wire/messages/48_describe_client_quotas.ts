// DescribeClientQuotas (48): quotas that match a filter of entities (KIP-546).
import { array, bool, float64, int16, int32, int8, message, string } from "../schema.ts";

// Version notes
//  1  flexible
const versions = { min: 0, max: 1, flexible: 1 };

export const describeClientQuotasRequest = message("DescribeClientQuotasRequest", versions, {
  components: array({
    entityType: string(),
    matchType: int8(),
    match: string({ nullable: 0 }),
  }),
  strict: bool(),
});

export const describeClientQuotasResponse = message("DescribeClientQuotasResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16(),
  errorMessage: string({ nullable: 0 }),
  entries: array(
    {
      entity: array({
        entityType: string(),
        entityName: string({ nullable: 0 }),
      }),
      values: array({
        key: string(),
        value: float64(),
      }),
    },
    { nullable: 0 },
  ),
});
