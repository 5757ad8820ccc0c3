// What a registry knows of a group, as last-write-wins parts: fences, merges, deletions that are remembered. Pure.
import type {
  CommitFence,
  CommitResult,
  CommittedOffset,
  GroupImage,
  ImageOffset,
  Position,
  StoredGroup,
} from "../io/registry.ts";

/** A group image that grows. `offsets` is keyed by `offsetKey`. */
export interface LiveImage {
  readonly group: string;
  fenceEpoch: number;
  record: StoredGroup | null;
  deleted: Position | null;
  readonly offsets: Map<string, ImageOffset>;
}

/** A group a registry has not heard of. */
export function newImage(group: string): LiveImage {
  return { group, fenceEpoch: -1, record: null, deleted: null, offsets: new Map() };
}

/** Topic ids hold no slash. */
export function offsetKey(topicId: string, partition: number): string {
  return `${topicId}/${partition}`;
}

/** Negative when `left` is older. */
export function comparePositions(left: Position, right: Position): number {
  return left.coordinatorEpoch - right.coordinatorEpoch || left.sequence - right.sequence;
}

function isNewer(position: Position, than: Position | null | undefined): boolean {
  return than === null || than === undefined || comparePositions(position, than) > 0;
}

/** Whether a commit or deletion of offsets may be stored. */
export function checkFence(image: LiveImage, fence: CommitFence): CommitResult {
  if (fence.coordinatorEpoch < image.fenceEpoch) return "stale-coordinator";
  if (!isNewer(fence, image.deleted)) return "stale-generation";
  if (fence.generation === -1 || fence.generation === image.record?.generation) return "stored";
  return "stale-generation";
}

/** Whether a group record may be stored; "stored" also when a newer one is there already. */
export function checkRecord(image: LiveImage, stored: StoredGroup): CommitResult {
  if (stored.coordinatorEpoch < image.fenceEpoch) return "stale-coordinator";
  if (!isNewer(stored, image.deleted)) return "stale-generation";
  const before = image.record;
  // A new coordinator that began from an older copy counts its generations from there.
  const comparable = before !== null && before.coordinatorEpoch === stored.coordinatorEpoch;
  if (comparable && isNewer(stored, before) && stored.generation < before.generation) return "stale-generation";
  return "stored";
}

/** Takes the record if it is newer; true when something changed. */
export function putRecord(image: LiveImage, stored: StoredGroup): boolean {
  if (!isNewer(stored, image.deleted) || !isNewer(stored, image.record)) return false;
  image.record = stored;
  raise(image, stored.coordinatorEpoch);
  return true;
}

/** Takes one offset or its deletion if it is newer; true when something changed. */
export function putOffset(image: LiveImage, offset: ImageOffset): boolean {
  const key = offsetKey(offset.topicId, offset.partition);
  if (!isNewer(offset.position, image.deleted) || !isNewer(offset.position, image.offsets.get(key)?.position)) {
    return false;
  }
  image.offsets.set(key, offset);
  raise(image, offset.position.coordinatorEpoch);
  return true;
}

/** Removes all that is not newer than `deleted` and remembers it; returns the keys of the offsets that went. */
export function deleteUpTo(image: LiveImage, deleted: Position): string[] {
  if (!isNewer(deleted, image.deleted)) return [];
  const { coordinatorEpoch, sequence } = deleted;
  image.deleted = { coordinatorEpoch, sequence };
  raise(image, coordinatorEpoch);
  if (image.record !== null && !isNewer(image.record, deleted)) image.record = null;
  const gone = [...image.offsets].filter(([, offset]) => !isNewer(offset.position, deleted)).map(([key]) => key);
  for (const key of gone) image.offsets.delete(key);
  return gone;
}

/** Forgets the oldest deletions of offsets beyond `max`; returns their keys. */
export function trimTombstones(image: LiveImage, max: number): string[] {
  const dead = [...image.offsets].filter(([, offset]) => offset.value === null);
  if (dead.length <= max) return [];
  dead.sort(([, left], [, right]) => comparePositions(left.position, right.position));
  const keys = dead.slice(0, dead.length - max).map(([key]) => key);
  for (const key of keys) image.offsets.delete(key);
  return keys;
}

function raise(image: LiveImage, epoch: number): void {
  image.fenceEpoch = Math.max(image.fenceEpoch, epoch);
}

/** True when nothing is left but the memory of a deletion. */
export function isGone(image: GroupImage): boolean {
  return image.record === null && image.deleted !== null && image.offsets.length === 0;
}

/** The image as others see it. */
export function imageOf(live: LiveImage): GroupImage {
  const { group, fenceEpoch, record, deleted } = live;
  return { group, fenceEpoch, record, deleted, offsets: [...live.offsets.values()] };
}

/** An image as a live one, to merge others into. */
export function liveOf(image: GroupImage): LiveImage {
  const live = newImage(image.group);
  mergeInto(live, image);
  return live;
}

/** What a merge changed. */
export interface Merged {
  /** Record or deletion changed. */
  readonly head: boolean;
  readonly changed: readonly ImageOffset[];
  readonly gone: readonly string[];
}

/** Takes over what is newer in `other`, part by part. */
export function mergeInto(image: LiveImage, other: GroupImage): Merged {
  const deletedNewer = other.deleted !== null && isNewer(other.deleted, image.deleted);
  const gone = other.deleted === null ? [] : deleteUpTo(image, other.deleted);
  const recordNewer = other.record !== null && putRecord(image, other.record);
  const changed = other.offsets.filter((offset) => putOffset(image, offset));
  raise(image, other.fenceEpoch);
  return { head: deletedNewer || recordNewer, changed, gone };
}

/** What of `image` is newer than in `other` and has to be pushed there; null when nothing is. */
export function newerParts(image: GroupImage, other: GroupImage | undefined): GroupImage | null {
  if (other === undefined) return image;
  const live = liveOf(other);
  const { head, changed } = mergeInto(live, image);
  if (!head && changed.length === 0) return null;
  const { record, deleted } = image;
  return { group: image.group, fenceEpoch: image.fenceEpoch, record, deleted, offsets: changed };
}

/** Offsets of a commit as parts of an image. */
export function partsOf(fence: CommitFence, offsets: readonly CommittedOffset[]): ImageOffset[] {
  const position = positionOf(fence);
  return offsets.map((value) => ({ topicId: value.topicId, partition: value.partition, position, value }));
}

/** Deletions of offsets as parts of an image. */
export function deletionsOf(
  fence: CommitFence,
  partitions: readonly { readonly topicId: string; readonly partition: number }[],
): ImageOffset[] {
  const position = positionOf(fence);
  return partitions.map(({ topicId, partition }) => ({ topicId, partition, position, value: null }));
}

/** The position alone. */
export function positionOf({ coordinatorEpoch, sequence }: Position): Position {
  return { coordinatorEpoch, sequence };
}
