// The registry on a Redis server: each change is one Lua call, fenced by epoch, generation and sequence.
import { Buffer } from "node:buffer";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import type { Clock } from "./ports.ts";
import { newRedis } from "./redis_connection.ts";
import { type RedisArgument, RedisLink } from "./redis_link.ts";
import * as scripts from "./redis_scripts.ts";
import type {
  CommitFence,
  CommitResult,
  CommittedOffset,
  GroupImage,
  ImageOffset,
  Position,
  RemoteRegistry,
  StoredGroup,
} from "./registry.ts";

export interface RedisRegistryOptions {
  readonly url: string;
  /** Part of every key. */
  readonly clusterId: string;
  readonly clock: Clock;
  readonly trace: Trace;
  /** How connections are made; the library's when left out. */
  readonly connect?: typeof newRedis;
}

const groupsPerLoad = 100;

/**
 * Connects and goes on connecting for as long as it is open. Resolves once Redis answered or did not within
 * `redisReconnectMsMax`; it is "down" then, and every call rejects with COORDINATOR_NOT_AVAILABLE at once.
 * @throws HubError INVALID_CONFIG for a wrong URL, or when Redis may evict keys (maxmemory-policy)
 */
export async function openRedisRegistry(options: RedisRegistryOptions): Promise<RemoteRegistry> {
  const registry = new RedisRegistry(options);
  try {
    await registry.firstAnswer();
    return registry;
  } catch (error) {
    await registry.close();
    throw error;
  }
}

class RedisRegistry implements RemoteRegistry {
  readonly kind = "redis";
  readonly #link: RedisLink;
  readonly #keys: string;
  /** Groups that are in the index since this connection was made. */
  readonly #indexed = new Set<string>();
  /** Marks that were left, by their scope. */
  readonly #marks = new Map<string, string>();

  constructor({ url, clusterId, clock, trace, connect = newRedis }: RedisRegistryOptions) {
    this.#keys = `hub:{${clusterId}:`;
    this.#link = new RedisLink({ url, scripts, name: "redis", clock, trace, connect });
    this.watch((up) => {
      if (!up) return;
      this.#indexed.clear();
      this.#marks.clear();
    });
  }

  firstAnswer(): Promise<void> {
    return this.#link.firstAnswer();
  }

  state(): "up" | "down" {
    return this.#link.state();
  }

  watch(listener: (up: boolean) => void): void {
    this.#link.watch(listener);
  }

  async beginEpoch(atLeast: number): Promise<number> {
    return Number(await this.#run("beginEpoch", [this.#markKey()], [atLeast]));
  }

  async probe({ coordinatorEpoch, sequence }: Position, scope = ""): Promise<boolean> {
    const mark = `${coordinatorEpoch} ${sequence}`;
    const before = this.#marks.get(scope) ?? "";
    const there = Number(await this.#run("probe", [this.#markKey()], [before, mark, `mark${scope}`])) === 1;
    this.#marks.set(scope, mark);
    if (!there) this.#indexed.clear();
    return there;
  }

  async storeGroup(group: StoredGroup): Promise<CommitResult> {
    const { coordinatorEpoch, sequence, generation, record } = group;
    return this.#change("storeGroup", group.group, [coordinatorEpoch, sequence, generation, asBuffer(record)]);
  }

  async commitOffsets(fence: CommitFence, offsets: readonly CommittedOffset[]): Promise<CommitResult> {
    return this.#commit(
      fence,
      offsets.flatMap((offset) => [fieldOf(offset), columnsOf(offset)]),
    );
  }

  async deleteOffsets(
    fence: CommitFence,
    partitions: readonly { readonly topicId: string; readonly partition: number }[],
  ): Promise<CommitResult> {
    return this.#commit(
      fence,
      partitions.flatMap((partition) => [fieldOf(partition), ""]),
    );
  }

  #commit(fence: CommitFence, fields: readonly string[]): Promise<CommitResult> {
    const { coordinatorEpoch, sequence, generation } = fence;
    const head = [coordinatorEpoch, sequence, generation, limits.offsetTombstonesMax];
    return this.#change("commitOffsets", fence.group, [...head, ...fields]);
  }

  async deleteGroup(fence: CommitFence): Promise<CommitResult> {
    return this.#change("deleteGroup", fence.group, [fence.coordinatorEpoch, fence.sequence]);
  }

  async merge(image: GroupImage): Promise<void> {
    const { fenceEpoch, record, deleted } = image;
    const head = [
      fenceEpoch,
      ...(deleted === null ? ["", ""] : [deleted.coordinatorEpoch, deleted.sequence]),
      ...(record === null
        ? ["", "", "", ""]
        : [record.coordinatorEpoch, record.sequence, record.generation, asBuffer(record.record)]),
      limits.offsetTombstonesMax,
    ];
    await this.#change("mergeGroup", image.group, [...head, ...image.offsets.flatMap(fieldAndValue)]);
  }

  async forget(group: string, { coordinatorEpoch, sequence }: Position): Promise<void> {
    const forgotten = await this.#run("forgetGroup", this.#groupKeys(group), [coordinatorEpoch, sequence]);
    if (Number(forgotten) !== 1) return;
    // A crash in between leaves a name without a group in the index: loading passes over it.
    this.#indexed.delete(group);
    await this.#link.call((redis) => redis.srem(this.#indexKey(), groupKey(group)));
  }

  async loadGroups(): Promise<GroupImage[]> {
    const images: GroupImage[] = [];
    const seen = new Set<string>();
    let cursor = "0";
    do {
      const [next, keys] = await this.#link.call((redis) => {
        return redis.sscan(this.#indexKey(), cursor, "COUNT", groupsPerLoad);
      });
      cursor = next;
      const fresh = keys.filter((key) => !seen.has(key));
      for (const key of fresh) seen.add(key);
      const found = await Promise.all(fresh.map((key) => this.#load(groupOfKey(key))));
      for (const image of found) if (image !== null) images.push(image);
    } while (cursor !== "0");
    return images;
  }

  async #load(group: string): Promise<GroupImage | null> {
    const [metaKey, offsetsKey] = this.#groupKeys(group);
    const [meta, offsets] = await this.#link.call((redis) => {
      return Promise.all([redis.hgetallBuffer(metaKey), redis.hgetall(offsetsKey)]);
    });
    return Object.keys(meta).length === 0 ? null : imageOf(group, meta, offsets);
  }

  async close(): Promise<void> {
    this.#link.close();
  }

  /** A change of one group; the group is named in the index before the first change, so that loading finds it. */
  async #change(script: keyof typeof scripts, group: string, args: readonly RedisArgument[]): Promise<CommitResult> {
    if (!this.#indexed.has(group)) {
      await this.#link.call((redis) => redis.sadd(this.#indexKey(), groupKey(group)));
      this.#indexed.add(group);
    }
    return (await this.#run(script, this.#groupKeys(group), [group, ...args])) as CommitResult;
  }

  #run(script: keyof typeof scripts, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    return this.#link.run(script, keys, args);
  }

  #groupKeys(group: string): [string, string] {
    const stem = `${this.#keys}g:${groupKey(group)}}`;
    return [`${stem}:m`, `${stem}:o`];
  }

  #indexKey(): string {
    return `${this.#keys}groups}:index`;
  }

  #markKey(): string {
    return `${this.#keys}groups}:mark`;
  }
}

/** Group ids are free text; braces in them must not move the hash tag. */
function groupKey(group: string): string {
  return Buffer.from(group, "utf8").toString("base64url");
}

function groupOfKey(key: string): string {
  return Buffer.from(key, "base64url").toString("utf8");
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function fieldOf(part: { readonly topicId: string; readonly partition: number }): string {
  return `${part.topicId}/${part.partition}`;
}

function columnsOf({ offset, leaderEpoch, metadata, committedAt, topic }: CommittedOffset): string {
  return JSON.stringify([offset, leaderEpoch, metadata, committedAt, topic]);
}

function fieldAndValue(part: ImageOffset): [string, string] {
  const { position, value } = part;
  const place = `${position.coordinatorEpoch} ${position.sequence} `;
  return [fieldOf(part), place + (value === null ? "" : columnsOf(value))];
}

function partOf(field: string, text: string): ImageOffset {
  const at = field.lastIndexOf("/");
  const topicId = field.slice(0, at);
  const partition = Number(field.slice(at + 1));
  const [, epoch, sequence, json = ""] = /^(\d+) (\d+) (.*)$/s.exec(text) ?? [];
  const position = { coordinatorEpoch: Number(epoch), sequence: Number(sequence) };
  if (json === "") return { topicId, partition, position, value: null };
  const columns = JSON.parse(json) as [number, number, string, number, string];
  const [offset, leaderEpoch, metadata, committedAt, topic] = columns;
  const value = { topicId, topic, partition, offset, leaderEpoch, metadata, committedAt };
  return { topicId, partition, position, value };
}

function imageOf(group: string, meta: Record<string, Buffer>, offsets: Record<string, string>): GroupImage {
  const number = (name: string): number => Number(meta[name]?.toString() ?? "-1");
  const record =
    meta["r"] === undefined
      ? null
      : {
          group,
          coordinatorEpoch: number("re"),
          sequence: number("rs"),
          generation: number("g"),
          record: meta["r"],
        };
  return {
    group,
    fenceEpoch: number("e"),
    record,
    deleted: meta["de"] === undefined ? null : { coordinatorEpoch: number("de"), sequence: number("ds") },
    offsets: Object.entries(offsets).map(([field, text]) => partOf(field, text)),
  };
}
