// DescribeProducers: epochs, sequences and open transactions, as the wire tells them.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../../hub/errors.ts";
import { encodeBatch } from "../../../../hub/record/builder.ts";
import { makeTopic, produce } from "../../../tools/wire_calls.ts";
import { withHub } from "../../../tools/test_hub.ts";
import { batchOf } from "../../log/support.ts";
import { PartitionStage } from "../../engine/partition_stage.ts";

test("who writes to a partition is told over the wire; an unknown partition is an error of its own", async () => {
  await withHub({}, async ({ wire }) => {
    await makeTopic(wire, "t");
    const records = [{ key: null, value: Uint8Array.of(1) }];
    const { errorCode } = await produce(
      wire,
      "t",
      encodeBatch(records, { producerId: 77, producerEpoch: 3, baseSequence: 0 }, 5),
    );
    assert.equal(errorCode, 0);
    const request = { topics: [{ name: "t", partitionIndexes: [0, 9] }] };
    const { topics } = await wire.call("describeProducers", 0, request);
    const [one, none] = topics[0]!.partitions;
    assert.deepEqual(one!.activeProducers, [
      {
        producerId: 77,
        producerEpoch: 3,
        lastSequence: 0,
        lastTimestamp: 5,
        coordinatorEpoch: -1,
        currentTxnStartOffset: -1,
      },
    ]);
    assert.equal(none!.errorCode, codeOf("UNKNOWN_TOPIC_OR_PARTITION"));
    assert.deepEqual(none!.activeProducers, []);
  });
});

test("an open transaction's first offset is told until its marker comes, and then the coordinator's epoch", async () => {
  const stage = new PartitionStage();
  await stage.open();
  await stage.topic("t");
  stage.gate = { admit: async () => "NONE", verify: () => "NONE" };
  await stage.settle(stage.produce(batchOf(["plain"])));
  const producer = { producerId: 5, producerEpoch: 0, baseSequence: 0, transactional: true };
  await stage.settle(stage.produce(batchOf(["a", "b"], producer), { transactionalId: "tx" }));
  const described = () => {
    const [{ lastSequence, coordinatorEpoch, currentTxnStartOffset }] = stage.describe("t")
      .activeProducers as never as [Record<string, number>];
    return [lastSequence, coordinatorEpoch, currentTxnStartOffset];
  };
  assert.deepEqual(described(), [1, -1, 1]);
  const marker = { producerId: 5, producerEpoch: 0, coordinatorEpoch: 4, commit: true };
  await stage.settle(stage.partitions.endTransaction("t", 0, marker));
  assert.deepEqual(described(), [1, 4, -1]);
});
