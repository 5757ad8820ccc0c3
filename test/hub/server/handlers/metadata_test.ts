// Metadata, DescribeCluster and ApiVersions: what each version says of the hub itself.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../../hub/errors.ts";
import { featureRows, metadataHandlers } from "../../../../hub/server/handlers/metadata.ts";
import { loneView } from "../../../../hub/engine/cluster_view.ts";
import type { RequestContext } from "../../../../hub/server/services.ts";
import { apis, type RequestOf } from "../../../../hub/wire/apis.ts";
import { fill } from "../../../../hub/wire/codec.ts";
import { withHub } from "../../../tools/test_hub.ts";
import { makeTopic } from "../../../tools/wire_calls.ts";

test("metadata: every version tells brokers and topics, v13 an error code of its own", async () => {
  await withHub({}, async ({ wire }) => {
    const { topicId } = await makeTopic(wire, "t", 2);
    for (let version = apis.metadata.min; version <= apis.metadata.max; version++) {
      const reply = await wire.call("metadata", version, { topics: [{ name: "t" }] });
      assert.deepEqual([reply.errorCode, reply.brokers.length, reply.topics.length], [0, 1, 1], `v${version}`);
      const topic = reply.topics[0]!;
      assert.deepEqual([topic.errorCode, topic.partitions.length, topic.isInternal], [0, 2, false]);
      if (version >= 10) assert.equal(topic.topicId, topicId);
      if (version >= 8) assert.equal(topic.topicAuthorizedOperations, -2_147_483_648);
    }
    const byId = await wire.call("metadata", 13, { topics: [{ topicId, name: null }] });
    assert.equal(byId.topics[0]!.name, "t");
  });
});

test("describeCluster: brokers, none of them fenced; controllers are asked for elsewhere", async () => {
  await withHub({}, async ({ wire }) => {
    for (let version = apis.describeCluster.min; version <= apis.describeCluster.max; version++) {
      const request = { includeClusterAuthorizedOperations: false, includeFencedBrokers: true };
      const { errorCode, brokers } = await wire.call("describeCluster", version, request);
      assert.deepEqual([errorCode, brokers.map(({ isFenced }) => isFenced)], [0, [false]]);
      if (version === 0) continue;
      for (const [endpointType, error] of [
        [2, "MISMATCHED_ENDPOINT_TYPE"],
        [3, "UNSUPPORTED_ENDPOINT_TYPE"],
      ] as const) {
        const refused = await wire.call("describeCluster", version, { ...request, endpointType });
        assert.deepEqual([refused.errorCode, refused.brokers.length], [codeOf(error), 0]);
      }
    }
  });
});

test("apiVersions: a feature that may be 0 is told to v4 only, one that is 0 is not in force (KIP-584)", () => {
  const features = [
    { name: "a", min: 0, max: 2, level: 2 },
    { name: "b", min: 1, max: 1, level: 1 },
    { name: "c", min: 0, max: 1, level: 0 },
  ];
  const [older, newest] = [featureRows(features, 3), featureRows(features, 4)];
  const names = (rows: readonly { readonly name: string }[]): string => rows.map(({ name }) => name).join("");
  assert.deepEqual([names(older.supportedFeatures), names(newest.supportedFeatures)], ["b", "abc"]);
  assert.deepEqual([names(older.finalizedFeatures), names(newest.finalizedFeatures)], ["ab", "ab"]);
  assert.equal(featureRows([features[2]!], 4).finalizedFeaturesEpoch, -1);
});

test("metadata: a topic whose logs are being made has no leader yet, and an internal one says that it is", async () => {
  const topic = { name: "t", topicId: "00000000-0000-4000-8000-00000000000a", partitions: 2, internal: true };
  const topics = { byName: () => topic, all: () => [topic] };
  const services = {
    cluster: loneView(1, "d"),
    hubId: 1,
    clusterId: "c",
    advertised: { host: "h", port: 1 },
    partitions: { topics, of: () => [] },
  };
  const { metadata } = metadataHandlers(services as never);
  const asked = fill(apis.metadata.request, { topics: [{ name: "t" }] }) as RequestOf<"metadata">;
  const answer = await metadata(asked, { version: 13 } as RequestContext);
  const [made] = answer.topics;
  assert.equal(made!.isInternal, true);
  assert.deepEqual(
    made!.partitions.map(({ errorCode, leaderId, leaderEpoch }) => [errorCode, leaderId, leaderEpoch]),
    [
      [codeOf("LEADER_NOT_AVAILABLE"), -1, -1],
      [codeOf("LEADER_NOT_AVAILABLE"), -1, -1],
    ],
  );
});

test("metadata: while no controller is known the hub itself is named, as a client may end on an id that is none's", async () => {
  const services = {
    cluster: { ...loneView(2, "d"), controllerId: () => -1 },
    hubId: 2,
    clusterId: "c",
    advertised: { host: "h", port: 1 },
    partitions: { topics: { all: () => [] } },
  };
  const { metadata } = metadataHandlers(services as never);
  const asked = fill(apis.metadata.request, { topics: null }) as RequestOf<"metadata">;
  const { controllerId, brokers } = await metadata(asked, { version: 13 } as RequestContext);
  assert.deepEqual([controllerId, brokers.map(({ nodeId }) => nodeId)], [2, [2]]);
});
