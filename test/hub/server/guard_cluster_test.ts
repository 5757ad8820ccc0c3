// What operators ask, refused row by row to who may not, and let through to who may.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../hub/errors.ts";
import { is } from "../../tools/wire_calls.ts";
import type { WireClient } from "../../tools/wire_client.ts";
import { cluster, onStage } from "./guard_stage.ts";

const no = codeOf("CLUSTER_AUTHORIZATION_FAILED");
const parts = [{ partitionIndex: 0, replicas: [1] }];

/** Each request, and where its answer bears the refusal. */
const describing: readonly [string, (wire: WireClient) => Promise<number | undefined>][] = [
  ["describeLogDirs", async (wire) => (await wire.call("describeLogDirs", 4, { topics: null })).errorCode],
  [
    "listPartitionReassignments",
    async (wire) => (await wire.call("listPartitionReassignments", 0, { timeoutMs: 1, topics: null })).errorCode,
  ],
  [
    "describeQuorum",
    async (wire) => {
      const topics = [{ topicName: "__cluster_metadata", partitions: [{ partitionIndex: 0 }] }];
      return (await wire.call("describeQuorum", 2, { topics })).errorCode;
    },
  ],
];

const altering: typeof describing = [
  [
    "alterReplicaLogDirs",
    async (wire) => {
      const dirs = [{ path: "/elsewhere", topics: [{ name: "mine", partitions: [0] }] }];
      return (await wire.call("alterReplicaLogDirs", 2, { dirs })).results[0]?.partitions[0]?.errorCode;
    },
  ],
  [
    "electLeaders",
    async (wire) => {
      const topicPartitions = [{ topic: "mine", partitions: [0] }];
      const answer = await wire.call("electLeaders", 2, { electionType: 0, topicPartitions, timeoutMs: 1000 });
      const told = answer.replicaElectionResults[0]?.partitionResult[0]?.errorCode;
      if (told === no) assert.equal(answer.errorCode, no);
      return told;
    },
  ],
  [
    "alterPartitionReassignments",
    async (wire) => {
      const topics = [{ name: "mine", partitions: parts }];
      return (await wire.call("alterPartitionReassignments", 1, { timeoutMs: 1000, topics })).errorCode;
    },
  ],
  [
    "updateFeatures",
    async (wire) => (await wire.call("updateFeatures", 1, { timeoutMs: 1000, featureUpdates: [] })).errorCode,
  ],
];

test("operators' requests need DESCRIBE, ALTER or DESCRIBE_CONFIGS of the cluster, each its own", async () => {
  await onStage(async ({ ann, grant }) => {
    for (const [api, ask] of [...describing, ...altering]) assert.equal(await ask(ann), no, api);
    const resources = async () => (await ann.call("listConfigResources", 1, { resourceTypes: [2] })).errorCode;
    assert.equal(await resources(), no);
    await grant(["Cluster", cluster, "Describe"]);
    for (const [api, ask] of describing) assert.equal(await ask(ann), 0, api);
    for (const [api, ask] of altering) assert.equal(await ask(ann), no, api);
    assert.equal(await resources(), no);
    await grant(["Cluster", cluster, "Alter"], ["Cluster", cluster, "DescribeConfigs"]);
    for (const [api, ask] of altering) assert.notEqual(await ask(ann), no, api);
    assert.equal(await resources(), 0);
  });
});

test("describeTopicPartitions: no page, and no word of where the next one begins, names what may not be seen", async () => {
  await onStage(async ({ ann, admin, grant }) => {
    const page = async (wire: WireClient, names: readonly string[], cursor: string | null = null) => {
      const answer = await wire.call("describeTopicPartitions", 0, {
        topics: names.map((name) => ({ name })),
        responsePartitionLimit: 1,
        cursor: cursor === null ? null : { topicName: cursor, partitionIndex: 0 },
      });
      return { names: answer.topics.map(({ name }) => name), next: answer.nextCursor?.topicName ?? null, ...answer };
    };
    assert.deepEqual((await page(admin, [])).next, "theirs", "the second topic begins the next page");
    const nothing = await page(ann, []);
    assert.deepEqual([nothing.names, nothing.next], [[], null]);
    await grant(["Topic", "mine", "Describe"]);
    const seen = await page(ann, []);
    assert.deepEqual([seen.names, seen.next], [["mine"], null], "theirs is not the next page");
    assert.deepEqual((await page(ann, [], "theirs")).names, []);
    const named = await page(ann, ["mine", "theirs", "nowhere"]);
    const codes = new Map(named.topics.map(({ name, errorCode }) => [name, errorCode]));
    const denied = codeOf("TOPIC_AUTHORIZATION_FAILED");
    assert.deepEqual([codes.get("mine"), codes.get("theirs"), codes.get("nowhere")], [0, denied, denied]);
    for (const { name, partitions } of named.topics) assert.equal(partitions.length, name === "mine" ? 1 : 0);
    is((await page(ann, ["theirs"])).topics[0]!, "TOPIC_AUTHORIZATION_FAILED");
  });
});
