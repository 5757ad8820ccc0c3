// A coordinator that is not here, or not ready: every question about a group is answered with the same error.
import type { ErrorName } from "../errors.ts";
import { deadGroup } from "../groups/coordinator.ts";
import { joinError, syncError } from "../groups/group.ts";
import { heartbeatError } from "../groups/heartbeating.ts";
import type { GroupEngine, OfTopic, PartitionError } from "./groups_types.ts";

/** All about groups whose coordinator is another hub, or is being loaded. */
export function absentGroups(error: ErrorName): GroupEngine {
  const refuse = (topics: readonly OfTopic<{ readonly partition: number }>[]): readonly OfTopic<PartitionError>[] =>
    topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition }) => ({ partition, error })),
    }));
  return {
    loaded: Promise.resolve(),
    join: async ({ memberId }) => joinError(error, memberId),
    sync: async () => syncError(error),
    heartbeat: () => error,
    consumerHeartbeat: async () => heartbeatError(error),
    describeConsumer: () => ({ error, found: null }),
    checkFetch: () => error,
    leave: (_group, leavers) => ({ error, errors: leavers.map(() => error) }),
    commit: async (_group, _claim, topics) => refuse(topics),
    fetchOffsets: () => ({ error, topics: [] }),
    checkTransactional: (_group, _claim, topics) => ({ wanted: [], answers: refuse(topics) }),
    commitDecided: async () => error,
    list: () => ({ error, groups: [] }),
    describe: (group) => ({ ...deadGroup(group), error }),
    delete: async () => error,
    deleteOffsets: async () => ({ error, topics: [] }),
    topicDeleted: async () => {},
    close: async () => {},
  };
}
