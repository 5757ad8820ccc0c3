// Transactional batches at a partition's door: who is asked, in which order they come in, and what they are told.
import assert from "node:assert/strict";
import test from "node:test";
import type { ErrorName } from "../../../hub/errors.ts";
import { batchOf } from "../log/support.ts";
import { PartitionStage } from "./partition_stage.ts";

interface Question {
  readonly transactionalId: string;
  readonly producerEpoch: number;
  readonly implicit: boolean;
  answer(error: ErrorName): void;
}

/** A coordinator that answers when told, and says `holds` of what it agreed to. */
function slowGate(stage: PartitionStage, holds: () => ErrorName = () => "NONE"): Question[] {
  const questions: Question[] = [];
  stage.gate = {
    verify: holds,
    admit: (transactionalId, _producerId, producerEpoch, _topic, _partition, implicit) =>
      new Promise((answer) => questions.push({ transactionalId, producerEpoch, implicit, answer })),
  };
  return questions;
}

const of = (baseSequence: number, changes: object = {}): Uint8Array =>
  batchOf(["x"], { producerId: 5, producerEpoch: 0, baseSequence, transactional: true, ...changes });

async function opened(): Promise<PartitionStage> {
  const stage = new PartitionStage();
  await stage.open();
  await stage.topic("t");
  return stage;
}

const tx = { transactionalId: "tx" };

test("the coordinator is asked before the first batch of a transaction, and only then", async () => {
  const stage = await opened();
  const questions = slowGate(stage);
  const first = stage.produce(of(0), tx);
  await stage.clock.advance(50);
  assert.equal(stage.partitions.must("t", 0).log.logEnd, 0, "nothing is written before the answer");
  questions[0]!.answer("NONE");
  assert.deepEqual(await stage.settle(first), { error: "NONE", baseOffset: 0 });
  assert.equal((await stage.settle(stage.produce(of(1), tx))).baseOffset, 1);
  assert.equal(questions.length, 1);
  assert.equal(questions[0]!.implicit, false);
  const marker = { producerId: 5, producerEpoch: 1, coordinatorEpoch: 0, commit: true };
  await stage.settle(stage.partitions.endTransaction("t", 0, marker));
  const next = stage.produce(of(0, { producerEpoch: 1 }), { ...tx, version: 12 });
  await stage.clock.advance(1);
  assert.deepEqual(
    [questions[1]!.producerEpoch, questions[1]!.implicit],
    [1, true],
    "a new transaction is asked about",
  );
  questions[1]!.answer("NONE");
  assert.equal((await stage.settle(next)).baseOffset, 3);
});

test("later batches of the producer wait behind the one that is asked about; others pass", async () => {
  const stage = await opened();
  const questions = slowGate(stage);
  const mine = [0, 1, 2].map((sequence) => stage.produce(of(sequence), tx));
  const other = await stage.settle(stage.produce(batchOf(["plain"]), {}));
  assert.equal(other.baseOffset, 0);
  assert.equal(questions.length, 1);
  questions[0]!.answer("NONE");
  const answers = await stage.settle(Promise.all(mine));
  assert.deepEqual(
    answers.map(({ baseOffset }) => baseOffset),
    [1, 2, 3],
  );
  assert.equal(stage.partitions.must("t", 0).gated.size, 0);
});

test("what waits behind a refused batch is refused with it, so that no sequence is skipped", async () => {
  const stage = await opened();
  const questions = slowGate(stage);
  const mine = [0, 1].map((sequence) => stage.produce(of(sequence), tx));
  await stage.clock.advance(1);
  questions[0]!.answer("COORDINATOR_NOT_AVAILABLE");
  const answers = await stage.settle(Promise.all(mine));
  assert.deepEqual(
    answers.map(({ error }) => error),
    ["NOT_ENOUGH_REPLICAS", "NOT_ENOUGH_REPLICAS"],
  );
  assert.equal(stage.partitions.must("t", 0).log.logEnd, 0);
});

test("refusals of the coordinator as each Produce version knows them", async () => {
  const wanted: [ErrorName, ErrorName, ErrorName][] = [
    ["INVALID_TXN_STATE", "INVALID_TXN_STATE", "INVALID_TXN_STATE"],
    ["INVALID_PRODUCER_ID_MAPPING", "INVALID_PRODUCER_ID_MAPPING", "INVALID_PRODUCER_ID_MAPPING"],
    ["PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH", "INVALID_PRODUCER_EPOCH"],
    ["CONCURRENT_TRANSACTIONS", "NOT_ENOUGH_REPLICAS", "CONCURRENT_TRANSACTIONS"],
    ["TRANSACTION_ABORTABLE", "INVALID_TXN_STATE", "TRANSACTION_ABORTABLE"],
    ["NOT_COORDINATOR", "NOT_ENOUGH_REPLICAS", "NOT_ENOUGH_REPLICAS"],
  ];
  const stage = await opened();
  for (const [refusal, before12, since12] of wanted) {
    stage.gate = { admit: async () => refusal, verify: () => "NONE" };
    assert.equal((await stage.settle(stage.produce(of(0), tx))).error, before12, refusal);
    assert.equal((await stage.settle(stage.produce(of(0), { ...tx, version: 12 }))).error, since12, refusal);
  }
});

test("no coordinator, no transactional id, no producer id: refused", async () => {
  const stage = await opened();
  assert.equal((await stage.settle(stage.produce(of(0), tx))).error, "INVALID_TXN_STATE");
  stage.gate = { admit: async () => "NONE", verify: () => "NONE" };
  assert.equal((await stage.settle(stage.produce(of(0), {}))).error, "INVALID_TXN_STATE");
  const nobody = of(-1, { producerId: -1, producerEpoch: -1 });
  assert.equal((await stage.settle(stage.produce(nobody, tx))).error, "INVALID_RECORD");
  const forged = of(0, { control: true });
  assert.equal((await stage.settle(stage.produce(forged, tx))).error, "INVALID_RECORD", "markers are not for clients");
  assert.equal(
    (await stage.settle(stage.produce(of(3), { ...tx, version: 12 }))).error,
    "OUT_OF_ORDER_SEQUENCE_NUMBER",
  );
});

test("a plain batch of the producer amid its transaction is refused", async () => {
  const stage = await opened();
  stage.gate = { admit: async () => "NONE", verify: () => "NONE" };
  await stage.settle(stage.produce(of(0), tx));
  assert.equal((await stage.settle(stage.produce(of(1, { transactional: false }), tx))).error, "INVALID_TXN_STATE");
});

test("a transaction that ends between the coordinator's word and the append: refused, whether a marker came or not", async () => {
  for (const [told, version, error] of [
    ["TRANSACTION_ABORTABLE", 9, "INVALID_TXN_STATE"],
    ["CONCURRENT_TRANSACTIONS", 12, "CONCURRENT_TRANSACTIONS"],
    ["INVALID_PRODUCER_EPOCH", 12, "INVALID_PRODUCER_EPOCH"],
  ] as const) {
    const stage = await opened();
    const questions = slowGate(stage, () => told);
    const late = stage.produce(of(0), { ...tx, version });
    await stage.clock.advance(1);
    questions[0]!.answer("NONE");
    assert.equal((await stage.settle(late)).error, error);
    assert.equal(stage.partitions.must("t", 0).log.logEnd, 0, "nothing that no marker would end");
  }
});

test("a topic that goes while a batch waits, and a coordinator that never answers", async () => {
  const stage = await opened();
  const questions = slowGate(stage);
  const gone = stage.produce(of(0), tx);
  await stage.clock.advance(1);
  await stage.settle(stage.partitions.deleteTopic("t"));
  questions[0]!.answer("NONE");
  assert.equal((await stage.settle(gone)).error, "UNKNOWN_TOPIC_OR_PARTITION");
  await stage.topic("u");
  const silent = stage.produce(of(0), { ...tx, topic: "u" });
  await stage.clock.advance(5001);
  assert.equal((await silent).error, "REQUEST_TIMED_OUT");
});
