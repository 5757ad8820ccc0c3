// The topics a hub knows: names, ids, partitions and settings; a lone hub keeps them as facts in its journal.
import type { ReplicaId } from "../cluster/types.ts";
import { HubError } from "../errors.ts";
import type { FactStore } from "../io/registry.ts";
import type { Random } from "../io/ports.ts";
import { limits } from "../limits.ts";
import { checkTopicSetting, EffectiveSettings } from "../topic_settings.ts";

export interface Topic {
  readonly name: string;
  /** Canonical UUID text; stable over restarts, new when the topic is made anew. */
  readonly topicId: string;
  readonly partitions: number;
  readonly internal: boolean;
  /** The topic's own settings. */
  readonly configs: ReadonlyMap<string, string>;
  readonly createdAt: number;
  /** In a cluster: the first replicas of each partition, the preferred leader first. */
  readonly assignment?: readonly (readonly ReplicaId[])[];
  /** In a cluster: how many replicas must hold a record before it is committed. */
  readonly m?: number;
}

interface StoredTopic {
  readonly topicId: string;
  readonly partitions: number;
  readonly internal: boolean;
  readonly configs: Record<string, string>;
  readonly createdAt: number;
  readonly assignment?: readonly (readonly ReplicaId[])[];
  readonly m?: number;
}

/** Before a topic's name: the key of its fact, and of its entry in a cluster's metadata. */
export const topicPrefix = "topic/";
const prefix = topicPrefix;
const deletedPrefix = "topic-deleted/";
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const legalName = /^[a-zA-Z0-9._-]+$/;

/** Internal topics: a client that writes to one gets INVALID_TOPIC_EXCEPTION (replication.md 2.9). */
export const isInternalName = (name: string): boolean => name.startsWith("__");

/** Throws INVALID_TOPIC_EXCEPTION with what is wrong with the name. */
export function checkTopicName(name: string): void {
  const fail = (why: string): never => {
    throw new HubError("INVALID_TOPIC_EXCEPTION", `Topic name ${JSON.stringify(name.slice(0, 300))} ${why}`);
  };
  if (name === "") fail("is empty");
  if (name === "." || name === "..") fail("is reserved");
  if (name.length > limits.topicNameLengthMax) fail(`is longer than ${limits.topicNameLengthMax} characters`);
  if (!legalName.test(name)) fail("has characters outside a-z A-Z 0-9 . _ -");
}

/** 16 bytes as canonical UUID text. */
export function uuidText(bytes: Uint8Array): string {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/**
 * The catalogue of topics. It decides and records; engine/partitions.ts opens and closes the logs that follow from it.
 * A topic is a fact before its logs exist, and a deleted one a fact until its logs are gone, so a start after a crash
 * finishes what was begun.
 */
export class Topics {
  readonly #facts: FactStore;
  readonly #random: Random;
  readonly #hubSettings: ReadonlyMap<string, string>;
  readonly #byName = new Map<string, Topic>();
  readonly #byId = new Map<string, Topic>();
  #partitions = 0;
  #changes = 0;

  constructor(facts: FactStore, random: Random, hubSettings: ReadonlyMap<string, string>) {
    this.#facts = facts;
    this.#random = random;
    this.#hubSettings = hubSettings;
    for (const [key, value] of facts.entries(prefix)) {
      this.#remember(topicOf(key.slice(prefix.length), decoder.decode(value)));
    }
  }

  byName(name: string): Topic | undefined {
    return this.#byName.get(name);
  }

  byId(topicId: string): Topic | undefined {
    return this.#byId.get(topicId);
  }

  all(): Iterable<Topic> {
    return this.#byName.values();
  }

  /** Grows whenever a topic is made, changes or goes. */
  get changes(): number {
    return this.#changes;
  }

  settingsOf(topic: Topic): EffectiveSettings {
    return new EffectiveSettings(topic.configs, this.#hubSettings);
  }

  get hubSettings(): ReadonlyMap<string, string> {
    return this.#hubSettings;
  }

  /** In a cluster: takes over what its metadata say of a topic; null when it was deleted. */
  learn(name: string, topic: Topic | null): void {
    const before = this.#byName.get(name);
    if (before) this.#forget(before);
    if (topic) this.#remember(topic);
  }

  /** A topic as it will be, nothing of it done yet. */
  draft(
    name: string,
    topicId: string,
    partitions: number,
    configs: ReadonlyMap<string, string>,
    createdAt: number,
  ): Topic {
    return { name, topicId, partitions, internal: isInternalName(name), configs, createdAt };
  }

  /** Checks a creation without doing it. Throws the HubError a client gets. */
  check(name: string, partitions: number, configs: ReadonlyMap<string, string>): void {
    checkTopicName(name);
    if (this.#byName.has(name)) throw new HubError("TOPIC_ALREADY_EXISTS", `Topic ${name} exists already`);
    const twin = [...this.#byName.keys()].find((other) => sameMetricName(other, name));
    if (twin) throw new HubError("INVALID_TOPIC_EXCEPTION", `Topic ${name} collides with ${twin} (. and _ are one)`);
    if (!Number.isInteger(partitions) || partitions < 1 || partitions > limits.partitionsPerTopicMax) {
      const most = limits.partitionsPerTopicMax;
      throw new HubError("INVALID_PARTITIONS", `Topic ${name}: ${partitions} partitions are not in 1..${most}`);
    }
    this.#checkRoom(partitions, name);
    for (const [key, value] of configs) checkTopicSetting(key, value);
  }

  #checkRoom(more: number, name: string): void {
    if (this.#partitions + more > limits.partitionsMax || this.#byName.size >= limits.topicsMax) {
      const detail = `${limits.topicsMax} topics and ${limits.partitionsMax} partitions at most; ${name} is beyond`;
      throw new HubError("POLICY_VIOLATION", detail);
    }
  }

  /** Takes effect at once; durable when the promise resolves. */
  async create(
    name: string,
    partitions: number,
    configs: ReadonlyMap<string, string>,
    createdAt: number,
  ): Promise<Topic> {
    this.check(name, partitions, configs);
    const topic = this.draft(name, uuidText(this.#random.uuid()), partitions, configs, createdAt);
    this.#remember(topic);
    try {
      await this.#facts.put([[prefix + name, encode(topic)]]);
    } catch (error) {
      this.#forget(topic);
      throw error;
    }
    return topic;
  }

  /** Total partitions after the call. Throws INVALID_PARTITIONS when that is not more than now. */
  async grow(name: string, partitions: number, validateOnly: boolean): Promise<Topic> {
    const topic = this.#must(name);
    if (!(partitions > topic.partitions && partitions <= limits.partitionsPerTopicMax)) {
      const range = `${topic.partitions + 1}..${limits.partitionsPerTopicMax}`;
      throw new HubError("INVALID_PARTITIONS", `Topic ${name}: ${partitions} partitions in all is not in ${range}`);
    }
    this.#checkRoom(partitions - topic.partitions, name);
    return validateOnly ? topic : await this.#replace(topic, { ...topic, partitions });
  }

  /** Replaces the topic's own settings. Throws INVALID_CONFIG. */
  async configure(name: string, configs: ReadonlyMap<string, string>, validateOnly: boolean): Promise<Topic> {
    const topic = this.#must(name);
    for (const [key, value] of configs) checkTopicSetting(key, value);
    return validateOnly ? topic : await this.#replace(topic, { ...topic, configs });
  }

  /** Notes the deletion durably; the logs may go afterwards, then `deleted`. */
  async remove(topic: Topic): Promise<void> {
    this.#forget(topic);
    await this.#facts.put([
      [prefix + topic.name, null],
      [deletedPrefix + topic.topicId, encoder.encode(String(topic.partitions))],
    ]);
  }

  /** Topics whose deletion was noted and whose logs may not all be gone. */
  unfinishedDeletions(): { topicId: string; partitions: number }[] {
    return [...this.#facts.entries(deletedPrefix)].map(([key, value]) => ({
      topicId: key.slice(deletedPrefix.length),
      partitions: Number(decoder.decode(value)),
    }));
  }

  async deleted(topicId: string): Promise<void> {
    await this.#facts.put([[deletedPrefix + topicId, null]]);
  }

  #must(name: string): Topic {
    const topic = this.#byName.get(name);
    if (!topic) throw new HubError("UNKNOWN_TOPIC_OR_PARTITION", `There is no topic ${name}`);
    return topic;
  }

  async #replace(old: Topic, next: Topic): Promise<Topic> {
    this.#forget(old);
    this.#remember(next);
    try {
      await this.#facts.put([[prefix + next.name, encode(next)]]);
    } catch (error) {
      // unless it was changed or deleted meanwhile
      if (this.#byName.get(next.name) === next) {
        this.#forget(next);
        this.#remember(old);
      }
      throw error;
    }
    return next;
  }

  #remember(topic: Topic): void {
    this.#changes += 1;
    this.#byName.set(topic.name, topic);
    this.#byId.set(topic.topicId, topic);
    this.#partitions += topic.partitions;
  }

  #forget(topic: Topic): void {
    this.#changes += 1;
    this.#byName.delete(topic.name);
    this.#byId.delete(topic.topicId);
    this.#partitions -= topic.partitions;
  }
}

function encode(topic: Topic): Uint8Array {
  return encoder.encode(encodeTopic(topic));
}

/** A topic without its name, as text. */
export function encodeTopic({ name: _, configs, ...rest }: Topic): string {
  const stored: StoredTopic = { ...rest, configs: Object.fromEntries(configs) };
  return JSON.stringify(stored);
}

export function topicOf(name: string, text: string): Topic {
  const stored = JSON.parse(text) as StoredTopic;
  return { ...stored, name, configs: new Map(Object.entries(stored.configs)) };
}

/**
 * min.insync.replicas for so many replicas: as set, or 2 of at least 3. A set that became smaller keeps what it had as
 * far as that can be.
 */
export function minInSyncOf(topic: Topic, hubSettings: ReadonlyMap<string, string>, replicas: number): number {
  const set = topic.configs.get("min.insync.replicas") ?? hubSettings.get("min.insync.replicas");
  const asked = set === undefined ? (replicas >= 3 ? 2 : 1) : Number(set);
  return Math.min(Math.max(asked, topic.m ?? 1), replicas);
}

/** Kafka's metrics turn '.' into '_', so names that differ only there collide. */
function sameMetricName(a: string, b: string): boolean {
  return a !== b && a.replaceAll(".", "_") === b.replaceAll(".", "_");
}
