// ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments over the wire.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../../hub/errors.ts";
import { withHub } from "../../../tools/test_hub.ts";
import { is, makeTopic } from "../../../tools/wire_calls.ts";

test("no election is needed where one replica leads; asked for all, nothing changed", async () => {
  await withHub({}, async ({ wire }) => {
    await makeTopic(wire, "t", 2);
    const topicPartitions = [{ topic: "t", partitions: [0, 1, 2] }];
    for (const version of [0, 1, 2]) {
      for (const electionType of version === 0 ? [0] : [0, 1]) {
        const asked = { electionType, topicPartitions, timeoutMs: 1000 };
        const { errorCode, replicaElectionResults } = await wire.call("electLeaders", version, asked);
        assert.equal(errorCode, 0);
        const codes = replicaElectionResults[0]!.partitionResult.map((one) => one.errorCode);
        const [none, unknown] = [codeOf("ELECTION_NOT_NEEDED"), codeOf("UNKNOWN_TOPIC_OR_PARTITION")];
        assert.deepEqual(codes, [none, none, unknown]);
      }
      const all = await wire.call("electLeaders", version, { topicPartitions: null, timeoutMs: 1000 });
      assert.deepEqual([all.errorCode, all.replicaElectionResults], [0, []]);
    }
    is(await wire.call("electLeaders", 2, { electionType: 7, topicPartitions, timeoutMs: 1 }), "INVALID_REQUEST");
  });
});

test("replicas of a lone hub are itself; there is no move to list or to cancel", async () => {
  await withHub({}, async ({ wire }) => {
    await makeTopic(wire, "t");
    const cases = [
      [0, [1], "NONE"],
      [0, null, "NO_REASSIGNMENT_IN_PROGRESS"],
      [0, [], "INVALID_REPLICA_ASSIGNMENT"],
      [0, [1, 1], "INVALID_REPLICA_ASSIGNMENT"],
      [0, [1, 2], "INVALID_REPLICA_ASSIGNMENT"],
      [0, [9], "INVALID_REPLICA_ASSIGNMENT"],
      [3, [1], "UNKNOWN_TOPIC_OR_PARTITION"],
      [-1, null, "UNKNOWN_TOPIC_OR_PARTITION"],
    ] as const;
    for (const version of [0, 1]) {
      const partitions = cases.map(([partitionIndex, replicas]) => ({ partitionIndex, replicas }));
      const reply = await wire.call("alterPartitionReassignments", version, { topics: [{ name: "t", partitions }] });
      assert.equal(reply.errorCode, 0);
      for (const [i, [, , name]] of cases.entries()) is(reply.responses[0]!.partitions[i]!, name);
    }
    const listed = await wire.call("listPartitionReassignments", 0, { topics: null });
    assert.deepEqual([listed.errorCode, listed.topics], [0, []]);
  });
});
