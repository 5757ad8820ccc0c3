// What this hub's replicas do for other hubs: votes, elections, changes of the set, and fetches of followers.
import * as machine from "../cluster/replica.ts";
import type { FollowerFetch, LeaderWord } from "../cluster/types.ts";
import { type ErrorName, HubError } from "../errors.ts";
import type { Clock } from "../io/ports.ts";
import { limits } from "../limits.ts";
import { readBatchHeader } from "../record/batch.ts";
import type { Elections } from "./elections.ts";
import { hubOf } from "./cluster_view.ts";
import type { Handovers } from "./handover.ts";
import type { Partition } from "./partition.ts";
import type { Partitions } from "./partitions.ts";
import type {
  HubPrincipal,
  LeaderHint,
  LedReplica,
  PartitionKey,
  RangeAsked,
  RangeTold,
  ReconfigureAsked,
  ReconfigureTold,
  ReplicaOffice,
  ReplicaReport,
  TryLeadAsked,
  TryLeadTold,
  VoteAsked,
  VoteTold,
} from "./replica_office.ts";

export interface OfficeOptions {
  readonly partitions: Partitions;
  readonly elections: Elections;
  readonly handovers: Handovers;
  readonly clock: Clock;
}

/** The partition of a topic id; undefined where this hub has no replica of it. */
export function findPartition(partitions: Partitions, topicId: string, index: number): Partition | undefined {
  const topic = partitions.topics.byId(topicId);
  return topic && partitions.get(topic.name, index);
}

export class Office implements ReplicaOffice {
  readonly #options: OfficeOptions;
  readonly #led = new WeakMap<Partition, LedReplica>();

  constructor(options: OfficeOptions) {
    this.#options = options;
  }

  vote(_hub: HubPrincipal, asked: readonly VoteAsked[]): Promise<readonly VoteTold[]> {
    return this.#options.elections.vote(asked);
  }

  tryLead(_hub: HubPrincipal, _ctlEpoch: number, asked: readonly TryLeadAsked[]): Promise<readonly TryLeadTold[]> {
    return this.#options.elections.tryLead(asked);
  }

  reconfigure(
    _hub: HubPrincipal,
    _ctlEpoch: number,
    asked: readonly ReconfigureAsked[],
  ): Promise<readonly ReconfigureTold[]> {
    return Promise.all(
      asked.map(async (one) => {
        const { topicId, partition } = one;
        const [error, message] = await this.#change(one);
        return { topicId, partition, error, message };
      }),
    );
  }

  async #change(asked: ReconfigureAsked): Promise<[ErrorName, string | null]> {
    const { partitions, handovers, clock } = this.#options;
    const partition = findPartition(partitions, asked.topicId, asked.partition);
    if (!partition?.leads) return ["NOT_LEADER_OR_FOLLOWER", "this hub does not lead it"];
    if ("handoverTo" in asked) {
      const done = await handovers.handOver(partition, asked.handoverTo);
      return done ? ["NONE", null] : ["PREFERRED_LEADER_NOT_AVAILABLE", "it did not catch up, or was not elected"];
    }
    const { target, lost } = asked;
    const why = machine.mayReconfigure(partition.replica, target, lost);
    if (why !== null) return ["INVALID_REPLICA_ASSIGNMENT", why];
    partitions.run(partition, machine.reconfigure(partition.replica, target, clock.now(), lost));
    return ["NONE", null];
  }

  states(_hub: HubPrincipal | null, which: readonly PartitionKey[] | null): Promise<readonly ReplicaReport[]> {
    const { partitions } = this.#options;
    const all =
      which === null
        ? [...partitions.all()]
        : which.flatMap(({ topicId, partition }) => findPartition(partitions, topicId, partition) ?? []);
    return Promise.resolve(all.map(reportOf));
  }

  async range(_hub: HubPrincipal, asked: RangeAsked): Promise<RangeTold> {
    const partition = findPartition(this.#options.partitions, asked.topicId, asked.partition);
    if (!partition || partition.replica.halted) throw new HubError("NOT_LEADER_OR_FOLLOWER");
    return await rangeOf(partition, asked);
  }

  led(topicId: string, index: number): LedReplica | { readonly error: ErrorName; readonly hint: LeaderHint | null } {
    const { partitions } = this.#options;
    const partition = findPartition(partitions, topicId, index);
    if (!partition) {
      const known = partitions.topics.byId(topicId) !== undefined;
      return { error: known ? "NOT_LEADER_OR_FOLLOWER" : "UNKNOWN_TOPIC_ID", hint: null };
    }
    if (!partition.leads) return { error: "NOT_LEADER_OR_FOLLOWER", hint: hintOf(partition) };
    let led = this.#led.get(partition);
    if (led === undefined) {
      led = new Led(partition, partitions, this.#options.clock);
      this.#led.set(partition, led);
    }
    return led;
  }
}

function hintOf({ replica }: Partition): LeaderHint | null {
  const { leader, epoch } = replica;
  return leader === null ? null : { leader: hubOf(leader), epoch };
}

export function reportOf(partition: Partition): ReplicaReport {
  const { replica, log } = partition;
  return {
    topicId: log.topicId,
    partition: log.partition,
    replica: replica.id,
    role: replica.role,
    epoch: replica.epoch,
    leader: replica.leader,
    logStart: log.logStart,
    durableEnd: log.durableEnd,
    highWatermark: replica.highWatermark,
    state: replica.stored,
    published: partition.leads ? machine.publishedOf(replica) : null,
  };
}

class Led implements LedReplica {
  readonly #partition: Partition;
  readonly #partitions: Partitions;
  readonly #clock: Clock;

  constructor(partition: Partition, partitions: Partitions, clock: Clock) {
    this.#partition = partition;
    this.#partitions = partitions;
    this.#clock = clock;
  }

  get place(): Partition["replicaPlace"] {
    return this.#partition.replicaPlace;
  }

  get logEnd(): number {
    return this.#partition.log.logEnd;
  }

  followerFetched(fetch: FollowerFetch): ReturnType<LedReplica["followerFetched"]> {
    const verdict = machine.followerFetched(this.#partition.replica, fetch, this.#clock.now());
    this.#partitions.run(this.#partition, verdict.effects);
    return verdict;
  }

  word(): LeaderWord | null {
    return this.#partition.leads ? machine.wordOf(this.#partition.replica) : null;
  }

  get repairing(): boolean {
    return this.#partition.log.repairing;
  }

  read(from: number, bytesMax: number): Uint8Array | Promise<Uint8Array> {
    const { log, leads, topic } = this.#partition;
    if (!leads) throw new HubError("NOT_LEADER_OR_FOLLOWER", `This hub does not lead ${topic}-${log.partition}`);
    const read = log.read(from, bytesMax, log.logEnd);
    return read instanceof Promise ? read.catch((error: unknown) => this.#unreadable(from, error)) : read;
  }

  /** What is not known to be committed and cannot be read here is another's to lead. */
  #unreadable(from: number, error: unknown): never {
    const { log, replica } = this.#partition;
    if (error instanceof HubError && error.kind === "CORRUPT_MESSAGE" && log.repairing) {
      this.#partitions.run(this.#partition, machine.unreadable(replica, from));
    }
    throw error;
  }
}

/**
 * What is committed of a range that another replica asks for. It asks for what it knows to be committed, and a leader
 * holds all of that, even before its own watermark has come so far: it may wait for the very replica that asks.
 */
async function rangeOf({ log, highWatermark, leads }: Partition, asked: RangeAsked): Promise<RangeTold> {
  const { from, to } = asked;
  const end = Math.min(to, leads ? log.logEnd : highWatermark);
  if (from < log.logStart || from >= end) return { upTo: from, records: new Uint8Array(0) };
  // a gap that was made by skipping damage is none of a compacted log's
  if (log.damaged.size > 0 && log.settings.corruptRead === "skip" && !log.repairing) {
    throw new HubError("CORRUPT_MESSAGE", `${log.key} is damaged itself`);
  }
  const bytesMax = Math.min(Math.max(asked.bytesMax, 1), limits.replicaFetchPartitionBytes);
  const records = await log.read(from, bytesMax, end);
  let upTo = from;
  for (let at = 0; at < records.length; ) {
    const { lastOffset, size } = readBatchHeader(records, at);
    upTo = lastOffset + 1;
    at += size;
  }
  return { upTo: records.length === 0 ? end : upTo, records };
}
