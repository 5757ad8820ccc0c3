// The administrator on a real hub: topics, settings, groups, offsets, and refusals that name their code.
import assert from "node:assert/strict";
import test from "node:test";
import { HubError } from "../../../hub/errors.ts";
import type { ErrorName } from "../../../hub/errors.ts";
import { withHub } from "../../tools/test_hub.ts";
import { bothWays, fill, pollUntil } from "./ways.ts";

const kind =
  (expected: ErrorName) =>
  (error: unknown): boolean =>
    error instanceof HubError && error.kind === expected;

bothWays("topics are made, described, grown and deleted", async ({ client }) => {
  const admin = client.admin();
  await admin.createTopic("made", { partitions: 2, configs: { "retention.ms": "60000" } });
  const [made] = await admin.topics(["made"]);
  assert.equal(made!.name, "made");
  assert.equal(made!.internal, false);
  assert.match(made!.topicId, /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  assert.deepEqual(
    made!.partitions.map(({ partition }) => partition),
    [0, 1],
  );
  assert.ok(
    made!.partitions.every(({ leader, replicas, inSync }) => {
      return replicas.includes(leader) && inSync.includes(leader);
    }),
  );
  await admin.createPartitions("made", 5);
  assert.equal((await admin.topics(["made"]))[0]!.partitions.length, 5);
  await admin.createTopic("only-asked", { validateOnly: true });
  assert.deepEqual(
    (await admin.topics()).map(({ name }) => name),
    ["made"],
  );
  await admin.deleteTopic("made");
  assert.deepEqual(await admin.topics(), []);
});

bothWays("settings are read, changed and taken back", async ({ client }) => {
  const admin = client.admin();
  await admin.createTopic("t", { configs: { "retention.ms": "60000" } });
  const value = async (name: string) => (await admin.topicConfigs("t")).find((entry) => entry.name === name)!;
  assert.deepEqual([(await value("retention.ms")).value, (await value("retention.ms")).isDefault], ["60000", false]);
  assert.equal((await value("cleanup.policy")).isDefault, true);
  await admin.alterTopicConfigs("t", { "retention.ms": null, "cleanup.policy": "compact" });
  assert.equal((await value("retention.ms")).value, "604800000");
  assert.deepEqual(
    [(await value("cleanup.policy")).value, (await value("cleanup.policy")).isDefault],
    ["compact", false],
  );
  await assert.rejects(admin.alterTopicConfigs("t", { "retention.ms": "soon" }), kind("INVALID_CONFIG"));
  await assert.rejects(admin.topicConfigs("missing"), kind("UNKNOWN_TOPIC_OR_PARTITION"));
});

bothWays("groups are listed, described, moved while empty, and deleted", async (ground) => {
  const { client } = ground;
  const topic = await ground.topic(2);
  const admin = client.admin();
  const consumer = client.consumer({ group: "g", sessionTimeoutMs: 6_000 });
  await consumer.subscribe([topic]);
  await pollUntil([consumer], () => consumer.assignment().length === 2);
  await consumer.commit([{ topic, partition: 1, offset: 3 }]);
  assert.deepEqual(await admin.groups(), [{ group: "g", state: "Stable", protocolType: "consumer" }]);
  const described = await admin.describeGroup("g");
  assert.deepEqual([described.state, described.protocol, described.members.length], ["Stable", "range", 1]);
  assert.equal(described.members[0]!.assignment.length, 2);
  assert.deepEqual(await admin.groupOffsets("g"), [{ topic, partition: 1, offset: 3 }]);
  await assert.rejects(admin.setGroupOffsets("g", [{ topic, partition: 0, offset: 1 }]), kind("NON_EMPTY_GROUP"));
  await assert.rejects(admin.deleteGroup("g"), kind("NON_EMPTY_GROUP"));
  await consumer.close();
  await admin.setGroupOffsets("g", [{ topic, partition: 0, offset: 1 }]);
  const offsets = await admin.groupOffsets("g");
  assert.deepEqual(offsets.map(({ partition, offset }) => [partition, offset]).sort(), [
    [0, 1],
    [1, 3],
  ]);
  await admin.deleteGroup("g");
  assert.deepEqual(await admin.groups(), []);
  await assert.rejects(admin.describeGroup("g"), kind("GROUP_ID_NOT_FOUND"));
});

bothWays("offsets at both ends, at a time, and past everything", async (ground) => {
  const { client } = ground;
  const topic = await ground.topic(2);
  const admin = client.admin();
  await fill(client, topic, ["a", "b", "c"], 2);
  const both = [
    { topic, partition: 0 },
    { topic, partition: 1 },
  ];
  assert.deepEqual(
    (await admin.offsets(both, "earliest")).map(({ offset }) => offset),
    [0, 0],
  );
  assert.deepEqual(
    (await admin.offsets(both, "latest")).map(({ offset }) => offset),
    [2, 1],
  );
  assert.deepEqual(
    (await admin.offsets(both, { time: 1 })).map(({ offset }) => offset),
    [0, 0],
  );
  assert.deepEqual(
    (await admin.offsets(both, { time: 9e12 })).map(({ offset }) => offset),
    [-1, -1],
  );
  assert.deepEqual(
    (await admin.offsets(both, { offset: 7 })).map(({ offset }) => offset),
    [7, 7],
  );
});

bothWays("refusals name their code and what it is about", async ({ client }) => {
  const admin = client.admin();
  await admin.createTopic("t");
  await assert.rejects(admin.createTopic("t"), kind("TOPIC_ALREADY_EXISTS"));
  await assert.rejects(admin.createTopic("no such/name"), kind("INVALID_TOPIC_EXCEPTION"));
  await assert.rejects(admin.createTopic("u", { partitions: 0 }), kind("INVALID_PARTITIONS"));
  await assert.rejects(admin.createTopic("u", { replicationFactor: 9 }), kind("INVALID_REPLICATION_FACTOR"));
  await assert.rejects(admin.createTopic("u", { configs: { colour: "red" } }), kind("INVALID_CONFIG"));
  await assert.rejects(admin.createPartitions("t", 1), kind("INVALID_PARTITIONS"));
  await assert.rejects(admin.deleteGroup("none"), kind("GROUP_ID_NOT_FOUND"));
  await admin.close();
});

test("groups of the server-side protocol are listed, described and deleted like the others", async () => {
  await withHub({}, async ({ hub, wire }) => {
    const admin = hub.client("operator").admin();
    await admin.createTopic("t", { partitions: 2 });
    const join = { rebalanceTimeoutMs: 10_000, subscribedTopicNames: ["t"], topicPartitions: [] };
    const beat = { groupId: "g", memberId: "m" };
    const joined = await wire.call("consumerGroupHeartbeat", 1, { ...beat, ...join, memberEpoch: 0 });
    assert.equal(joined.errorCode, 0);
    assert.deepEqual(await admin.groups(), [{ group: "g", state: "Stable", protocolType: "consumer" }]);
    const { state, protocol, members } = await admin.describeGroup("g");
    assert.deepEqual([state, protocol, members.length], ["Stable", "uniform", 1]);
    assert.deepEqual(members[0]!.assignment, [
      { topic: "t", partition: 0 },
      { topic: "t", partition: 1 },
    ]);
    const offsets = [{ topic: "t", partition: 0, offset: 0 }];
    await assert.rejects(admin.setGroupOffsets("g", offsets), kind("NON_EMPTY_GROUP"));
    await wire.call("consumerGroupHeartbeat", 1, { ...beat, memberEpoch: -1 });
    await admin.setGroupOffsets("g", offsets);
    assert.deepEqual((await admin.groupOffsets("g")).length, 1);
    await admin.deleteGroup("g");
    await assert.rejects(admin.describeGroup("g"), kind("GROUP_ID_NOT_FOUND"));
  });
});
