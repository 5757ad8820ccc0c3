// A record and facts that belong together: how a QoS 2 message and its packet id become one (mqtt.md section 3).
import type { HubClient, OutRecord, Producer } from "./client/faces.ts";
import { choosePartition } from "./client/partitioner.ts";
import type { Partition, Partitions } from "./engine/partitions.ts";
import type { Clock } from "./io/ports.ts";
import type { FactStore } from "./io/registry.ts";
import { encodeBatch } from "./record/builder.ts";

export interface OnceOptions {
  readonly partitions: Partitions;
  /** This hub's journal. */
  readonly facts: FactStore;
  readonly clock: Clock;
  readonly ensureTopic: (name: string) => Promise<void>;
  readonly client: () => HubClient;
}

type Facts = readonly (readonly [string, Uint8Array | null])[];
type Place = { readonly partition: number; readonly offset: number };

export class OnceStore {
  readonly #options: OnceOptions;
  #elsewhere: Producer | null = null;

  constructor(options: OnceOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the record is committed and the facts are in the journal. Where this hub leads the partition they are
   * one journal group: after a crash both are there or neither is. Where another hub does, the record comes first: a
   * crash of this hub in between repeats it and never loses it.
   */
  async store(topic: string, record: OutRecord, facts: Facts): Promise<Place> {
    const { partitions, ensureTopic } = this.#options;
    await ensureTopic(topic);
    const index = record.partition ?? choosePartition(record.key, partitions.topics.byName(topic)?.partitions ?? 0);
    const partition = partitions.get(topic, index);
    if (partition?.leads) return await this.#here(partition, record, facts);
    this.#elsewhere ??= this.#options.client().producer({ acks: -1 });
    const { offset } = await this.#elsewhere.publish(topic, { ...record, partition: index });
    await this.#options.facts.put(facts);
    return { partition: index, offset };
  }

  async #here(partition: Partition, record: OutRecord, facts: Facts): Promise<Place> {
    const { partitions, clock } = this.#options;
    const batch = encodeBatch([record], {}, record.timestamp ?? clock.wall());
    // No await between these two: one turn is one journal group.
    const written = partitions.append(partition, batch, -1);
    const stored = this.#options.facts.put(facts);
    await Promise.all([
      stored,
      new Promise<void>((resolve, reject) => {
        partitions.whenCommitted(partition, written, -1, (error) => (error ? reject(error) : resolve()));
      }),
    ]);
    return { partition: partition.log.partition, offset: written.baseOffset };
  }

  async close(): Promise<void> {
    await this.#elsewhere?.close();
  }
}
