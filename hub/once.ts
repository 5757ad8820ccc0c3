// Records that belong together: how a QoS 2 message and its packet id become one (mqtt.md section 3).
import type { HubClient, OutRecord, Producer } from "./client/faces.ts";
import { choosePartition } from "./client/partitioner.ts";
import type { Partition, Partitions } from "./engine/partitions.ts";
import { HubError } from "./errors.ts";
import type { Clock } from "./io/ports.ts";
import { limits } from "./limits.ts";
import { encodeBatch } from "./record/builder.ts";

export interface OnceOptions {
  readonly partitions: Partitions;
  readonly clock: Clock;
  readonly ensureTopic: (name: string) => Promise<void>;
  readonly client: () => HubClient;
}

interface Place {
  readonly partition: number;
  readonly offset: number;
}

/** A record and where it goes. */
interface TopicRecord {
  readonly topic: string;
  readonly record: OutRecord;
}

/** Where a record went, and the note beside it. */
export interface Together extends Place {
  readonly noteOffset: number;
}

/** Calls for topics that are being made, in their order. */
interface Line {
  readonly begin: (() => void)[];
  readonly fail: ((error: unknown) => void)[];
}

export class OnceStore {
  readonly #options: OnceOptions;
  #elsewhere: Producer | null = null;
  /** By topic. */
  readonly #lines = new Map<string, Line>();

  constructor(options: OnceOptions) {
    this.#options = options;
  }

  /**
   * For a lone hub: resolves when a record and the note beside it are committed. They are one journal group: after a
   * crash both are there or neither is. The append begins within the call, so that records keep the order of the calls;
   * those for a topic that is being made begin when it is, in their order.
   */
  together(topic: string, record: OutRecord, note: TopicRecord): Promise<Together> {
    const line = this.#lines.get(topic);
    const { partitions } = this.#options;
    const areThere = [topic, note.topic].every((name) => partitions.topics.byName(name) && partitions.of(name));
    if (line === undefined && areThere) return this.#both({ topic, record }, note);
    if (line !== undefined && line.begin.length >= limits.mqttWaitingForTopicMax) {
      const detail = `${limits.mqttWaitingForTopicMax} records wait for topic ${topic} already`;
      return Promise.reject(new HubError("THROTTLING_QUOTA_EXCEEDED", detail));
    }
    const joined = line ?? this.#makeLine(topic, note.topic);
    return new Promise((resolve, reject) => {
      joined.begin.push(() => void this.#both({ topic, record }, note).then(resolve, reject));
      joined.fail.push(reject);
    });
  }

  #makeLine(topic: string, noteTopic: string): Line {
    const line: Line = { begin: [], fail: [] };
    this.#lines.set(topic, line);
    const { ensureTopic } = this.#options;
    Promise.all([ensureTopic(topic), ensureTopic(noteTopic)]).then(
      () => {
        this.#lines.delete(topic);
        for (const begin of line.begin) begin();
      },
      (error: unknown) => {
        this.#lines.delete(topic);
        for (const fail of line.fail) fail(error);
      },
    );
    return line;
  }

  #both(main: TopicRecord, note: TopicRecord): Promise<Together> {
    const [partition, beside] = [this.#led(main), this.#led(note)];
    try {
      if (!partition || !beside) return this.#oneByOne(main, note);
      // No await between these two: one turn is one journal group.
      const written = this.#append(partition, main.record);
      written.catch(() => {}); // told by what comes next, or by the error of the note
      return Promise.all([written, this.#append(beside, note.record)]).then(togetherOf);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  async #oneByOne(main: TopicRecord, note: TopicRecord): Promise<Together> {
    const place = await this.#producer().publish(main.topic, { ...main.record, partition: this.#indexOf(main) });
    return togetherOf([place, await this.#producer().publish(note.topic, note.record)]);
  }

  /** Begins at once; @throws HubError when nothing was written. */
  #append(partition: Partition, record: OutRecord): Promise<Place> {
    const { partitions, clock } = this.#options;
    const batch = encodeBatch([record], {}, record.timestamp ?? clock.wall());
    const written = partitions.append(partition, batch, -1);
    const place = { partition: partition.log.partition, offset: written.baseOffset };
    return new Promise((resolve, reject) => {
      partitions.whenCommitted(partition, written, -1, (error) => (error ? reject(error) : resolve(place)));
    });
  }

  #indexOf({ topic, record }: TopicRecord): number {
    return (
      record.partition ?? choosePartition(record.key, this.#options.partitions.topics.byName(topic)?.partitions ?? 0)
    );
  }

  /** The partition of a record, where this hub leads it now. */
  #led(one: TopicRecord): Partition | null {
    const partition = this.#options.partitions.get(one.topic, this.#indexOf(one));
    return partition?.leads && partition.handover === null ? partition : null;
  }

  #producer(): Producer {
    this.#elsewhere ??= this.#options.client().producer({ acks: -1 });
    return this.#elsewhere;
  }

  async close(): Promise<void> {
    await this.#elsewhere?.close();
  }
}

function togetherOf([place, { offset: noteOffset }]: readonly [Place, Place]): Together {
  return { ...place, noteOffset };
}
