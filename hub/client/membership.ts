// A member of a consumer group: join, sync, heartbeat, commit, leave, in Kafka's classic group protocol.
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { HubError } from "../errors.ts";
import type { ErrorName } from "../errors.ts";
import type { Clock, Millis, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { ReplyOf } from "../wire/apis.ts";
import { decode, encode } from "../wire/codec.ts";
import { consumerProtocolAssignment, consumerProtocolSubscription } from "../wire/consumer_protocol.ts";
import { assignors } from "./assignor.ts";
import type { Connection } from "./connection.ts";
import type { PartitionOffset, TopicPartition } from "./faces.ts";
import { mustBeNone, pause, retryPause } from "./routes.ts";
import type { Routes } from "./routes.ts";

export interface MembershipOptions {
  readonly group: string;
  readonly instanceId: string | null;
  readonly sessionTimeoutMs: Millis;
  readonly rebalanceTimeoutMs: Millis;
  /** Called when a rebalance began or the member was expelled: join again. */
  readonly onDisturbed: () => void;
}

/** Answers that a fresh look for the coordinator, or a little time, can heal. */
const coordinatorTroubles: ReadonlySet<ErrorName> = new Set([
  "NOT_COORDINATOR",
  "COORDINATOR_NOT_AVAILABLE",
  "COORDINATOR_LOAD_IN_PROGRESS",
  "NETWORK_EXCEPTION",
  "REQUEST_TIMED_OUT",
]);

/** Answers after which the member starts over with an empty id. */
const memberTroubles: ReadonlySet<ErrorName> = new Set(["UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION"]);

const protocolType = "consumer";
const protocolVersion = 1;
const graceMs = 5_000;

export class Membership {
  readonly #routes: Routes;
  readonly #clock: Clock;
  readonly #options: MembershipOptions;
  #topics: readonly string[] = [];
  #memberId = "";
  #generation = -1;
  #beat: Timer | null = null;
  /** As leader: the partition counts the assignment was made from. */
  #counts: ReadonlyMap<string, number> | null = null;
  #closed = false;
  /** True when the member has to join (again) before it may go on. */
  disturbed = true;

  constructor(routes: Routes, options: MembershipOptions) {
    this.#routes = routes;
    this.#clock = routes.clock;
    this.#options = options;
  }

  /** Topics wanted from the next join on. */
  want(topics: readonly string[]): void {
    this.#topics = [...new Set(topics)].sort();
    this.disturbed = true;
  }

  /** Enters the next generation; resolves with what this member is given. Rejects on errors no retry can heal. */
  async join(): Promise<TopicPartition[]> {
    this.#stopBeating();
    for (let attempt = 0; ; attempt += 1) {
      if (this.#closed) throw new HubError("NETWORK_EXCEPTION", "the consumer is closed");
      try {
        this.disturbed = false;
        const assigned = await this.#joinOnce();
        this.#startBeating();
        return assigned;
      } catch (error) {
        await this.#heal(error, attempt);
      }
    }
  }

  async #heal(error: unknown, attempt: number): Promise<void> {
    if (!(error instanceof HubError)) throw error;
    if (error.kind === "MEMBER_ID_REQUIRED") return;
    if (memberTroubles.has(error.kind)) {
      this.#memberId = "";
      this.#generation = -1;
      return;
    }
    if (coordinatorTroubles.has(error.kind)) this.#routes.forgetCoordinator(this.#options.group);
    else if (!(error.retriable || error.kind === "REBALANCE_IN_PROGRESS")) throw error;
    await pause(this.#clock, retryPause(attempt));
  }

  async #joinOnce(): Promise<TopicPartition[]> {
    const { group, instanceId, sessionTimeoutMs, rebalanceTimeoutMs } = this.#options;
    const coordinator = await this.#routes.coordinator(group, "group");
    const metadata = packSubscription(this.#topics);
    const reply = await coordinator.call(
      "joinGroup",
      {
        groupId: group,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId: this.#memberId,
        groupInstanceId: instanceId,
        protocolType,
        protocols: [...assignors.keys()].map((name) => ({ name, metadata })),
      },
      Math.max(rebalanceTimeoutMs, sessionTimeoutMs) + limits.initialRebalanceDelayMs + graceMs,
    );
    if (reply.memberId !== "") this.#memberId = reply.memberId;
    mustBeNone(reply.errorCode, `joining group ${group}`);
    this.#generation = reply.generationId;
    const leads = reply.leader === reply.memberId;
    const assignments = leads ? await this.#assign(reply) : [];
    if (!leads) this.#counts = null;
    return this.#sync(coordinator, reply.protocolName, assignments);
  }

  async #sync(
    coordinator: Connection,
    protocolName: string | null,
    assignments: readonly { memberId: string; assignment: Uint8Array }[],
  ): Promise<TopicPartition[]> {
    const { group, instanceId, rebalanceTimeoutMs } = this.#options;
    const reply = await coordinator.call(
      "syncGroup",
      {
        groupId: group,
        generationId: this.#generation,
        memberId: this.#memberId,
        groupInstanceId: instanceId,
        protocolType,
        protocolName,
        assignments,
      },
      rebalanceTimeoutMs + graceMs,
    );
    mustBeNone(reply.errorCode, `syncing with group ${group}`);
    return unpackAssignment(reply.assignment);
  }

  /** The leader's duty: who reads what. */
  async #assign(reply: ReplyOf<"joinGroup">): Promise<{ memberId: string; assignment: Uint8Array }[]> {
    const assignor = assignors.get(reply.protocolName ?? "");
    if (assignor === undefined) {
      throw new HubError("INCONSISTENT_GROUP_PROTOCOL", `assignor ${reply.protocolName} is unknown`);
    }
    const members = reply.members.map(({ memberId, metadata }) => ({ memberId, topics: unpackSubscription(metadata) }));
    const topics = [...new Set(members.flatMap((member) => member.topics))].sort();
    await this.#routes.refresh(topics);
    const counts = this.#countsOf(topics);
    this.#counts = counts;
    return [...assignor(members, counts)].map(([memberId, assignment]) => ({
      memberId,
      assignment: packAssignment(assignment),
    }));
  }

  #countsOf(topics: readonly string[]): Map<string, number> {
    return new Map(topics.map((topic) => [topic, this.#routes.topic(topic)?.leaders.length ?? 0]));
  }

  // ---- heartbeats

  #startBeating(): void {
    this.#stopBeating();
    if (this.#closed) return;
    const every = Math.min(limits.clientHeartbeatMs, this.#options.sessionTimeoutMs / 3);
    this.#beat = this.#clock.after(every, () => this.#beatOnce());
  }

  #stopBeating(): void {
    this.#beat?.cancel();
    this.#beat = null;
  }

  async #beatOnce(): Promise<void> {
    const generation = this.#generation;
    try {
      await this.#heartbeat();
      await this.#watchTopics();
    } catch (error) {
      if (generation !== this.#generation || this.#beat === null) return;
      this.#missed(error);
    }
    if (generation === this.#generation && this.#beat !== null) this.#startBeating();
  }

  async #heartbeat(): Promise<void> {
    const { group, instanceId } = this.#options;
    const coordinator = await this.#routes.coordinator(group, "group");
    const reply = await coordinator.call(
      "heartbeat",
      { groupId: group, generationId: this.#generation, memberId: this.#memberId, groupInstanceId: instanceId },
      this.#options.sessionTimeoutMs,
    );
    mustBeNone(reply.errorCode, `heartbeat to group ${group}`);
  }

  #missed(error: unknown): void {
    const kind: ErrorName = error instanceof HubError ? error.kind : "UNKNOWN_SERVER_ERROR";
    if (coordinatorTroubles.has(kind)) {
      this.#routes.forgetCoordinator(this.#options.group);
      return;
    }
    if (memberTroubles.has(kind)) {
      this.#memberId = "";
      this.#generation = -1;
    }
    this.#disturb();
  }

  #disturb(): void {
    if (this.disturbed) return;
    this.disturbed = true;
    this.#options.onDisturbed();
  }

  /** As leader: a topic that came or grew makes the group assign anew. */
  async #watchTopics(): Promise<void> {
    const counts = this.#counts;
    if (counts === null) return;
    const topics = [...counts.keys()];
    if (!topics.some((topic) => this.#routes.isStale(topic))) return;
    await this.#routes.refresh(topics);
    const now = this.#countsOf(topics);
    if (topics.some((topic) => now.get(topic) !== counts.get(topic))) this.#disturb();
  }

  // ---- offsets

  /** Runs a call to the coordinator, looked up again when it moved. */
  async #withCoordinator<T>(call: (coordinator: Connection) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await call(await this.#routes.coordinator(this.#options.group, "group"));
      } catch (error) {
        const heals = error instanceof HubError && coordinatorTroubles.has(error.kind);
        if (!heals || attempt >= limits.clientRetriesMax || this.#closed) throw error;
        this.#routes.forgetCoordinator(this.#options.group);
        await pause(this.#clock, retryPause(attempt));
      }
    }
  }

  /** Stores next offsets. Rejects with the first partition's error. */
  commit(offsets: readonly (PartitionOffset & { readonly metadata?: string })[]): Promise<void> {
    return this.#withCoordinator(async (coordinator) => {
      const topics = byTopic(offsets).map(([name, partitions]) => ({
        name,
        partitions: partitions.map(({ partition, offset, metadata }) => ({
          partitionIndex: partition,
          committedOffset: offset,
          committedMetadata: metadata ?? "",
        })),
      }));
      const reply = await coordinator.call("offsetCommit", {
        groupId: this.#options.group,
        generationIdOrMemberEpoch: this.#generation,
        memberId: this.#memberId,
        groupInstanceId: this.#options.instanceId,
        topics,
      });
      for (const { name, partitions } of reply.topics) {
        for (const { partitionIndex, errorCode } of partitions)
          mustBeNone(errorCode, `commit of ${name}-${partitionIndex}`);
      }
    });
  }

  /** Committed offsets of these partitions; those without one are left out. */
  committed(partitions: readonly TopicPartition[]): Promise<PartitionOffset[]> {
    return this.#withCoordinator(async (coordinator) => fetchCommitted(coordinator, this.#options.group, partitions));
  }

  /** Stops the heartbeats and tells the group, so that others need not wait for the session to end. */
  async leave(): Promise<void> {
    this.#closed = true;
    this.#stopBeating();
    const [memberId, { group, instanceId }] = [this.#memberId, this.#options];
    this.#generation = -1;
    if (memberId === "" || instanceId !== null) return;
    try {
      // On a connection of its own: a join may be parked on the other.
      const coordinator = await this.#routes.coordinator(group, "leave");
      await coordinator.call("leaveGroup", { groupId: group, memberId, members: [{ memberId }] }, graceMs);
    } catch {
      // The group notices by itself when the session ends.
    }
  }
}

/** Committed offsets of a group: of these partitions, or of all with null. Partitions without one are left out. */
export async function fetchCommitted(
  coordinator: Connection,
  group: string,
  partitions: readonly TopicPartition[] | null,
): Promise<(PartitionOffset & { readonly metadata?: string })[]> {
  const topics =
    partitions === null
      ? null
      : byTopic(partitions).map(([name, of]) => ({
          name,
          partitionIndexes: of.map(({ partition }) => partition),
        }));
  const reply = await coordinator.call("offsetFetch", { groupId: group, topics, groups: [{ groupId: group, topics }] });
  const answer = reply.groups[0] ?? reply;
  mustBeNone(answer.errorCode, `committed offsets of group ${group}`);
  const found: (PartitionOffset & { readonly metadata?: string })[] = [];
  for (const topic of answer.topics) {
    for (const { partitionIndex, committedOffset, metadata, errorCode } of topic.partitions) {
      mustBeNone(errorCode, `committed offset of ${topic.name}-${partitionIndex}`);
      if (committedOffset < 0) continue;
      const place = { topic: topic.name, partition: partitionIndex, offset: committedOffset };
      found.push(metadata ? { ...place, metadata } : place);
    }
  }
  return found;
}

/** Groups entries by topic, order kept. */
export function byTopic<T extends { readonly topic: string }>(entries: readonly T[]): [string, T[]][] {
  const topics = new Map<string, T[]>();
  for (const entry of entries) {
    const of = topics.get(entry.topic);
    if (of === undefined) topics.set(entry.topic, [entry]);
    else of.push(entry);
  }
  return [...topics];
}

function packSubscription(topics: readonly string[]): Uint8Array {
  const writer = new Writer();
  writer.int16(protocolVersion);
  encode(consumerProtocolSubscription, protocolVersion, { topics }, writer);
  return writer.join();
}

/** A newer version than ours begins with the fields of ours (KIP-429). */
function unpackSubscription(bytes: Uint8Array): readonly string[] {
  const reader = new Reader(bytes);
  const version = Math.min(reader.int16(), consumerProtocolSubscription.max);
  return decode(consumerProtocolSubscription, version, reader).topics;
}

function packAssignment(assignment: ReadonlyMap<string, number[]>): Uint8Array {
  const assignedPartitions = [...assignment].map(([topic, partitions]) => ({ topic, partitions }));
  const writer = new Writer();
  writer.int16(protocolVersion);
  encode(consumerProtocolAssignment, protocolVersion, { assignedPartitions }, writer);
  return writer.join();
}

/** An empty assignment means nothing: what a member gets that the leader did not know. */
export function unpackAssignment(bytes: Uint8Array): TopicPartition[] {
  if (bytes.length === 0) return [];
  const reader = new Reader(bytes);
  const version = Math.min(reader.int16(), consumerProtocolAssignment.max);
  const { assignedPartitions } = decode(consumerProtocolAssignment, version, reader);
  return assignedPartitions.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })));
}
