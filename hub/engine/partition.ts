// One led partition with everything that waits on it.
import type { Leader } from "../cluster/leader.ts";
import type { PartitionLog } from "../log/log.ts";
import { lastStableOf } from "../log/log_transactions.ts";
import type { BatchRules } from "./admission.ts";
import { FetchPlace, UnreadBytes, WriteQueue } from "./waiting_room.ts";

export class Partition {
  readonly topic: string;
  readonly log: PartitionLog;
  readonly leader: Leader;
  /** Where fetches wait that read up to the watermark. */
  readonly place = new FetchPlace();
  /** Where fetches wait that read committed records only: up to the last stable offset (KIP-98). */
  readonly stablePlace = new FetchPlace();
  /** acks=all: answered when the watermark passes. */
  readonly writes = new WriteQueue();
  /** acks=1: answered when this hub's own disk holds them, however many are in sync. */
  readonly ownWrites = new WriteQueue();
  /**
   * By producer: the last of its batches that waits for the word of the transaction coordinator. Bounded by what
   * requests may wait (limits.requestsInBytesMax).
   */
  readonly gated = new Map<number, Promise<unknown>>();
  rules: BatchRules;
  /** Above the watermark. */
  readonly unread = new UnreadBytes();
  /** Above the last stable offset. */
  readonly unstable = new UnreadBytes();
  /** Where the last stable offset stood when readers were last told. */
  toldStable: number;

  constructor(topic: string, log: PartitionLog, leader: Leader, rules: BatchRules) {
    this.topic = topic;
    this.log = log;
    this.leader = leader;
    this.rules = rules;
    this.toldStable = this.lastStable;
  }

  get highWatermark(): number {
    return this.leader.highWatermark;
  }

  /** The last stable offset: never above the watermark. */
  get lastStable(): number {
    return lastStableOf(this.log, this.leader.highWatermark);
  }
}
