// Groups of the server-side protocol and transactions under rules; what an expression finds is a matter of rules, too.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf, type ErrorName } from "../../../hub/errors.ts";
import { batchOf, is, produce } from "../../tools/wire_calls.ts";
import type { WireClient } from "../../tools/wire_client.ts";
import { cluster, onStage } from "./guard_stage.ts";

type Subscription = { subscribedTopicNames?: readonly string[] | null; subscribedTopicRegex?: string | null };

function join(wire: WireClient, memberId: string, subscription: Subscription) {
  return wire.call("consumerGroupHeartbeat", 1, {
    groupId: "g",
    memberId,
    memberEpoch: 0,
    rebalanceTimeoutMs: 10_000,
    topicPartitions: [],
    ...subscription,
  });
}

const describe = async (wire: WireClient) =>
  (await wire.call("consumerGroupDescribe", 1, { groupIds: ["g"], includeAuthorizedOperations: true })).groups[0]!;

test("consumerGroupHeartbeat and Describe: READ of the group, DESCRIBE of every topic", async () => {
  await onStage(async ({ ann, admin, grant }) => {
    const mine = { subscribedTopicNames: ["mine"] };
    is(await join(ann, "m", mine), "GROUP_AUTHORIZATION_FAILED");
    is(await describe(ann), "GROUP_AUTHORIZATION_FAILED");
    await grant(["Group", "g", "Read"]);
    is(await join(ann, "m", mine), "TOPIC_AUTHORIZATION_FAILED");
    is(await join(ann, "m", { subscribedTopicNames: ["nowhere"] }), "TOPIC_AUTHORIZATION_FAILED");
    await grant(["Topic", "mine", "Read"]);
    is(await join(ann, "m", mine), "NONE");
    const told = await describe(ann);
    is(told, "NONE");
    assert.equal(told.authorizedOperations, (1 << 3) | (1 << 8), "READ, and with it DESCRIBE");
    is(await join(admin, "n", { subscribedTopicNames: ["theirs"] }), "NONE");
    const hidden = await describe(ann);
    is(hidden, "TOPIC_AUTHORIZATION_FAILED");
    assert.deepEqual(hidden.members, []);
  });
});

test("consumerGroupHeartbeat: an expression finds no topic that its member may not see, and one that it may from then on", async () => {
  await onStage(async ({ ann, admin, grant }) => {
    await grant(["Group", "g", "Read"], ["Topic", "mine", "Read"]);
    const idOf = async (name: string) => (await admin.call("metadata", 12, { topics: [{ name }] })).topics[0]!.topicId;
    const [mine, theirs] = [await idOf("mine"), await idOf("theirs")];
    const all = { subscribedTopicNames: null, subscribedTopicRegex: ".*" };
    const joined = await join(ann, "m", all);
    is(joined, "NONE");
    assert.deepEqual(joined.assignment?.topicPartitions, [{ topicId: mine, partitions: [0] }]);
    const other = await join(admin, "n", all);
    assert.deepEqual(other.assignment?.topicPartitions, [{ topicId: theirs, partitions: [0] }], "a super user sees it");
    is(await admin.call("consumerGroupHeartbeat", 1, { groupId: "g", memberId: "n", memberEpoch: -1 }), "NONE");
    const beat = (memberEpoch: number) =>
      ann.call("consumerGroupHeartbeat", 1, { groupId: "g", memberId: "m", memberEpoch });
    const alone = await beat(joined.memberEpoch);
    assert.equal(alone.assignment, null, "nobody is left, and theirs is still not ann's");
    await grant(["Topic", "theirs", "Describe"]);
    const more = await beat(alone.memberEpoch);
    assert.deepEqual(
      more.assignment?.topicPartitions.map(({ topicId }) => topicId).sort(),
      [mine, theirs].sort(),
      "a new rule is noticed by the next heartbeat",
    );
  });
});

const transactionalId = "tx";

function calls(wire: WireClient, producer: { producerId: number; producerEpoch: number }) {
  const who = { transactionalId, ...producer };
  return {
    add: async (...names: string[]) => {
      const answer = await wire.call("addPartitionsToTxn", 3, {
        v3AndBelowTransactionalId: transactionalId,
        v3AndBelowProducerId: producer.producerId,
        v3AndBelowProducerEpoch: producer.producerEpoch,
        v3AndBelowTopics: names.map((name) => ({ name, partitions: [0] })),
      });
      const rows = answer.resultsByTopicV3AndBelow;
      return new Map(rows.map(({ name, resultsByPartition }) => [name, resultsByPartition[0]?.partitionErrorCode]));
    },
    offsets: () => wire.call("addOffsetsToTxn", 3, { ...who, groupId: "g" }),
    commit: async (...names: string[]) => {
      const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }];
      const topics = names.map((name) => ({ name, partitions }));
      const answer = await wire.call("txnOffsetCommit", 3, { ...who, groupId: "g", generationId: -1, topics });
      return new Map(answer.topics.map((topic) => [topic.name, topic.partitions[0]?.errorCode]));
    },
    end: () => wire.call("endTxn", 3, { ...who, committed: false }),
    describe: async () =>
      (await wire.call("describeTransactions", 0, { transactionalIds: [transactionalId] })).transactionStates[0]!,
    list: async () => {
      const answer = await wire.call("listTransactions", 1, { stateFilters: [], producerIdFilters: [] });
      return answer.transactionStates.map((state) => state.transactionalId);
    },
  };
}

test("transactions: WRITE of the id, WRITE of the topics, READ of the group; nothing is added when one is refused", async () => {
  await onStage(async ({ ann, admin, grant }) => {
    const is_ = (code: number | undefined, name: ErrorName): void => assert.equal(code, codeOf(name), name);
    const begun = await admin.call("initProducerId", 4, { transactionalId, transactionTimeoutMs: 60_000 });
    is(begun, "NONE");
    const { add, offsets, commit, end, describe: state, list } = calls(ann, begun);
    const no = "TRANSACTIONAL_ID_AUTHORIZATION_FAILED";
    is_((await add("mine")).get("mine"), no);
    is(await offsets(), no);
    is_((await commit("mine")).get("mine"), no);
    is(await end(), no);
    is(await state(), no);
    assert.deepEqual(await list(), []);
    await grant(["TransactionalId", transactionalId, "Write"]);
    assert.deepEqual(await list(), [transactionalId], "WRITE brings DESCRIBE");
    is(await offsets(), "GROUP_AUTHORIZATION_FAILED");
    is_((await commit("mine")).get("mine"), "GROUP_AUTHORIZATION_FAILED");
    await grant(["Topic", "mine", "Write"], ["Group", "g", "Read"]);
    const both = await add("mine", "theirs");
    is_(both.get("theirs"), "TOPIC_AUTHORIZATION_FAILED");
    is_(both.get("mine"), "OPERATION_NOT_ATTEMPTED");
    assert.equal((await state()).transactionState, "Empty", "nothing was added");
    is_((await add("mine")).get("mine"), "NONE");
    is(await offsets(), "NONE");
    is_((await commit("mine")).get("mine"), "TOPIC_AUTHORIZATION_FAILED");
    const admins = calls(admin, begun);
    is_((await admins.add("theirs")).get("theirs"), "NONE");
    assert.deepEqual(
      (await state()).topics.map(({ topic }) => topic),
      ["mine"],
      "what may not be seen is left out",
    );
    assert.deepEqual((await admins.describe()).topics.map(({ topic }) => topic).sort(), ["mine", "theirs"]);
    is(await end(), "NONE");
  });
});

test("a transactional batch without its transactional id is nobody's way into another's transaction", async () => {
  await onStage(async ({ ann, admin, grant }) => {
    const { producerId, producerEpoch } = await admin.call("initProducerId", 4, {
      transactionalId,
      transactionTimeoutMs: 60_000,
    });
    const admins = calls(admin, { producerId, producerEpoch });
    assert.equal((await admins.add("mine")).get("mine"), 0);
    await grant(["Topic", "mine", "Write"]);
    const foreign = batchOf(10, { producerId, producerEpoch, baseSequence: 0, transactional: true });
    const { errorCode } = await produce(ann, "mine", foreign);
    assert.notEqual(errorCode, 0);
    assert.equal((await produce(admin, "mine", batchOf(10))).baseOffset, 0, "nothing of it is in the log");
  });
});

test("markers and producers: CLUSTER_ACTION or ALTER, READ", async () => {
  await onStage(async ({ ann, admin, grant }) => {
    const marker = { producerId: 1, producerEpoch: 0, transactionResult: false, coordinatorEpoch: 0 };
    const markers = [{ ...marker, topics: [{ name: "mine", partitionIndexes: [0] }] }];
    const mark = async () => {
      const [answer] = (await ann.call("writeTxnMarkers", 1, { markers })).markers;
      return answer!.topics[0]!.partitions[0]!;
    };
    const producers = async () => {
      const topics = [{ name: "mine", partitionIndexes: [0] }];
      return (await ann.call("describeProducers", 0, { topics })).topics[0]!.partitions[0]!;
    };
    is(await mark(), "CLUSTER_AUTHORIZATION_FAILED");
    is(await produce(admin, "mine", batchOf(1)), "NONE");
    is(await producers(), "TOPIC_AUTHORIZATION_FAILED");
    await grant(["Cluster", cluster, "ClusterAction"], ["Topic", "mine", "Read"]);
    assert.notEqual((await mark()).errorCode, codeOf("CLUSTER_AUTHORIZATION_FAILED"));
    is(await producers(), "NONE");
  });
});
