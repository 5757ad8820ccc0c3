// Partitions over a store on a simulated disk, and the handlers of produce and fetch in front of them.
import { loneView } from "../../../hub/engine/cluster_view.ts";
import { type Partition, Partitions } from "../../../hub/engine/partitions.ts";
import { Topics } from "../../../hub/engine/topics.ts";
import type { TransactionGate } from "../../../hub/engine/transactions_types.ts";
import { errorNameOf } from "../../../hub/errors.ts";
import type { Store, StoreListener } from "../../../hub/log/store.ts";
import { placeHandlers } from "../../../hub/server/handlers/epochs.ts";
import { fetchHandlers } from "../../../hub/server/handlers/fetch.ts";
import { produceHandlers } from "../../../hub/server/handlers/produce.ts";
import { producerHandlers } from "../../../hub/server/handlers/producers.ts";
import type { HubServices, RequestContext } from "../../../hub/server/services.ts";
import { silentTrace } from "../../../hub/trace.ts";
import { decodeRequest, encodeRequest, type RequestOf } from "../../../hub/wire/apis.ts";
import { simRandom } from "../../sim/clock.ts";
import { Bench } from "../log/support.ts";

type Api = "produce" | "fetch" | "listOffsets" | "describeProducers";

export class PartitionStage extends Bench {
  partitions!: Partitions;
  gate: TransactionGate | null = null;

  override get listener(): StoreListener {
    const plain = super.listener;
    return { ...plain, durable: (logs) => this.partitions?.durable(logs) };
  }

  override async open(): Promise<Store> {
    const store = await super.open();
    const topics = new Topics(store, simRandom(this.chance), new Map());
    this.partitions = new Partitions(store, topics, this.clock, `1:${store.meta.dirId}`);
    await this.settle(this.partitions.open());
    return store;
  }

  async topic(name: string, settings: Readonly<Record<string, string>> = {}): Promise<Partition> {
    await this.settle(this.partitions.createTopic(name, 1, new Map(Object.entries(settings))));
    return this.partitions.must(name, 0);
  }

  get #services(): HubServices {
    const { partitions, clock } = this;
    const lone = { cluster: loneView(1, "dir"), hubId: 1 };
    const rest = { ...lone, random: simRandom(this.chance), trace: silentTrace, settings: new Map() };
    return { ...rest, partitions, clock, transactionGate: this.gate } as unknown as HubServices;
  }

  /** The request as the wire gives it to the handler, defaults filled in. */
  ask<N extends Api>(api: N, version: number, request: object): RequestOf<N> {
    const frame = encodeRequest(api, version, 1, "c", request as never);
    const bytes = frame instanceof Uint8Array ? frame : Buffer.concat(frame as Uint8Array[]);
    return decodeRequest(bytes.subarray(4)).body as RequestOf<N>;
  }

  context(version: number): RequestContext {
    const listener = { host: "h", port: 1 };
    return { version, clientId: "c", clientHost: "h", connectionId: 1, inProcess: false, listener };
  }

  /** Sends a batch and gives the answer as it comes; the clock is not moved. */
  async produce(
    records: Uint8Array,
    options: { transactionalId?: string | null; version?: number; topic?: string } = {},
  ) {
    const { transactionalId = null, version = 9, topic = "t" } = options;
    const topicData = [{ name: topic, partitionData: [{ index: 0, records }] }];
    const request = this.ask("produce", version, { transactionalId, acks: -1, timeoutMs: 5000, topicData });
    const reply = await produceHandlers(this.#services).produce(request, this.context(version));
    const { errorCode, baseOffset } = reply!.responses[0]!.partitionResponses[0]!;
    return { error: errorNameOf(errorCode), baseOffset };
  }

  async fetch(fetchOffset: number, isolationLevel: number, options: { bytes?: number; waitMs?: number } = {}) {
    const { bytes = 1 << 20, waitMs = 0 } = options;
    const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: bytes }];
    const topics = [{ topic: "t", partitions }];
    const wish = { maxWaitMs: waitMs, minBytes: 1, maxBytes: 1 << 20, isolationLevel, sessionEpoch: -1, topics };
    const request = this.ask("fetch", 12, wish);
    const reply = await fetchHandlers(this.#services).fetch(request, this.context(12));
    return reply.responses[0]!.partitions[0]!;
  }

  async latest(isolationLevel: number, timestamp = -1): Promise<number> {
    const topics = [{ name: "t", partitions: [{ partitionIndex: 0, timestamp }] }];
    const request = this.ask("listOffsets", 7, { replicaId: -1, isolationLevel, topics });
    const reply = await placeHandlers(this.#services).listOffsets(request, this.context(7));
    return reply.topics[0]!.partitions[0]!.offset ?? -1;
  }

  describe(topic: string) {
    const request = this.ask("describeProducers", 0, { topics: [{ name: topic, partitionIndexes: [0] }] });
    return producerHandlers(this.#services).describeProducers(request).topics[0]!.partitions[0]!;
  }
}
