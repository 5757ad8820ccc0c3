// DescribeLogDirs, AlterReplicaLogDirs over the wire.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../../hub/errors.ts";
import { withHub } from "../../../tools/test_hub.ts";
import { batchOf, makeTopic, produce } from "../../../tools/wire_calls.ts";

test("the data folder with its sizes, in every version", async () => {
  await withHub({}, async ({ wire, folder }) => {
    await makeTopic(wire, "a", 2);
    await makeTopic(wire, "b");
    await produce(wire, "a", batchOf(1000), { index: 1 });
    for (const version of [1, 2, 3, 4, 5]) {
      const { errorCode, results } = await wire.call("describeLogDirs", version, { topics: null });
      assert.deepEqual([errorCode, results.length], [0, 1]);
      const [only] = results;
      assert.deepEqual([only!.errorCode, only!.logDir, only!.isCordoned], [0, folder, false]);
      assert.deepEqual(
        only!.topics.map(({ name, partitions }) => [name, partitions.map((one) => one.partitionIndex)]),
        [
          ["a", [0, 1]],
          ["b", [0]],
        ],
      );
      const [empty, full] = only!.topics[0]!.partitions;
      assert.equal(empty!.partitionSize, 0);
      assert.ok(full!.partitionSize > 1000 && full!.partitionSize < 1200, String(full!.partitionSize));
      assert.deepEqual([full!.offsetLag, full!.isFutureKey], [0, false]);
      if (version < 4) assert.deepEqual([only!.totalBytes, only!.usableBytes], [-1, -1]);
      else assert.ok(only!.totalBytes > only!.usableBytes && only!.usableBytes > 0, "the volume's room");
    }
  });
});

test("only what is asked for and here", async () => {
  await withHub({}, async ({ wire }) => {
    await makeTopic(wire, "a", 3);
    const topics = [
      { topic: "a", partitions: [2, 7] },
      { topic: "none", partitions: [0] },
    ];
    const [only] = (await wire.call("describeLogDirs", 4, { topics })).results;
    const told = only!.topics.map(({ name, partitions }) => [name, partitions.map((one) => one.partitionIndex)]);
    assert.deepEqual(told, [["a", [2]]]);
    assert.deepEqual((await wire.call("describeLogDirs", 4, { topics: [] })).results[0]!.topics, []);
  });
});

test("a replica stays in the one folder there is", async () => {
  await withHub({}, async ({ wire, folder }) => {
    await makeTopic(wire, "a");
    for (const version of [1, 2]) {
      const dirs = [
        { path: folder, topics: [{ name: "a", partitions: [0, 5] }] },
        { path: "/elsewhere", topics: [{ name: "a", partitions: [0] }] },
      ];
      const { results } = await wire.call("alterReplicaLogDirs", version, { dirs });
      assert.deepEqual(results, [
        {
          topicName: "a",
          partitions: [
            { partitionIndex: 0, errorCode: 0 },
            { partitionIndex: 5, errorCode: codeOf("UNKNOWN_TOPIC_OR_PARTITION") },
            { partitionIndex: 0, errorCode: codeOf("LOG_DIR_NOT_FOUND") },
          ],
        },
      ]);
    }
  });
});
