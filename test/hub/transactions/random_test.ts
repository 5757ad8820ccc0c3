// Random lives of transactional ids: producers, zombies, lost answers, refused writes, kills; invariants after each step.
import assert from "node:assert/strict";
import test from "node:test";
import type { CommittedOffset } from "../../../hub/io/registry.ts";
import * as machine from "../../../hub/transactions/coordinator.ts";
import type { End, LogRecord, Reply, TransactionEffect } from "../../../hub/transactions/transaction.ts";
import { isPrepared, TransactionState } from "../../../hub/transactions/transaction.ts";
import { seeded } from "../../sim/clock.ts";
import { reread, settings, topicIdOf } from "./stage.ts";

interface Producer {
  producerId: number;
  epoch: number;
  /** v5 calls. */
  readonly bumps: boolean;
}

interface Call {
  readonly producer: Producer;
  readonly kind: "init" | "add" | "offsets" | "end" | "other";
  readonly claim: { readonly producerId: number; readonly epoch: number };
  readonly place: string;
  readonly run: (request: number) => TransactionEffect[];
}

const timeoutMs = 60_000;

/** One id with all that it meets. Each method of a check bears the name of the invariant. */
class Life {
  readonly #chance: () => number;
  coordinator = machine.newTransactionCoordinator({ ...settings, transactionalIdsMax: 10 });
  readonly #log: LogRecord[] = [];
  /** Appends and ends that the world still has to carry out. */
  #appends: (TransactionEffect & { kind: "append" })[] = [];
  #ends: End[] = [];
  readonly #calls = new Map<number, Call>();
  readonly #producers: Producer[] = [];
  /** Partitions that a producer was told are in the open transaction. */
  #told = new Set<string>();
  /** Transactions begun so far, and how each of them was decided. */
  #begun = 0;
  readonly #decided = new Map<number, boolean>();
  /** The last call that succeeded, while nothing has happened since but its own completion. */
  #last: { readonly call: Call; readonly reply: Reply } | null = null;
  retries = 0;
  #now = 0;
  #requests = 0;
  #fresh = 0;
  #fenced = new Set<string>();
  /** A transaction is being taken from its producer. */
  #fencing = false;
  answers = 0;

  constructor(chance: () => number) {
    this.#chance = chance;
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#chance() * items.length)]!;
  }

  step(): void {
    const dice = this.#chance();
    if (dice < 0.1) this.#again();
    else if (dice < 0.6) this.#call();
    else if (dice < 0.78) this.#write();
    else if (dice < 0.9) this.#mark();
    else if (dice < 0.97) this.#wait(this.#pick([1, 1000, 61_000]));
    else this.#kill();
    this.#check();
  }

  /** Lets everything that is under way come to its end. */
  settle(): void {
    for (let i = 0; i < 100 && (this.#appends.length > 0 || this.#ends.length > 0); i += 1) {
      this.#write(true);
      this.#mark();
      this.#wait(settings.diskRetryMs);
      this.#check();
    }
  }

  get #image() {
    return this.coordinator.transactions.get("x")?.image ?? null;
  }

  #call(): void {
    if (this.#producers.length < 4 || this.#chance() < 0.02) {
      this.#producers.push({ producerId: -1, epoch: -1, bumps: this.#chance() < 0.5 });
    }
    const producer = this.#pick(this.#producers);
    const claim = { producerId: producer.producerId, epoch: producer.epoch };
    const kind = claim.epoch < 0 ? "init" : this.#pick(["init", "add", "add", "offsets", "end", "end"] as const);
    const commit = this.#chance() < 0.5;
    const common = { id: "x", ...claim, wall: this.#now };
    const partition = Math.floor(this.#chance() * 3);
    const offset = this.#offset(partition);
    this.#fresh += 1000;
    const freshProducerId = this.#fresh;
    const expected = claim.epoch < 0 || this.#chance() < 0.2 ? null : claim;
    const run = (request: number): TransactionEffect[] => {
      if (kind === "init") {
        return machine.init(this.coordinator, { request, id: "x", timeoutMs, expected, freshProducerId }, this.#now);
      }
      if (kind === "end") {
        return machine.end(this.coordinator, { ...common, request, commit, bump: producer.bumps, freshProducerId });
      }
      if (kind === "add") {
        const partitions = new Map([["t", new Set([partition])]]);
        return machine.add(this.coordinator, { ...common, request, partitions, groups: new Set(["g"]) });
      }
      const implicit = producer.bumps;
      return machine.commitOffsets(this.coordinator, { ...common, request, group: "g", offsets: [offset], implicit });
    };
    const place = `t-${partition}`;
    this.#ask({ producer, kind: kind === "init" && expected === null ? "other" : kind, claim, place, run });
  }

  #ask(call: Call): void {
    this.#requests += 1;
    this.#calls.set(this.#requests, call);
    this.#play(call.run(this.#requests));
  }

  #offset(partition: number): CommittedOffset {
    const rest = { leaderEpoch: -1, metadata: "", committedAt: 0 };
    return { topicId: topicIdOf("t"), topic: "t", partition, offset: this.#requests, ...rest };
  }

  #write(surely = false): void {
    const [append] = this.#appends.splice(0, 1);
    if (append === undefined) return;
    const error = !surely && this.#chance() < 0.15 ? "COORDINATOR_NOT_AVAILABLE" : "NONE";
    const before = this.#image;
    if (error !== "NONE") this.#fencing = false;
    if (error === "NONE") this.#log.push(...append.records.map(reread));
    const opens = error === "NONE" && append.records.some(isOpening);
    if (opens && before?.state !== TransactionState.Ongoing) this.#begun += 1;
    if (error === "NONE" && !(before !== null && isPrepared(before))) this.#last = null;
    this.#play(machine.onWritten(this.coordinator, "x", error, this.#now));
    const after = this.#image;
    if (before === null || after === null || before === after) return;
    const bumped = before.producerId !== after.producerId || before.epoch !== after.epoch;
    assert.ok(bumped || !this.#fencing || !isPrepared(after), "FencingBumps");
    if (isPrepared(after)) this.#fencing = false;
    if (bumped) this.#fenced.add(`${before.producerId}/${before.epoch}`);
  }

  #mark(): void {
    const [end] = this.#ends.splice(0, 1);
    if (end === undefined) return;
    const image = this.#image;
    assert.ok(image !== null && isPrepared(image), "OnlyDecidedIsMarked");
    for (const [group, offsets] of end.offsets) {
      assert.ok(end.commit && image.groups.has(group), "OffsetsOfCommittedGroupsOnly");
      assert.ok(offsets.length > 0, "OffsetsAreKept");
    }
    for (const [topic, partitions] of end.partitions) {
      const added = image.partitions.get(topic);
      for (const partition of partitions) assert.ok(added?.has(partition), "MarkersForAddedPartitionsOnly");
    }
    this.#play(machine.onEnded(this.coordinator, "x"));
  }

  #wait(ms: number): void {
    const end = this.#now + ms;
    for (let i = 0; i < 100; i += 1) {
      const next = machine.nextDeadline(this.coordinator, "x");
      if (next > end) break;
      this.#now = Math.max(this.#now, next);
      this.#play(machine.tick(this.coordinator, "x", this.#now));
    }
    this.#now = end;
    const transaction = this.coordinator.transactions.get("x");
    const open = transaction?.image?.state === TransactionState.Ongoing && transaction.writing === null;
    assert.ok(!open || (transaction.deadline > this.#now && transaction.deadline < Infinity), "TimeoutsEnd");
  }

  #kill(): void {
    this.#appends = [];
    this.#ends = [];
    this.#calls.clear();
    this.#fencing = false;
    const before = this.#image;
    this.coordinator = machine.newTransactionCoordinator(settings);
    for (const record of this.#log) machine.replay(this.coordinator, record, this.#now);
    this.#play(machine.resume(this.coordinator));
    assert.deepEqual(this.#image, before, "ReplayComesToTheSame");
  }

  #play(effects: readonly TransactionEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "answer") this.#answer(effect.request, effect.reply);
      else if (effect.kind === "append") this.#appends.push(effect);
      else if (effect.kind === "tell") this.#fencing ||= effect.what === "timed-out" || effect.what === "fenced";
      else if (effect.kind === "end") this.#decide(effect.end);
    }
    assert.ok(this.#appends.length <= 1, "OneWriteAtATime");
  }

  #decide(end: End): void {
    const before = this.#decided.get(this.#begun);
    // An abort of nothing (v5) between two transactions decides none.
    if (end.partitions.size > 0 || end.commit) {
      assert.ok(before === undefined || before === end.commit, "NeverBothCommittedAndAborted");
      this.#decided.set(this.#begun, end.commit);
      for (const place of this.#told) {
        const [topic, partition] = place.split("-");
        assert.ok(end.partitions.get(topic!)?.has(Number(partition)), "WhatWasAddedIsMarked");
      }
    }
    this.#told = new Set();
    this.#ends.push(end);
  }

  #answer(request: number, reply: Reply): void {
    const call = this.#calls.get(request)!;
    this.#calls.delete(request);
    this.answers += 1;
    const { producer, kind, claim } = call;
    if (reply.error !== "NONE") return;
    const image = this.#image!;
    if (kind === "add" || kind === "offsets") {
      assert.ok(!this.#fenced.has(`${claim.producerId}/${claim.epoch}`), "FencedEpochsAddNothing");
      assert.equal(image.state, TransactionState.Ongoing, "AddedToAnOpenTransaction");
      if (kind === "add") this.#told.add(call.place);
    }
    // What the answer says is what the next call must claim.
    const told = image.nextProducerId >= 0 ? [image.nextProducerId, 0] : [image.producerId, image.epoch];
    assert.deepEqual([reply.producerId, reply.epoch], told, "AnswersNameThePresentProducer");
    if (kind === "end" || kind === "init") this.#last = { call, reply };
    if (this.#chance() < 0.15) return; // the answer is lost
    producer.producerId = reply.producerId;
    producer.epoch = reply.epoch;
  }

  /** A repetition of a call that succeeded: the same answer, and nothing else happens. */
  #again(): void {
    const transaction = this.coordinator.transactions.get("x");
    if (this.#last === null || !transaction?.image || transaction.writing !== null) return;
    const { call, reply } = this.#last;
    this.#requests += 1;
    const effects = call.run(this.#requests);
    const waits = isPrepared(transaction.image);
    const expected = waits ? { error: "CONCURRENT_TRANSACTIONS", producerId: -1, epoch: -1 } : reply;
    const answer = { kind: "answer", request: this.#requests, reply: expected };
    assert.deepEqual(effects, [answer], "RetriesAreIdempotent");
    this.retries += 1;
  }

  /** However far the cleaner came, a start reads the same. */
  #checkCompaction(): void {
    const transaction = this.coordinator.transactions.get("x");
    const cut = Math.floor(this.#chance() * (this.#log.length + 1));
    const again = machine.newTransactionCoordinator(settings);
    for (const record of compacted(this.#log, cut, this.#chance() < 0.5)) machine.replay(again, record, this.#now);
    machine.resume(again);
    const found = again.transactions.get("x");
    assert.deepEqual(found?.image ?? null, transaction?.image ?? null, "CompactionKeepsTheState");
    assert.deepEqual(found?.offsets ?? new Map(), transaction?.offsets ?? new Map(), "CompactionKeepsTheState");
  }

  #check(): void {
    const transaction = this.coordinator.transactions.get("x");
    const image = transaction?.image ?? null;
    const again = machine.newTransactionCoordinator(settings);
    for (const record of this.#log) machine.replay(again, record, this.#now);
    assert.deepEqual(again.transactions.get("x")?.image ?? null, image, "TheLogIsTheState");
    assert.deepEqual(again.transactions.get("x")?.offsets ?? new Map(), transaction?.offsets ?? new Map());
    this.#checkCompaction();
    if (image === null) return;
    const open = image.state === TransactionState.Ongoing || isPrepared(image);
    assert.ok(open || image.partitions.size + image.groups.size === 0, "NothingIsLeftOfWhatEnded");
    assert.ok(open || transaction!.offsets.size === 0, "NoOffsetsOfWhatEnded");
    assert.ok(image.epoch >= 0 && image.epoch <= 32_767, "EpochsStayInTheirRange");
  }
}

/** What compaction leaves of the first `cut` records: the last of each key; `whole`: without what takes back. */
function compacted(log: readonly LogRecord[], cut: number, whole: boolean): LogRecord[] {
  const keyOf = (record: LogRecord): string => (record.kind === "offsets" ? `${record.id} ${record.group}` : record.id);
  const last = new Map(log.slice(0, cut).map((record, i) => [keyOf(record), i]));
  return log.filter((record, i) => {
    if (i >= cut) return true;
    const value = record.kind === "offsets" ? record.offsets : record.image;
    return last.get(keyOf(record)) === i && (whole || value !== null);
  });
}

function isOpening(record: LogRecord): boolean {
  return record.kind === "transaction" && record.image?.state === TransactionState.Ongoing;
}

test("random lives keep the invariants, whatever is lost, refused, killed or late", () => {
  const base = process.env["SEED"];
  const seeds = base === undefined ? Array.from({ length: 60 }, (_, i) => i + 1) : [Number(base)];
  let answers = 0;
  let retries = 0;
  for (const seed of seeds) {
    const life = new Life(seeded(seed));
    try {
      for (let i = 0; i < 400; i += 1) life.step();
      life.settle();
      answers += life.answers;
      retries += life.retries;
    } catch (error) {
      throw new Error(`SEED=${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  if (base !== undefined) return; // one life need not meet everything
  assert.ok(answers > 50 * seeds.length && retries > 2 * seeds.length, `${answers} answers, ${retries} retries`);
});
