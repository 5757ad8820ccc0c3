// A HubClient in memory, for the tests of the dashboards: partitions as arrays, reads that wait for records.
import type {
  Admin,
  Consumer,
  ConsumerOptions,
  GroupDescription,
  HubClient,
  InBatch,
  InRecord,
  PartitionOffset,
  StartAt,
  TopicPartition,
} from "../../hub/client/faces.ts";

const encoder = new TextEncoder();
const bytes = (text: string | null): Uint8Array | null => (text === null ? null : encoder.encode(text));

interface Partition {
  start: number;
  records: InRecord[];
}

/** The log's truth, and knobs for the tests. */
export class StandIn {
  readonly topics = new Map<string, { topicId: string; partitions: Partition[] }>();
  readonly groups = new Map<string, { description: GroupDescription; offsets: PartitionOffset[] }>();
  /** Consumers opened so far, by client id. */
  readonly opened = new Map<string, number>();
  #waiting = new Set<() => void>();
  #made = 0;

  createTopic(topic: string, partitions: number): void {
    const list = Array.from({ length: partitions }, () => ({ start: 0, records: [] }));
    this.topics.set(topic, { topicId: `id-${++this.#made}`, partitions: list });
  }

  /** Appends and wakes readers; answers the offset. */
  append(
    topic: string,
    partition: number,
    record: { key: string | null; value: string | Uint8Array | null; mqttTopic?: string; timestamp?: number },
  ): number {
    const log = this.topics.get(topic)!.partitions[partition]!;
    const offset = log.start + log.records.length;
    const { key, value, mqttTopic, timestamp = Date.now() } = record;
    const headers = mqttTopic === undefined ? [] : [{ key: "mqtt.topic", value: bytes(mqttTopic) }];
    const payload = typeof value === "string" ? bytes(value) : value;
    log.records.push({ topic, partition, offset, timestamp, key: bytes(key), value: payload, headers });
    this.wakeAll();
    return offset;
  }

  /** One reading of a device, in the partition of its number. */
  reading(device: string, metric: string, v: number, timestamp = Date.now(), u = "°C"): number {
    const count = this.topics.get("sensors")!.partitions.length;
    let sum = 0;
    for (const char of device) sum = (sum * 31 + char.charCodeAt(0)) >>> 0;
    const value = JSON.stringify({ t: timestamp, v, u, seq: 0 });
    const mqttTopic = `sensors/${device}/${metric}`;
    return this.append("sensors", sum % count, { key: device, value, mqttTopic, timestamp });
  }

  /** Retention: forgets everything below an offset. */
  trim(topic: string, partition: number, start: number): void {
    const log = this.topics.get(topic)!.partitions[partition]!;
    log.records.splice(0, start - log.start);
    log.start = start;
  }

  wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }

  waitForRecords(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#waiting.add(wake);
    });
  }

  client(): HubClient {
    return {
      producer: () => {
        throw new Error("the dashboards do not produce");
      },
      appender: () => {
        throw new Error("the dashboards do not produce");
      },
      consumer: (options) => new StandInConsumer(this, options ?? {}),
      admin: () => admin(this),
      close: async () => {},
    };
  }

  place(topic: string, partition: number, at: StartAt): number {
    const log = this.topics.get(topic)?.partitions[partition];
    if (log === undefined) throw unknownTopic();
    if (at === "earliest") return log.start;
    if (at === "latest") return log.start + log.records.length;
    if ("offset" in at) return at.offset;
    return log.records.find(({ timestamp }) => timestamp >= at.time)?.offset ?? -1;
  }
}

function unknownTopic(): Error {
  return Object.assign(new Error("no such topic"), { kind: "UNKNOWN_TOPIC_OR_PARTITION" });
}

class StandInConsumer implements Consumer {
  #hub: StandIn;
  #positions = new Map<string, TopicPartition & { offset: number; paused: boolean }>();
  #recordsMax: number;
  #closed = false;

  constructor(hub: StandIn, options: ConsumerOptions) {
    this.#hub = hub;
    const id = options.clientId ?? "";
    hub.opened.set(id, (hub.opened.get(id) ?? 0) + 1);
    this.#recordsMax = Math.max(1, Math.floor((options.fetchBytesMax ?? 1_048_576) / 100));
  }

  async subscribe(): Promise<void> {
    throw new Error("the dashboards join no group");
  }

  add(): void {
    throw new Error("the dashboards name partitions once");
  }

  remove(): void {}

  async assign(topics: readonly { topic: string; partition?: number; from?: StartAt }[]): Promise<void> {
    for (const { topic, partition = 0, from = "latest" } of topics) {
      const offset = this.#hub.place(topic, partition, from);
      this.#positions.set(`${topic}-${partition}`, { topic, partition, offset, paused: false });
    }
  }

  async poll(waitMs: number): Promise<InBatch[]> {
    const until = Date.now() + waitMs;
    if (this.#closed) throw new Error("closed");
    for (;;) {
      if (this.#closed) return [];
      const batches = this.#read();
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#closed || batches.length > 0 || Date.now() >= until) return batches;
      await this.#hub.waitForRecords(Math.max(1, until - Date.now()));
    }
  }

  #read(): InBatch[] {
    const batches: InBatch[] = [];
    for (const place of this.#positions.values()) {
      const log = this.#hub.topics.get(place.topic)?.partitions[place.partition];
      if (log === undefined) throw unknownTopic();
      const highWatermark = log.start + log.records.length;
      if (place.paused || place.offset >= highWatermark) continue;
      if (place.offset < log.start) throw Object.assign(new Error("out of range"), { kind: "OFFSET_OUT_OF_RANGE" });
      const records = log.records.slice(place.offset - log.start, place.offset - log.start + this.#recordsMax);
      place.offset = records[records.length - 1]!.offset + 1;
      const { topic, partition } = place;
      batches.push({ topic, partition, records, nextOffset: place.offset, highWatermark });
    }
    return batches;
  }

  assignment(): readonly TopicPartition[] {
    return [...this.#positions.values()];
  }

  async commit(): Promise<void> {}

  async seek({ topic, partition }: TopicPartition, at: StartAt): Promise<void> {
    this.#positions.get(`${topic}-${partition}`)!.offset = this.#hub.place(topic, partition, at);
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.#positions.get(`${topic}-${partition}`)!.paused = true;
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.#positions.get(`${topic}-${partition}`)!.paused = false;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#hub.wakeAll();
  }
}

function admin(hub: StandIn): Admin {
  const none = async (): Promise<never> => {
    throw new Error("the dashboards only look");
  };
  return {
    cluster() {
      throw new Error("the dashboards only look");
    },
    async topics(names) {
      return [...hub.topics]
        .filter(([name]) => names === undefined || names.includes(name))
        .map(([name, { topicId, partitions }]) => ({
          name,
          topicId,
          internal: name.startsWith("__"),
          partitions: partitions.map((_, partition) => ({
            partition,
            leader: 1,
            leaderEpoch: 0,
            replicas: [1],
            inSync: [1],
          })),
        }));
    },
    createTopic: none,
    deleteTopic: none,
    createPartitions: none,
    async topicConfigs() {
      const entry = { isDefault: true, readOnly: false, documentation: null };
      return [
        { name: "retention.ms", value: "604800000", ...entry },
        { name: "cleanup.policy", value: "delete", ...entry },
      ];
    },
    alterTopicConfigs: none,
    async groups() {
      return [...hub.groups.values()].map(({ description: { group, state, protocolType } }) => ({
        group,
        state,
        protocolType,
      }));
    },
    async describeGroup(group) {
      return hub.groups.get(group)!.description;
    },
    deleteGroup: none,
    async groupOffsets(group) {
      return hub.groups.get(group)?.offsets ?? [];
    },
    setGroupOffsets: none,
    async offsets(partitions, at) {
      return partitions.map(({ topic, partition }) => {
        const offset = hub.place(topic, partition, at);
        return { topic, partition, offset, timestamp: -1 };
      });
    },
    async close() {},
  };
}
