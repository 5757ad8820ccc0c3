// The bridge's internal topics: made on first use, written by the hub's own rooms, read and not changed by clients.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../hub/errors.ts";
import { limits, mqttRetainedTopic, mqttSessionsTopic } from "../../../hub/mod.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { withHub } from "../../tools/test_hub.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("rooms of the hub write them, clients read them and cannot write, make or delete them", async () => {
  await withHub({}, async ({ hub, wire }) => {
    const asked = await wire.call("createTopics", 7, {
      topics: [{ name: mqttSessionsTopic, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
      timeoutMs: 1_000,
    });
    assert.equal(asked.topics[0]!.errorCode, codeOf("INVALID_TOPIC_EXCEPTION"));
    for (const topic of [mqttSessionsTopic, mqttRetainedTopic]) {
      await hub.ensureTopic(topic);
      const client = hub.client("room");
      const producer = client.producer();
      const large = new Uint8Array(limits.mqttPacketBytesMax + 1024);
      await producer.publish(topic, { key: bytes("k"), value: bytes("v"), partition: 0 });
      await producer.publish(topic, { key: bytes("large"), value: large, partition: 0 });
      const records = encodeBatch([{ key: bytes("k"), value: bytes("forged") }]);
      const refused = await wire.call("produce", 9, {
        transactionalId: null,
        acks: -1,
        timeoutMs: 1_000,
        topicData: [{ name: topic, partitionData: [{ index: 0, records }] }],
      });
      assert.equal(refused.responses[0]!.partitionResponses[0]!.errorCode, codeOf("INVALID_TOPIC_EXCEPTION"));
      const deleted = await wire.call("deleteTopics", 5, { topicNames: [topic], timeoutMs: 1_000 });
      assert.equal(deleted.responses[0]!.errorCode, codeOf("TOPIC_DELETION_DISABLED"));
      const read = await wire.call("fetch", 4, {
        maxWaitMs: 100,
        minBytes: 1,
        maxBytes: 1_000_000,
        topics: [{ topic, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000 }] }],
      });
      assert.equal(read.responses[0]!.partitions[0]!.errorCode, 0);
      assert.equal(read.responses[0]!.partitions[0]!.highWatermark, 2);
      const [described] = await client.admin().topics([topic]);
      assert.equal(described!.internal, true);
      assert.equal(described!.partitions.length, limits.mqttKeptPartitions);
      const configs = await client.admin().topicConfigs(topic);
      assert.equal(configs.find(({ name }) => name === "cleanup.policy")?.value, "compact");
      await client.close();
    }
  });
});

test("rooms of the hub write no other internal topic", async () => {
  await withHub({}, async ({ hub }) => {
    await hub.ensureTopic("__other");
    const client = hub.client("room");
    await assert.rejects(client.producer().publish("__other", { key: bytes("k"), value: null }), {
      kind: "INVALID_TOPIC_EXCEPTION",
    });
    await client.close();
  });
});
