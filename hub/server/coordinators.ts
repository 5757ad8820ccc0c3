// Which hub coordinates a group or a transactional id: the leader of its partition of an internal topic.
import { publishedOf } from "../cluster/replica.ts";
import { offsetsTopic, offsetsTopicSettings, partitionOf } from "../engine/homes.ts";
import type { Topic } from "../engine/topics.ts";
import { transactionTopic, transactionTopicSettings } from "../engine/transactions_log.ts";
import type { ErrorName } from "../errors.ts";
import { limits } from "../limits.ts";
import { type MadeTopic, makeTopic } from "./forwarding.ts";
import { KeyType, type NodeAddress } from "./handlers/groups.ts";
import { addressFor, type HubServices, nodesFor, type RequestContext } from "./services.ts";

/** Where it is; a topic that is not there yet is made. COORDINATOR_NOT_AVAILABLE while nobody leads the partition. */
export async function coordinatorOf(
  services: HubServices,
  keyType: number,
  key: string,
  context: RequestContext,
): Promise<NodeAddress | ErrorName> {
  if (services.cluster.lone) return { nodeId: services.hubId, ...addressFor(services, context) };
  const topic = await homeTopic(services, keyType);
  const leader = topic === null ? -1 : leaderOf(services, topic, partitionOf(key, topic.partitions));
  const node = nodesFor(services, context).find(({ nodeId }) => nodeId === leader);
  return node ? { nodeId: leader, host: node.host, port: node.port } : "COORDINATOR_NOT_AVAILABLE";
}

async function homeTopic(services: HubServices, keyType: number): Promise<Topic | null> {
  const { topics } = services.partitions;
  const [name, made] = keyType === KeyType.Group ? offsets(services) : transactions;
  const there = topics.byName(name);
  if (there) return there;
  try {
    await makeTopic(services, name, made);
  } catch (error) {
    // another hub may have made it at the same moment
    services.trace.event("info", "internal_topic_not_made", { topic: name, error: String(error) });
  }
  return topics.byName(name) ?? null;
}

function offsets({ settings }: HubServices): readonly [string, MadeTopic] {
  const partitions = Number(settings.get("offsets.topic.num.partitions") ?? limits.offsetsTopicPartitions);
  return [offsetsTopic, { partitions, configs: offsetsTopicSettings }];
}

/** One partition in a cluster: one coordinator keeps the decisions of all transactions for a group in their order. */
const transactions = [
  transactionTopic,
  { partitions: 1, configs: transactionTopicSettings },
] as const satisfies readonly [string, MadeTopic];

/** The hub that leads a partition, as far as this one knows; -1 for none. */
export function leaderOf({ partitions, cluster }: HubServices, topic: Topic, index: number): number {
  const own = partitions.get(topic.name, index);
  const state = own?.leads ? publishedOf(own.replica) : cluster.partition(topic.topicId, index);
  return state?.leader ?? -1;
}
