// A stand-in for the hub in memory: topics, one group model with rebalances, commits with metadata, and faults.
import type {
  Admin,
  Consumer,
  ConsumerOptions,
  HubClient,
  InBatch,
  InRecord,
  OutRecord,
  Producer,
  TopicPartition,
} from "../../hub/client/faces.ts";
import { HubError } from "../../hub/errors.ts";

interface Member {
  readonly options: ConsumerOptions;
  topics: readonly string[];
  held: TopicPartition[];
  readonly positions: Map<string, number>;
  generation: number;
  closed: boolean;
}

const keyOf = (place: TopicPartition): string => `${place.topic}/${place.partition}`;

export class MemoryHub {
  readonly topics = new Map<string, InRecord[][]>();
  readonly commits = new Map<string, { offset: number; metadata: string }>();
  readonly members: Member[] = [];
  /** Called before each produce; throws to refuse it. */
  onProduce: (topic: string, record: OutRecord) => void = () => {};
  /** Records per poll and partition. */
  pollRecordsMax = 7;
  partitionsDefault = 2;
  generation = 0;

  partitions(topic: string): InRecord[][] {
    let partitions = this.topics.get(topic);
    if (partitions === undefined) {
      partitions = Array.from({ length: this.partitionsDefault }, () => []);
      this.topics.set(topic, partitions);
    }
    return partitions;
  }

  append(topic: string, partition: number, record: OutRecord): number {
    const log = this.partitions(topic)[partition]!;
    const { key, value, headers = [], timestamp = 0 } = record;
    log.push({ topic, partition, offset: log.length, timestamp, key, value, headers });
    return log.length - 1;
  }

  /** Values of all records of a topic as text, partition by partition. */
  texts(topic: string): string[] {
    return this.partitions(topic).flatMap((log) => log.map((record) => new TextDecoder().decode(record.value!)));
  }

  /** Ends a member without a word, as kill -9 does: no commit, no revocation at its side. */
  kill(member: Member): void {
    member.closed = true;
    this.members.splice(this.members.indexOf(member), 1);
    this.#share();
  }

  #share(): void {
    this.generation += 1;
    for (const member of this.members) member.generation = -1;
  }

  async #join(member: Member): Promise<void> {
    await member.options.onRevoked?.(member.held);
    member.generation = this.generation;
    const rank = this.members.indexOf(member);
    member.held = [];
    member.positions.clear();
    for (const topic of member.topics) {
      this.partitions(topic).forEach((_, partition) => {
        if (partition % this.members.length === rank) member.held.push({ topic, partition });
      });
    }
    for (const place of member.held) member.positions.set(keyOf(place), this.commits.get(keyOf(place))?.offset ?? 0);
    await member.options.onAssigned?.(member.held);
  }

  #consumer(options: ConsumerOptions): Consumer {
    const hub = this;
    const member: Member = { options, topics: [], held: [], positions: new Map(), generation: -1, closed: false };
    return {
      async subscribe(topics) {
        member.topics = topics;
        hub.members.push(member);
        hub.#share();
      },
      async assign() {},
      add() {},
      remove() {},
      async poll() {
        await new Promise((resolve) => setTimeout(resolve, 0));
        if (member.closed) return new Promise<InBatch[]>(() => {});
        if (member.generation !== hub.generation) await hub.#join(member);
        return hub.#poll(member);
      },
      assignment: () => member.held,
      async commit(offsets) {
        if (member.closed || !hub.members.includes(member)) throw new HubError("UNKNOWN_MEMBER_ID");
        for (const { offset, metadata = "", ...place } of offsets) {
          if (!member.held.some((held) => keyOf(held) === keyOf(place))) throw new HubError("ILLEGAL_GENERATION");
          hub.commits.set(keyOf(place), { offset, metadata });
        }
      },
      async seek(place, at) {
        if (typeof at === "object" && "offset" in at) member.positions.set(keyOf(place), at.offset);
      },
      pause() {},
      resume() {},
      async close() {
        const at = hub.members.indexOf(member);
        if (at >= 0) hub.members.splice(at, 1);
        hub.#share();
      },
    };
  }

  #poll(member: Member): InBatch[] {
    const batches: InBatch[] = [];
    for (const place of member.held) {
      const log = this.partitions(place.topic)[place.partition]!;
      const from = member.positions.get(keyOf(place))!;
      const records = log.slice(from, from + this.pollRecordsMax);
      if (records.length === 0) continue;
      const nextOffset = from + records.length;
      member.positions.set(keyOf(place), nextOffset);
      batches.push({ ...place, records, nextOffset, highWatermark: log.length });
    }
    return batches;
  }

  #producer(): Producer {
    const never = (): never => {
      throw new Error("for MQTT alone");
    };
    const publish = async (topic: string, record: OutRecord): Promise<{ partition: number; offset: number }> => {
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.onProduce(topic, record);
      const count = this.partitions(topic).length;
      const partition = record.partition ?? (record.key?.at(-1) ?? 0) % count;
      return { partition, offset: this.append(topic, partition, record) };
    };
    return {
      send(topic, record, delivered) {
        publish(topic, record).then(
          ({ offset, partition }) => delivered?.(null, offset, partition),
          (thrown: Error) => delivered?.(thrown, -1, -1),
        );
      },
      prepare: never,
      sendPrepared: never,
      publish,
      bufferedBytes: () => 0,
      async whenDrained() {},
      async flush() {},
      async close() {},
    };
  }

  #admin(): Admin {
    const known: Partial<Admin> = {
      createTopic: async (name) => {
        if (this.topics.has(name)) throw new HubError("TOPIC_ALREADY_EXISTS");
        this.partitions(name);
      },
      groupOffsets: async () =>
        [...this.commits].map(([key, commit]) => {
          const [topic, partition] = key.split("/") as [string, string];
          return { topic, partition: Number(partition), ...commit };
        }),
      offsets: async (places) => places.map((place) => ({ ...place, offset: 0, timestamp: -1 })),
      close: async () => {},
    };
    return known as Admin;
  }

  client(): HubClient {
    return {
      producer: () => this.#producer(),
      appender: () => {
        throw new Error("not used here");
      },
      consumer: (options = {}) => this.#consumer(options),
      admin: () => this.#admin(),
      close: async () => {},
    };
  }
}

/** Awaits a condition, looking again each few milliseconds; fails loudly after `timeoutMs`. */
export async function until(condition: () => boolean, what: string, timeoutMs = 5_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
