// Committed offsets, as requests speak of them: by topic name, partition by partition, with an error each.
import { Reader } from "../bytes/reader.ts";
import type { ErrorName } from "../errors.ts";
import type { ConsumerGroup } from "../groups/consumer_group.ts";
import type { Coordinator, Entry } from "../groups/coordinator.ts";
import { beginCommit, checkTransactionalCommit, ensureGroup } from "../groups/coordinator.ts";
import type { Group } from "../groups/group.ts";
import { GroupState, metadataFor } from "../groups/group.ts";
import { applyCommit, applyDeletion, fenceGeneration, markUsed, utf8Length } from "../groups/offsets.ts";
import type { MemberClaim } from "../groups/syncing.ts";
import type { Clock } from "../io/ports.ts";
import type { CommittedOffset } from "../io/registry.ts";
import { decode } from "../wire/codec.ts";
import { consumerProtocolSubscription } from "../wire/consumer_protocol.ts";
import type { GroupStore } from "./groups_store.ts";
import type { UnstableOffsets } from "./transactions_offsets.ts";
import type { FetchedOffset, OffsetToCommit, OfTopic, PartitionError, TopicNames } from "./groups_types.ts";

/** Commits, fetches and deletes offsets of the coordinator's groups. */
export class GroupOffsets {
  readonly #coordinator: Coordinator;
  readonly #store: GroupStore;
  readonly #topics: TopicNames;
  readonly #clock: Clock;

  constructor(coordinator: Coordinator, store: GroupStore, topics: TopicNames, clock: Clock) {
    this.#coordinator = coordinator;
    this.#store = store;
    this.#topics = topics;
    this.#clock = clock;
  }

  async commit(
    group: string,
    claim: MemberClaim,
    topics: readonly OfTopic<OffsetToCommit>[],
  ): Promise<readonly OfTopic<PartitionError>[]> {
    const entry = beginCommit(this.#coordinator, group, claim, this.#clock.now());
    if (typeof entry === "string") return allOf(topics, entry);
    const { wanted, answers } = this.#sort(topics);
    if (wanted.length === 0) return answers;
    const error = await this.#commit(entry, wanted);
    if (error === "NONE") return answers;
    return answers.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((answer) => (answer.error === "NONE" ? { ...answer, error } : answer)),
    }));
  }

  /** TxnOffsetCommit: what of it a transaction may hold for the group, partition by partition (KIP-447). */
  checkTransactional(
    group: string,
    claim: MemberClaim,
    topics: readonly OfTopic<OffsetToCommit>[],
  ): { readonly wanted: readonly CommittedOffset[]; readonly answers: readonly OfTopic<PartitionError>[] } {
    const error = checkTransactionalCommit(this.#coordinator, group, claim, this.#clock.now());
    return error === "NONE" ? this.#sort(topics) : { wanted: [], answers: allOf(topics, error) };
  }

  /** Stores what a transaction decided, whoever is in the group by now. Repeating it is harmless. */
  async commitDecided(group: string, offsets: readonly CommittedOffset[]): Promise<ErrorName> {
    const living = offsets.filter(({ topicId }) => this.#topics.nameOf(topicId) !== undefined);
    if (living.length === 0) return "NONE";
    const entry = ensureGroup(this.#coordinator, group, this.#clock.now());
    return entry.group.state === GroupState.Dead ? "COORDINATOR_NOT_AVAILABLE" : this.#commit(entry, living, -1);
  }

  /** What can be stored, and an answer for each partition. */
  #sort(topics: readonly OfTopic<OffsetToCommit>[]): { wanted: CommittedOffset[]; answers: OfTopic<PartitionError>[] } {
    const wanted: CommittedOffset[] = [];
    const answers = topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((asked) => {
        const error = this.#check(topic, asked);
        if (error === "NONE") wanted.push(this.#committed(topic, asked));
        return { partition: asked.partition, error };
      }),
    }));
    return { wanted, answers };
  }

  async #commit(entry: Entry, offsets: readonly CommittedOffset[], fence?: number): Promise<ErrorName> {
    const { group } = entry;
    entry.commitsUnderWay += 1;
    const { error, sequence } = await this.#store.commit(group.id, fence ?? fenceGeneration(group), offsets);
    entry.commitsUnderWay -= 1;
    if (error !== "NONE") return error;
    applyCommit(entry.offsets, offsets, sequence);
    if (group.state === GroupState.Empty) markUsed(group, this.#clock.now());
    return "NONE";
  }

  #check(topic: string, asked: OffsetToCommit): ErrorName {
    const count = this.#topics.partitionCount(topic);
    if (count === undefined || this.#topics.idOf(topic) === undefined) return "UNKNOWN_TOPIC_OR_PARTITION";
    if (asked.partition < 0 || asked.partition >= count) return "UNKNOWN_TOPIC_OR_PARTITION";
    if (utf8Length(asked.metadata) > this.#coordinator.settings.offsetMetadataBytesMax) {
      return "OFFSET_METADATA_TOO_LARGE";
    }
    return asked.offset < 0 ? "INVALID_REQUEST" : "NONE";
  }

  #committed(topic: string, asked: OffsetToCommit): CommittedOffset {
    const { partition, offset, leaderEpoch, metadata } = asked;
    const topicId = this.#topics.idOf(topic) ?? "";
    return { topicId, topic, partition, offset, leaderEpoch, metadata, committedAt: this.#clock.wall() };
  }

  /**
   * null: all of the group, as far as the topics still exist. With `unstable`, partitions that a transaction holds
   * offsets for answer UNSTABLE_OFFSET_COMMIT.
   */
  fetch(
    group: string,
    topics: readonly OfTopic<number>[] | null,
    unstable: UnstableOffsets | null,
  ): readonly OfTopic<FetchedOffset>[] {
    const entry = this.#coordinator.groups.get(group);
    if (topics === null) return entry === undefined ? [] : this.#fetchAll(entry, unstable);
    return topics.map(({ topic, partitions }) => {
      const topicId = this.#topics.idOf(topic);
      const known = topicId === undefined ? undefined : entry?.offsets.get(topicId);
      const one = (partition: number): FetchedOffset => {
        if (topicId !== undefined && unstable?.isPending(group, topicId, partition)) return unstableAt(partition);
        return fetched(partition, known?.get(partition));
      };
      return { topic, partitions: partitions.map(one) };
    });
  }

  #fetchAll(entry: Entry, unstable: UnstableOffsets | null): OfTopic<FetchedOffset>[] {
    const answers: OfTopic<FetchedOffset>[] = [];
    for (const [topicId, partitions] of entry.offsets) {
      const topic = this.#topics.nameOf(topicId);
      if (topic === undefined) continue;
      const one = ([partition, offset]: readonly [number, CommittedOffset]): FetchedOffset => {
        if (unstable?.isPending(entry.group.id, topicId, partition)) return unstableAt(partition);
        return fetched(partition, offset);
      };
      answers.push({ topic, partitions: [...partitions].map(one) });
    }
    return answers;
  }

  /** OffsetDelete (KIP-496): not for topics a live member of the group subscribes to. */
  async delete(
    id: string,
    topics: readonly OfTopic<number>[],
  ): Promise<{ error: ErrorName; topics: readonly OfTopic<PartitionError>[] }> {
    const entry = this.#coordinator.groups.get(id);
    const refused = id === "" ? "INVALID_GROUP_ID" : checkDeletion(entry?.group);
    if (entry === undefined || refused !== "NONE") return { error: refused, topics: [] };
    const subscribed = entry.consumer === null ? subscribedTopics(entry.group) : this.#readBy(entry.consumer);
    const wanted: { topicId: string; partition: number }[] = [];
    const answers = topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((partition) => {
        const topicId = this.#topics.idOf(topic);
        const exists = topicId !== undefined && partition >= 0 && partition < (this.#topics.partitionCount(topic) ?? 0);
        if (!exists) return { partition, error: "UNKNOWN_TOPIC_OR_PARTITION" as const };
        if (subscribed === null || subscribed.has(topic)) {
          return { partition, error: "GROUP_SUBSCRIBED_TO_TOPIC" as const };
        }
        wanted.push({ topicId, partition });
        return { partition, error: "NONE" as const };
      }),
    }));
    if (wanted.length === 0) return { error: "NONE", topics: answers };
    const { error, sequence } = await this.#store.deleteOffsets(id, wanted);
    if (error !== "NONE") return { error, topics: [] };
    applyDeletion(entry.offsets, wanted, sequence);
    return { error: "NONE", topics: answers };
  }

  /** Topics the members of a group of the server-side protocol read. */
  #readBy(consumer: ConsumerGroup): ReadonlySet<string> {
    if (consumer.members.size === 0) return new Set();
    const names = new Set([...consumer.members.values()].flatMap(({ topics }) => topics));
    for (const topicId of consumer.counts.keys()) names.add(this.#topics.nameOf(topicId) ?? "");
    return names;
  }

  async topicDeleted(topicId: string): Promise<void> {
    const all = [...this.#coordinator.groups.values()].map(async ({ group, offsets }) => {
      const partitions = offsets.get(topicId);
      if (partitions === undefined) return;
      const wanted = [...partitions.keys()].map((partition) => ({ topicId, partition }));
      const { error, sequence } = await this.#store.deleteOffsets(group.id, wanted);
      if (error === "NONE") applyDeletion(offsets, wanted, sequence);
    });
    await Promise.all(all);
  }
}

function allOf(topics: readonly OfTopic<OffsetToCommit>[], error: ErrorName): OfTopic<PartitionError>[] {
  return topics.map(({ topic, partitions }) => {
    return { topic, partitions: partitions.map(({ partition }) => ({ partition, error })) };
  });
}

function fetched(partition: number, found: CommittedOffset | undefined): FetchedOffset {
  if (found === undefined) return { partition, offset: -1, leaderEpoch: -1, metadata: "", error: "NONE" };
  const { offset, leaderEpoch, metadata } = found;
  return { partition, offset, leaderEpoch, metadata, error: "NONE" };
}

function unstableAt(partition: number): FetchedOffset {
  return { ...fetched(partition, undefined), error: "UNSTABLE_OFFSET_COMMIT" };
}

function checkDeletion(group: Group | undefined): ErrorName {
  if (group === undefined) return "GROUP_ID_NOT_FOUND";
  if (group.state === GroupState.Dead) return "COORDINATOR_NOT_AVAILABLE";
  return group.state === GroupState.Empty || group.protocolType === "consumer" ? "NONE" : "NON_EMPTY_GROUP";
}

/** Topics the members read; null when a subscription cannot be read, and any topic may be meant. */
function subscribedTopics(group: Group): ReadonlySet<string> | null {
  const topics = new Set<string>();
  for (const member of group.members.values()) {
    const name = group.protocolName ?? member.protocols[0]?.name ?? null;
    try {
      const reader = new Reader(metadataFor(member, name));
      const version = Math.min(reader.int16(), consumerProtocolSubscription.max);
      for (const topic of decode(consumerProtocolSubscription, version, reader).topics) topics.add(topic);
    } catch {
      return null;
    }
  }
  return topics;
}
