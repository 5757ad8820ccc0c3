// One partition that this hub holds a replica of, with everything that waits on it while it leads.
import type { Replica } from "../cluster/replica.ts";
import type { PartitionLog } from "../log/log.ts";
import { lastStableOf } from "../log/log_transactions.ts";
import type { BatchRules } from "./admission.ts";
import { FetchPlace, UnreadBytes, WriteQueue } from "./waiting_room.ts";

export class Partition {
  readonly topic: string;
  readonly log: PartitionLog;
  /** Decides who leads and what is committed; engine/replicas.ts does what it wants. */
  readonly replica: Replica;
  /** Where fetches wait that read up to the watermark. */
  readonly place = new FetchPlace();
  /** Where fetches wait that read committed records only: up to the last stable offset (KIP-98). */
  readonly stablePlace = new FetchPlace();
  /** Where the fetches of followers wait: they read up to the log's end. */
  readonly replicaPlace = new FetchPlace();
  /** acks=all: answered when the watermark passes. */
  readonly writes = new WriteQueue();
  /** acks=1: answered when this hub's own disk holds them, however many are in sync. */
  readonly ownWrites = new WriteQueue();
  /**
   * By producer: the last of its batches that waits for the word of the transaction coordinator. Bounded by what
   * requests may wait (limits.requestsInBytesMax).
   */
  readonly gated = new Map<number, Promise<unknown>>();
  /** By producer: whether its transaction was ended here while the coordinator was asked (KIP-890). */
  readonly guards = new Map<number, { ended: boolean }>();
  rules: BatchRules;
  /** Above the watermark. */
  readonly unread = new UnreadBytes();
  /** Above the last stable offset. */
  readonly unstable = new UnreadBytes();
  /** Where the last stable offset stood when readers were last told. */
  toldStable: number;
  /** This hub leads and its epoch is on its disk: produce may be taken. */
  leads: boolean;
  /** Set while leadership is being handed to another hub: nothing is taken meanwhile. Settles when that is over. */
  handover: Promise<void> | null = null;

  constructor(topic: string, log: PartitionLog, replica: Replica, rules: BatchRules, leads: boolean) {
    this.topic = topic;
    this.log = log;
    this.replica = replica;
    this.rules = rules;
    this.leads = leads;
    this.toldStable = this.lastStable;
  }

  /** The epoch this replica leads or follows in. */
  get epoch(): number {
    return this.replica.epoch;
  }

  get highWatermark(): number {
    return this.replica.highWatermark;
  }

  /** The last stable offset: never above the watermark. */
  get lastStable(): number {
    return lastStableOf(this.log, this.replica.highWatermark);
  }
}
