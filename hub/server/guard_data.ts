// Guards of the data path and of topics as clients see them: Produce, Fetch, ListOffsets, Metadata and their kin.
import { Operation, Resource } from "../access/acl.ts";
import { codeOf, HubError } from "../errors.ts";
import type { RequestOf, ResponseOf } from "../wire/apis.ts";
import { zeroUuid } from "../wire/schema.ts";
import { type Asker, denied, type Guards, split } from "./asker.ts";

type MetadataTopic = ResponseOf<"metadata">["topics"][number];

function refuseProduce(topics: RequestOf<"produce">["topicData"], errorCode: number) {
  return topics.map(({ partitionData, ...topic }) => ({
    ...topic,
    partitionResponses: partitionData.map(({ index }) => ({
      index,
      errorCode,
      baseOffset: -1,
      logAppendTimeMs: -1,
      logStartOffset: -1,
      recordErrors: [],
      errorMessage: null,
    })),
  }));
}

export const dataGuards: Guards<
  "produce" | "fetch" | "listOffsets" | "offsetForLeaderEpoch" | "initProducerId" | "describeProducers"
> = {
  async produce(request, asker, go) {
    const { transactionalId, acks, topicData } = request;
    const transactional = transactionalId === null || asker.transaction(Operation.Write, transactionalId);
    const { yes, no } = transactional
      ? split(topicData, (topic) => asker.topic(Operation.Write, topic))
      : { yes: [], no: topicData };
    if (no.length === 0) return await go(request);
    const answer = yes.length === 0 ? null : await go({ ...request, topicData: yes });
    // acks=0 has no answer, so a refusal can only be told by closing the connection
    if (acks === 0) throw new HubError("TOPIC_AUTHORIZATION_FAILED", "acks=0 produce to a topic that is not allowed");
    const refused = refuseProduce(no, transactional ? denied.topic : denied.transaction);
    return { throttleTimeMs: 0, ...answer, responses: [...(answer?.responses ?? []), ...refused] };
  },

  // The handler asks for each topic at each poll: a session (KIP-227) names a topic once and reads on.
  fetch: (request, _asker, go) => go(request),

  async listOffsets(request, asker, go) {
    const { yes, no } = split(request.topics, (topic) => asker.topic(Operation.Describe, topic));
    if (no.length === 0) return await go(request);
    const answer = yes.length === 0 ? null : await go({ ...request, topics: yes });
    const refused = no.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: denied.topic })),
    }));
    return { throttleTimeMs: 0, ...answer, topics: [...(answer?.topics ?? []), ...refused] };
  },

  async offsetForLeaderEpoch(request, asker, go) {
    const { yes, no } = split(request.topics, ({ topic }) => asker.topic(Operation.Describe, topic));
    if (no.length === 0) return await go(request);
    const answer = yes.length === 0 ? null : await go({ ...request, topics: yes });
    const refused = no.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition }) => ({ partition, errorCode: denied.topic })),
    }));
    return { throttleTimeMs: 0, ...answer, topics: [...(answer?.topics ?? []), ...refused] };
  },

  initProducerId(request, asker, go) {
    const { transactionalId } = request;
    // KIP-679: who may write anywhere may do so idempotently
    const allowed =
      transactionalId === null
        ? asker.cluster(Operation.IdempotentWrite) || asker.writesSomewhere()
        : asker.transaction(Operation.Write, transactionalId);
    if (allowed) return go(request);
    const errorCode = transactionalId === null ? denied.cluster : denied.transaction;
    return { throttleTimeMs: 0, errorCode, producerId: -1, producerEpoch: -1 };
  },

  async describeProducers(request, asker, go) {
    const { yes, no } = split(request.topics, (topic) => asker.topic(Operation.Read, topic));
    if (no.length === 0) return await go(request);
    const answer = yes.length === 0 ? null : await go({ ...request, topics: yes });
    const refused = no.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => {
        return { partitionIndex, errorCode: denied.topic, errorMessage: null, activeProducers: [] };
      }),
    }));
    return { throttleTimeMs: 0, ...answer, topics: [...(answer?.topics ?? []), ...refused] };
  },
};

/** A name is told with its refusal; a topic asked for by id keeps its name to itself. */
function refuseMetadata({ name, topicId }: { name: string | null; topicId: string }): MetadataTopic {
  const byName = name !== null;
  const errorCode = byName ? denied.topic : codeOf("UNKNOWN_TOPIC_ID");
  return { errorCode, name, topicId: byName ? zeroUuid : topicId, isInternal: false, partitions: [] };
}

function mayCreate(asker: Asker, topic: string): boolean {
  return asker.cluster(Operation.Create) || asker.may(Operation.Create, Resource.Topic, topic);
}

export const placeGuards: Guards<"metadata" | "describeTopicPartitions" | "describeCluster"> = {
  async metadata(request, asker, go) {
    const { topics, allowAutoTopicCreation } = request;
    const all = topics === null || (asker.version === 0 && topics.length === 0);
    const { yes, no } = split(all ? [] : topics, (topic) => {
      if (!asker.topic(Operation.Describe, topic)) return false;
      return !allowAutoTopicCreation || topic.name === null || asker.exists(topic.name) || mayCreate(asker, topic.name);
    });
    // null topics would be all of them; an empty list of v0 too, so what is left of one is asked as of a later version
    const answer = await go(no.length === 0 ? request : { ...request, topics: yes.length === 0 ? noTopics : yes });
    if (answer === null) return null;
    const told = no.length > 0 && yes.length === 0 ? [] : answer.topics;
    const seen = told.filter((topic) => !all || asker.topic(Operation.Describe, topic));
    const masked = seen.map((topic) => ({
      ...topic,
      topicAuthorizedOperations: asker.operations(topic.topicAuthorizedOperations, Resource.Topic, topic.name ?? ""),
    }));
    const { clusterAuthorizedOperations } = answer;
    return {
      ...answer,
      topics: [...masked, ...no.map(refuseMetadata)],
      clusterAuthorizedOperations: maskCluster(asker, clusterAuthorizedOperations),
    };
  },

  async describeTopicPartitions(request, asker, go) {
    const { yes, no } = split(request.topics, (topic) => asker.topic(Operation.Describe, topic));
    const none = { throttleTimeMs: 0, topics: [], nextCursor: null };
    const answer = no.length > 0 && yes.length === 0 ? none : await go({ ...request, topics: yes });
    if (answer === null) return null;
    const masked = answer.topics.map((topic) => ({
      ...topic,
      topicAuthorizedOperations: asker.operations(topic.topicAuthorizedOperations, Resource.Topic, topic.name ?? ""),
    }));
    const refused = no.map(({ name }) => {
      return { errorCode: denied.topic, name, topicId: zeroUuid, isInternal: false, partitions: [] };
    });
    return { ...answer, topics: [...masked, ...refused] };
  },

  async describeCluster(request, asker, go) {
    const answer = await go(request);
    const { clusterAuthorizedOperations } = answer!;
    return { ...answer!, clusterAuthorizedOperations: maskCluster(asker, clusterAuthorizedOperations) };
  },
};

/** A name that no topic can have: with nothing left to ask for, an empty list would mean all topics in v0. */
const noTopics: RequestOf<"metadata">["topics"] = [{ name: "", topicId: zeroUuid }];

function maskCluster(asker: Asker, possible: number | undefined): number {
  return asker.operations(possible, Resource.Cluster, "kafka-cluster");
}
