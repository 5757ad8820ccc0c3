// The transaction engine with real neighbours over a store on a simulated disk; markers can be held or refused.
import { openEmbeddedRegistry } from "../../../hub/engine/embedded_registry.ts";
import { type GroupEngine, openGroupEngine } from "../../../hub/engine/groups.ts";
import { newProducerId } from "../../../hub/engine/producer_ids.ts";
import { openTransactionEngine, type TransactionEngine } from "../../../hub/engine/transactions.ts";
import type { Producer } from "../../../hub/engine/transactions_parts.ts";
import { PendingOffsets } from "../../../hub/engine/transactions_offsets.ts";
import { transactionSettings } from "../../../hub/engine/transactions_settings.ts";
import type { Marker } from "../../../hub/engine/transactions_types.ts";
import type { Store } from "../../../hub/log/store.ts";
import { batchSize, readBatchHeader } from "../../../hub/record/batch.ts";
import { controlType, decodeRecords } from "../../../hub/record/record.ts";
import { simRandom } from "../../sim/clock.ts";
import { batchOf } from "../log/support.ts";
import { PartitionStage } from "./partition_stage.ts";

export interface Who extends Producer {
  readonly id: string;
}

/** Who commits outside any group generation. */
export const nobody = { memberId: "", instanceId: null, generation: -1 };

export class TransactionStage extends PartitionStage {
  engine!: TransactionEngine;
  groups!: GroupEngine;
  pending!: PendingOffsets;
  /** Asked before each marker; it may wait or throw. */
  beforeMarker: (topic: string, partition: number, marker: Marker) => void | Promise<void> = () => {};
  readonly settings = new Map<string, string>();

  override async open(): Promise<Store> {
    const store = await super.open();
    const { clock, trace, partitions } = this;
    const random = simRandom(this.chance);
    this.pending = new PendingOffsets();
    const { topics } = partitions;
    this.groups = await this.settle(
      openGroupEngine({
        registry: openEmbeddedRegistry(store),
        clock,
        random,
        trace,
        coordinatorEpoch: 0,
        unstable: this.pending,
        settings: { initialRebalanceDelayMs: 0, groupMaxSize: 10, offsetsRetentionMs: 1e12 },
        topics: {
          idOf: (topic) => topics.byName(topic)?.topicId,
          nameOf: (topicId) => topics.byId(topicId)?.name,
          partitionCount: (topic) => topics.byName(topic)?.partitions,
          changes: () => topics.changes,
          topic: (name) => topics.byName(name),
          topics: () => topics.all(),
        },
      }),
    );
    await this.openEngine();
    return store;
  }

  /** The engine alone, once more, over the partitions and groups that are there. */
  async openEngine(): Promise<void> {
    const { clock, trace, partitions } = this;
    const random = simRandom(this.chance);
    this.engine = await this.settle(
      openTransactionEngine({
        topics: partitions,
        partitions: {
          exists: (topic, partition) => partitions.exists(topic, partition),
          openTransactions: () => partitions.openTransactions(),
          endTransaction: async (topic, partition, marker) => {
            await this.beforeMarker(topic, partition, marker);
            await partitions.endTransaction(topic, partition, marker);
          },
        },
        groups: this.groups,
        pending: this.pending,
        clock,
        trace,
        newProducerId: () => newProducerId(random),
        coordinatorEpoch: 0,
        settings: transactionSettings(this.settings),
      }),
    );
    this.gate = this.engine;
  }

  async init(id: string, expected: Who | null = null, timeoutMs = 60_000): Promise<Who> {
    const reply = await this.settle(this.engine.init(id, timeoutMs, expected));
    if (reply.error !== "NONE") throw new Error(reply.error);
    return { id, producerId: reply.producerId, epoch: reply.epoch };
  }

  add(who: Who, ...places: string[]): Promise<string> {
    const partitions = new Map<string, Set<number>>();
    for (const place of places) {
      const [topic = "", index] = place.split("-");
      partitions.set(topic, (partitions.get(topic) ?? new Set()).add(Number(index ?? 0)));
    }
    return this.settle(this.engine.addPartitions(who, partitions));
  }

  /** One record of the producer's transaction. */
  async send(who: Who, topic: string, value: string, baseSequence = 0, version = 9): Promise<string> {
    const { id, producerId, epoch: producerEpoch } = who;
    const batch = batchOf([value], { producerId, producerEpoch, baseSequence, transactional: true });
    const { error } = await this.settle(this.produce(batch, { transactionalId: id, topic, version }));
    return error;
  }

  async offsets(who: Who, group: string, offset: number, implicit = false, claim = nobody): Promise<string> {
    const asked = [{ topic: "t", partitions: [{ partition: 0, offset, leaderEpoch: -1, metadata: "" }] }];
    const [answer] = await this.settle(this.engine.commitOffsets(who, group, claim, asked, implicit));
    return answer!.partitions[0]!.error;
  }

  /** The group's offset of t-0, or why it is not told. */
  committed(group: string, requireStable = true): number | string {
    const [answer] = this.groups.fetchOffsets(group, [{ topic: "t", partitions: [0] }], requireStable).topics;
    const { offset, error } = answer!.partitions[0]!;
    return error === "NONE" ? offset : error;
  }

  state(id: string): string {
    const { error, image } = this.engine.describe(id);
    return image === null ? error : `${image.state} ${image.epoch}`;
  }

  /** What stands in a partition, values and markers, as far as it is committed. */
  async lines(topic: string): Promise<string[]> {
    const { log, highWatermark } = this.partitions.must(topic, 0);
    const lines: string[] = [];
    for (let offset = 0; offset < highWatermark; ) {
      const bytes = await this.settle(log.read(offset, 1 << 20, highWatermark));
      if (bytes.length === 0) break;
      for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) {
        const header = readBatchHeader(bytes.subarray(at));
        for (const record of decodeRecords(bytes.subarray(at, at + header.size))) {
          const text = header.control ? `<${controlType(record)}>` : new TextDecoder().decode(record.value!);
          lines.push(text);
        }
        offset = header.lastOffset + 1;
      }
    }
    return lines;
  }

  lastStable(topic: string): number {
    return this.partitions.must(topic, 0).lastStable;
  }
}

/** A stage with topics t and u. */
export async function opened(): Promise<TransactionStage> {
  const stage = new TransactionStage();
  await stage.open();
  await stage.topic("t");
  await stage.topic("u");
  return stage;
}
