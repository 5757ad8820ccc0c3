// What the group machine is handed besides events: settings of the server-side protocol, topics, the embedded protocol.
import type { ConsumerWorld } from "../groups/consumer_group.ts";
import { limits } from "../limits.ts";
import { embeddedProtocol } from "./groups_embedded.ts";
import type { GroupEngineOptions } from "./groups_types.ts";

/** The world of one engine; settings that are left out are as in limits.ts. */
export function consumerWorldOf(options: GroupEngineOptions): ConsumerWorld {
  return {
    settings: {
      heartbeatMs: limits.consumerHeartbeatMs,
      sessionMs: limits.consumerSessionMs,
      maxSize: limits.consumerGroupSizeMax,
      assignors: ["uniform", "range"],
      migration: "bidirectional",
      subscribedTopicsMax: limits.subscribedTopicsMax,
      regexLengthMax: limits.subscribedRegexLengthMax,
      rebalanceTimeoutMsMax: limits.rebalanceTimeoutMsMax,
      ...options.settings.consumer,
    },
    topics: options.topics,
    embedded: embeddedProtocol,
  };
}
