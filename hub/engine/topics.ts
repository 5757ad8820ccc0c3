// The topics of this hub: names, ids, partitions and settings, kept as facts in the journal.
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
}

interface StoredTopic {
  readonly topicId: string;
  readonly partitions: number;
  readonly internal: boolean;
  readonly configs: Record<string, string>;
  readonly createdAt: number;
}

const prefix = "topic/";
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
      const stored = JSON.parse(decoder.decode(value)) as StoredTopic;
      this.#remember({ ...stored, name: key.slice(prefix.length), configs: new Map(Object.entries(stored.configs)) });
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
    const topicId = uuidText(this.#random.uuid());
    const topic: Topic = { name, topicId, partitions, internal: isInternalName(name), configs, createdAt };
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
  const { topicId, partitions, internal, createdAt } = topic;
  const stored: StoredTopic = { topicId, partitions, internal, createdAt, configs: Object.fromEntries(topic.configs) };
  return encoder.encode(JSON.stringify(stored));
}

/** Kafka's metrics turn '.' into '_', so names that differ only there collide. */
function sameMetricName(a: string, b: string): boolean {
  return a !== b && a.replaceAll(".", "_") === b.replaceAll(".", "_");
}
