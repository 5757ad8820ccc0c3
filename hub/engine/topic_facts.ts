// Facts in a partition of a compacted topic: small named state that every replica of it has, while this hub leads it.
import { HubError } from "../errors.ts";
import type { Clock } from "../io/ports.ts";
import type { FactStore } from "../io/registry.ts";
import { encodeBatch } from "../record/builder.ts";
import { readCommitted } from "./committed_records.ts";
import type { Partition } from "./partition.ts";
import type { Partitions } from "./partitions.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Reads the partition once everything before this leader's epoch is committed.
 * @throws HubError NOT_LEADER_OR_FOLLOWER when leadership goes before, CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR
 */
export async function openTopicFacts(partitions: Partitions, partition: Partition, clock: Clock): Promise<TopicFacts> {
  const { epoch } = partition;
  await partitions.whenReadable(partition);
  const facts = new Map<string, Uint8Array>();
  await readCommitted(partition, ({ key, value }) => {
    if (key === null) return; // a marker of nobody's
    const name = decoder.decode(key);
    if (value === null) facts.delete(name);
    else facts.set(name, value.slice()); // its batch is let go
  });
  return new TopicFacts(partitions, partition, epoch, facts, clock);
}

/** A put is one batch, so all or nothing of it is read back; it resolves when min.insync.replicas hold it. */
export class TopicFacts implements FactStore {
  readonly #partitions: Partitions;
  readonly #partition: Partition;
  readonly #epoch: number;
  readonly #facts: Map<string, Uint8Array>;
  readonly #clock: Clock;

  constructor(
    partitions: Partitions,
    partition: Partition,
    epoch: number,
    facts: Map<string, Uint8Array>,
    clock: Clock,
  ) {
    this.#partitions = partitions;
    this.#partition = partition;
    this.#epoch = epoch;
    this.#facts = facts;
    this.#clock = clock;
  }

  get(key: string): Uint8Array | undefined {
    return this.#facts.get(key);
  }

  *entries(prefix: string): Iterable<readonly [string, Uint8Array]> {
    for (const entry of this.#facts) if (entry[0].startsWith(prefix)) yield entry;
  }

  /** @throws HubError NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS, KAFKA_STORAGE_ERROR; then nothing was written */
  async put(facts: readonly (readonly [string, Uint8Array | null])[]): Promise<void> {
    if (facts.length === 0) return;
    const partition = this.#partition;
    // led again since: another reader of this partition has what is true now
    if (partition.epoch !== this.#epoch)
      throw new HubError("NOT_LEADER_OR_FOLLOWER", "The epoch of these facts is over");
    const records = facts.map(([key, value]) => ({ key: encoder.encode(key), value }));
    const written = this.#partitions.append(partition, encodeBatch(records, {}, this.#clock.wall()), -1);
    for (const [key, value] of facts) {
      if (value === null) this.#facts.delete(key);
      else this.#facts.set(key, value);
    }
    await new Promise<void>((resolve, reject) => {
      this.#partitions.whenCommitted(partition, written, -1, (error) => (error ? reject(error) : resolve()));
    });
  }
}
