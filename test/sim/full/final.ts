// What must hold once everything is well again: a leader for each partition, full sets, equal logs, nothing lost.
import { hubOf } from "../../../hub/engine/cluster_view.ts";
import type { Partition } from "../../../hub/engine/partition.ts";
import { batchSize, readBatchHeader } from "../../../hub/record/batch.ts";
import { decodeRecords } from "../../../hub/record/record.ts";
import type { History } from "./history.ts";
import type { SimHub, Stage } from "./stage.ts";
import type { TopicPlan } from "./workload.ts";
import type { World } from "./world.ts";

interface Held {
  readonly hub: SimHub;
  readonly partition: Partition;
}

export class Final {
  readonly #world: World;
  readonly #stage: Stage;
  readonly #history: History;
  readonly #topics: readonly TopicPlan[];

  constructor(stage: Stage, history: History, topics: readonly TopicPlan[]) {
    this.#world = stage.world;
    this.#stage = stage;
    this.#history = history;
    this.#topics = topics;
  }

  #held(topic: string, index: number): Held[] {
    return this.#stage.hubs.flatMap((hub) => {
      const found = [...this.#stage.partitionsOf(hub)].find(({ topic: name, log }) => {
        return name === topic && log.partition === index;
      });
      return found === undefined ? [] : [{ hub, partition: found }];
    });
  }

  *#places(): Generator<[string, number, TopicPlan]> {
    for (const plan of this.#topics) for (let i = 0; i < plan.partitions; i += 1) yield [plan.name, i, plan];
  }

  /** What still keeps the cluster from being whole; null when nothing does. */
  missing(leadersOnly: boolean): string | null {
    for (const hub of this.#stage.hubs) if (!hub.started) return `${hub.machine.name} does not serve`;
    for (const [topic, index, plan] of this.#places()) {
      const held = this.#held(topic, index);
      const leaders = held.filter(({ partition }) => partition.leads);
      const led = leaders.map(({ hub }) => hub.machine.name).join(",");
      if (leaders.length !== 1) return `${topic}-${index} is led by ${led || "nobody"}`;
      if (leadersOnly) continue;
      const { replica, log } = leaders[0]!.partition;
      const isr = replica.lead!.isr.size;
      const { members } = replica.stored.config.old;
      if (isr < members.length || members.length < plan.factor) {
        const who = [...replica.lead!.isr].map(hubOf).join(",");
        return `${topic}-${index}: in sync ${who} of ${members.map(hubOf).join(",")}`;
      }
      if (replica.highWatermark !== log.logEnd) {
        return `${topic}-${index}: watermark ${replica.highWatermark}, end ${log.logEnd}`;
      }
      for (const { hub, partition } of held) {
        if (partition.highWatermark === log.logEnd || !members.includes(partition.replica.id)) continue;
        return `${topic}-${index} on ${hub.machine.name}: watermark ${partition.highWatermark} of ${log.logEnd}`;
      }
    }
    return null;
  }

  /** Compares all logs with one another and with what clients were told. */
  async check(): Promise<void> {
    for (const [topic, index] of this.#places()) {
      const place = `${topic}-${index}`;
      let first: { readonly name: string; readonly bytes: Buffer } | null = null;
      for (const { hub, partition } of this.#held(topic, index)) {
        const bytes = await this.#readAll(partition);
        const { name } = hub.machine;
        first ??= { name, bytes };
        if (!first.bytes.equals(bytes)) {
          this.#world.violated("I9 PrefixEqual", `${place}: ${first.name} and ${name} hold different bytes`);
        }
      }
      if (first === null) this.#world.violated("I14 NoImplicitDelete", `${place} is on no hub`);
      else this.#compare(place, first.bytes);
    }
  }

  async #readAll({ log, replica }: Partition): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for (let offset = log.logStart; offset < replica.highWatermark; ) {
      const read = Promise.resolve(log.read(offset, 1 << 20, replica.highWatermark)).catch((error: unknown) => {
        if (log.repairing) return null; // damage that nobody had read: another hub has it
        throw error;
      });
      const bytes = await this.#world.settle(read, 10_000);
      if (bytes === null) {
        await this.#world.settle(new Promise<void>((resolve) => void this.#world.time.after(200, resolve)), 1000);
        continue;
      }
      for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) {
        offset = readBatchHeader(bytes, at).lastOffset + 1;
      }
      parts.push(bytes.slice());
      if (bytes.length === 0) break;
    }
    return Buffer.concat(parts);
  }

  #compare(place: string, bytes: Buffer): void {
    const values = new Map<number, string>();
    const sequences = new Set<string>();
    const orders = new Map<string, number>();
    const once = new Set<string>();
    for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) {
      const batch = bytes.subarray(at, at + batchSize(bytes, at));
      const { producerId, producerEpoch, baseSequence, baseOffset } = readBatchHeader(batch);
      const sequence = `${producerId}/${producerEpoch}/${baseSequence}`;
      if (producerId >= 0 && sequences.size === sequences.add(sequence).size) {
        this.#world.violated("I10 IdempotentOnce", `${place}@${baseOffset}: ${sequence} is there twice`);
      }
      for (const record of decodeRecords(batch)) {
        const value = Buffer.from(record.value!).toString();
        values.set(record.offset, value);
        if (!this.#history.idempotent.has(value)) continue;
        if (once.size === once.add(value).size)
          this.#world.violated("I10 IdempotentOnce", `${place}: ${value} is there twice`);
        const [key, count] = value.split(":") as [string, string];
        if (Number(count) < (orders.get(key) ?? 0)) {
          this.#world.violated("I11 PerKeyOrder", `${place}@${record.offset}: ${value} after ${orders.get(key)}`);
        }
        orders.set(key, Number(count));
      }
    }
    if (this.#history.isWeak(place)) return;
    for (const [name, told] of [
      ["acknowledged", this.#history.acked] as const,
      ["read", this.#history.read] as const,
    ]) {
      for (const [offset, value] of told.get(place) ?? []) {
        if (values.get(offset) === value) continue;
        const is = values.get(offset) ?? "nothing";
        this.#world.violated("I1 CommittedDurable", `${place}@${offset}: ${name} ${value}, there is ${is}`);
      }
    }
    const committed = this.#history.committed.get(place) ?? 0;
    if (committed > values.size) {
      this.#world.violated("I12 OffsetsFenced", `${place}: committed ${committed}, the log ends at ${values.size}`);
    }
  }
}
