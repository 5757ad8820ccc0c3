// DescribeConfigs (32): settings of topics and brokers.
import { array, bool, int8, int16, int32, list, message, string } from "../schema.ts";

// Version notes
//  1  sources and synonyms in place of "is default" (KIP-226)
//  3  type and documentation (KIP-569)
//  4  flexible
const versions = { min: 1, max: 4, flexible: 4 };

export const describeConfigsRequest = message("DescribeConfigsRequest", versions, {
  resources: array({
    /** 2 topic, 4 broker. */
    resourceType: int8(),
    resourceName: string(),
    /** null: all. */
    configurationKeys: list(string(), { nullable: 0 }),
  }),
  includeSynonyms: bool({ since: 1, default: false }),
  includeDocumentation: bool({ since: 3, default: false }),
});

export const describeConfigsResponse = message("DescribeConfigsResponse", versions, {
  throttleTimeMs: int32(),
  results: array({
    errorCode: int16(),
    errorMessage: string({ nullable: 0 }),
    resourceType: int8(),
    resourceName: string(),
    configs: array({
      name: string(),
      /** null when sensitive. */
      value: string({ nullable: 0 }),
      readOnly: bool(),
      /** 1 topic, 2 dynamic broker, 4 static broker, 5 default. */
      configSource: int8({ since: 1, default: -1 }),
      isSensitive: bool(),
      synonyms: array(
        {
          name: string({ since: 1 }),
          value: string({ since: 1, nullable: 0 }),
          source: int8({ since: 1 }),
        },
        { since: 1 },
      ),
      configType: int8({ since: 3, default: 0 }),
      documentation: string({ since: 3, nullable: 0 }),
    }),
  }),
});
