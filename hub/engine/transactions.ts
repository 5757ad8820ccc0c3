// Runs the transaction coordinator: requests become events, effects become log records, markers, answers and timers.
import { codeOf, type ErrorName, HubError } from "../errors.ts";
import type { MemberClaim } from "../groups/syncing.ts";
import type { Millis, Timer } from "../io/ports.ts";
import type { CommittedOffset } from "../io/registry.ts";
import { limits } from "../limits.ts";
import { verify } from "../transactions/adding.ts";
import * as machine from "../transactions/coordinator.ts";
import { describeTransaction, type ListFilter, listTransactions } from "../transactions/listing.ts";
import {
  isBusy,
  noGroups,
  noPartitions,
  type Partitions,
  type Reply,
  refused,
  type RequestId,
  type TransactionEffect,
} from "../transactions/transaction.ts";
import type { OffsetToCommit, OfTopic, PartitionError } from "./groups_types.ts";
import { type Producer, refuseAll, toProducer, type TransactionEngineOptions } from "./transactions_parts.ts";
import { TransactionEnds } from "./transactions_ends.ts";
import { TransactionLog } from "./transactions_log.ts";
import { PartitionsGathered } from "./transactions_gathering.ts";
import type { PendingOffsets } from "./transactions_offsets.ts";
import type { TransactionGate } from "./transactions_types.ts";

/**
 * Starts the coordinator and reads its log. What cannot be read now is tried again for as long as it takes; meanwhile
 * everything is answered with COORDINATOR_LOAD_IN_PROGRESS.
 */
export async function openTransactionEngine(options: TransactionEngineOptions): Promise<TransactionEngine> {
  const engine = new TransactionEngine(options);
  await engine.load();
  return engine;
}

/** What requests ask for, whether one coordinator of this hub answers or whichever is theirs. */
export type TransactionService = TransactionGate &
  Pick<
    TransactionEngine,
    "init" | "addPartitions" | "addGroup" | "commitOffsets" | "end" | "list" | "describe" | "measure" | "close"
  >;

export class TransactionEngine implements TransactionGate {
  readonly #options: TransactionEngineOptions;
  readonly #log: TransactionLog;
  readonly #ends: TransactionEnds;
  readonly #pending: PendingOffsets;
  readonly #gathered: PartitionsGathered;
  #coordinator: machine.TransactionCoordinator;
  readonly #answers = new Map<RequestId, (reply: Reply) => void>();
  readonly #timers = new Map<string, { readonly at: Millis; readonly timer: Timer }>();
  /** Called at the next change of an id. */
  readonly #watchers = new Map<string, Set<() => void>>();
  #requests = 0;
  #phase: "loading" | "serving" | "closed" = "loading";
  #sweep: Timer | null = null;
  #retry: Timer | null = null;

  constructor(options: TransactionEngineOptions) {
    const { clock, trace, topics, partitions, groups, pending, settings, coordinatorEpoch } = options;
    this.#options = options;
    this.#pending = pending;
    this.#log = new TransactionLog(topics, clock, () => settings.logPartitions, options.only ?? null);
    this.#ends = new TransactionEnds({ partitions, groups, clock, trace, coordinatorEpoch }, (id) => {
      this.#play(id, machine.onEnded(this.#coordinator, id));
    });
    this.#gathered = new PartitionsGathered((producer, added) => this.addPartitions(producer, added));
    this.#coordinator = machine.newTransactionCoordinator(settings);
  }

  /** One attempt to read the log; a failure is told and tried again later. */
  async load(): Promise<void> {
    const { clock, trace, settings } = this.#options;
    const coordinator = machine.newTransactionCoordinator(settings);
    try {
      const decidedAt = new Map<string, number>();
      const records = await this.#log.read((record, time) => {
        machine.replay(coordinator, record, clock.now());
        if (record.kind === "transaction") decidedAt.set(record.id, time);
      });
      if (this.#phase !== "loading") return;
      this.#coordinator = coordinator;
      this.#phase = "serving";
      const effects = machine.resume(coordinator);
      const { transactions } = coordinator;
      for (const [id, transaction] of transactions) this.#pending.update(id, transaction);
      this.#pending.loaded();
      if (records > 0) trace.event("info", "transactions_loaded", { records, ids: transactions.size });
      for (const id of transactions.keys()) this.#arm(id);
      for (const effect of effects) if (effect.kind !== "end") this.#do(effect);
      const ends = effects.filter((effect) => effect.kind === "end");
      ends.sort((one, other) => decidedAt.get(one.id)! - decidedAt.get(other.id)!);
      this.#ends.startLost(machine.endsOfLost(coordinator, this.#options.partitions.openTransactions()));
      for (const { id, end } of ends) this.#ends.start(id, end);
      this.#armSweep();
    } catch (error) {
      trace.event("error", "transactions_load_failed", { error: String(error) });
      if (this.#phase === "loading") this.#retry = clock.after(limits.diskRetryMs, () => void this.load());
    }
  }

  #unready(): ErrorName {
    if (this.#phase === "serving") return "NONE";
    return this.#phase === "loading" ? "COORDINATOR_LOAD_IN_PROGRESS" : "COORDINATOR_NOT_AVAILABLE";
  }

  /** Makes the log on first use; the answer is for FindCoordinator and whoever begins a transaction. */
  async ready(): Promise<ErrorName> {
    const unready = this.#unready();
    if (unready !== "NONE") return unready;
    try {
      await this.#log.make();
      return this.#unready();
    } catch (error) {
      this.#options.trace.event("error", "transaction_log_not_made", { error: String(error) });
      return "COORDINATOR_NOT_AVAILABLE";
    }
  }

  /** InitProducerId; `expected` is who the producer believes to be (v3+), null for a new one. */
  async init(
    id: string,
    timeoutMs: Millis,
    expected: { readonly producerId: number; readonly epoch: number } | null,
  ): Promise<Reply> {
    const unready = await this.ready();
    if (unready !== "NONE") return refused(unready);
    const { newProducerId, clock } = this.#options;
    return this.#ask(id, (request) => {
      const event = { request, id, timeoutMs, expected, freshProducerId: newProducerId() };
      return machine.init(this.#coordinator, event, clock.now());
    });
  }

  /** AddPartitionsToTxn, all or nothing; the partitions exist. */
  async addPartitions(producer: Producer, partitions: Partitions): Promise<ErrorName> {
    return this.#add(producer, partitions, noGroups);
  }

  /** AddOffsetsToTxn. */
  async addGroup(producer: Producer, group: string): Promise<ErrorName> {
    return this.#add(producer, noPartitions, new Set([group]));
  }

  async #add(producer: Producer, partitions: Partitions, groups: ReadonlySet<string>): Promise<ErrorName> {
    const wall = this.#options.clock.wall();
    const reply = await this.#ask(producer.id, (request) =>
      machine.add(this.#coordinator, { ...producer, request, partitions, groups, wall }),
    );
    return reply.error;
  }

  /** TxnOffsetCommit, as far as the group allows it: resolves when the offsets are kept with the transaction. */
  async commitOffsets(
    producer: Producer,
    group: string,
    claim: MemberClaim,
    topics: readonly OfTopic<OffsetToCommit>[],
    implicit: boolean,
  ): Promise<readonly OfTopic<PartitionError>[]> {
    const { wanted, answers } = this.#options.groups.checkTransactional(group, claim, topics);
    if (wanted.length === 0) return answers;
    return refuseAll(answers, await this.hold(producer, group, wanted, implicit));
  }

  /** Keeps offsets with the transaction; the group's coordinator has checked who wants it. */
  async hold(
    producer: Producer,
    group: string,
    offsets: readonly CommittedOffset[],
    implicit: boolean,
  ): Promise<ErrorName> {
    const wall = this.#options.clock.wall();
    const { error } = await this.#ask(producer.id, (request) =>
      machine.commitOffsets(this.#coordinator, { ...producer, request, group, offsets, implicit, wall }),
    );
    return error;
  }

  /**
   * EndTxn; `bump` from v5 on. An answer means that the decision is on disk; it comes when the end is complete, so that
   * the producer finds its records and offsets, but is not kept longer than `transactionWaitMsMax`.
   */
  async end(producer: Producer, commit: boolean, bump: boolean): Promise<Reply> {
    const reply = await this.#ask(producer.id, (request) => {
      const freshProducerId = this.#options.newProducerId();
      return machine.end(this.#coordinator, { ...producer, request, commit, bump, freshProducerId });
    });
    if (reply.error === "NONE")
      await this.#changed(producer.id, this.#options.clock.now() + limits.transactionWaitMsMax);
    return reply;
  }

  async admit(
    transactionalId: string,
    producerId: number,
    epoch: number,
    topic: string,
    partition: number,
    implicit: boolean,
  ): Promise<ErrorName> {
    const error = this.verify(transactionalId, producerId, epoch, topic, partition);
    const absent = error === "TRANSACTION_ABORTABLE" || error === "CONCURRENT_TRANSACTIONS";
    if (!implicit || !absent) return error;
    return toProducer(await this.#gathered.add({ id: transactionalId, producerId, epoch }, topic, partition));
  }

  verify(id: string, producerId: number, epoch: number, topic: string, partition: number): ErrorName {
    const unready = this.#unready();
    if (unready !== "NONE") return unready;
    const found = this.#coordinator.transactions.get(id);
    return toProducer(verify(found, { id, producerId, epoch, request: 0 }, topic, partition));
  }

  list(filter: ListFilter): { readonly error: ErrorName } & ReturnType<typeof listTransactions> {
    const error = this.#unready();
    if (error !== "NONE") return { error, unknownStates: [], transactions: [] };
    return { error, ...listTransactions(this.#coordinator, filter, this.#options.clock.wall()) };
  }

  describe(id: string): { readonly error: ErrorName; readonly image: ReturnType<typeof describeTransaction> } {
    const unready = this.#unready();
    if (unready !== "NONE") return { error: unready, image: null };
    const image = id === "" ? null : describeTransaction(this.#coordinator, id);
    if (image !== null) return { error: "NONE", image };
    return { error: id === "" ? "INVALID_REQUEST" : "TRANSACTIONAL_ID_NOT_FOUND", image };
  }

  /** Ids that are known, and steps of ends that are not done. */
  size(): { readonly ids: number; readonly waiting: number } {
    return { ids: this.#coordinator.transactions.size, waiting: this.#ends.count };
  }

  /** Sets the gauges that are worth reading at a scrape. */
  measure(): void {
    const { ids, waiting } = this.size();
    this.#options.trace.gauge("transactional_ids", ids);
    this.#options.trace.gauge("transaction_markers_waiting", waiting);
  }

  /** Answers what waits; an end that is under way goes on at the next start. Idempotent. */
  async close(): Promise<void> {
    this.#phase = "closed";
    this.#sweep?.cancel();
    this.#retry?.cancel();
    for (const { timer } of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    for (const watchers of this.#watchers.values()) for (const call of watchers) call();
    for (const answer of this.#answers.values()) answer(refused("COORDINATOR_NOT_AVAILABLE"));
    this.#answers.clear();
    await this.#ends.close();
  }

  /**
   * Asks the machine. While the end before is being completed it waits a little for that: most clients would come back
   * after a far longer pause, some of them never.
   */
  async #ask(id: string, event: (request: RequestId) => TransactionEffect[]): Promise<Reply> {
    const until = this.#options.clock.now() + limits.transactionWaitMsMax;
    for (;;) {
      const unready = this.#unready();
      if (unready !== "NONE") return refused(unready);
      const reply = await new Promise<Reply>((resolve) => {
        this.#requests += 1;
        this.#answers.set(this.#requests, resolve);
        this.#play(id, event(this.#requests));
      });
      if (reply.error !== "CONCURRENT_TRANSACTIONS") return reply;
      if (!(await this.#changed(id, until))) return reply;
    }
  }

  /** True when the id is free again; false when that takes too long. */
  #changed(id: string, until: Millis): Promise<boolean> {
    const { clock } = this.#options;
    const transaction = this.#coordinator.transactions.get(id);
    const now = clock.now();
    if (this.#phase !== "serving") return Promise.resolve(true);
    if (now >= until) return Promise.resolve(false);
    if (transaction === undefined || !isBusy(transaction)) return Promise.resolve(true);
    return new Promise((resolve) => {
      const watchers = this.#watchers.get(id) ?? new Set();
      this.#watchers.set(id, watchers);
      const done = (changed: boolean): void => {
        watchers.delete(call);
        if (watchers.size === 0) this.#watchers.delete(id);
        timer.cancel();
        resolve(changed);
      };
      const call = (): void => done(true);
      watchers.add(call);
      const timer = clock.after(until - now, () => done(false));
    });
  }

  /** Does what the machine asks, then sets the id's timer. */
  #play(id: string, effects: readonly TransactionEffect[]): void {
    for (const effect of effects) this.#do(effect);
    this.#arm(id);
  }

  #do(effect: TransactionEffect): void {
    switch (effect.kind) {
      case "answer":
        this.#answers.get(effect.request)?.(effect.reply);
        this.#answers.delete(effect.request);
        return;
      case "append":
        void this.#append(effect);
        return;
      case "end":
        this.#ends.start(effect.id, effect.end);
        return;
      case "tell":
        this.#tell(effect);
        return;
      default: {
        const never: never = effect;
        throw new Error(`unknown effect ${JSON.stringify(never)}`);
      }
    }
  }

  #tell({ what, id, producerId, epoch }: TransactionEffect & { kind: "tell" }): void {
    const { trace } = this.#options;
    const name = what.replaceAll("-", "_");
    trace.count(`transactions_${name}`);
    trace.event(what === "timed-out" ? "warn" : "info", `transaction_${name}`, { id, producerId, epoch });
  }

  async #append({ id, records }: TransactionEffect & { kind: "append" }): Promise<void> {
    const error = await this.#write(id, records);
    if (this.#phase === "closed") return;
    const effects = machine.onWritten(this.#coordinator, id, error, this.#options.clock.now());
    const transaction = this.#coordinator.transactions.get(id);
    this.#pending.update(id, transaction);
    this.#play(id, effects);
    if (transaction === undefined || !isBusy(transaction)) {
      for (const call of [...(this.#watchers.get(id) ?? [])]) call();
    }
  }

  async #write(id: string, records: (TransactionEffect & { kind: "append" })["records"]): Promise<ErrorName> {
    try {
      await this.#log.append(id, records);
      return "NONE";
    } catch (error) {
      const { trace } = this.#options;
      trace.event("error", "transaction_write_failed", { id, error: String(error) });
      const tooLarge = error instanceof HubError && error.code === codeOf("MESSAGE_TOO_LARGE");
      return tooLarge ? "INVALID_COMMIT_OFFSET_SIZE" : "COORDINATOR_NOT_AVAILABLE";
    }
  }

  #arm(id: string): void {
    if (this.#phase === "closed") return;
    const at = machine.nextDeadline(this.#coordinator, id);
    const armed = this.#timers.get(id);
    if (armed?.at === at) return;
    armed?.timer.cancel();
    this.#timers.delete(id);
    if (at === Infinity) return;
    const { clock } = this.#options;
    const timer = clock.after(Math.max(0, at - clock.now()), () => {
      this.#timers.delete(id);
      this.#play(id, machine.tick(this.#coordinator, id, clock.now()));
    });
    this.#timers.set(id, { at, timer });
  }

  #armSweep(): void {
    const { clock } = this.#options;
    this.#sweep = clock.after(limits.transactionSweepMs, () => {
      for (const effect of machine.sweep(this.#coordinator, clock.now())) this.#do(effect);
      this.#armSweep();
    });
  }
}
