// What rules let through and what they refuse, request by request; a refusal tells nothing about what is there.
import assert from "node:assert/strict";
import test from "node:test";
import { Operation, Pattern, Permission, Resource } from "../../../hub/access/acl.ts";
import { codeOf, type ErrorName } from "../../../hub/errors.ts";
import { zeroUuid } from "../../../hub/wire/schema.ts";
import { upsertion } from "../../tools/sasl.ts";
import { openTestHub } from "../../tools/test_hub.ts";
import type { WireClient } from "../../tools/wire_client.ts";
import { batchOf, fetch, fetchAll, is, makeTopic, produce } from "../../tools/wire_calls.ts";
import { cluster, onStage } from "./guard_stage.ts";

test("producing and fetching: each topic for itself", async () => {
  await onStage(async ({ ann, grant }) => {
    is(await produce(ann, "mine", batchOf(10)), "TOPIC_AUTHORIZATION_FAILED");
    is(await produce(ann, "nowhere", batchOf(10)), "TOPIC_AUTHORIZATION_FAILED");
    await grant(["Topic", "mine", "Write"]);
    is(await produce(ann, "mine", batchOf(10)), "NONE");
    const topicData = ["mine", "theirs"].map((name) => {
      return { name, partitionData: [{ index: 0, records: batchOf(10) }] };
    });
    const { responses } = await ann.call("produce", 9, { acks: -1, timeoutMs: 5000, topicData });
    const codes = new Map(responses.map(({ name, partitionResponses }) => [name, partitionResponses[0]!.errorCode]));
    assert.equal(codes.get("mine"), 0);
    assert.equal(codes.get("theirs"), codeOf("TOPIC_AUTHORIZATION_FAILED"));
    const refused = await fetch(ann, { topic: "mine" });
    is(refused, "TOPIC_AUTHORIZATION_FAILED");
    assert.equal(refused.highWatermark, -1);
    await grant(["Topic", "mine", "Read"]);
    is(await fetch(ann, { topic: "mine" }), "NONE");
    assert.equal((await fetchAll(ann, { topic: "theirs", maxWaitMs: 60_000 })).responses.length, 1);
    const transactional = { transactionalId: "tx", acks: -1, timeoutMs: 5000, topicData: topicData.slice(0, 1) };
    const { responses: told } = await ann.call("produce", 9, transactional);
    is(told[0]!.partitionResponses[0]!, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED");
  });
});

test("a fetch session reads no longer than its user may, and is no way around the rules", async () => {
  await onStage(async ({ admin, ann, grant }) => {
    await grant(["Topic", "mine", "Read"]);
    is(await produce(admin, "mine", batchOf(10)), "NONE");
    const at = (topic: string) => ({ topic, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] });
    const poll = (wire: WireClient, sessionId: number, sessionEpoch: number, ...topics: string[]) =>
      wire.call("fetch", 12, { maxWaitMs: 0, minBytes: 1, sessionId, sessionEpoch, topics: topics.map(at) });
    const opened = await poll(ann, 0, 0, "mine", "theirs");
    const { sessionId } = opened;
    assert.ok(sessionId > 0, "a topic that is refused does not keep the others from a session");
    const codes = new Map(opened.responses.map(({ topic, partitions }) => [topic, partitions[0]!.errorCode]));
    assert.deepEqual([codes.get("mine"), codes.get("theirs")], [0, codeOf("TOPIC_AUTHORIZATION_FAILED")]);
    const filters = [
      {
        resourceTypeFilter: 1,
        resourceNameFilter: null,
        patternTypeFilter: 1,
        principalFilter: null,
        hostFilter: null,
        operation: 1,
        permissionType: 1,
      },
    ];
    is((await admin.call("deleteAcls", 3, { filters })).filterResults[0]!, "NONE");
    const revoked = await poll(ann, sessionId, 1);
    for (const { partitions } of revoked.responses) is(partitions[0]!, "TOPIC_AUTHORIZATION_FAILED");
    assert.equal(revoked.responses.length, 2);
    const foreign = await poll(admin, 0, 0, "mine");
    const stolen = await poll(ann, foreign.sessionId, 1);
    is(stolen.responses[0]!.partitions[0]!, "TOPIC_AUTHORIZATION_FAILED");
  });
});

test("acks=0 to a topic that is not allowed ends the connection; what was allowed is stored", async () => {
  await onStage(async ({ admin, ann, grant }) => {
    await grant(["Topic", "mine", "Write"]);
    const topicData = ["mine", "theirs"].map((name) => {
      return { name, partitionData: [{ index: 0, records: batchOf(10) }] };
    });
    const refused = assert.rejects(ann.call("produce", 9, { acks: 0, timeoutMs: 5000, topicData }), /closed/);
    await Promise.all([refused, ann.closed]);
    assert.equal((await fetch(admin, { topic: "mine", maxWaitMs: 5000 })).highWatermark, 1);
    assert.equal((await fetch(admin, { topic: "theirs" })).highWatermark, 0);
  });
});

test("metadata hides what may not be seen and makes no topic that may not be made", async () => {
  await onStage(async ({ admin, ann, grant }) => {
    const all = async (wire: WireClient, version = 9) =>
      (await wire.call("metadata", version, { topics: version === 0 ? [] : null })).topics.map(({ name }) => name);
    assert.deepEqual(await all(ann), []);
    assert.deepEqual(await all(ann, 0), []);
    assert.deepEqual((await all(admin)).sort(), ["mine", "theirs"]);
    await grant(["Topic", "mine", "Read"], ["Topic", "new", "Describe"]);
    assert.deepEqual(await all(ann), ["mine"]);
    assert.deepEqual(await all(ann, 0), ["mine"]);
    const ask = async (...names: string[]) => {
      const topics = names.map((name) => ({ name }));
      return (await ann.call("metadata", 9, { topics, allowAutoTopicCreation: true })).topics;
    };
    const [theirs, nowhere, made] = await Promise.all([ask("theirs"), ask("nowhere"), ask("new")]);
    for (const [answer] of [theirs, nowhere, made]) {
      is(answer!, "TOPIC_AUTHORIZATION_FAILED");
      assert.deepEqual(answer!.partitions, []);
    }
    const ids = (await admin.call("metadata", 12, { topics: [{ name: "theirs" }] })).topics;
    const byId = await ann.call("metadata", 12, { topics: [{ name: null, topicId: ids[0]!.topicId }] });
    is(byId.topics[0]!, "UNKNOWN_TOPIC_ID");
    assert.equal(byId.topics[0]!.name, null);
    assert.deepEqual((await all(admin)).sort(), ["mine", "theirs"]);
    await grant(["Topic", "new", "Create"]);
    is((await ask("new"))[0]!, "NONE");
  });
});

test("authorised operations are those that are granted", async () => {
  await onStage(async ({ ann, grant }) => {
    await grant(["Topic", "mine", "Read"], ["Group", "g", "Read"], ["Cluster", cluster, "Create"]);
    const bits = (...names: (keyof typeof Operation)[]) => names.reduce((sum, name) => sum | (1 << Operation[name]), 0);
    const asked = { includeClusterAuthorizedOperations: true, includeTopicAuthorizedOperations: true };
    const answer = await ann.call("metadata", 9, { topics: [{ name: "mine" }], ...asked });
    assert.equal(answer.topics[0]!.topicAuthorizedOperations, bits("Read", "Describe"));
    assert.equal(answer.clusterAuthorizedOperations, bits("Create"));
    const described = await ann.call("describeCluster", 0, { includeClusterAuthorizedOperations: true });
    assert.equal(described.clusterAuthorizedOperations, bits("Create"));
    const { groups } = await ann.call("describeGroups", 5, { groups: ["g"], includeAuthorizedOperations: true });
    assert.equal(groups[0]!.authorizedOperations, bits("Read", "Describe"));
    const plain = await ann.call("metadata", 9, { topics: [{ name: "mine" }] });
    assert.equal(plain.topics[0]!.topicAuthorizedOperations, -2_147_483_648);
  });
});

test("groups and their offsets", async () => {
  await onStage(async ({ ann, grant }) => {
    const find = (version: number) =>
      ann.call("findCoordinator", version, { key: "g", keyType: 0, coordinatorKeys: version < 4 ? [] : ["g"] });
    is(await find(3), "GROUP_AUTHORIZATION_FAILED");
    is((await find(4)).coordinators[0]!, "GROUP_AUTHORIZATION_FAILED");
    const member = { groupId: "g", memberId: "m", generationId: 1 };
    is(await ann.call("heartbeat", 4, member), "GROUP_AUTHORIZATION_FAILED");
    is(await ann.call("leaveGroup", 2, { groupId: "g", memberId: "m" }), "GROUP_AUTHORIZATION_FAILED");
    const sync = { ...member, protocolType: "consumer", protocolName: "range", assignments: [] };
    is(await ann.call("syncGroup", 5, sync), "GROUP_AUTHORIZATION_FAILED");
    const join = { groupId: "g", sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000, memberId: "" };
    const joining = { ...join, protocolType: "consumer", protocols: [] };
    is(await ann.call("joinGroup", 7, joining), "GROUP_AUTHORIZATION_FAILED");
    const topics = ["mine", "theirs"].map((name) => ({
      name,
      partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: "" }],
    }));
    const commit = () => ann.call("offsetCommit", 8, { groupId: "g", generationIdOrMemberEpoch: -1, topics });
    for (const topic of (await commit()).topics) is(topic.partitions[0]!, "GROUP_AUTHORIZATION_FAILED");
    const offsets = async (names: readonly string[] | null) => {
      const asked = names?.map((name) => ({ name, partitionIndexes: [0] })) ?? null;
      return (await ann.call("offsetFetch", 8, { groups: [{ groupId: "g", topics: asked }] })).groups[0]!;
    };
    is(await offsets(null), "GROUP_AUTHORIZATION_FAILED");
    is(await ann.call("offsetFetch", 7, { groupId: "g", topics: null }), "GROUP_AUTHORIZATION_FAILED");
    const v1 = await ann.call("offsetFetch", 1, { groupId: "g", topics: [{ name: "mine", partitionIndexes: [0] }] });
    is(v1.topics[0]!.partitions[0]!, "GROUP_AUTHORIZATION_FAILED");
    await grant(["Group", "g", "Read"], ["Topic", "mine", "Read"]);
    is(await find(3), "NONE");
    const codes = new Map((await commit()).topics.map(({ name, partitions }) => [name, partitions[0]!.errorCode]));
    assert.deepEqual([codes.get("mine"), codes.get("theirs")], [0, codeOf("TOPIC_AUTHORIZATION_FAILED")]);
    const named = await offsets(["mine", "theirs"]);
    assert.deepEqual(
      named.topics.map(({ name, partitions }) => [name, partitions[0]!.errorCode]),
      [
        ["mine", 0],
        ["theirs", codeOf("TOPIC_AUTHORIZATION_FAILED")],
      ],
    );
    assert.deepEqual((await offsets(null)).topics.length, 1);
    is((await ann.call("deleteGroups", 2, { groupsNames: ["g"] })).results[0]!, "GROUP_AUTHORIZATION_FAILED");
    is(await ann.call("offsetDelete", 0, { groupId: "g", topics: [] }), "GROUP_AUTHORIZATION_FAILED");
    is((await ann.call("describeGroups", 5, { groups: ["h"] })).groups[0]!, "GROUP_AUTHORIZATION_FAILED");
    const listed = (await ann.call("listGroups", 4, { statesFilter: [] })).groups.map(({ groupId }) => groupId);
    assert.deepEqual(listed, ["g"]);
  });
});

test("topics as admins change them, and their settings", async () => {
  await onStage(async ({ ann, grant }) => {
    is(await makeTopic(ann, "new"), "TOPIC_AUTHORIZATION_FAILED");
    const drop = (name: string, version: number) =>
      ann.call("deleteTopics", version, { topics: [{ name }], topicNames: [name], timeoutMs: 1000 });
    for (const version of [1, 6]) is((await drop("mine", version)).responses[0]!, "TOPIC_AUTHORIZATION_FAILED");
    const grow = { topics: [{ name: "mine", count: 3, assignments: null }], timeoutMs: 1000, validateOnly: false };
    is((await ann.call("createPartitions", 3, grow)).results[0]!, "TOPIC_AUTHORIZATION_FAILED");
    const cut = { topics: [{ name: "mine", partitions: [{ partitionIndex: 0, offset: 0 }] }], timeoutMs: 1000 };
    is((await ann.call("deleteRecords", 2, cut)).topics[0]!.partitions[0]!, "TOPIC_AUTHORIZATION_FAILED");
    const settings: [number, string, ErrorName][] = [
      [2, "mine", "TOPIC_AUTHORIZATION_FAILED"],
      [4, "", "CLUSTER_AUTHORIZATION_FAILED"],
      [32, "g", "GROUP_AUTHORIZATION_FAILED"],
    ];
    for (const [resourceType, resourceName, name] of settings) {
      const resource = { resourceType, resourceName };
      const asked = { resources: [{ ...resource, configurationKeys: null }] };
      is((await ann.call("describeConfigs", 4, asked)).results[0]!, name);
      const configs = [{ name: "retention.ms", configOperation: 0, value: "1000" }];
      const change = { resources: [{ ...resource, configs }], validateOnly: true };
      is((await ann.call("incrementalAlterConfigs", 1, change)).responses[0]!, name);
      is((await ann.call("alterConfigs", 2, change)).responses[0]!, name);
    }
    await grant(["Topic", "new", "Create"]);
    const made = await makeTopic(ann, "new");
    is(made, "NONE");
    assert.equal(made.topicConfigErrorCode, codeOf("TOPIC_AUTHORIZATION_FAILED"));
    await grant(["Topic", "mine", "All"]);
    is((await drop("mine", 6)).responses[0]!, "NONE");
  });
});

test("places in the log and producer ids", async () => {
  await onStage(async ({ ann, grant }) => {
    const list = { replicaId: -1, topics: [{ name: "mine", partitions: [{ partitionIndex: 0, timestamp: -1 }] }] };
    is((await ann.call("listOffsets", 5, list)).topics[0]!.partitions[0]!, "TOPIC_AUTHORIZATION_FAILED");
    const epoch = { topics: [{ topic: "mine", partitions: [{ partition: 0, leaderEpoch: 0 }] }] };
    const ended = await ann.call("offsetForLeaderEpoch", 4, epoch);
    is(ended.topics[0]!.partitions[0]!, "TOPIC_AUTHORIZATION_FAILED");
    const begin = (transactionalId: string | null) =>
      ann.call("initProducerId", 4, { transactionalId, transactionTimeoutMs: 1000 });
    is(await begin(null), "CLUSTER_AUTHORIZATION_FAILED");
    is(await begin("tx"), "TRANSACTIONAL_ID_AUTHORIZATION_FAILED");
    const find = await ann.call("findCoordinator", 4, { keyType: 1, coordinatorKeys: ["tx"] });
    is(find.coordinators[0]!, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED");
    await grant(["Topic", "mine", "Write"]);
    is(await begin(null), "NONE"); // KIP-679
    is((await ann.call("listOffsets", 5, list)).topics[0]!.partitions[0]!, "NONE");
  });
});

test("what belongs to the cluster", async () => {
  await onStage(async ({ ann, grant }) => {
    const creation = {
      resourceType: Resource.Topic,
      resourceName: "theirs",
      resourcePatternType: Pattern.Literal,
      principal: "User:ann",
      host: "*",
      operation: Operation.All,
      permissionType: Permission.Allow,
    };
    const filter = { resourceTypeFilter: 1, resourceNameFilter: null, patternTypeFilter: 1 };
    const any = { ...filter, principalFilter: null, hostFilter: null, operation: 1, permissionType: 1 };
    const no = "CLUSTER_AUTHORIZATION_FAILED";
    is((await ann.call("createAcls", 3, { creations: [creation] })).results[0]!, no);
    is(await ann.call("describeAcls", 3, any), no);
    is((await ann.call("deleteAcls", 3, { filters: [any] })).filterResults[0]!, no);
    is(await ann.call("describeUserScramCredentials", 0, { users: null }), no);
    const upsertions = [upsertion("ann", "x"), upsertion("admin", "x")];
    const altered = await ann.call("alterUserScramCredentials", 0, { deletions: [], upsertions });
    assert.equal(altered.results.length, 2);
    for (const result of altered.results) is(result, no);
    is(await ann.call("describeClientQuotas", 1, { components: [], strict: false }), no);
    const entity = [{ entityType: "user", entityName: "ann" }];
    const ops = [{ key: "producer_byte_rate", value: 1, remove: false }];
    is((await ann.call("alterClientQuotas", 1, { entries: [{ entity, ops }], validateOnly: false })).entries[0]!, no);
    await grant(["Cluster", cluster, "Alter"], ["Cluster", cluster, "DescribeConfigs"]);
    is(await ann.call("describeAcls", 3, any), "NONE");
    is(await ann.call("describeClientQuotas", 1, { components: [], strict: false }), "NONE");
  });
});

test("super users, and what no rule speaks of", async () => {
  await onStage(async ({ ann }) => is(await produce(ann, "theirs", batchOf(1)), "NONE"), {
    "super-users": ["User:ann"],
  });
  await onStage(
    async ({ ann, admin, grant }) => {
      is(await produce(ann, "theirs", batchOf(1)), "NONE");
      await grant(["Topic", "theirs", "Read"]);
      is(await produce(ann, "theirs", batchOf(1)), "TOPIC_AUTHORIZATION_FAILED");
      is(await produce(admin, "theirs", batchOf(1)), "NONE");
    },
    { "allow-if-no-rule": true },
  );
});

test("rules without logins are about anonymous clients; the hub's own rooms always pass", async () => {
  const hub = await openTestHub({ access: { rules: true } });
  const client = hub.hub.client("room");
  try {
    is(await makeTopic(hub.wire, "t"), "TOPIC_AUTHORIZATION_FAILED");
    await hub.hub.ensureTopic("t");
    assert.ok((await client.admin().topics()).length > 0, "the hub's own client sees no topic");
    assert.deepEqual((await hub.wire.call("metadata", 9, { topics: null })).topics, []);
    const [told] = (await hub.wire.call("metadata", 12, { topics: [{ name: "t", topicId: zeroUuid }] })).topics;
    is(told!, "TOPIC_AUTHORIZATION_FAILED");
    assert.equal(told!.topicId, zeroUuid);
  } finally {
    await client.close();
    await hub.close();
  }
});
