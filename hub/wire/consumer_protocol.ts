// The consumer's own protocol inside JoinGroup and SyncGroup: an int16 version, then a subscription or an assignment.
import { array, bytes, int32, list, message, string } from "./schema.ts";

// Version notes
//  1  owned partitions, for cooperative assignors (KIP-429)
//  2  generation in which they were owned (KIP-792)
//  3  rack (KIP-881)
const versions = { min: 0, max: 3, flexible: Infinity };

export const consumerProtocolSubscription = message("ConsumerProtocolSubscription", versions, {
  topics: list(string()),
  userData: bytes({ nullable: 0, default: null }),
  ownedPartitions: array({ topic: string({ since: 1 }), partitions: list(int32(), { since: 1 }) }, { since: 1 }),
  generationId: int32({ since: 2, default: -1 }),
  rackId: string({ since: 3, nullable: 3, default: null }),
});

export const consumerProtocolAssignment = message("ConsumerProtocolAssignment", versions, {
  assignedPartitions: array({ topic: string(), partitions: list(int32()) }),
  userData: bytes({ nullable: 0, default: null }),
});
