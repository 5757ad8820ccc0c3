// ElectLeaders (43), AlterPartitionReassignments (45), ListPartitionReassignments (46), UnregisterBroker (64): who
// leads, who replicates, and which hubs belong. A lone hub holds and leads all.
import { codeOf, codeOfThrown, HubError } from "../../errors.ts";
import type { Leave } from "../../engine/moves.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices } from "../services.ts";

interface PartitionAnswer {
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

const done: PartitionAnswer = { errorCode: 0, errorMessage: null };
const elections = ["preferred", "unclean"] as const;
const leaves: readonly Leave[] = ["remove", "drain", "return", "replace"];

/** What an attempt at one partition comes to. */
async function answerOf(attempt: () => void | Promise<void>): Promise<PartitionAnswer> {
  try {
    await attempt();
    return done;
  } catch (error) {
    return { errorCode: codeOfThrown(error), errorMessage: (error as Error).message };
  }
}

export function replicaHandlers(services: HubServices) {
  return {
    /** KIP-183, KIP-460: preferred (0) or unclean (1). */
    async electLeaders(request: RequestOf<"electLeaders">): Promise<ResponseOf<"electLeaders">> {
      const { electionType, topicPartitions, toHub } = request;
      const kind = elections[electionType];
      if (kind === undefined) {
        return { throttleTimeMs: 0, errorCode: codeOf("INVALID_REQUEST"), replicaElectionResults: [] };
      }
      const asked = topicPartitions ?? all(services);
      const results = await Promise.all(
        asked.map(async ({ topic, partitions }) => ({
          topic,
          partitionResult: await Promise.all(
            partitions.map(async (partitionId) => ({
              partitionId,
              ...(await answerOf(() => elect(services, topic, partitionId, kind, toHub < 0 ? null : toHub))),
            })),
          ),
        })),
      );
      return { throttleTimeMs: 0, errorCode: 0, replicaElectionResults: topicPartitions ? results : changed(results) };
    },

    /** KIP-455: what is asked for is stored for the whole cluster, and worked off by whoever is the controller. */
    async alterPartitionReassignments(
      request: RequestOf<"alterPartitionReassignments">,
    ): Promise<ResponseOf<"alterPartitionReassignments">> {
      const { allowReplicationFactorChange } = request;
      const flat = request.topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex, replicas }) => ({ topic: name, partition: partitionIndex, hubs: replicas })),
      );
      const checked = await Promise.all(
        flat.map((one) => answerOf(() => checkMove(services, one, allowReplicationFactorChange))),
      );
      const good = flat.filter((_one, i) => checked[i] === done);
      const refusals = good.length > 0 ? await services.operations?.reassign(good) : [];
      const answers = new Map(flat.map((one, i) => [one, checked[i]!]));
      for (const [i, one] of good.entries()) {
        const refusal = refusals?.[i];
        if (refusal) answers.set(one, { errorCode: refusal.code, errorMessage: refusal.message });
      }
      const left = flat.values();
      const responses = request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({
          partitionIndex,
          ...answers.get(left.next().value!)!,
        })),
      }));
      return { throttleTimeMs: 0, allowReplicationFactorChange, ...done, responses };
    },

    listPartitionReassignments: (request: RequestOf<"listPartitionReassignments">) => movesOf(services, request),

    async unregisterBroker({ brokerId, how }: RequestOf<"unregisterBroker">): Promise<ResponseOf<"unregisterBroker">> {
      const answer = await answerOf(async () => {
        const leave = leaves[how];
        if (leave === undefined) throw new HubError("INVALID_REQUEST", `A hub cannot leave in the way ${how}`);
        if (!services.operations) throw new HubError("INVALID_REQUEST", "A lone hub is its whole cluster");
        await services.operations.leave(brokerId, leave);
      });
      return { throttleTimeMs: 0, ...answer };
    },
  };
}

function movesOf(
  { operations }: HubServices,
  request: RequestOf<"listPartitionReassignments">,
): ResponseOf<"listPartitionReassignments"> {
  type Moving = ResponseOf<"listPartitionReassignments">["topics"][number]["partitions"][number];
  const wanted = request.topics && new Map(request.topics.map((one) => [one.name, new Set(one.partitionIndexes)]));
  const topics = new Map<string, Moving[]>();
  for (const { topic, partition, from, to } of operations?.reassignments() ?? []) {
    if (wanted && !wanted.get(topic)?.has(partition)) continue;
    const removing = from.filter((hub) => !to.includes(hub));
    const partitions = topics.get(topic) ?? [];
    topics.set(topic, partitions);
    partitions.push({
      partitionIndex: partition,
      replicas: [...to, ...removing],
      addingReplicas: to.filter((hub) => !from.includes(hub)),
      removingReplicas: removing,
    });
  }
  return { throttleTimeMs: 0, ...done, topics: [...topics].map(([name, partitions]) => ({ name, partitions })) };
}

function mustBeThere({ partitions: { topics } }: HubServices, name: string, index: number): void {
  const topic = topics.byName(name);
  if (topic && index >= 0 && index < topic.partitions) return;
  throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no partition ${name}-${index}`);
}

async function elect(
  services: HubServices,
  topic: string,
  partition: number,
  kind: (typeof elections)[number],
  to: number | null,
): Promise<void> {
  mustBeThere(services, topic, partition);
  if (services.operations) return await services.operations.elect(topic, partition, kind, to);
  throw new HubError("ELECTION_NOT_NEEDED", `${topic}-${partition} is led by its only replica`);
}

type Elected = ResponseOf<"electLeaders">["replicaElectionResults"];

/** Every partition there is. */
function all({ partitions: { topics } }: HubServices): { topic: string; partitions: number[] }[] {
  return [...topics.all()].map(({ name, partitions }) => {
    return { topic: name, partitions: Array.from({ length: partitions }, (_, i) => i) };
  });
}

/** Asked for all, only what changed or failed is told. */
function changed(results: Elected): Elected {
  const unneeded = codeOf("ELECTION_NOT_NEEDED");
  return results.flatMap(({ topic, partitionResult }) => {
    const told = partitionResult.filter(({ errorCode }) => errorCode !== unneeded);
    return told.length === 0 ? [] : [{ topic, partitionResult: told }];
  });
}

function checkMove(
  services: HubServices,
  asked: { readonly topic: string; readonly partition: number; readonly hubs: readonly number[] | null },
  mayChangeFactor: boolean,
): void {
  const { topic, partition, hubs } = asked;
  mustBeThere(services, topic, partition);
  if (hubs === null) {
    if (!services.operations) throw new HubError("NO_REASSIGNMENT_IN_PROGRESS");
    return;
  }
  checkReplicas(services, hubs);
  if (mayChangeFactor || !services.operations) return;
  const { topics } = services.partitions;
  const known = topics.byName(topic)!;
  const published = services.cluster.partition(known.topicId, partition)?.config.old.members;
  const now = (published ?? known.assignment?.[partition] ?? []).length;
  if (now === hubs.length) return;
  const detail = `${topic}-${partition} has ${now} replicas, and the request forbids to change that`;
  throw new HubError("INVALID_REPLICATION_FACTOR", detail);
}

/** Throws INVALID_REPLICA_ASSIGNMENT unless every replica is a hub of this cluster, each once. */
export function checkReplicas(services: HubServices, brokerIds: readonly number[]): void {
  if (!services.cluster.lone) {
    const known = new Set(services.cluster.hubs().map(({ hubId }) => hubId));
    const wrong = brokerIds.find((id, i) => !known.has(id) || brokerIds.indexOf(id) !== i);
    if (brokerIds.length > 0 && wrong === undefined) return;
    const hubs = [...known].sort((a, b) => a - b).join(", ");
    const detail = `Replicas ${JSON.stringify(brokerIds)}: each is to be one of the hubs ${hubs}, once`;
    throw new HubError("INVALID_REPLICA_ASSIGNMENT", detail);
  }
  if (brokerIds.length === 1 && brokerIds[0] === services.hubId) return;
  const detail = `Replicas ${JSON.stringify(brokerIds)}: this cluster has one hub, ${services.hubId}`;
  throw new HubError("INVALID_REPLICA_ASSIGNMENT", detail);
}
