// A compacted topic and hubs around it, simulated: delays, hubs that die amid their writes, wrong verdicts.
import { saysItIsThere } from "../../../hub/client/appender.ts";
import type {
  Appender,
  Consumer,
  HubClient,
  Identity,
  InBatch,
  InRecord,
  OutRecord,
  Producer,
  TopicPartition,
} from "../../../hub/client/faces.ts";
import { Producers } from "../../../hub/log/producers.ts";
import { HubError, limits } from "../../../hub/mod.ts";
import { readBatchHeader, setBaseOffsetAndEpoch } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import type { SimClock } from "../../sim/clock.ts";
import type { KeepingHub } from "../../../bridge/keep/faces.ts";

interface Stored {
  readonly offset: number;
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
  readonly at: number;
}

/** A partition of a topic of messages: its log knows batches again as the hub's does. */
class DataLog {
  readonly values: string[] = [];
  readonly #producers = new Producers();

  take(identity: Identity, records: readonly OutRecord[], now: number): void {
    const batch = encodeBatch(records, { ...identity, baseSequence: 0 }, 0);
    setBaseOffsetAndEpoch(batch, this.values.length, 0);
    const header = readBatchHeader(batch, 0);
    if (this.#producers.check(header) !== null) return;
    this.#producers.note(header, now, batch);
    this.values.push(...records.map(({ value }) => new TextDecoder().decode(value!)));
  }
}

/** Tombstones are kept so long (`delete.retention.ms`): longer than any reader takes. */
const tombstoneMs = 20_000;
/** What is newer is not compacted, and takes no other record's place (`min.compaction.lag.ms`): as long, too. */
const compactionLagMs = 10_000;

/** Not `String`: of a Buffer that is its text, and bytes that are none look all the same. */
const hex = (key: Uint8Array): string => Buffer.from(key).toString("hex");

const never = (): never => {
  throw new Error("not used here");
};

/** One life of a hub: what it began goes on in the network when it dies, as far as it goes. */
export class SimHub {
  readonly hubId: number;
  isDead = false;
  /** Appends on their way, in the order of the calls, for each partition. */
  readonly sending = new Map<number, { lands: boolean; at: number }[]>();

  #free: Promise<void> = Promise.resolve();

  constructor(hubId: number) {
    this.hubId = hubId;
  }

  /** Cut off: what it sends goes on its way, and what it is told comes, once the function that is given is called. */
  cutOff(): () => void {
    let end = (): void => {};
    this.#free = new Promise((resolve) => {
      end = resolve;
    });
    return end;
  }

  /** Resolves when it is not cut off. */
  whenFree(): Promise<void> {
    return this.#free;
  }
}

export class SimLog {
  readonly clock: SimClock;
  readonly chance: () => number;
  readonly partitions: Stored[][] = Array.from({ length: limits.mqttKeptPartitions }, () => []);
  readonly ends: number[] = this.partitions.map(() => 0);
  /** Hubs that count as alive. */
  alive = new Set<number>();
  /** By partition. */
  leaders: number[] = this.partitions.map(() => 1);
  /** Nobody leads the topic yet. */
  isAway = false;
  /** Topics of messages, by topic and partition. */
  readonly #data = new Map<string, DataLog>();
  #producerIds = 0;
  /** Topics that nobody leads. */
  readonly leaderless = new Set<string>();
  /** Of writes, how many take seconds. */
  slowShare = 0.1;
  /** Called when something of a hub lands, or is told to it. */
  stepped: (hub: SimHub) => void = () => {};

  constructor(clock: SimClock, chance: () => number) {
    this.clock = clock;
    this.chance = chance;
  }

  /** Values of QoS 2 messages, in the order of the log. */
  messages(topic = "t"): string[] {
    return this.#data.get(topic)?.values ?? [];
  }

  #later(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(this.chance() * ms, resolve));
  }

  /** Dies: of what it was sending a part lands, in its order, and nothing is told to it any more. */
  kill(hub: SimHub, lands = true): void {
    hub.isDead = true;
    for (const entries of hub.sending.values()) {
      const count = lands ? Math.floor(this.chance() * (entries.length + 1)) : 0;
      entries.forEach((entry, at) => {
        entry.lands = at < count;
      });
    }
  }

  /** What a pass of compaction leaves of all but the newest. */
  compact(): void {
    this.partitions.forEach((records, index) => {
      const settled = records.filter(({ at }) => at < this.clock.now() - compactionLagMs).length;
      const until = Math.floor(settled * (0.5 + this.chance() / 2));
      const newest = new Map(records.slice(0, until).map((record) => [hex(record.key), record.offset]));
      this.partitions[index] = records.filter(({ key, offset, value, at: since }, at) => {
        if (at >= until) return true;
        return newest.get(hex(key)) === offset && (value !== null || since > this.clock.now() - tombstoneMs);
      });
    });
  }

  #append(partition: number, record: OutRecord): number {
    const offset = this.ends[partition]!;
    this.partitions[partition]!.push({ offset, key: record.key!, value: record.value, at: this.clock.now() });
    this.ends[partition] = offset + 1;
    return offset;
  }

  /** Resolves with the offset, unless the hub dies before it hears of it. */
  async #send(hub: SimHub, partition: number, record: OutRecord): Promise<number> {
    const offset = await this.#onItsWay(hub, partition, () => this.#append(partition, record));
    await this.#later(20);
    return await this.#told(hub, offset ?? -1);
  }

  /** Lands later, in the order of a place, if it does. */
  async #onItsWay<T>(hub: SimHub, place: number, land: () => T): Promise<T | null> {
    const entries = hub.sending.get(place) ?? [];
    hub.sending.set(place, entries);
    const slow = this.chance() < this.slowShare ? 4_000 : 20;
    const at = Math.max(this.clock.now() + this.chance() * slow, entries.at(-1)?.at ?? 0);
    const entry = { lands: true, at };
    entries.push(entry);
    await new Promise<void>((resolve) => void this.clock.after(at - this.clock.now(), resolve));
    await hub.whenFree();
    entries.shift();
    if (!entry.lands) return null;
    const landed = land();
    this.stepped(hub);
    return landed;
  }

  /** The dead are told nothing. */
  async #told<T>(hub: SimHub, value: T): Promise<T> {
    await hub.whenFree();
    if (!hub.isDead) this.stepped(hub);
    return hub.isDead ? await new Promise<T>(() => {}) : value;
  }

  #appender(hub: SimHub): Appender {
    return {
      identity: async () => {
        await this.#later(10);
        return await this.#told(hub, { producerId: ++this.#producerIds, producerEpoch: 0 });
      },
      partitionOf: async () => {
        await this.#later(2);
        return await this.#told(hub, 0);
      },
      append: (at, identity, records) => this.#sendBatch(hub, at, identity, records),
      close: () => Promise.resolve(),
    };
  }

  /** One attempt; sometimes nobody knows what becomes of it. */
  async #sendBatch(hub: SimHub, at: TopicPartition, identity: Identity, records: readonly OutRecord[]): Promise<void> {
    const isLeaderless = this.leaderless.has(at.topic);
    let refusal: HubError | null = null;
    const sent = this.#onItsWay(hub, -1, () => {
      const log = this.#data.get(at.topic) ?? new DataLog();
      this.#data.set(at.topic, log);
      try {
        if (!isLeaderless) log.take(identity, records, this.clock.now());
      } catch (error) {
        refusal = error as HubError;
      }
    });
    if (this.chance() < 0.9 && !isLeaderless) await sent;
    else refusal = new HubError("NETWORK_EXCEPTION", "nobody answers");
    await this.#later(20);
    await this.#told(hub, null);
    const { kind } = (refusal as HubError | null) ?? {};
    if (kind !== undefined && !saysItIsThere.has(kind)) throw refusal;
  }

  hub(hub: SimHub): KeepingHub {
    return {
      hubId: hub.hubId,
      isClustered: true,
      ensureTopic: () =>
        this.isAway ? Promise.reject(new HubError("LEADER_NOT_AVAILABLE", "not yet")) : Promise.resolve(),
      storeTogether: never,
    };
  }

  client(hub: SimHub): HubClient {
    const close = (): Promise<void> => Promise.resolve();
    return {
      producer: () => this.#producer(hub),
      appender: () => this.#appender(hub),
      consumer: () => this.#consumer(hub),
      admin: () => ({
        offsets: async () => {
          await this.#later(10);
          const ends = this.ends.map((offset, partition) => ({ topic: "", partition, offset, timestamp: -1 }));
          return await this.#told(hub, ends);
        },
        topics: async () => {
          await this.#later(10);
          const partitions = this.leaders.map((leader, partition) => {
            return { partition, leader, leaderEpoch: 0, replicas: [], inSync: [] };
          });
          return await this.#told(hub, [{ name: "", topicId: "", internal: true, partitions }]);
        },
        cluster: () => ({
          describe: async () => {
            await this.#later(10);
            const hubs = [...this.alive].map((id) => ({ hub: id, host: "", port: 0, rack: null, alive: true }));
            return await this.#told(hub, { clusterId: "", controller: 1, hubs });
          },
          folder: never,
          elect: never,
          reassign: never,
          reassignments: never,
          leave: never,
        }),
        createTopic: never,
        deleteTopic: never,
        createPartitions: never,
        topicConfigs: never,
        alterTopicConfigs: never,
        groups: never,
        describeGroup: never,
        deleteGroup: never,
        groupOffsets: never,
        setGroupOffsets: never,
        close,
      }),
      close,
    };
  }

  #producer(hub: SimHub): Producer {
    return {
      send: never,
      publish: async (_topic, record) => {
        return { partition: record.partition!, offset: await this.#send(hub, record.partition!, record) };
      },
      prepare: never,
      sendPrepared: never,
      bufferedBytes: () => 0,
      whenDrained: () => Promise.resolve(),
      flush: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
  }

  #consumer(hub: SimHub): Consumer {
    const next = this.ends.map(() => 0);
    let isClosed = false;
    return {
      assign: (places) => {
        for (const { partition = 0, from } of places)
          next[partition] = typeof from === "object" && "offset" in from ? from.offset : 0;
        return Promise.resolve();
      },
      poll: async () => {
        await this.#later(this.chance() < 0.1 ? 1_000 : 15);
        await this.#told(hub, null);
        if (isClosed) throw new HubError("NETWORK_EXCEPTION", "the consumer is closed");
        return next.flatMap((_, partition) => this.#batch(next, partition));
      },
      subscribe: never,
      assignment: () => [],
      commit: never,
      add: never,
      remove: never,
      seek: never,
      pause: never,
      resume: never,
      close: () => {
        isClosed = true;
        return Promise.resolve();
      },
    };
  }

  /** Some of what is there from a place on; moves the place. */
  #batch(next: number[], partition: number): InBatch[] {
    const from = next[partition]!;
    const found = this.partitions[partition]!.filter(({ offset }) => offset >= from);
    const taken = found.slice(0, 1 + Math.floor(this.chance() * 10));
    const end = taken.length === found.length ? this.ends[partition]! : taken[taken.length - 1]!.offset + 1;
    if (end === from) return [];
    next[partition] = end;
    const records = taken.map(({ offset, key, value }): InRecord => {
      return { topic: "", partition, offset, key, value, timestamp: 0, headers: [] };
    });
    return [{ topic: "", partition, records, nextOffset: end, highWatermark: this.ends[partition]! }];
  }
}
