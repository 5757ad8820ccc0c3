// The internal topic __transaction_state: made on first use, appended to, read back at the start.
import type { Clock } from "../io/ports.ts";
import { limits } from "../limits.ts";
import { encodeBatch } from "../record/builder.ts";
import { decodeLogRecord, encodeLogRecord } from "../transactions/record.ts";
import type { LogRecord } from "../transactions/transaction.ts";
import { readCommitted } from "./committed_records.ts";
import { partitionOf } from "./homes.ts";
import type { Partitions } from "./partitions.ts";

/** The name that Kafka's tools know. */
export const transactionTopic = "__transaction_state";

/**
 * A decision is on disk before its first marker, whatever the topics of the transaction settle for; small segments keep
 * what compaction may not touch, and so what a start reads, small.
 */
export const transactionTopicSettings: ReadonlyMap<string, string> = new Map([
  ["cleanup.policy", "compact"],
  ["log.fsync", "always"],
  ["compression.type", "uncompressed"],
  ["segment.bytes", String(limits.transactionLogSegmentBytes)],
]);

export class TransactionLog {
  readonly #partitions: Partitions;
  readonly #clock: Clock;
  readonly #only: number | null;
  /** transaction.state.log.num.partitions, asked when the topic is made. */
  readonly #partitionCount: () => number;
  /** Ids that were found in another partition than their own: the topic has grown since. */
  readonly #homes = new Map<string, number>();
  #making: Promise<void> | null = null;
  /** Time of the newest batch. Times only rise, so that they put the decisions of all partitions in one order. */
  #time = 0;

  /** @param only the partition whose leader keeps this log; null: all of them are here */
  constructor(partitions: Partitions, clock: Clock, partitionCount: () => number, only: number | null) {
    this.#only = only;
    this.#partitions = partitions;
    this.#clock = clock;
    this.#partitionCount = partitionCount;
  }

  /** Makes the topic unless it is there. */
  make(): Promise<void> {
    if (this.#partitions.of(transactionTopic) !== undefined) return Promise.resolve();
    this.#making ??= this.#make().finally(() => {
      this.#making = null;
    });
    return this.#making;
  }

  async #make(): Promise<void> {
    await this.#partitions.whenMade(transactionTopic);
    if (this.#partitions.of(transactionTopic) !== undefined) return;
    await this.#partitions.createTopic(transactionTopic, this.#partitionCount(), transactionTopicSettings);
  }

  /**
   * Appends the records of one id as one batch, at once and in call order. Resolves when they are committed.
   * @throws HubError as `Partitions.append` does; then nothing was written
   */
  append(id: string, records: readonly LogRecord[]): Promise<void> {
    const count = this.#partitions.topics.byName(transactionTopic)?.partitions ?? 0;
    const partition = this.#partitions.must(transactionTopic, this.#homes.get(id) ?? partitionOf(id, count));
    const batch = encodeBatch(records.map(encodeLogRecord), {}, this.#nextTime());
    const written = this.#partitions.append(partition, batch, -1);
    return new Promise((resolve, reject) => {
      this.#partitions.whenCommitted(partition, written, -1, (error) => (error ? reject(error) : resolve()));
    });
  }

  #nextTime(): number {
    this.#time = Math.max(this.#time + 1, Math.floor(this.#clock.wall()));
    return this.#time;
  }

  /**
   * Gives every committed record to `each`, those of one id in the order of their writes.
   * @param each told the record's time too: a record that was written later has a later one, whatever its partition
   */
  async read(each: (record: LogRecord, time: number) => void): Promise<number> {
    const count = this.#partitions.topics.byName(transactionTopic)?.partitions ?? 0;
    let records = 0;
    for (const partition of this.#partitions.of(transactionTopic) ?? []) {
      const index = partition.log.partition;
      if (this.#only !== null && this.#only !== index) continue;
      records += await readCommitted(partition, ({ key, value, timestamp: time }) => {
        const record = decodeLogRecord(key, value);
        if (partitionOf(record.id, count) !== index) this.#homes.set(record.id, index);
        this.#time = Math.max(this.#time, time);
        each(record, time);
      });
    }
    return records;
  }
}
