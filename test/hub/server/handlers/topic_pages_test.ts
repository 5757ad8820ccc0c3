// DescribeTopicPartitions: pages, cursors, and names that lead nowhere.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../../hub/errors.ts";
import type { CallOf, ReplyOf } from "../../../../hub/wire/apis.ts";
import { withHub } from "../../../tools/test_hub.ts";
import { makeTopic } from "../../../tools/wire_calls.ts";
import type { WireClient } from "../../../tools/wire_client.ts";

type Page = ReplyOf<"describeTopicPartitions">;

function ask(wire: WireClient, names: readonly string[], more: Partial<CallOf<"describeTopicPartitions">> = {}) {
  return wire.call("describeTopicPartitions", 0, { topics: names.map((name) => ({ name })), ...more });
}

const shown = ({ topics }: Page): [string | null, number[]][] =>
  topics.map(({ name, partitions }) => [name, partitions.map(({ partitionIndex }) => partitionIndex)]);

test("one page: topics in the order of their names, each partition with its leader and replicas", async () => {
  await withHub({}, async ({ wire }) => {
    const { topicId } = await makeTopic(wire, "b", 2);
    await makeTopic(wire, "a", 1);
    const page = await ask(wire, ["b", "none", "a", "b", "no/name"]);
    assert.deepEqual(
      page.topics.map(({ name, errorCode }) => [name, errorCode]),
      [
        ["a", 0],
        ["b", 0],
        ["no/name", codeOf("INVALID_TOPIC_EXCEPTION")],
        ["none", codeOf("UNKNOWN_TOPIC_OR_PARTITION")],
      ],
    );
    assert.equal(page.nextCursor, null);
    const b = page.topics[1]!;
    assert.deepEqual([b.topicId, b.isInternal, b.topicAuthorizedOperations], [topicId, false, 0b1101_1111_1000]);
    assert.deepEqual(b.partitions[1], {
      errorCode: 0,
      partitionIndex: 1,
      leaderId: 1,
      leaderEpoch: 0,
      replicaNodes: [1],
      isrNodes: [1],
      eligibleLeaderReplicas: [],
      lastKnownElr: [],
      offlineReplicas: [],
    });
  });
});

test("pages of every size, followed by their cursors, show each partition once", async () => {
  await withHub({}, async ({ wire }) => {
    for (const [name, count] of [
      ["a", 3],
      ["b", 1],
      ["c", 5],
    ] as const) {
      await makeTopic(wire, name, count);
    }
    for (const names of [["c", "b", "a"], []]) {
      for (let responsePartitionLimit = -1; responsePartitionLimit <= 10; responsePartitionLimit++) {
        const seen: string[] = [];
        let cursor: Page["nextCursor"] = null;
        do {
          const page: Page = await ask(wire, names, { responsePartitionLimit, cursor });
          const rows = shown(page).flatMap(([name, partitions]) => partitions.map((index) => `${name}${index}`));
          assert.ok(rows.length >= 1 && rows.length <= Math.max(1, responsePartitionLimit), `${rows}`);
          seen.push(...rows);
          cursor = page.nextCursor;
        } while (cursor !== null);
        assert.deepEqual(seen, ["a0", "a1", "a2", "b0", "c0", "c1", "c2", "c3", "c4"], `by ${responsePartitionLimit}`);
      }
    }
  });
});

test("a cursor that is none is INVALID_REQUEST; one whose topic went goes on with the next", async () => {
  await withHub({}, async ({ wire }) => {
    await makeTopic(wire, "a", 2);
    await makeTopic(wire, "c", 2);
    for (const cursor of [
      { topicName: "a", partitionIndex: -1 },
      { topicName: "b", partitionIndex: 0 },
    ]) {
      const { topics } = await ask(wire, ["a", "c"], { cursor });
      assert.deepEqual(
        topics.map(({ errorCode }) => errorCode),
        [codeOf("INVALID_REQUEST"), codeOf("INVALID_REQUEST")],
      );
    }
    const gone = await ask(wire, [], { cursor: { topicName: "b", partitionIndex: 1 } });
    assert.deepEqual(shown(gone), [["c", [0, 1]]]);
    const past = await ask(wire, ["a"], { cursor: { topicName: "a", partitionIndex: 9 } });
    assert.deepEqual([shown(past), past.nextCursor], [[["a", []]], null]);
  });
});
