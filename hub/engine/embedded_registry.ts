// The lone hub's registry: groups and offsets as facts of the hub's journal, one fact a partition, one put a commit.
import type { LiveImage } from "../groups/image.ts";
import {
  checkFence,
  checkRecord,
  comparePositions,
  deleteUpTo,
  deletionsOf,
  imageOf,
  isGone,
  mergeInto,
  newImage,
  partsOf,
  positionOf,
  putOffset,
  putRecord,
  trimTombstones,
} from "../groups/image.ts";
import type {
  CommitFence,
  CommitResult,
  CommittedOffset,
  FactStore,
  GroupImage,
  ImageOffset,
  MergeableRegistry,
  Position,
  StoredGroup,
} from "../io/registry.ts";
import { limits } from "../limits.ts";

// Facts (see hub/README.md):
//   groups/epoch                    text of the highest coordinator epoch that was begun
//   groups/m/<group>                one line of JSON {e,s,g,de,ds}, then the group record's bytes
//   groups/o/<group>/<topic>/<p>    JSON [1, epoch, sequence, offset, leaderEpoch, metadata, committedAt, topic name];
//                                   without what follows the sequence: deleted
// <group> is the URI-encoded group id, <topic> a topic id.
const epochFact = "groups/epoch";
const headPrefix = "groups/m/";
const offsetPrefix = "groups/o/";

type Fact = readonly [string, Uint8Array | null];
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Told of a deleted group whose memory was dropped for the bound's sake. */
export type Forgotten = (group: string, deleted: Position) => void;

/** Opens the registry over `facts`; `forgotten` is for whoever mirrors it. */
export function openEmbeddedRegistry(facts: FactStore, forgotten: Forgotten = () => {}): MergeableRegistry {
  return new EmbeddedRegistry(facts, forgotten);
}

class EmbeddedRegistry implements MergeableRegistry {
  readonly kind = "embedded";
  readonly #facts: FactStore;
  readonly #forgotten: Forgotten;
  readonly #images = new Map<string, LiveImage>();
  /** Groups of which only the deletion is known, oldest first. */
  readonly #gone = new Set<string>();

  constructor(facts: FactStore, forgotten: Forgotten) {
    this.#facts = facts;
    this.#forgotten = forgotten;
    for (const [key, value] of facts.entries(headPrefix)) readHead(this.#image(groupOfKey(key)), value);
    for (const [key, value] of facts.entries(offsetPrefix)) {
      const image = this.#image(groupOfKey(key));
      const offset = readOffset(key, value);
      if (offset !== null) putOffset(image, offset);
    }
    const gone = [...this.#images.values()].filter((image) => isGone(imageOf(image)));
    gone.sort((left, right) => comparePositions(left.deleted ?? nowhere, right.deleted ?? nowhere));
    for (const image of gone) this.#gone.add(image.group);
  }

  state(): "up" {
    return "up";
  }

  async beginEpoch(atLeast: number): Promise<number> {
    const stored = this.#facts.get(epochFact);
    let highest = stored === undefined ? -1 : Number(decoder.decode(stored));
    for (const image of this.#images.values()) highest = Math.max(highest, image.fenceEpoch);
    const epoch = Math.max(atLeast, highest + 1);
    await this.#facts.put([[epochFact, encoder.encode(String(epoch))]]);
    return epoch;
  }

  async loadGroups(): Promise<GroupImage[]> {
    return [...this.#images.values()].map(imageOf);
  }

  async storeGroup(group: StoredGroup): Promise<CommitResult> {
    const image = this.#images.get(group.group) ?? newImage(group.group);
    const result = checkRecord(image, group);
    if (result === "stored" && putRecord(image, group)) await this.#put(image, true, []);
    return result;
  }

  async commitOffsets(fence: CommitFence, offsets: readonly CommittedOffset[]): Promise<CommitResult> {
    return this.#write(fence, partsOf(fence, offsets));
  }

  async deleteOffsets(
    fence: CommitFence,
    partitions: readonly { readonly topicId: string; readonly partition: number }[],
  ): Promise<CommitResult> {
    return this.#write(fence, deletionsOf(fence, partitions));
  }

  async #write(fence: CommitFence, parts: readonly ImageOffset[]): Promise<CommitResult> {
    const image = this.#images.get(fence.group) ?? newImage(fence.group);
    const result = checkFence(image, fence);
    if (result !== "stored") return result;
    const keys = parts.filter((part) => putOffset(image, part)).map((part) => keyOf(part));
    const trimmed = parts.some((part) => part.value === null) ? trimTombstones(image, limits.offsetTombstonesMax) : [];
    if (keys.length > 0) await this.#put(image, false, [...keys, ...trimmed]);
    return "stored";
  }

  async deleteGroup(fence: CommitFence): Promise<CommitResult> {
    const image = this.#images.get(fence.group) ?? newImage(fence.group);
    if (fence.coordinatorEpoch < image.fenceEpoch) return "stale-coordinator";
    const before = image.deleted;
    const keys = deleteUpTo(image, positionOf(fence));
    if (image.deleted !== before) await this.#put(image, true, keys);
    return "stored";
  }

  async merge(other: GroupImage): Promise<void> {
    const image = this.#images.get(other.group) ?? newImage(other.group);
    const { head, changed, gone } = mergeInto(image, other);
    const trimmed = trimTombstones(image, limits.offsetTombstonesMax);
    const keys = [...changed.map(keyOf), ...gone, ...trimmed];
    if (head || keys.length > 0) await this.#put(image, head, keys);
  }

  async forget(group: string, deleted: Position): Promise<void> {
    const image = this.#images.get(group);
    if (image === undefined || image.deleted === null || !isGone(imageOf(image))) return;
    if (comparePositions(image.deleted, deleted) > 0) return;
    this.#images.delete(group);
    this.#gone.delete(group);
    await this.#facts.put([[headKey(group), null]]);
  }

  async close(): Promise<void> {}

  #image(group: string): LiveImage {
    const image = this.#images.get(group) ?? newImage(group);
    this.#images.set(group, image);
    return image;
  }

  /** Stores what an image has under these keys; when the disk refuses, the image goes back to what the facts say. */
  async #put(image: LiveImage, head: boolean, keys: readonly string[]): Promise<void> {
    this.#images.set(image.group, image);
    const facts: Fact[] = keys.map((key) => offsetFact(image, key));
    if (head) facts.push([headKey(image.group), writeHead(image)]);
    this.#gone.delete(image.group);
    if (isGone(imageOf(image))) {
      this.#gone.add(image.group);
      this.#dropOldest(facts);
    }
    try {
      await this.#facts.put(facts);
    } catch (error) {
      this.#reread(image, keys);
      throw error;
    }
  }

  #dropOldest(facts: Fact[]): void {
    for (const group of this.#gone) {
      if (this.#gone.size <= limits.groupTombstonesMax) return;
      const deleted = this.#images.get(group)?.deleted ?? nowhere;
      this.#gone.delete(group);
      this.#images.delete(group);
      facts.push([headKey(group), null]);
      this.#forgotten(group, deleted);
    }
  }

  #reread(image: LiveImage, keys: readonly string[]): void {
    const head = this.#facts.get(headKey(image.group));
    image.record = null;
    image.deleted = null;
    if (head !== undefined) readHead(image, head);
    for (const key of keys) {
      const name = `${offsetPrefix}${groupKey(image.group)}/${key}`;
      const value = this.#facts.get(name);
      const offset = value === undefined ? null : readOffset(name, value);
      if (offset === null) image.offsets.delete(key);
      else image.offsets.set(key, offset);
    }
    if (!isGone(imageOf(image))) this.#gone.delete(image.group);
  }
}

const nowhere: Position = { coordinatorEpoch: -1, sequence: -1 };

function keyOf(part: ImageOffset): string {
  return `${part.topicId}/${part.partition}`;
}

/** A lone surrogate cannot be encoded; the wire never brings one. */
function groupKey(group: string): string {
  return encodeURIComponent(group.replace(/\p{Surrogate}/gu, "\uFFFD"));
}

function headKey(group: string): string {
  return headPrefix + groupKey(group);
}

function groupOfKey(key: string): string {
  return decodeURIComponent(key.split("/")[2] ?? "");
}

function writeHead(image: LiveImage): Uint8Array {
  const { record, deleted } = image;
  const head = {
    v: 1,
    ...(record === null ? {} : { e: record.coordinatorEpoch, s: record.sequence, g: record.generation }),
    ...(deleted === null ? {} : { de: deleted.coordinatorEpoch, ds: deleted.sequence }),
  };
  const line = encoder.encode(`${JSON.stringify(head)}\n`);
  const bytes = new Uint8Array(line.length + (record?.record.length ?? 0));
  bytes.set(line);
  if (record !== null) bytes.set(record.record, line.length);
  return bytes;
}

function readHead(image: LiveImage, bytes: Uint8Array): void {
  const end = bytes.indexOf(10);
  const head = JSON.parse(decoder.decode(bytes.subarray(0, end))) as Record<string, number | undefined>;
  if (head["de"] !== undefined && head["ds"] !== undefined) {
    deleteUpTo(image, { coordinatorEpoch: head["de"], sequence: head["ds"] });
  }
  if (head["e"] === undefined || head["s"] === undefined || head["g"] === undefined) return;
  putRecord(image, {
    group: image.group,
    coordinatorEpoch: head["e"],
    sequence: head["s"],
    generation: head["g"],
    record: bytes.slice(end + 1),
  });
}

function offsetFact(image: LiveImage, key: string): Fact {
  const name = `${offsetPrefix}${groupKey(image.group)}/${key}`;
  const part = image.offsets.get(key);
  if (part === undefined) return [name, null];
  const { position, value } = part;
  const columns: (string | number)[] = [1, position.coordinatorEpoch, position.sequence];
  if (value !== null) columns.push(value.offset, value.leaderEpoch, value.metadata, value.committedAt, value.topic);
  return [name, encoder.encode(JSON.stringify(columns))];
}

type OffsetColumns = readonly [1, number, number, number?, number?, string?, number?, string?];

function readOffset(key: string, bytes: Uint8Array): ImageOffset | null {
  const [, , , topicId = "", number] = key.split("/");
  const columns = JSON.parse(decoder.decode(bytes)) as OffsetColumns;
  const [, coordinatorEpoch, sequence, offset, leaderEpoch = -1, metadata = "", committedAt = 0, topic = ""] = columns;
  const partition = Number(number);
  const value = offset === undefined ? null : { topicId, topic, partition, offset, leaderEpoch, metadata, committedAt };
  return { topicId, partition, position: { coordinatorEpoch, sequence }, value };
}
