// What a follower keeps of one partition between its fetches, and what it reads out of their answers.
import type { FollowerFetch, LeaderWord, Offset, PartitionConfig } from "../cluster/types.ts";
import type { Millis, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { ReplyOf } from "../wire/apis.ts";
import type { Followed } from "./replicator.ts";

export type PartitionReply = ReplyOf<"fetch">["responses"][number]["partitions"][number];

export interface Entry {
  readonly followed: Followed;
  readonly key: string;
  /** What the leader was told last; null: it knows nothing of this partition. */
  told: FollowerFetch | null;
  /** The leader is to bring what comes next; its answer bears this ticket, and ends it if it brings any. */
  armed: boolean;
  ticket: number;
  /** The epoch in which the log was reconciled: from then on what is written is the leader's. -1: begin anew. */
  readEpoch: number;
  /** As the leader told it on this connection. */
  config: PartitionConfig | null;
  /** Answers being written; at most one of them brings records. */
  busy: number;
  /** The last answer did not reach the leader's end. */
  behind: boolean;
  /** Waits for the budget of those that are behind. */
  held: boolean;
  retryMs: Millis;
  rest: Timer | null;
}

export function keyOf(topicId: string, partition: number): string {
  return `${topicId}/${partition}`;
}

export function newEntry(key: string, followed: Followed): Entry {
  const untold = { told: null, armed: false, ticket: 0, readEpoch: -1, config: null };
  const idle = { busy: 0, behind: false, held: false, retryMs: limits.replicaRetryMs, rest: null };
  return { key, followed, ...untold, ...idle };
}

/** `anew`: what was read may not be the leader's; it is reconciled before reading goes on. */
export function disarm(entry: Entry, anew: boolean): void {
  entry.armed = false;
  if (anew) entry.readEpoch = -1;
}

/** Where reading goes on: what is written, synced or not. */
export function positionOf({ position, offset }: FollowerFetch): Offset {
  return position ?? offset;
}

export function isSame(one: FollowerFetch, other: FollowerFetch): boolean {
  return (
    one.offset === other.offset &&
    one.epoch === other.epoch &&
    one.accepted === other.accepted &&
    one.lastFetchedEpoch === other.lastFetchedEpoch &&
    one.configId.epoch === other.configId.epoch &&
    one.configId.n === other.configId.n
  );
}

export function wordOf(one: PartitionReply, config: PartitionConfig): LeaderWord {
  const { epoch, epochStart, leaderEnd, markedEpoch } = one.word;
  const { highWatermark, logStartOffset: logStart } = one;
  return { epoch, epochStart, leaderEnd, logStart, highWatermark, config, markedEpoch };
}
