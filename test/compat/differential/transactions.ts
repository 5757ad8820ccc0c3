// Transactions, v1 and v2: producer ids, what belongs to a transaction, ends, offsets in it, and what readers see.
import { batch, type Scenario, type Stage } from "./stage.ts";

interface Producer {
  readonly producerId: number;
  readonly producerEpoch: number;
}

const pending = ["CONCURRENT_TRANSACTIONS"];

const init = (at: Stage, transactionalId: string, more: object = {}): Promise<Producer> =>
  at.ask("initProducerId", 5, { transactionalId, transactionTimeoutMs: 60_000, ...more }, pending);

const records = (producer: Producer, baseSequence: number, values: readonly string[] = ["x"]) =>
  batch(values, { ...producer, baseSequence, transactional: true });

async function initializing(at: Stage): Promise<void> {
  const ask = (name: string, transactionalId: string | null, more: object = {}, version = 5) =>
    at.step(
      name,
      "initProducerId",
      version,
      { transactionalId, transactionTimeoutMs: 60_000, ...more },
      undefined,
      pending,
    );
  for (const version of [0, 1, 2, 3, 4, 5]) {
    await ask(`plain, version ${version}`, null, {}, version);
    await ask(`transactional, version ${version}`, `init-v${version}`, {}, version);
    await ask(`again, version ${version}`, `init-v${version}`, {}, version);
  }
  await ask("empty transactional id", "");
  for (const transactionTimeoutMs of [0, -1, 1, 900_000, 900_001]) {
    await ask(`timeout ${transactionTimeoutMs}`, `init-timeout-${transactionTimeoutMs}`, { transactionTimeoutMs });
    await ask(`timeout ${transactionTimeoutMs}, plain`, null, { transactionTimeoutMs });
  }
  for (const version of [3, 4, 5]) {
    const id = `init-recover-${version}`;
    const { producerId, producerEpoch } = await ask(`first, version ${version}`, id, {}, version);
    const from = (name: string, more: object) =>
      ask(`${name}, version ${version}`, id, { producerId, ...more }, version);
    await from("recovers", { producerEpoch });
    await from("recovers, retried", { producerEpoch });
    await from("recovers with an epoch to come", { producerEpoch: producerEpoch + 9 });
    await from("recovers with another id", { producerId: producerId + 77_777, producerEpoch });
    await from("an id without an epoch", { producerEpoch: -1 });
    await from("an epoch without an id", { producerId: -1, producerEpoch });
    await from("recovers what never was", { producerId: 5_555_555, producerEpoch: 0 });
    await ask(`fences, version ${version}`, id, {}, version);
    await from("recovers after it was fenced", { producerEpoch });
  }
}

/** Version 1 of transactions: partitions and groups are named before they are used. */
async function first(at: Stage): Promise<void> {
  const topic = "txn-one";
  await at.topic(topic, 2);
  const id = "txn-one";
  const producer = await init(at, id);
  const claim = { transactionalId: id, ...producer };
  const legacy = { v3AndBelowTransactionalId: id, v3AndBelowProducerId: producer.producerId };
  const add = (name: string, more: object = {}, partitions = [0], where = topic) =>
    at.step(
      name,
      "addPartitionsToTxn",
      3,
      {
        ...legacy,
        v3AndBelowProducerEpoch: producer.producerEpoch,
        v3AndBelowTopics: [{ name: where, partitions }],
        ...more,
      } as never,
      undefined,
      pending,
    );
  const end = (name: string, committed: boolean, more: object = {}, version = 3) =>
    at.step(name, "endTxn", version, { ...claim, committed, ...more } as never, undefined, pending);
  await end("commit of nothing", true);
  await end("abort of nothing", false);
  await at.produce("before it is added", topic, records(producer, 0), { transactionalId: id, version: 9 });
  await add("add");
  await add("add again");
  await add("add an unknown partition", {}, [0, 9]);
  await add("add an unknown topic", {}, [0], "txn-nowhere");
  await add("add with an older epoch", { v3AndBelowProducerEpoch: producer.producerEpoch - 1 });
  await add("add with an epoch to come", { v3AndBelowProducerEpoch: producer.producerEpoch + 1 });
  await add("add with another id", { v3AndBelowProducerId: producer.producerId + 77_777 });
  await add("add of an unknown transaction", { v3AndBelowTransactionalId: "txn-nobody" });
  await add("add with an empty id", { v3AndBelowTransactionalId: "" });
  await at.produce("in it", topic, records(producer, 0, ["a", "b"]), { transactionalId: id, version: 9 });
  await at.produce("to a partition that is not in it", topic, records(producer, 0), {
    ...{ transactionalId: id, version: 9, index: 1 },
  });
  await at.produce("with another transactional id", topic, records(producer, 2), { transactionalId: "txn-nobody" });
  await at.produce("plain, amid it", topic, batch(["p"], { ...producer, baseSequence: 3 }));
  await at.fetch("committed, while it is open", topic, { isolationLevel: 1 });
  await at.fetch("uncommitted, while it is open", topic);
  const last = { replicaId: -1, topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1 }] }] };
  await at.step("last stable offset", "listOffsets", 7, { ...last, isolationLevel: 1 });
  await at.step("described, open", "describeTransactions", 0, { transactionalIds: [id, "txn-nobody", ""] });
  const producers = { topics: [{ name: topic, partitionIndexes: [0] }] };
  await at.step("producers, open", "describeProducers", 0, producers);
  await end("end with an older epoch", true, { producerEpoch: producer.producerEpoch - 1 });
  await end("end with an epoch to come", true, { producerEpoch: producer.producerEpoch + 1 });
  await end("end with another id", true, { producerId: producer.producerId + 77_777 });
  await end("end of an unknown transaction", true, { transactionalId: "txn-nobody" });
  await end("end with an empty id", true, { transactionalId: "" });
  await end("commit", true);
  await end("commit again", true);
  await end("abort after the commit", false);
  await add("add the next");
  await at.produce("in the next", topic, records(producer, 3, ["c"]), { transactionalId: id, version: 9 });
  await end("abort", false);
  await end("abort again", false);
  await end("commit after the abort", true);
  await settled(at, topic, 6);
  await at.fetch("committed, with what was aborted", topic, { isolationLevel: 1 });
  await at.fetch("committed, from the abort on", topic, { isolationLevel: 1, offset: 4 });
  await at.step("described, over", "describeTransactions", 0, { transactionalIds: [id] });
  await at.step("producers, over", "describeProducers", 0, producers);
  for (const version of [0, 1, 2]) {
    await at.step(
      `listed, version ${version}`,
      "listTransactions",
      version,
      { stateFilters: [], producerIdFilters: [] },
      ({ errorCode, transactionStates }) => ({
        errorCode,
        transactionStates: transactionStates.filter(({ transactionalId }) => transactionalId === id),
      }),
    );
  }
  const filter = { stateFilters: ["Ongoing", "Nonsense"], producerIdFilters: [] };
  await at.step("listed by states", "listTransactions", 2, filter, ({ unknownStateFilters }) => unknownStateFilters);
}

/** Waits until readers of committed records may read up to `offset`. */
async function settled(at: Stage, topic: string, offset: number): Promise<void> {
  const request = { replicaId: -1, topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1 }] }] };
  for (let tries = 0; tries < 100; tries++) {
    const answer = await at.ask("listOffsets", 7, { ...request, isolationLevel: 1 });
    if (answer.topics[0]!.partitions[0]!.offset >= offset) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Version 2 (KIP-890): a produce adds its partition itself, and every end bumps the epoch. */
async function second(at: Stage): Promise<void> {
  const topic = "txn-two";
  await at.topic(topic, 2);
  const id = "txn-two";
  let producer = await init(at, id);
  const end = async (name: string, committed: boolean, version = 5) => {
    const answer = await at.step(
      name,
      "endTxn",
      version,
      { transactionalId: id, ...producer, committed },
      undefined,
      pending,
    );
    return { producerId: answer.producerId, producerEpoch: answer.producerEpoch };
  };
  await at.produce("adds itself", topic, records(producer, 0), { transactionalId: id, version: 12 });
  const before = producer;
  producer = await end("commit", true);
  const next = producer;
  producer = before;
  await end("commit, retried", true);
  await end("abort instead, retried", false);
  producer = next;
  await at.produce("of the epoch before", topic, records(before, 1), { transactionalId: id, version: 12 });
  await at.produce("the next", topic, records(producer, 0), { transactionalId: id, version: 12 });
  producer = await end("abort", false);
  producer = await end("abort of nothing", false);
  await end("commit of nothing", true);
  await settled(at, topic, 4);
  await at.fetch("committed", topic, { isolationLevel: 1 });
  const group = "txn-two-group";
  const offsets = [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: 3, committedMetadata: "m" }] }];
  const commit = (name: string, more: object = {}, version = 5) =>
    at.step(
      name,
      "txnOffsetCommit",
      version,
      { transactionalId: id, groupId: group, ...producer, topics: offsets, ...more } as never,
      undefined,
      pending,
    );
  await commit("offsets");
  const groups = [{ groupId: group, topics: [{ name: topic, partitionIndexes: [0] }] }];
  await at.step("offsets while it is open", "offsetFetch", 8, { groups });
  await at.step("stable offsets while it is open", "offsetFetch", 8, { groups, requireStable: true });
  await commit("offsets of an unknown partition", {
    topics: [{ name: topic, partitions: [{ partitionIndex: 9, committedOffset: 3, committedMetadata: "m" }] }],
  });
  await commit("offsets of a stranger", { memberId: "nobody", generationId: 4 });
  await commit("offsets of an unknown instance", { memberId: "nobody", generationId: 4, groupInstanceId: "i" });
  await commit("offsets of a group without a name", { groupId: "" });
  await commit("offsets of an older epoch", { producerEpoch: producer.producerEpoch - 1 });
  await commit("offsets of another id", { producerId: producer.producerId + 77_777 });
  await commit("offsets of an unknown transaction", { transactionalId: "txn-nobody" });
  producer = await end("commit with offsets", true);
  await at.ask("offsetFetch", 8, { groups, requireStable: true }, ["UNSTABLE_OFFSET_COMMIT"]);
  await at.step("offsets then", "offsetFetch", 8, { groups, requireStable: true });
  await fencing(at, topic);
}

async function fencing(at: Stage, topic: string): Promise<void> {
  const id = "txn-fence";
  const old = await init(at, id);
  await at.produce("of the old one", topic, records(old, 0), { transactionalId: id, version: 12, index: 1 });
  await at.step(
    "the new one comes",
    "initProducerId",
    5,
    { transactionalId: id, transactionTimeoutMs: 60_000 },
    undefined,
    pending,
  );
  await at.produce("of the old one, fenced", topic, records(old, 1), { transactionalId: id, version: 12, index: 1 });
  for (const version of [0, 1, 2, 3, 4, 5]) {
    await at.step(`end of the old one, version ${version}`, "endTxn", version, {
      transactionalId: id,
      ...old,
      committed: true,
    });
  }
  for (const version of [0, 1, 2, 3, 4]) {
    await at.step(`a group for the old one, version ${version}`, "addOffsetsToTxn", version, {
      ...{ transactionalId: id, ...old, groupId: "txn-fence" },
    });
  }
}

/** The offsets of version 1, where the group is named before. */
async function groups(at: Stage): Promise<void> {
  const topic = "txn-offsets";
  await at.topic(topic);
  const [transactionalId, groupId] = ["txn-offsets", "txn-offsets-group"];
  const producer = await init(at, transactionalId);
  const topics = [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: 7, committedMetadata: "m" }] }];
  const claim = { transactionalId, ...producer, groupId };
  await at.step("named", "addOffsetsToTxn", 3, claim);
  await at.step("named again", "addOffsetsToTxn", 3, claim);
  await at.step("of no transaction", "addOffsetsToTxn", 3, { ...claim, transactionalId: "txn-nobody" });
  for (const version of [0, 1, 2, 3, 4])
    await at.step(`committed, version ${version}`, "txnOffsetCommit", version, { ...claim, topics });
  await at.step("fetched while it is open", "offsetFetch", 7, {
    groupId,
    topics: [{ name: topic, partitionIndexes: [0] }],
    requireStable: true,
  });
  await at.step("aborted", "endTxn", 3, { transactionalId, ...producer, committed: false }, undefined, pending);
  const ask = { groupId, topics: [{ name: topic, partitionIndexes: [0] }], requireStable: true };
  await at.ask("offsetFetch", 7, ask, ["UNSTABLE_OFFSET_COMMIT"]);
  await at.step("fetched after the abort", "offsetFetch", 7, ask);
}

export const transactionScenarios: readonly Scenario[] = [
  { name: "transactions, producer ids", play: initializing },
  { name: "transactions, version 1", play: first },
  { name: "transactions, version 2", play: second },
  { name: "transactions, offsets", play: groups },
];
