// ApiVersions (18): what a hub serves; answered for any version of itself (KIP-511).
import { array, bool, int16, int32, int64, message, string } from "../schema.ts";

// Version notes
//  1  throttle time
//  3  flexible (the response header stays v0); name and version of the client software (KIP-511), features (KIP-584)
//  4  features with a minimum of 0 (KIP-1022)
const versions = { min: 0, max: 4, flexible: 3 };

export const apiVersionsRequest = message("ApiVersionsRequest", versions, {
  clientSoftwareName: string({ since: 3 }),
  clientSoftwareVersion: string({ since: 3 }),
});

export const apiVersionsResponse = message("ApiVersionsResponse", versions, {
  errorCode: int16(),
  apiKeys: array({
    apiKey: int16(),
    minVersion: int16(),
    maxVersion: int16(),
  }),
  throttleTimeMs: int32({ since: 1 }),
  supportedFeatures: array(
    {
      name: string({ since: 3 }),
      minVersion: int16({ since: 3 }),
      maxVersion: int16({ since: 3 }),
    },
    { since: 3, tag: 0 },
  ),
  finalizedFeaturesEpoch: int64({ since: 3, tag: 1, default: -1 }),
  finalizedFeatures: array(
    {
      name: string({ since: 3 }),
      maxVersionLevel: int16({ since: 3 }),
      minVersionLevel: int16({ since: 3 }),
    },
    { since: 3, tag: 2 },
  ),
  zkMigrationReady: bool({ since: 3, tag: 3, default: false }),
});
