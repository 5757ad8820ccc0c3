// What the group machine is handed besides events: settings of the server-side protocol, topics, the embedded protocol.
import { Operation, Resource } from "../access/acl.ts";
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
    embedded: embeddedProtocol,
    ...visible(options),
  };
}

/** Topics as members may see them; a changed rule makes groups look again. */
function visible({ topics, rules }: GroupEngineOptions): Pick<ConsumerWorld, "topics" | "maySee"> {
  if (!rules?.enabled) return { topics };
  return {
    topics: { ...topics, changes: () => topics.changes() + rules.changes },
    maySee: ({ principal, clientHost }, topic) => {
      const host = clientHost.replace(/^\//, "");
      return principal === "" || rules.allows({ principal, host }, Operation.Describe, Resource.Topic, topic);
    },
  };
}
