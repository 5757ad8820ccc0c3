// DeleteTopics (20): removes topics by name or id.
import { array, int16, int32, list, message, string, uuid } from "../schema.ts";

// Version notes
//  1  throttle time
//  4  flexible
//  5  error message (KIP-599)
//  6  topics by name or id (KIP-516)
const versions = { min: 1, max: 6, flexible: 4 };

export const deleteTopicsRequest = message("DeleteTopicsRequest", versions, {
  topics: array(
    {
      name: string({ since: 6, nullable: 6, default: null }),
      topicId: uuid({ since: 6 }),
    },
    { since: 6 },
  ),
  topicNames: list(string(), { until: 5 }),
  timeoutMs: int32(),
});

export const deleteTopicsResponse = message("DeleteTopicsResponse", versions, {
  throttleTimeMs: int32({ since: 1 }),
  responses: array({
    name: string({ nullable: 6 }),
    topicId: uuid({ since: 6 }),
    errorCode: int16(),
    errorMessage: string({ since: 5, nullable: 5, default: null }),
  }),
});
