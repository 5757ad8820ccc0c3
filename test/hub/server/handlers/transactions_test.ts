// Transactions on the wire of a real hub: every error by name, every version that differs, filters, settings, features.
import assert from "node:assert/strict";
import test from "node:test";
import { errorNameOf } from "../../../../hub/errors.ts";
import { encodeBatch } from "../../../../hub/record/builder.ts";
import { openTestHub, type TestHub } from "../../../tools/test_hub.ts";
import { fetchAll, makeTopic } from "../../../tools/wire_calls.ts";

interface Who {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly producerEpoch: number;
}

class Calls {
  readonly #hub: TestHub;
  constructor(hub: TestHub) {
    this.#hub = hub;
  }

  async init(id: string | null, version = 4, more: object = {}): Promise<Who & { error: string }> {
    const request = { transactionalId: id, transactionTimeoutMs: 60_000, ...more };
    const { errorCode, producerId, producerEpoch } = await this.#hub.wire.call("initProducerId", version, request);
    return { error: errorNameOf(errorCode), transactionalId: id ?? "", producerId, producerEpoch };
  }

  async add(who: Who, places: Readonly<Record<string, readonly number[]>>, version = 3): Promise<string[]> {
    const { resultsByTopicV3AndBelow } = await this.#hub.wire.call("addPartitionsToTxn", version, {
      v3AndBelowTransactionalId: who.transactionalId,
      v3AndBelowProducerId: who.producerId,
      v3AndBelowProducerEpoch: who.producerEpoch,
      v3AndBelowTopics: Object.entries(places).map(([name, partitions]) => ({ name, partitions })),
    });
    return resultsByTopicV3AndBelow.flatMap(({ resultsByPartition }) =>
      resultsByPartition.map(({ partitionErrorCode }) => errorNameOf(partitionErrorCode)),
    );
  }

  async addGroup({ transactionalId, producerId, producerEpoch }: Who, groupId: string, version = 4): Promise<string> {
    const request = { transactionalId, producerId, producerEpoch, groupId };
    return errorNameOf((await this.#hub.wire.call("addOffsetsToTxn", version, request)).errorCode);
  }

  async end({ transactionalId, producerId, producerEpoch }: Who, committed = true, version = 4) {
    const request = { transactionalId, producerId, producerEpoch, committed };
    const reply = await this.#hub.wire.call("endTxn", version, request);
    return { ...reply, error: errorNameOf(reply.errorCode) };
  }

  async offsets(who: Who, version = 3, more: object = {}): Promise<string> {
    const { transactionalId, producerId, producerEpoch } = who;
    const partitions = [{ partitionIndex: 0, committedOffset: 3, committedMetadata: null }];
    const topics = [{ name: "t", partitions }];
    const request = { transactionalId, producerId, producerEpoch, groupId: "g", topics, ...more };
    const reply = await this.#hub.wire.call("txnOffsetCommit", version, request);
    return errorNameOf(reply.topics[0]!.partitions[0]!.errorCode);
  }

  async send(who: Who, baseSequence = 0, version = 9): Promise<string> {
    const { transactionalId, producerId, producerEpoch } = who;
    const record = { key: null, value: new Uint8Array([1]), timestamp: Date.now() };
    const records = encodeBatch([record], { producerId, producerEpoch, baseSequence, transactional: true });
    const topicData = [{ name: "t", partitionData: [{ index: 0, records }] }];
    const request = { transactionalId, acks: -1, timeoutMs: 5000, topicData };
    const reply = await this.#hub.wire.call("produce", version, request);
    return errorNameOf(reply.responses[0]!.partitionResponses[0]!.errorCode);
  }
}

async function stage(
  use: (calls: Calls, hub: TestHub) => Promise<void>,
  settings: Readonly<Record<string, number>> = {},
): Promise<void> {
  const hub = await openTestHub({ settings });
  try {
    await makeTopic(hub.wire, "t", 2);
    await use(new Calls(hub), hub);
  } finally {
    await hub.close();
  }
}

const ofVersions = (min: number, max: number): number[] => Array.from({ length: max - min + 1 }, (_, i) => min + i);

test("a whole transaction in every version of every call", async () => {
  await stage(async (calls) => {
    for (const version of ofVersions(0, 5)) {
      const who = await calls.init(`v${version}`, version);
      assert.equal(who.error, "NONE");
      const classic = Math.min(version, 3);
      assert.deepEqual(await calls.add(who, { t: [0, 1] }, classic), ["NONE", "NONE"]);
      assert.equal(await calls.addGroup(who, "g", Math.min(version, 4)), "NONE");
      assert.equal(await calls.offsets(who, version), "NONE");
      const ended = await calls.end(who, true, version);
      assert.equal(ended.error, "NONE");
      const next = version === 5 ? [who.producerId, 1] : [-1, -1];
      assert.deepEqual([ended.producerId, ended.producerEpoch], next);
    }
  });
});

test("InitProducerId: what is refused, and a producer without transactions", async () => {
  await stage(async (calls) => {
    const [one, two] = [await calls.init(null), await calls.init(null, 0)];
    assert.ok(one.error === "NONE" && one.producerId !== two.producerId && one.producerEpoch === 0, "ids of their own");
    assert.equal((await calls.init("")).error, "INVALID_REQUEST");
    assert.equal((await calls.init("x", 4, { producerId: 5 })).error, "INVALID_REQUEST");
    assert.equal((await calls.init("x", 4, { producerEpoch: 5 })).error, "INVALID_REQUEST");
    assert.equal((await calls.init("x", 4, { transactionTimeoutMs: 900_001 })).error, "INVALID_TRANSACTION_TIMEOUT");
    assert.equal((await calls.init("x", 4, { transactionTimeoutMs: 0 })).error, "INVALID_TRANSACTION_TIMEOUT");
    const who = await calls.init("x");
    const { producerId, producerEpoch } = who;
    const bumped = await calls.init("x", 4, { producerId, producerEpoch });
    assert.deepEqual([bumped.producerId, bumped.producerEpoch], [producerId, 1]);
    await calls.init("x");
    assert.equal((await calls.init("x", 4, { producerId, producerEpoch: 1 })).error, "PRODUCER_FENCED");
    assert.equal((await calls.init("x", 3, { producerId, producerEpoch: 1 })).error, "INVALID_PRODUCER_EPOCH");
  });
});

test("AddPartitionsToTxn: all or nothing, and who may", async () => {
  await stage(async (calls) => {
    const who = await calls.init("x");
    const missing = { t: [0, 7], no: [0], __transaction_state: [0] };
    assert.deepEqual(await calls.add(who, missing), [
      "OPERATION_NOT_ATTEMPTED",
      "UNKNOWN_TOPIC_OR_PARTITION",
      "UNKNOWN_TOPIC_OR_PARTITION",
      "TOPIC_AUTHORIZATION_FAILED",
    ]);
    assert.deepEqual(await calls.add({ ...who, transactionalId: "" }, { t: [0] }), ["INVALID_REQUEST"]);
    assert.deepEqual(await calls.add({ ...who, transactionalId: "y" }, { t: [0] }), ["INVALID_PRODUCER_ID_MAPPING"]);
    assert.deepEqual(await calls.add({ ...who, producerId: 1 }, { t: [0] }), ["INVALID_PRODUCER_ID_MAPPING"]);
    assert.deepEqual(await calls.add({ ...who, producerEpoch: 3 }, { t: [0] }), ["PRODUCER_FENCED"]);
    assert.deepEqual(await calls.add({ ...who, producerEpoch: 3 }, { t: [0] }, 1), ["INVALID_PRODUCER_EPOCH"]);
  });
});

test("AddOffsetsToTxn and TxnOffsetCommit: what is refused, in the words of each version", async () => {
  await stage(async (calls) => {
    const who = await calls.init("x");
    const zombie = { ...who, producerEpoch: 3 };
    assert.equal(await calls.addGroup(who, ""), "INVALID_GROUP_ID");
    assert.equal(await calls.addGroup({ ...who, transactionalId: "" }, "g"), "INVALID_REQUEST");
    assert.equal(await calls.addGroup({ ...who, transactionalId: "y" }, "g"), "INVALID_PRODUCER_ID_MAPPING");
    assert.equal(await calls.addGroup(zombie, "g"), "PRODUCER_FENCED");
    assert.equal(await calls.addGroup(zombie, "g", 1), "INVALID_PRODUCER_EPOCH");
    assert.equal(await calls.offsets(who, 3), "INVALID_TXN_STATE");
    assert.equal(await calls.offsets(who, 4), "TRANSACTION_ABORTABLE");
    assert.equal(await calls.offsets(zombie), "INVALID_PRODUCER_EPOCH");
    assert.equal(await calls.offsets({ ...who, producerId: 1 }), "INVALID_PRODUCER_ID_MAPPING");
    await calls.addGroup(who, "g");
    assert.equal(await calls.offsets(who, 3, { generationId: 4, memberId: "m" }), "ILLEGAL_GENERATION");
    assert.equal(await calls.offsets(who, 3, { groupId: "" }), "INVALID_GROUP_ID");
    const metadata = [{ partitionIndex: 0, committedOffset: 3, committedMetadata: "m".repeat(4097) }];
    const topics = [{ name: "t", partitions: metadata }];
    assert.equal(await calls.offsets(who, 3, { topics }), "OFFSET_METADATA_TOO_LARGE");
    assert.equal(await calls.offsets(who, 0), "NONE");
  });
});

test("EndTxn: what is refused, and retries", async () => {
  await stage(async (calls) => {
    const who = await calls.init("x");
    const zombie = { ...who, producerEpoch: 3 };
    assert.equal((await calls.end(who)).error, "INVALID_TXN_STATE");
    assert.equal((await calls.end(who, true, 5)).error, "INVALID_TXN_STATE");
    assert.equal((await calls.end({ ...who, transactionalId: "" })).error, "INVALID_REQUEST");
    assert.equal((await calls.end({ ...who, transactionalId: "y" })).error, "INVALID_PRODUCER_ID_MAPPING");
    assert.equal((await calls.end(zombie)).error, "PRODUCER_FENCED");
    assert.equal((await calls.end(zombie, true, 1)).error, "INVALID_PRODUCER_EPOCH");
    await calls.add(who, { t: [0] });
    assert.equal((await calls.end(who, false)).error, "NONE");
    assert.equal((await calls.end(who, false)).error, "NONE");
    assert.equal((await calls.end(who, true)).error, "INVALID_TXN_STATE");
    const bumped = await calls.end(who, false, 5);
    assert.deepEqual([bumped.error, bumped.producerEpoch], ["NONE", 1]);
    assert.equal((await calls.end(who, false, 5)).producerEpoch, 1);
  });
});

test("a batch needs its partition in the transaction, unless the version adds it", async () => {
  await stage(async (calls, hub) => {
    const who = await calls.init("x");
    assert.equal(await calls.send(who, 0, 11), "TRANSACTION_ABORTABLE");
    assert.equal(await calls.send(who, 0, 12), "NONE");
    await calls.end(who, false);
    const { abortedTransactions } = (await fetchAll(hub.wire, { topic: "t", isolationLevel: 1 })).responses[0]!
      .partitions[0]!;
    assert.deepEqual(abortedTransactions, [{ producerId: who.producerId, firstOffset: 0 }]);
    assert.equal(await calls.send({ ...who, producerEpoch: 5 }, 0, 12), "INVALID_PRODUCER_EPOCH");
  });
});

test("DescribeTransactions and ListTransactions: states and filters", async () => {
  await stage(async (calls, { wire }) => {
    const [open, done] = [await calls.init("open-1"), await calls.init("done-1")];
    await calls.add(open, { t: [0, 1] });
    await calls.add(done, { t: [1] });
    await calls.end(done, true);
    const { transactionStates } = await wire.call("describeTransactions", 0, {
      transactionalIds: ["open-1", "done-1", "no", ""],
    });
    assert.deepEqual(
      transactionStates.map(({ errorCode, transactionState }) => [errorNameOf(errorCode), transactionState]),
      [
        ["NONE", "Ongoing"],
        ["NONE", "CompleteCommit"],
        ["TRANSACTIONAL_ID_NOT_FOUND", ""],
        ["INVALID_REQUEST", ""],
      ],
    );
    const [first] = transactionStates;
    assert.deepEqual(first?.topics, [{ topic: "t", partitions: [0, 1] }]);
    assert.deepEqual(
      [first?.producerId, first?.producerEpoch, first?.transactionTimeoutMs],
      [open.producerId, 0, 60_000],
    );
    const list = async (filter: object, version = 2) => {
      const request = { stateFilters: [], producerIdFilters: [], ...filter };
      const reply = await wire.call("listTransactions", version, request);
      const ids = reply.transactionStates.map(({ transactionalId }) => transactionalId).sort();
      return [errorNameOf(reply.errorCode), ...reply.unknownStateFilters, ...ids];
    };
    for (const version of [0, 1, 2]) assert.deepEqual(await list({}, version), ["NONE", "done-1", "open-1"]);
    assert.deepEqual(await list({ stateFilters: ["Ongoing", "Dead", "Bogus"] }), ["NONE", "Bogus", "open-1"]);
    assert.deepEqual(await list({ producerIdFilters: [done.producerId] }), ["NONE", "done-1"]);
    assert.deepEqual(await list({ durationFilter: 0 }), ["NONE", "open-1"]);
    assert.deepEqual(await list({ durationFilter: 60_000 }), ["NONE"]);
    assert.deepEqual(await list({ transactionalIdPattern: "done-.*" }), ["NONE", "done-1"]);
    assert.deepEqual(await list({ transactionalIdPattern: "(" }), ["INVALID_REGULAR_EXPRESSION"]);
  });
});

test("WriteTxnMarkers ends what hangs in a partition", async () => {
  await stage(async (calls, { wire }) => {
    const who = await calls.init("x");
    await calls.add(who, { t: [0] });
    await calls.send(who);
    const lastStable = async () => (await fetchAll(wire, { topic: "t" })).responses[0]!.partitions[0]!.lastStableOffset;
    assert.equal(await lastStable(), 0);
    for (const version of [1, 2]) {
      const topics = [{ name: "t", partitionIndexes: [0, 9] }];
      const { producerId, producerEpoch } = who;
      const marker = { producerId, producerEpoch, transactionResult: false, topics, coordinatorEpoch: 0 };
      const reply = await wire.call("writeTxnMarkers", version, { markers: [marker] });
      const codes = reply.markers[0]!.topics[0]!.partitions.map(({ errorCode }) => errorNameOf(errorCode));
      assert.deepEqual(codes, ["NONE", "UNKNOWN_TOPIC_OR_PARTITION"]);
    }
    assert.ok((await lastStable()) >= 2, "the partition is readable again");
  });
});

test("ApiVersions tells transaction.version 2, and the settings of transactions are obeyed", async () => {
  const settings = { "transaction.max.timeout.ms": 1000, "transaction.state.log.num.partitions": 3 };
  await stage(async (calls, { wire, hub }) => {
    assert.equal((await calls.init("x")).error, "INVALID_TRANSACTION_TIMEOUT");
    assert.equal((await calls.init("x", 4, { transactionTimeoutMs: 1000 })).error, "NONE");
    assert.notEqual(hub.topicBytes("__transaction_state"), null);
    const { topics } = await wire.call("metadata", 9, { topics: [{ name: "__transaction_state" }] });
    assert.deepEqual([topics[0]!.isInternal, topics[0]!.partitions.length], [true, 3]);
    const told = await wire.call("apiVersions", 3, { clientSoftwareName: "test", clientSoftwareVersion: "1" });
    const feature = told.finalizedFeatures.find(({ name }) => name === "transaction.version");
    assert.deepEqual([feature?.minVersionLevel, feature?.maxVersionLevel], [2, 2]);
    assert.ok(told.finalizedFeaturesEpoch >= 0, "an epoch below 0 would say that nothing is finalized");
  }, settings);
});
