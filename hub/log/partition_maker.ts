// Makes and removes partitions: files first and journal second when made, tombstone first when removed.
import type { Checkpoints } from "./checkpoint.ts";
import { Epochs } from "./epochs.ts";
import type { LogHost } from "./log.ts";
import { PartitionLog } from "./log.ts";
import { partitionEntry } from "./log_change.ts";
import { Producers } from "./producers.ts";
import { Segment } from "./segment.ts";
import { faultKind, partitionKey, storageError } from "./settings.ts";
import type { LogSettings } from "./settings.ts";
import { writeFully } from "./small_file.ts";

interface Order {
  readonly log: PartitionLog;
  resolve(log: PartitionLog): void;
  reject(error: unknown): void;
}

export class PartitionMaker {
  readonly #host: LogHost;
  readonly #logs: Map<string, PartitionLog>;
  readonly #checkpoints: Checkpoints;
  readonly #making = new Map<string, Promise<PartitionLog>>();
  readonly #removing = new Map<string, Promise<void>>();
  #orders: Order[] = [];

  constructor(host: LogHost, logs: Map<string, PartitionLog>, checkpoints: Checkpoints) {
    this.#host = host;
    this.#logs = logs;
    this.#checkpoints = checkpoints;
  }

  /** As Store.createPartition. A partition that is there already is given back as it is. */
  async create(topicId: string, partition: number, name: string, settings: LogSettings): Promise<PartitionLog> {
    const key = partitionKey(topicId, partition);
    await this.#removing.get(key);
    const there = this.#logs.get(key);
    if (there) return there;
    const under = this.#making.get(key);
    if (under) return under;
    this.#host.assertWritable();
    const log = new PartitionLog(this.#host, topicId, partition, name, settings);
    const made = new Promise<PartitionLog>((resolve, reject) => {
      if (this.#orders.length === 0) this.#host.clock.soon(() => void this.#makeOrdered());
      this.#orders.push({ log, resolve, reject });
    });
    this.#making.set(key, made);
    try {
      return await made;
    } finally {
      this.#making.delete(key);
    }
  }

  /** All that were asked for in one turn share the sync of the parent directory and one journal group. */
  async #makeOrdered(): Promise<void> {
    const orders = this.#orders;
    this.#orders = [];
    try {
      for (const { log } of orders) this.#makeFiles(log);
      this.#host.disk.syncDirectory("topics");
    } catch (error) {
      this.#host.fault(faultKind(error), error);
      const refusal = storageError(`the files of a partition cannot be made: ${(error as Error).message}`, error);
      for (const order of orders) order.reject(refusal);
      return;
    }
    try {
      await this.#host.journal.put(orders.map(({ log }) => partitionEntry(log, log.settings, 0)));
    } catch (error) {
      for (const order of orders) order.reject(error);
      return;
    }
    for (const { log, resolve } of orders) {
      this.#logs.set(log.key, log);
      resolve(log);
    }
  }

  #makeFiles(log: PartitionLog): void {
    const { disk } = this.#host;
    disk.makeDirectory(log.directory);
    for (const left of disk.list(log.directory)) disk.remove(`${log.directory}/${left}`);
    const label = disk.open(`${log.directory}/topic.name`, "create");
    try {
      writeFully(label, new TextEncoder().encode(`${log.name}\n`), 0); // for people; nothing reads it
    } finally {
      label.close();
    }
    log.adopt([Segment.create(disk, log.directory, 0)], 0, new Epochs(), new Producers());
    disk.syncDirectory(log.directory);
  }

  /** As Store.deletePartition. */
  async remove(topicId: string, partition: number): Promise<void> {
    const key = partitionKey(topicId, partition);
    const under = this.#removing.get(key);
    if (under) return under;
    await this.#making.get(key)?.catch(() => {});
    const log = this.#logs.get(key);
    if (!log) return;
    const removed = this.#removeLog(log);
    this.#removing.set(key, removed);
    try {
      await removed;
    } finally {
      this.#removing.delete(key);
    }
  }

  async #removeLog(log: PartitionLog): Promise<void> {
    const { disk, journal, clock } = this.#host;
    const { topicId, partition } = log;
    await log.retire();
    await journal.put([{ type: "tombstone", topicId, partition }]);
    this.#logs.delete(log.key);
    journal.voidFrom(log.key, 0);
    await this.#checkpoints.drop(log.key);
    this.#host.cleanPoints.lower(log.key, 0);
    log.closeFiles();
    for (const name of disk.list(log.directory)) {
      disk.remove(`${log.directory}/${name}`);
      await new Promise<void>((resolve) => clock.soon(resolve)); // a large file takes its time
    }
    disk.removeDirectory(log.directory);
    disk.syncDirectory("topics");
  }
}
