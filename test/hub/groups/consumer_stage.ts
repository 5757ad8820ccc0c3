// A stage for groups of the server-side protocol: members that do as they are told, topics that change, one clock.
import * as consumers from "../../../hub/groups/consumer_coordinator.ts";
import type {
  ConsumerGroup,
  ConsumerSettings,
  ConsumerWorld,
  EmbeddedProtocol,
} from "../../../hub/groups/consumer_group.ts";
import { nextConsumerDeadline } from "../../../hub/groups/consumer_group.ts";
import type { Coordinator } from "../../../hub/groups/coordinator.ts";
import * as groups from "../../../hub/groups/coordinator.ts";
import { encodeGroupRecord } from "../../../hub/groups/record.ts";
import { decodeGroupRecord } from "../../../hub/groups/record.ts";
import { isConsumerRecord } from "../../../hub/groups/consumer_record.ts";
import type { GroupEffect, HeartbeatReply, JoinReply, SyncReply } from "../../../hub/groups/group.ts";
import { nextDeadline } from "../../../hub/groups/group.ts";
import type { HeartbeatEvent } from "../../../hub/groups/heartbeating.ts";
import type { JoinEvent } from "../../../hub/groups/joining.ts";
import type { TopicPartitions } from "../../../hub/groups/topic_partitions.ts";
import { bytesOf, settings, textOf, world as classicWorld } from "./stage.ts";

/** A topic id whose last digits tell its number. */
export const idOf = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

/** Embedded subscriptions as JSON: the machine never looks inside. */
export const jsonProtocol: EmbeddedProtocol = {
  readSubscription: (metadata) => parse(metadata),
  readAssignment: (assignment) => (assignment.length === 0 ? [] : parse(assignment)),
  writeAssignment: (_version, partitions) => bytesOf(JSON.stringify(partitions)),
};

function parse<T>(bytes: Uint8Array): T | null {
  try {
    return JSON.parse(textOf(bytes)) as T;
  } catch {
    return null;
  }
}

/** What a classic consumer embeds. */
export function embedded(topics: readonly string[], owned: readonly (readonly [string, readonly number[]])[] = []) {
  return bytesOf(JSON.stringify({ version: 1, topics, owned, rackId: null }));
}

type Answer = HeartbeatReply | JoinReply | SyncReply;

/** One coordinator; stores succeed at once unless they are held. */
export class ConsumerStage {
  now = 0;
  readonly topics = new Map<string, { topicId: string; partitions: number }>();
  coordinator: Coordinator;
  readonly world: ConsumerWorld;
  readonly answers = new Map<number, Answer>();
  readonly told: string[] = [];
  /** What the registry holds: group -> record. */
  readonly registry = new Map<string, Uint8Array>();
  stores = 0;
  storedBytes = 0;
  holding = false;
  readonly #held: { readonly effect: GroupEffect }[] = [];
  #changes = 0;
  #ids = 0;
  #requests = 0;

  constructor(consumer: Partial<ConsumerSettings> = {}, maySee?: ConsumerWorld["maySee"]) {
    const named = (name: string) => {
      const topic = this.topics.get(name);
      return topic === undefined ? undefined : { name, internal: name.startsWith("__"), ...topic };
    };
    this.world = {
      settings: { ...classicWorld.settings, maxSize: 1000, ...consumer },
      topics: {
        changes: () => this.#changes,
        topic: named,
        topics: () => [...this.topics.keys()].map((name) => named(name)!),
      },
      embedded: jsonProtocol,
      ...(maySee && { maySee }),
    };
    this.coordinator = groups.newCoordinator(this.#settings(), this.world);
  }

  #settings() {
    return { ...settings, groupMaxSize: 1000, groupMetadataBytesMax: 1e6, groupsMax: 3 };
  }

  /** Makes a topic, grows it, or (0) deletes it. */
  topic(name: string, partitions: number): void {
    this.#changes += 1;
    if (partitions === 0) this.topics.delete(name);
    else {
      const topicId = this.topics.get(name)?.topicId ?? idOf((this.#ids += 1));
      this.topics.set(name, { topicId, partitions });
    }
  }

  nameOf(topicId: string): string {
    for (const [name, topic] of this.topics) if (topic.topicId === topicId) return name;
    return topicId;
  }

  /** "t:0,1 u:3" */
  text(partitions: TopicPartitions): string {
    const parts = [...partitions].map(([topicId, list]) => `${this.nameOf(topicId)}:${list.join(",")}`);
    return parts.length === 0 ? "nothing" : parts.sort().join(" ");
  }

  group(id = "g"): ConsumerGroup {
    const consumer = this.coordinator.groups.get(id)?.consumer;
    if (!consumer) throw new Error(`there is no consumer group ${id}`);
    return consumer;
  }

  beat(event: Partial<HeartbeatEvent>): HeartbeatReply | undefined {
    const request = this.request();
    const whole: HeartbeatEvent = {
      group: "g",
      request,
      memberId: "a",
      memberEpoch: 0,
      instanceId: null,
      rackId: null,
      rebalanceTimeoutMs: -1,
      topics: null,
      regex: null,
      assignor: null,
      owned: null,
      clientId: "client",
      clientHost: "/127.0.0.1",
      principal: "User:ann",
      version: 1,
      freshMemberId: `fresh-${request}`,
      ...event,
    };
    this.play(consumers.consumerHeartbeat(this.coordinator, whole, this.now));
    return this.answers.get(request) as HeartbeatReply | undefined;
  }

  /** A join with all that a join needs. */
  join(memberId: string, event: Partial<HeartbeatEvent> = {}): HeartbeatReply | undefined {
    return this.beat({ memberId, rebalanceTimeoutMs: 30_000, topics: ["t"], owned: new Map(), ...event });
  }

  classicJoin(event: Partial<JoinEvent>): JoinReply | undefined {
    const request = this.request();
    const whole: JoinEvent = {
      group: "g",
      request,
      memberId: "",
      instanceId: null,
      clientId: "classic",
      clientHost: "/127.0.0.1",
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 30_000,
      protocolType: "consumer",
      protocols: [{ name: "range", metadata: embedded(["t"]) }],
      needsMemberId: false,
      canSkipAssignment: false,
      freshMemberId: `classic-${request}`,
      ...event,
    };
    this.play(groups.join(this.coordinator, whole, this.now));
    return this.answers.get(request) as JoinReply | undefined;
  }

  classicSync(
    memberId: string,
    generation: number,
    assignments = new Map<string, Uint8Array>(),
  ): SyncReply | undefined {
    const request = this.request();
    const claim = { memberId, generation, instanceId: null };
    const event = { group: "g", request, ...claim, protocolType: null, protocolName: null, assignments };
    this.play(groups.sync(this.coordinator, event, this.now));
    return this.answers.get(request) as SyncReply | undefined;
  }

  request(): number {
    this.#requests += 1;
    return this.#requests;
  }

  play(effects: readonly GroupEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "store" || effect.kind === "store-consumer") {
        this.stores += 1;
        if (this.holding) this.#held.push({ effect });
        else this.#finish(effect, true);
      } else if (effect.kind === "member-gone") this.told.push(`gone ${effect.memberId}: ${effect.reason}`);
      else if (effect.kind === "rebalance") this.told.push(`epoch ${effect.generation}: ${effect.reason}`);
      else {
        if (this.answers.has(effect.request)) throw new Error(`request ${effect.request} is answered twice`);
        this.answers.set(effect.request, effect.reply);
      }
    }
  }

  /** Ends the stores that were held. */
  release(ok: boolean): void {
    this.holding = false;
    for (const { effect } of this.#held.splice(0)) this.#finish(effect, ok);
  }

  #finish(effect: GroupEffect, ok: boolean): void {
    const error = ok ? "NONE" : "COORDINATOR_NOT_AVAILABLE";
    if (effect.kind === "store-consumer") {
      if (ok) this.registry.set(effect.group, effect.record);
      this.storedBytes += effect.record.length;
      const { group, life, change } = effect;
      this.play(consumers.consumerStored(this.coordinator, group, life, change, error));
    } else if (effect.kind === "store") {
      if (ok) this.registry.set(effect.group, encodeGroupRecord(effect.record));
      this.play(groups.stored(this.coordinator, effect.group, effect.then, error, this.now));
    }
  }

  /** Lets time pass from deadline to deadline, as the engine's timer does. */
  wait(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      let next = Infinity;
      for (const { group, consumer } of this.coordinator.groups.values()) {
        next = Math.min(next, consumer === null ? nextDeadline(group) : nextConsumerDeadline(consumer));
      }
      if (next > end) break;
      this.now = Math.max(this.now, next);
      for (const id of [...this.coordinator.groups.keys()]) this.play(groups.tick(this.coordinator, id, this.now));
    }
    this.now = end;
  }

  /** The coordinator dies; the next one reads the registry. */
  restart(): void {
    this.#held.splice(0);
    this.holding = false;
    this.coordinator = groups.newCoordinator(this.#settings(), this.world);
    for (const [id, record] of this.registry) {
      if (isConsumerRecord(record)) consumers.loadConsumerGroup(this.coordinator, id, record, this.now);
      else groups.loadGroup(this.coordinator, id, decodeGroupRecord(record), this.now);
    }
  }
}
