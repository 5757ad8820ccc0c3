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

/** Where a write stands among all writes of a group: by coordinatorEpoch, then by sequence. Never by wall time. */
export interface Position {
  readonly coordinatorEpoch: number;
  readonly sequence: number;
}

/** The group as it must survive its coordinator: stored before SyncGroup answers. Opaque bytes, made by groups/. */
export interface StoredGroup extends Position {
  readonly group: string;
  readonly generation: number;
  readonly record: Uint8Array;
}

/** One partition of a group as a registry keeps it; `value` null: deleted at `position`. */
export interface ImageOffset {
  readonly topicId: string;
  readonly partition: number;
  readonly position: Position;
  readonly value: CommittedOffset | null;
}

/**
 * All a registry knows of one group. Each part is a last-write-wins register ordered by its position, so two images
 * merge part by part, in any order and any number of times, to the same result. What stands at or below `deleted` is
 * gone; a group that was deleted and not made anew has no record, no offsets, and `deleted`.
 */
export interface GroupImage {
  readonly group: string;
  /** Highest coordinatorEpoch that wrote; lower ones are refused. */
  readonly fenceEpoch: number;
  /** null: only offsets were ever committed. */
  readonly record: StoredGroup | null;
  readonly deleted: Position | null;
  readonly offsets: readonly ImageOffset[];
}

/**
 * Promises of every implementation (test/conformance/registry_conformance.ts):
 * - a resolved write is read back by every later `loadGroups`, in this process and after kill -9;
 * - a commit is stored whole or not at all, and only when its fence holds: no newer coordinator epoch has written, and
 *   the generation is that of the stored group or -1;
 * - of two writes to one part the higher (coordinatorEpoch, sequence) wins, whatever order they arrive in;
 * - writes may be repeated: the same (coordinatorEpoch, sequence) again answers "stored" and changes nothing;
 * - nothing expires by itself. Deletions are remembered, at least the last `groupTombstonesMax` groups and
 *   `offsetTombstonesMax` offsets of a group.
 */
export interface Registry {
  readonly kind: "embedded" | "redis";
  /** "down" while the far side cannot be reached; reads and writes go on from the journal then. */
  state(): "up" | "down";
  /**
   * Reserves a coordinator epoch >= `atLeast` above all that this registry has seen, durably. A coordinator calls it
   * before `loadGroups`; what an earlier one still has under way is refused from its first write to a group on.
   */
  beginEpoch(atLeast: number): Promise<number>;
  /** All groups with their offsets, deleted ones included. */
  loadGroups(): Promise<GroupImage[]>;
  storeGroup(group: StoredGroup): Promise<CommitResult>;
  commitOffsets(fence: CommitFence, offsets: readonly CommittedOffset[]): Promise<CommitResult>;
  /** Removes single offsets (topic deletion, OffsetDelete, expiry). */
  deleteOffsets(
    fence: CommitFence,
    partitions: readonly { readonly topicId: string; readonly partition: number }[],
  ): Promise<CommitResult>;
  /** Removes the group and its offsets; later writes of a lower (coordinatorEpoch, sequence) stay without effect. */
  deleteGroup(fence: CommitFence): Promise<CommitResult>;
  close(): Promise<void>;
}

/** A registry that can take over what another one knows. */
export interface MergeableRegistry extends Registry {
  /** Merges part by part; parts that are not newer change nothing. Fences do not apply. */
  merge(image: GroupImage): Promise<void>;
  /** Drops the memory of a deleted group, if nothing of it is newer than `deleted`. */
  forget(group: string, deleted: Position): Promise<void>;
}

/** A registry on another machine, which can be away, be emptied, or come back older than it was. */
export interface RemoteRegistry extends MergeableRegistry {
  /** Calls `listener` at each change between reachable (and fit for use) and not. */
  watch(listener: (up: boolean) => void): void;
  /**
   * Leaves `position` as a mark that later probes look for. False: the mark of the probe before is not there, so the
   * far side was emptied or put back to an earlier state.
   * @param scope names the mark, where several coordinators share the far side
   */
  probe(position: Position, scope?: string): Promise<boolean>;
}
