// What the tests of the log room share: a store on a simulated disk, batches, and reading them back.
import assert from "node:assert/strict";
import { HubError } from "../../../hub/errors.ts";
import { defaultLogSettings, openStore } from "../../../hub/log/store.ts";
import type { LogSettings, PartitionLog, Store, StoreListener, Tuning } from "../../../hub/log/store.ts";
import { batchSize } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import type { BatchOptions } from "../../../hub/record/builder.ts";
import { decodeRecords } from "../../../hub/record/record.ts";
import { silentTrace } from "../../../hub/trace.ts";
import type { Trace } from "../../../hub/trace.ts";
import { seeded, SimClock, simRandom } from "../../sim/clock.ts";
import { SimDisk } from "../../sim/disk.ts";
import type { CutStyle, DiskFaults } from "../../sim/disk.ts";

export const topicId = "6f1b0d2e-0a3c-4c55-9d7e-1f2a3b4c5d6e";

export const smallTuning: Partial<Tuning> = {
  journalFileBytes: 64 * 1024,
  groupBytesMax: 24 * 1024,
  reserveBytes: 32 * 1024,
  softLineBytes: 64 * 1024,
  hardLineBytes: 16 * 1024,
};

export function settingsOf(changes: Partial<LogSettings> = {}): LogSettings {
  return { ...defaultLogSettings, segmentBytes: 4096, indexIntervalBytes: 300, ...changes };
}

/** One hub's folder through its restarts. */
export class Bench {
  clock = new SimClock();
  disk: SimDisk;
  store!: Store;
  readonly chance = seeded(7);
  readonly states: string[] = [];
  readonly losses: string[] = [];
  durable = 0;
  tuning: Partial<Tuning> = smallTuning;
  trace: Trace = silentTrace;

  constructor(faults: Partial<DiskFaults> = {}) {
    this.disk = new SimDisk(this.clock, this.chance, faults);
  }

  get listener(): StoreListener {
    return {
      durable: () => void (this.durable += 1),
      stateChanged: (state) => void this.states.push(state),
      possibleLoss: (_log, detail) => void this.losses.push(detail),
    };
  }

  async open(hubId = 1): Promise<Store> {
    const { clock, disk, listener, tuning, trace } = this;
    const random = simRandom(this.chance);
    this.store = await clock.settle(openStore({ disk, clock, random, trace, listener, hubId, tuning }));
    return this.store;
  }

  create(partition = 0, changes: Partial<LogSettings> = {}): Promise<PartitionLog> {
    return this.settle(this.store.createPartition(topicId, partition, "readings", settingsOf(changes)));
  }

  log(partition = 0): PartitionLog {
    return this.store.partition(topicId, partition)!;
  }

  settle<T>(promise: Promise<T> | T): Promise<T> {
    return this.clock.settle(promise);
  }

  /** The process dies, or the machine; then the folder is opened again. */
  async kill(): Promise<Store> {
    return this.#again((clock) => this.disk.afterKill(clock, this.chance));
  }

  async powerCut(style: CutStyle = "nothing"): Promise<Store> {
    return this.#again((clock) => this.disk.afterPowerCut(clock, this.chance, style));
  }

  async reopen(): Promise<Store> {
    await this.settle(this.store.close());
    return this.#again((clock) => this.disk.afterKill(clock, this.chance));
  }

  #again(next: (clock: SimClock) => SimDisk): Promise<Store> {
    const clock = new SimClock(this.clock.now() + 1000, this.clock.wall() + 1000);
    this.disk.stopped = true;
    this.disk = next(clock);
    this.clock = clock;
    return this.open();
  }

  /** Appends a batch of these values and waits until it is durable. */
  async append(values: readonly string[], options: BatchOptions = {}, log = this.log()): Promise<number> {
    const { baseOffset } = log.append(batchOf(values, options), 0);
    await this.settle(this.store.flush());
    await this.clock.advance(1);
    return baseOffset;
  }

  /** All values from the log start on, by whole reads. */
  async values(log = this.log(), from = log.logStart): Promise<string[]> {
    const values: string[] = [];
    let offset = from;
    while (offset < log.logEnd) {
      const bytes = await this.settle(log.read(offset, 1000, log.logEnd));
      if (bytes.length === 0) break;
      for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) {
        for (const record of decodeRecords(bytes.subarray(at))) {
          if (record.offset >= from) values.push(new TextDecoder().decode(record.value!));
          offset = record.offset + 1;
        }
      }
    }
    return values;
  }
}

export function batchOf(values: readonly string[], options: BatchOptions = {}, timestamp = 1000): Uint8Array {
  const records = values.map((value) => ({ key: null, value: new TextEncoder().encode(value) }));
  return encodeBatch(records, options, timestamp);
}

/** `count` values that tell themselves apart, about `bytes` long. */
export function manyValues(count: number, bytes = 40, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => `${from + i}:`.padEnd(bytes, "x"));
}

export function refusal(kind: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HubError, String((error as Error).stack));
    assert.equal(error.kind, kind, error.message);
    return true;
  };
}
