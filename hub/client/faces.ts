// The faces of a client of the hub: Producer, Consumer, Admin. Types only; bridge, subscribers and cli hold these.
import type { HubError } from "../errors.ts";
import type { CopySource } from "../record/builder.ts";

/** One header; keys repeat and keep their order. */
export interface Header {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** What a producer sends. */
export interface OutRecord {
  readonly key: Uint8Array | null;
  /** null is a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers?: readonly Header[];
  /** CreateTime in ms since the epoch; the wall clock when left out. */
  readonly timestamp?: number;
  /** Chosen by murmur2(key), or round-robin without a key, when left out (kafka.md section 3, client side). */
  readonly partition?: number;
}

/** What a consumer gets. */
export interface InRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly Header[];
}

export type Acks = 0 | 1 | -1;

export interface ProducerOptions {
  /** -1 (all) when left out. */
  readonly acks?: Acks;
  /** Sequence numbers against doubling on retry; true when left out and acks is -1. */
  readonly idempotent?: boolean;
  /** Milliseconds a batch waits for company; 0 (the end of the turn) when left out. */
  readonly lingerMs?: number;
  readonly batchBytes?: number;
}

/** Called once per record: with the offset when the record is committed at the producer's acks, else with the error. */
export type Delivered = (error: Error | null, offset: number, partition: number) => void;

/** What many records share: topic, key and headers, encoded once. Made by a producer, for that producer. */
export interface Prepared {
  readonly topic: string;
}

/**
 * Sends records. Records for one partition keep the order of the `send` calls.
 * A send beyond `clientBufferBytesMax` of unsent bytes is answered with an error, never queued without bound:
 * ask `bufferedBytes` before and wait for `whenDrained`.
 */
export interface Producer {
  /** Takes the record now (synchronously, in order); `delivered` is called later, never within the call. */
  send(topic: string, record: OutRecord, delivered?: Delivered): void;
  /** For `sendPrepared`. Throws INVALID_RECORD for too many headers. */
  prepare(topic: string, key: Uint8Array, headers: readonly Header[]): Prepared;
  /** As `send` of a record with that key and those headers and the value `bytes[start, end)`, which is copied. */
  sendPrepared(prepared: Prepared, bytes: CopySource, start: number, end: number, delivered: Delivered): void;
  /** As `send`, as a promise. */
  publish(topic: string, record: OutRecord): Promise<{ readonly partition: number; readonly offset: number }>;
  /** Bytes taken and not yet answered. */
  bufferedBytes(): number;
  /** Resolves when `bufferedBytes` is below half of its bound. */
  whenDrained(): Promise<void>;
  /** Resolves when everything taken so far is answered. */
  flush(): Promise<void>;
  /** Flushes, then closes. */
  close(): Promise<void>;
}

/** Who a batch is from, against doubling (KIP-98). */
export interface Identity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/**
 * Appends batches under identities that outlive the process: whoever knows what a batch was appended under, and is not
 * told whether it was, appends it again.
 */
export interface Appender {
  /** A producer id that nobody has, at epoch 0. An epoch is for one batch. */
  identity(): Promise<Identity>;
  /** The partition of a record; waits for a topic that is being made. */
  partitionOf(topic: string, record: OutRecord): Promise<number>;
  /**
   * Resolves when the records are committed, as one batch, by this call or by an earlier one under the identity. That
   * holds as long as the log remembers the identity; a higher epoch of it there means that this batch is in the log.
   * @throws HubError: nobody knows where it is retriable, and refused where it is not
   */
  append(at: TopicPartition, identity: Identity, records: readonly OutRecord[]): Promise<void>;
  close(): Promise<void>;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** Where to begin when there is no committed offset, or for `assign`: a time is ms since the epoch. */
export type StartAt = "earliest" | "latest" | { readonly time: number } | { readonly offset: number };

export interface ConsumerOptions {
  /** Group id; without it the consumer is assigned by hand and does not commit. */
  readonly group?: string;
  readonly clientId?: string;
  /** A name that outlives restarts: the member keeps its partitions while it is away (KIP-345). */
  readonly instanceId?: string;
  /** "latest" when left out. */
  readonly from?: StartAt;
  /** "read_committed" leaves out the records of open and aborted transactions; all are read when left out (KIP-98). */
  readonly isolation?: "read_uncommitted" | "read_committed";
  readonly sessionTimeoutMs?: number;
  readonly fetchWaitMs?: number;
  readonly fetchBytesMax?: number;
  /** Called when partitions are taken away, before they are given to another; commit here. */
  readonly onRevoked?: (partitions: readonly TopicPartition[]) => Promise<void> | void;
  readonly onAssigned?: (partitions: readonly TopicPartition[]) => Promise<void> | void;
  /**
   * Called when the offset asked for is not in the log (any more): reading goes on at the nearest one that is. When
   * left out it goes on at `from`.
   */
  readonly onMoved?: (at: TopicPartition, wanted: number, next: number) => void;
  /** Called for a batch that cannot be opened, which is left out then; when left out `poll` rejects. */
  readonly onBroken?: (at: TopicPartition, offset: number, error: HubError) => void;
}

/** Records of one partition, in order, as one fetch gave them; none where it gave markers or left-out ones only. */
export interface InBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly InRecord[];
  /** Offset after the last record (control batches and gaps included): what to commit when all are handled. */
  readonly nextOffset: number;
  readonly highWatermark: number;
}

/** Reads records. `poll` is called by one caller at a time. */
export interface Consumer {
  /** Joins the group for these topics (they need not exist yet). */
  subscribe(topics: readonly string[]): Promise<void>;
  /** Reads these partitions, all of a topic when `partition` is left out, from a place each; no group. */
  assign(topics: readonly { topic: string; partition?: number; from?: StartAt }[]): Promise<void>;
  /** Reads these too, from an offset each (anew if they are read already), without asking anybody; no group. */
  add(places: readonly (TopicPartition & { readonly offset: number })[]): void;
  /** Reads these no longer. */
  remove(partitions: readonly TopicPartition[]): void;
  /** The next batches; empty when nothing came within `waitMs`. Rejects after `close` or on a fatal HubError. */
  poll(waitMs: number): Promise<InBatch[]>;
  /** Partitions held at this moment. */
  assignment(): readonly TopicPartition[];
  /** Commits next offsets for the group; rejects with ILLEGAL_GENERATION and the like when the member was replaced. */
  commit(offsets: readonly (TopicPartition & { readonly offset: number; readonly metadata?: string })[]): Promise<void>;
  seek(partition: TopicPartition, at: StartAt): Promise<void>;
  /** Stops fetching these partitions until `resume`. */
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
  /** Leaves the group, then closes; a `poll` under way resolves empty. */
  close(): Promise<void>;
}

export interface TopicDescription {
  readonly name: string;
  readonly topicId: string;
  readonly internal: boolean;
  readonly partitions: readonly {
    readonly partition: number;
    readonly leader: number;
    readonly leaderEpoch: number;
    readonly replicas: readonly number[];
    readonly inSync: readonly number[];
  }[];
}

export interface GroupDescription {
  readonly group: string;
  readonly state: string;
  readonly protocolType: string;
  readonly protocol: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly clientId: string;
    readonly clientHost: string;
    readonly assignment: readonly TopicPartition[];
  }[];
}

export interface PartitionOffset extends TopicPartition {
  readonly offset: number;
}

export interface ConfigEntry {
  readonly name: string;
  readonly value: string | null;
  readonly isDefault: boolean;
  readonly readOnly: boolean;
  readonly documentation: string | null;
}

export interface ClusterDescription {
  readonly clusterId: string;
  /** -1 while there is none. */
  readonly controller: number;
  readonly hubs: readonly {
    readonly hub: number;
    readonly host: string;
    readonly port: number;
    readonly rack: string | null;
    readonly alive: boolean;
  }[];
}

/** What a hub's disk holds. */
export interface FolderDescription {
  readonly path: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly logBytes: number;
  readonly replicas: number;
}

/** A partition whose replicas are changing. */
export interface MoveDescription extends TopicPartition {
  readonly replicas: readonly number[];
  readonly adding: readonly number[];
  readonly removing: readonly number[];
}

/** Hubs, elections and moves of replicas. Every method rejects with a HubError that names the code. */
export interface ClusterAdmin {
  describe(): Promise<ClusterDescription>;
  folder(hub: number): Promise<FolderDescription>;
  /** Of each partition NONE, ELECTION_NOT_NEEDED, or why not. `to`: that hub leads in place of the preferred one. */
  elect(
    kind: "preferred" | "unclean",
    places: readonly TopicPartition[],
    to?: number | null,
  ): Promise<(TopicPartition & { readonly error: string; readonly message: string | null })[]>;
  /** Hubs of each partition from now on, the preferred leader first; null calls off. Resolves when it is asked for. */
  reassign(moves: readonly (TopicPartition & { readonly hubs: readonly number[] | null })[]): Promise<void>;
  reassignments(): Promise<MoveDescription[]>;
  /** null when it is done; else what is left to do: ask again. */
  leave(hub: number, how: "remove" | "drain" | "return" | "replace"): Promise<string | null>;
}

/** Looks and changes. Every method rejects with a HubError that names the code. */
export interface Admin {
  cluster(): ClusterAdmin;
  topics(names?: readonly string[]): Promise<TopicDescription[]>;
  createTopic(
    name: string,
    options?: {
      readonly partitions?: number;
      readonly replicationFactor?: number;
      readonly configs?: Readonly<Record<string, string>>;
      readonly validateOnly?: boolean;
    },
  ): Promise<void>;
  deleteTopic(name: string): Promise<void>;
  createPartitions(name: string, count: number): Promise<void>;
  topicConfigs(name: string): Promise<ConfigEntry[]>;
  /** null removes the topic's own value. */
  alterTopicConfigs(name: string, changes: Readonly<Record<string, string | null>>): Promise<void>;
  groups(): Promise<{ readonly group: string; readonly state: string; readonly protocolType: string }[]>;
  describeGroup(group: string): Promise<GroupDescription>;
  deleteGroup(group: string): Promise<void>;
  /** Committed offsets, with their metadata where any were given. */
  groupOffsets(group: string): Promise<(PartitionOffset & { readonly metadata?: string })[]>;
  /** Sets committed offsets of an empty group. */
  setGroupOffsets(group: string, offsets: readonly PartitionOffset[]): Promise<void>;
  /** Offsets at a place: log start, high watermark, or the first record at or after a time (-1 when none). */
  offsets(
    partitions: readonly TopicPartition[],
    at: StartAt,
  ): Promise<(PartitionOffset & { readonly timestamp: number })[]>;
  close(): Promise<void>;
}

/** What `connect` gives: clients of one hub or cluster, with or without a socket in between. */
export interface HubClient {
  producer(options?: ProducerOptions): Producer;
  appender(): Appender;
  consumer(options?: ConsumerOptions): Consumer;
  admin(): Admin;
  close(): Promise<void>;
}
