// UpdateFeatures (57): raises or lowers finalized features (KIP-584).
import { array, bool, int16, int32, int8, message, string } from "../schema.ts";

// Version notes
//  1  upgrade types, validate only (KIP-778)
//  2  no result per feature (KIP-1022)
const versions = { min: 0, max: 2, flexible: 0 };

export const updateFeaturesRequest = message("UpdateFeaturesRequest", versions, {
  timeoutMs: int32({ default: 60000 }),
  featureUpdates: array({
    feature: string(),
    maxVersionLevel: int16(),
    allowDowngrade: bool({ until: 0 }),
    upgradeType: int8({ since: 1, default: 1 }),
  }),
  validateOnly: bool({ since: 1, default: false }),
});

export const updateFeaturesResponse = message("UpdateFeaturesResponse", versions, {
  throttleTimeMs: int32(),
  errorCode: int16(),
  errorMessage: string({ nullable: 0 }),
  results: array(
    {
      feature: string(),
      errorCode: int16(),
      errorMessage: string({ nullable: 0 }),
    },
    { until: 1 },
  ),
});
