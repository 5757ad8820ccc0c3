// The Registry port: where committed offsets and group records live (Redis, or the lone hub's journal). Types only.
import type { Millis } from "./ports.ts";

/** Small named state that survives power cuts. A lone hub keeps it in its journal (storage.md section 2). */
export interface FactStore {
  get(key: string): Uint8Array | undefined;
  /** Keys and values whose key starts with `prefix`, in no particular order. */
  entries(prefix: string): Iterable<readonly [string, Uint8Array]>;
  /**
   * Stores all or nothing (null removes); visible to `get` at once, durable when the promise resolves.
   * Rejects with HubError KAFKA_STORAGE_ERROR when the disk is full or failed.
   */
  put(facts: readonly (readonly [string, Uint8Array | null])[]): Promise<void>;
}

/** A committed position: the offset of the next record a group wants from one partition. */
export interface CommittedOffset {
  readonly topicId: string;
  readonly topic: string;
  readonly partition: number;
  /** >= 0 */
  readonly offset: number;
  /** -1 when unknown. */
  readonly leaderEpoch: number;
  /** Opaque to the hub; round-trips (Streams keeps partition time in it). <= `offsetMetadataBytesMax`. */
  readonly metadata: string;
  /** Wall clock of the commit; informative. */
  readonly committedAt: Millis;
}

/** What fences a commit: refused when the stored group is of a newer coordinator epoch or another generation. */
export interface CommitFence {
  readonly group: string;
  readonly coordinatorEpoch: number;
  /** -1 for a commit of a consumer outside any generation (allowed by the coordinator while the group is empty). */
  readonly generation: number;
  /** Grows with each commit of one coordinator epoch; (coordinatorEpoch, sequence) orders commits. */
  readonly sequence: number;
}

export type CommitResult = "stored" | "stale-coordinator" | "stale-generation";

/** The group as it must survive its coordinator: stored before SyncGroup answers. Opaque bytes, made by groups/. */
export interface StoredGroup {
  readonly group: string;
  readonly coordinatorEpoch: number;
  readonly generation: number;
  readonly record: Uint8Array;
}

export interface LoadedGroup extends StoredGroup {
  readonly offsets: readonly CommittedOffset[];
  /** Highest sequence stored for `coordinatorEpoch`. */
  readonly sequence: number;
}

/**
 * Promises of every implementation (test/conformance/registry_conformance.ts):
 * - a resolved write is read back by every later `loadGroups`, in this process and after kill -9;
 * - a commit is stored whole or not at all, and only when its fence holds;
 * - of two commits the higher (coordinatorEpoch, sequence) wins, whatever order they arrive in;
 * - writes may be repeated: the same (coordinatorEpoch, sequence) again answers "stored" and changes nothing;
 * - nothing expires by itself.
 */
export interface Registry {
  readonly kind: "embedded" | "redis";
  /** "down" while the far side cannot be reached; reads and writes go on from the journal then. */
  state(): "up" | "down";
  /** All groups with their offsets. */
  loadGroups(): Promise<LoadedGroup[]>;
  storeGroup(group: StoredGroup): Promise<CommitResult>;
  commitOffsets(fence: CommitFence, offsets: readonly CommittedOffset[]): Promise<CommitResult>;
  /** Removes single offsets (topic deletion, OffsetDelete, expiry). */
  deleteOffsets(
    fence: CommitFence,
    partitions: readonly { readonly topicId: string; readonly partition: number }[],
  ): Promise<CommitResult>;
  /** Removes the group and its offsets; later commits of a lower (coordinatorEpoch, sequence) stay refused. */
  deleteGroup(fence: CommitFence): Promise<CommitResult>;
  close(): Promise<void>;
}
