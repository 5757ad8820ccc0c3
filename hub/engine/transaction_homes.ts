// The transactions of a cluster: whoever leads a partition of __transaction_state coordinates those that belong to it.
//
// DESIGN. The coordinator of a lone hub serves here too, one for each partition that this hub leads. What it does with
// partitions and groups that other hubs lead it asks of those hubs: markers (WriteTxnMarkers), committed offsets
// (GroupDecided). What they need of it they ask in turn: whether a batch may begin (TxnGate), offsets to keep
// (TxnHold), what is kept (HeldOffsets).
import { type ErrorName, errorNameOf, HubError } from "../errors.ts";
import type { MemberClaim } from "../groups/syncing.ts";
import type { CommittedOffset } from "../io/registry.ts";
import { limits } from "../limits.ts";
import { refused } from "../transactions/transaction.ts";
import type { CallOf } from "../wire/apis.ts";
import type { GroupHomes } from "./group_homes.ts";
import type { OffsetToCommit, OfTopic, PartitionError } from "./groups_types.ts";
import { offsetsTopic, partitionOf } from "./homes.ts";
import type { Partition } from "./partition.ts";
import type { Partitions } from "./partitions.ts";
import type { Peers } from "./peers.ts";
import { TransactionEngine, type TransactionService } from "./transactions.ts";
import { type Producer, refuseAll, type TransactionEngineOptions } from "./transactions_parts.ts";
import { transactionTopic } from "./transactions_log.ts";
import { PendingOffsets } from "./transactions_offsets.ts";
import type { HeldRow, Marker } from "./transactions_types.ts";

export interface TransactionHomesOptions
  extends Pick<TransactionEngineOptions, "clock" | "trace" | "newProducerId" | "settings"> {
  readonly hubId: number;
  readonly partitions: Partitions;
  readonly groups: GroupHomes;
  readonly peers: Pick<Peers, "call">;
  /** The hub that leads a partition, as far as this one knows; -1 for none. */
  readonly leaderOf: (topic: string, partition: number) => number;
}

interface Home {
  readonly engine: TransactionEngine;
  readonly pending: PendingOffsets;
}

export class TransactionHomes implements TransactionService {
  readonly #options: TransactionHomesOptions;
  readonly #homes = new Map<number, Home>();
  readonly #closing = new Set<Promise<void>>();
  #closed = false;

  constructor(options: TransactionHomesOptions) {
    this.#options = options;
    const { partitions } = options;
    partitions.onLeadership((partition, leads) => {
      if (partition.topic === transactionTopic) this.#moved(partition, leads);
    });
    for (const partition of partitions.of(transactionTopic) ?? []) if (partition.leads) this.#moved(partition, true);
  }

  #moved(partition: Partition, leads: boolean): void {
    const index = partition.log.partition;
    const before = this.#homes.get(index);
    this.#homes.delete(index);
    if (before) {
      const closing = before.engine.close().finally(() => this.#closing.delete(closing));
      this.#closing.add(closing);
    }
    if (leads && !this.#closed) void this.#open(partition, index);
  }

  async #open(partition: Partition, index: number): Promise<void> {
    const { partitions, clock, trace, newProducerId, settings } = this.#options;
    const { epoch } = partition;
    const pending = new PendingOffsets();
    const engine = new TransactionEngine({
      topics: partitions,
      only: index,
      partitions: {
        endTransaction: (topic, at, marker) => this.#endTransaction(topic, at, marker),
        exists: (topic, at) => this.exists(topic, at),
        openTransactions: () => partitions.openTransactions(),
      },
      groups: {
        checkTransactional: (group, claim, topics) => this.#options.groups.checkTransactional(group, claim, topics),
        commitDecided: (group, offsets, id) => this.#commitDecided(group, offsets, id),
      },
      pending,
      clock,
      trace,
      newProducerId,
      coordinatorEpoch: epoch,
      settings,
    });
    this.#homes.set(index, { engine, pending });
    try {
      await partitions.whenReadable(partition);
    } catch {
      return; // leadership went before: the engine is closed by that
    }
    if (partition.leads && partition.epoch === epoch) await engine.load();
  }

  exists(topic: string, partition: number): boolean {
    return partition < (this.#options.partitions.topics.byName(topic)?.partitions ?? 0);
  }

  #of(id: string): TransactionEngine | null {
    return this.#homes.get(this.#indexOf(id))?.engine ?? null;
  }

  #indexOf(id: string): number {
    return partitionOf(id, this.#options.partitions.topics.byName(transactionTopic)?.partitions ?? 1);
  }

  #hubOf(id: string): number {
    return this.#options.leaderOf(transactionTopic, this.#indexOf(id));
  }

  // ---- what clients ask of the coordinator

  init: TransactionService["init"] = async (id, timeout, expected) =>
    (await this.#of(id)?.init(id, timeout, expected)) ?? refused("NOT_COORDINATOR");
  addPartitions: TransactionService["addPartitions"] = async (producer, partitions) =>
    (await this.#of(producer.id)?.addPartitions(producer, partitions)) ?? "NOT_COORDINATOR";
  addGroup: TransactionService["addGroup"] = async (producer, group) =>
    (await this.#of(producer.id)?.addGroup(producer, group)) ?? "NOT_COORDINATOR";
  end: TransactionService["end"] = async (producer, commit, bump) =>
    (await this.#of(producer.id)?.end(producer, commit, bump)) ?? refused("NOT_COORDINATOR");
  describe: TransactionService["describe"] = (id) =>
    this.#of(id)?.describe(id) ?? { error: "NOT_COORDINATOR", image: null };

  list(filter: Parameters<TransactionService["list"]>[0]): ReturnType<TransactionService["list"]> {
    const found = [...this.#homes.values()].map(({ engine }) => engine.list(filter));
    const error = found.find((one) => one.error !== "NONE")?.error ?? "NONE";
    const unknownStates = found[0]?.unknownStates ?? [];
    return { error, unknownStates, transactions: error === "NONE" ? found.flatMap((one) => one.transactions) : [] };
  }

  /** TxnOffsetCommit comes to the group's coordinator: it checks the member, the transaction's keeps the offsets. */
  async commitOffsets(
    producer: Producer,
    group: string,
    claim: MemberClaim,
    topics: readonly OfTopic<OffsetToCommit>[],
    implicit: boolean,
  ): Promise<readonly OfTopic<PartitionError>[]> {
    const { groups } = this.#options;
    const { wanted, answers } = groups.checkTransactional(group, claim, topics);
    if (wanted.length === 0) return answers;
    groups.held(group)?.note(group, producer.id, wanted);
    return refuseAll(answers, await this.#hold(producer, group, wanted, implicit));
  }

  async #hold(
    { id, producerId, epoch }: Producer,
    group: string,
    offsets: readonly CommittedOffset[],
    implicit: boolean,
  ): Promise<ErrorName> {
    const here = this.#of(id);
    if (here) return await here.hold({ id, producerId, epoch }, group, offsets, implicit);
    const claim = { transactionalId: id, producerId, producerEpoch: epoch };
    return await this.#ask(this.#hubOf(id), "txnHold", { ...claim, group, implicit, offsets });
  }

  // ---- what leaders of partitions ask of the coordinator

  admit: TransactionService["admit"] = async (id, producerId, producerEpoch, topic, partition, implicit) => {
    const here = this.#of(id);
    if (here) return await here.admit(id, producerId, producerEpoch, topic, partition, implicit);
    const partitions = [{ topic, partition }];
    const call = { transactionalId: id, producerId, producerEpoch, implicit, partitions };
    return await this.#ask(this.#hubOf(id), "txnGate", call);
  };

  /** What another hub coordinates cannot be asked within a turn: the guard of the batch stands for it (KIP-890). */
  verify: TransactionService["verify"] = (id, producerId, epoch, topic, partition) =>
    this.#of(id)?.verify(id, producerId, epoch, topic, partition) ?? "NONE";

  /** @throws HubError as Peers.call does */
  async #call<N extends "txnGate" | "txnHold" | "groupDecided">(
    hub: number,
    api: N,
    call: CallOf<N>,
  ): Promise<ErrorName> {
    if (hub < 0 || hub === this.#options.hubId) return "COORDINATOR_NOT_AVAILABLE";
    const { errorCode } = await this.#options.peers.call(hub, api, call, limits.transactionCallMsMax);
    return errorNameOf(errorCode);
  }

  async #ask<N extends "txnGate" | "txnHold">(hub: number, api: N, call: CallOf<N>): Promise<ErrorName> {
    try {
      return await this.#call(hub, api, call);
    } catch (error) {
      this.#options.trace.event("debug", "coordinator_unanswered", { hub, api, error: String(error) });
      return "COORDINATOR_NOT_AVAILABLE";
    }
  }

  // ---- what a coordinator does with partitions and groups, wherever they are

  async #endTransaction(topic: string, partition: number, marker: Marker): Promise<void> {
    const { partitions, hubId, leaderOf, peers } = this.#options;
    if (!this.exists(topic, partition)) return;
    const hub = leaderOf(topic, partition);
    if (hub === hubId) return await partitions.endTransaction(topic, partition, marker);
    if (hub < 0) throw new HubError("LEADER_NOT_AVAILABLE", `Nobody leads ${topic}-${partition} at this moment`);
    const { producerId, producerEpoch, coordinatorEpoch, commit } = marker;
    const topics = [{ name: topic, partitionIndexes: [partition] }];
    const one = { producerId, producerEpoch, coordinatorEpoch, transactionResult: commit, topics };
    const { markers } = await peers.call(hub, "writeTxnMarkers", { markers: [one] }, limits.transactionCallMsMax);
    const error = errorNameOf(markers[0]?.topics[0]?.partitions[0]?.errorCode ?? -1);
    if (error !== "NONE") throw new HubError(error, `hub ${hub}: ${topic}-${partition}`);
  }

  async #commitDecided(group: string, offsets: readonly CommittedOffset[], id: string): Promise<ErrorName> {
    const { partitions, leaderOf, hubId } = this.#options;
    const groups = partitions.topics.byName(offsetsTopic)?.partitions ?? 1;
    const hub = leaderOf(offsetsTopic, partitionOf(group, groups));
    if (hub === hubId) return await this.decided(group, offsets, id);
    return await this.#call(hub, "groupDecided", { group, transactionalId: id, offsets });
  }

  /** Everything that transactions hold for groups, whoever coordinates them; null when somebody does not answer. */
  async held(): Promise<readonly HeldRow[] | null> {
    const { partitions, leaderOf, hubId, peers } = this.#options;
    const count = partitions.topics.byName(transactionTopic)?.partitions ?? 0;
    const hubs = new Set(Array.from({ length: count }, (_, index) => leaderOf(transactionTopic, index)));
    const homes = new Set<number>();
    const rows: HeldRow[] = [];
    try {
      for (const hub of hubs) {
        const of =
          hub === hubId ? this.heldHere() : await peers.call(hub, "heldOffsets", {}, limits.transactionCallMsMax);
        for (const { partition } of of.homes) homes.add(partition);
        rows.push(...of.held);
      }
    } catch {
      return null;
    }
    return homes.size >= count ? rows : null;
  }

  // ---- what other hubs ask

  gate: TransactionService["admit"] = async (id, ...rest) =>
    (await this.#of(id)?.admit(id, ...rest)) ?? "NOT_COORDINATOR";

  hold: TransactionEngine["hold"] = async (producer, ...rest) =>
    (await this.#of(producer.id)?.hold(producer, ...rest)) ?? "NOT_COORDINATOR";

  /** A transaction of any hub decided these for a group that is coordinated here. */
  async decided(group: string, offsets: readonly CommittedOffset[], id: string): Promise<ErrorName> {
    const { groups } = this.#options;
    const error = await groups.commitDecided(group, offsets, id);
    if (error === "NONE") groups.held(group)?.applied(group, id);
    return error;
  }

  heldHere(): { readonly homes: readonly { readonly partition: number }[]; readonly held: readonly HeldRow[] } {
    const loaded = [...this.#homes].filter(([, { pending }]) => pending.complete);
    return {
      homes: loaded.map(([partition]) => ({ partition })),
      held: loaded.flatMap(([, { pending }]) => [...pending.rows()]),
    };
  }

  measure(): void {
    let [ids, waiting] = [0, 0];
    for (const { engine } of this.#homes.values()) {
      const size = engine.size();
      ids += size.ids;
      waiting += size.waiting;
    }
    this.#options.trace.gauge("transactional_ids", ids);
    this.#options.trace.gauge("transaction_markers_waiting", waiting);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { engine } of this.#homes.values()) this.#closing.add(engine.close());
    this.#homes.clear();
    await Promise.all(this.#closing);
  }
}
