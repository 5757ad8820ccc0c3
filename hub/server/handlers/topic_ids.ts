// Topics that requests name by id (KIP-516), and who leads them, for a client that came to the wrong place (KIP-951).
import { hubOf } from "../../engine/cluster_view.ts";
import { nodesFor, type HubServices, type RequestContext } from "../services.ts";

/** Produce and Fetch name topics by id from this version on. */
export const topicIdsSince = 13;

/** The name of a topic of a request, or null when its id is of no topic here. */
export function nameIn(services: HubServices, byId: boolean, topic: string, topicId: string): string | null {
  return byId ? (services.partitions.topics.byId(topicId)?.name ?? null) : topic;
}

/** Leader and epoch as this hub knows them; undefined when it does not know the partition. */
export function currentLeader(services: HubServices, topic: string | null, partition: number) {
  if (topic === null) return undefined;
  const here = services.partitions.get(topic, partition);
  if (here && here.replica.leader !== null) {
    return { leaderId: hubOf(here.replica.leader), leaderEpoch: here.epoch };
  }
  const topicId = services.partitions.topics.byName(topic)?.topicId;
  const state = topicId === undefined ? undefined : services.cluster.partition(topicId, partition);
  return state && { leaderId: state.leader, leaderEpoch: state.leaderEpoch };
}

/** The addresses of leaders that an answer names, each once. */
export function nodeEndpoints(
  services: HubServices,
  context: RequestContext,
  leaders: readonly ({ readonly leaderId?: number } | undefined)[],
) {
  const named = new Set(leaders.map((leader) => leader?.leaderId));
  return nodesFor(services, context).filter(({ nodeId }) => named.has(nodeId));
}
