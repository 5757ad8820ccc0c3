// DescribeQuorum, UpdateFeatures over the wire.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../../hub/errors.ts";
import { features } from "../../../../hub/wire/features.ts";
import { scratch } from "../../../tools/hub_process.ts";
import { openTestHub, withHub } from "../../../tools/test_hub.ts";
import { is } from "../../../tools/wire_calls.ts";

const metadata = { topicName: "__cluster_metadata", partitions: [{ partitionIndex: 0 }] };

test("a lone hub is the only voter, and leads", async () => {
  const { folder, remove } = scratch();
  try {
    const ends: number[] = [];
    for (let start = 0; start < 2; start++) {
      const opened = await openTestHub({ folder });
      for (const version of [0, 1, 2]) {
        const reply = await opened.wire.call("describeQuorum", version, { topics: [metadata] });
        const [quorum] = reply.topics[0]!.partitions;
        assert.deepEqual([reply.errorCode, quorum!.errorCode, quorum!.leaderId], [0, 0, 1]);
        assert.deepEqual(
          quorum!.currentVoters.map((voter) => [voter.replicaId, voter.logEndOffset]),
          [[1, quorum!.highWatermark]],
        );
        assert.deepEqual(quorum!.observers, []);
        if (version === 2) {
          assert.match(quorum!.currentVoters[0]!.replicaDirectoryId, /^[0-9a-f]{8}-[0-9a-f-]{27}$/);
          const [node] = reply.nodes;
          assert.deepEqual([node!.nodeId, node!.listeners[0]!.port], [1, opened.kafka]);
          ends.push(quorum!.highWatermark);
        }
      }
      await opened.close();
    }
    assert.ok(ends[1]! > ends[0]!, "the end never goes back");
  } finally {
    remove();
  }
});

test("there is no other metadata", async () => {
  await withHub({}, async ({ wire }) => {
    for (const topics of [
      [{ topicName: "t", partitions: [{ partitionIndex: 0 }] }],
      [{ topicName: "__cluster_metadata", partitions: [{ partitionIndex: 1 }] }],
    ]) {
      const reply = await wire.call("describeQuorum", 2, { topics });
      is(reply.topics[0]!.partitions[0]!, "UNKNOWN_TOPIC_OR_PARTITION");
    }
  });
});

test("levels of features: those in force may be asked for, everything else is refused with a reason", async () => {
  await withHub({}, async ({ wire }) => {
    const update = async (feature: string, maxVersionLevel: number, upgradeType = 1) => {
      const featureUpdates = [{ feature, maxVersionLevel, upgradeType, allowDowngrade: upgradeType !== 1 }];
      const codes: number[] = [];
      for (const version of [0, 1, 2]) {
        const reply = await wire.call("updateFeatures", version, { featureUpdates });
        codes.push(version < 2 ? reply.results[0]!.errorCode : reply.errorCode);
        if (version < 2) assert.equal(reply.errorCode, 0);
      }
      return codes;
    };
    const all = (name: Parameters<typeof codeOf>[0]) => Array.from({ length: 3 }, () => codeOf(name));
    assert.deepEqual(await update("no.such", 1), all("INVALID_UPDATE_VERSION"));
    assert.deepEqual(await update("no.such", -1), all("INVALID_UPDATE_VERSION"));
    for (const { name, max, level } of features) {
      assert.deepEqual(await update(name, level), all("NONE"));
      assert.deepEqual(await update(name, max + 1), all("INVALID_UPDATE_VERSION"));
      if (level === 0) continue;
      assert.deepEqual(await update(name, level - 1), all("INVALID_UPDATE_VERSION"));
      assert.deepEqual(await update(name, level - 1, 2), all("FEATURE_UPDATE_FAILED"));
    }
    const twice = Array.from({ length: 2 }, () => ({ feature: "f", maxVersionLevel: 0 }));
    is(await wire.call("updateFeatures", 2, { featureUpdates: twice }), "INVALID_REQUEST");
    is(await wire.call("updateFeatures", 2, { featureUpdates: [] }), "NONE");
    const odd = { feature: "f", maxVersionLevel: 0, upgradeType: 9 };
    is(
      await wire.call("updateFeatures", 1, { featureUpdates: [odd] }).then(({ results }) => results[0]!),
      "INVALID_UPDATE_VERSION",
    );
  });
});
