// The eleven traps of version negotiation that clients fall into, one test each, by their numbers.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../hub/errors.ts";
import { readBatchHeader } from "../../../hub/record/batch.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import {
  advertised,
  type ApiName,
  apiNames,
  apis,
  type CallOf,
  decodeResponse,
  encodeRequest,
  isBetweenHubs,
  peekResponse,
  type ReplyOf,
} from "../../../hub/wire/apis.ts";
import { withHub } from "../../tools/test_hub.ts";
import { batchOf, dropTopic, fetch, is, makeTopic, produce } from "../../tools/wire_calls.ts";
import { dialWire, type WireClient } from "../../tools/wire_client.ts";

function framed<N extends ApiName>(api: N, version: number, correlationId: number, request: CallOf<N>): Buffer {
  return Buffer.concat(encodeRequest(api, version, correlationId, "test", request));
}

const software = { clientSoftwareName: "test", clientSoftwareVersion: "1" };

async function ranges(wire: WireClient, version = 4): Promise<Map<number, readonly [number, number]>> {
  const { apiKeys } = await wire.call("apiVersions", version, software);
  return new Map(apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]));
}

const rangeOf = (told: Map<number, readonly [number, number]>, api: ApiName) => told.get(apis[api].key);

test("trap 1: ApiVersions is answered in every version, with header v0, and error 35 as v0 beyond its own", async () => {
  await withHub({}, async ({ wire }) => {
    const expected = advertised();
    for (let version = 0; version <= 4; version++) {
      wire.send(framed("apiVersions", version, 1000 + version, software));
      const frame = Buffer.from(await wire.frame());
      assert.equal(frame.readInt32BE(0), 1000 + version);
      // header v0: the error code follows the correlation id, no byte of tags in between
      assert.equal(frame.readInt16BE(4), 0, `v${version}`);
      const flexible = version >= 3;
      assert.equal(flexible ? frame.readUInt8(6) - 1 : frame.readInt32BE(6), expected.length);
      assert.deepEqual(decodeResponse("apiVersions", version, frame).apiKeys, expected);
    }
    for (const version of [5, 99, 0x7fff, -1]) {
      const request = framed("apiVersions", 4, 7, software);
      request.writeInt16BE(version, 6);
      wire.send(request);
      const frame = Buffer.from(await wire.frame());
      const reply = decodeResponse("apiVersions", 0, frame);
      assert.equal(reply.errorCode, codeOf("UNSUPPORTED_VERSION"), `v${version}`);
      const own = reply.apiKeys.find(({ apiKey }) => apiKey === 18)!;
      assert.deepEqual([own.minVersion, own.maxVersion], [0, 4]);
      assert.equal(frame.length, 4 + 2 + 4 + 6 * reply.apiKeys.length, "the form of v0 to the byte");
    }
  });
});

test("trap 2: Produce is advertised from 0, and 0 to 2 are refused when they are sent", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    assert.deepEqual(rangeOf(await ranges(wire), "produce"), [0, 13]);
    for (const version of [0, 1, 2]) {
      const old = await dialWire(kafka);
      const request = framed("produce", 3, 1, { acks: 1, timeoutMs: 1, topicData: [] });
      request.writeInt16BE(version, 6);
      old.send(request);
      await old.closed;
    }
  });
});

test("trap 3: JoinGroup is advertised from 0, and v0 and v1 join at once", async () => {
  await withHub({}, async ({ wire }) => {
    assert.deepEqual(rangeOf(await ranges(wire), "joinGroup"), [0, 9]);
    for (const version of [0, 1]) {
      const reply = await wire.call("joinGroup", version, {
        groupId: `g${version}`,
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 10_000,
        memberId: "",
        protocolType: "consumer",
        protocols: [{ name: "range", metadata: new Uint8Array(0) }],
      });
      assert.deepEqual([reply.errorCode, reply.generationId, reply.leader], [0, 1, reply.memberId]);
    }
  });
});

test("trap 4: what librdkafka turns features on by is there", async () => {
  await withHub({}, async ({ wire }) => {
    const told = await ranges(wire, 3);
    const needs: Partial<Record<ApiName, number>> = {
      produce: 7,
      fetch: 10,
      findCoordinator: 0,
      offsetCommit: 1,
      offsetFetch: 1,
      joinGroup: 0,
      syncGroup: 0,
      heartbeat: 0,
      leaveGroup: 0,
      initProducerId: 0,
    };
    for (const [api, least] of Object.entries(needs)) {
      const range = rangeOf(told, api as ApiName);
      assert.ok(range !== undefined && range[1] >= least, `${api} ${range}`);
    }
    assert.ok(rangeOf(told, "produce")![0] <= 7, "zstd asks for a lowest version of 7 or less");
    const { errorCode, producerId } = await wire.call("initProducerId", 0, {
      transactionalId: null,
      transactionTimeoutMs: 1000,
    });
    assert.equal(errorCode, 0);
    assert.ok(producerId >= 0);
  });
});

test("trap 5: the versions that kafka-python 2.0.2 hard-codes, on the socket it guessed over", async () => {
  await withHub({}, async ({ wire }) => {
    await makeTopic(wire, "t");
    wire.send(Buffer.concat([framed("apiVersions", 0, 1, {}), framed("metadata", 0, 2, { topics: [] })]));
    assert.equal(decodeResponse("apiVersions", 0, await wire.frame()).errorCode, 0);
    const metadata = decodeResponse("metadata", 0, await wire.frame());
    assert.deepEqual([metadata.brokers.length, metadata.topics[0]!.name], [1, "t"], "no topics means all of them");
    is(await wire.call("findCoordinator", 0, { key: "g" }), "NONE");
    const records = encodeBatch([{ key: null, value: new Uint8Array(5), headers: [], timestamp: 1 }]);
    const topicData = [{ name: "t", partitionData: [{ index: 0, records }] }];
    const produced = await wire.call("produce", 7, { acks: 1, timeoutMs: 1000, topicData });
    is(produced.responses[0]!.partitionResponses[0]!, "NONE");
    const places = [{ partitionIndex: 0, timestamp: -1 }];
    const listed = await wire.call("listOffsets", 1, { replicaId: -1, topics: [{ name: "t", partitions: places }] });
    assert.equal(listed.topics[0]!.partitions[0]!.offset, 1);
    const wanted = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }];
    const read = await wire.call("fetch", 4, {
      maxWaitMs: 0,
      minBytes: 1,
      topics: [{ topic: "t", partitions: wanted }],
    });
    assert.equal(readBatchHeader(read.responses[0]!.partitions[0]!.records!).lastOffset, 0);
    const joined = await wire.call("joinGroup", 2, {
      groupId: "g",
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      memberId: "",
      protocolType: "consumer",
      protocols: [{ name: "range", metadata: new Uint8Array(0) }],
    });
    const { memberId, generationId } = joined;
    const member = { groupId: "g", memberId, generationId };
    const assignments = [{ memberId, assignment: Uint8Array.of(1) }];
    assert.deepEqual([...(await wire.call("syncGroup", 1, { ...member, assignments })).assignment], [1]);
    is(await wire.call("heartbeat", 1, member), "NONE");
    const committed = await wire.call("offsetCommit", 2, {
      groupId: "g",
      memberId,
      generationIdOrMemberEpoch: generationId,
      topics: [{ name: "t", partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: "" }] }],
    });
    is(committed.topics[0]!.partitions[0]!, "NONE");
    const asked = { groupId: "g", topics: [{ name: "t", partitionIndexes: [0] }] };
    assert.equal((await wire.call("offsetFetch", 1, asked)).topics[0]!.partitions[0]!.committedOffset, 1);
    is(await wire.call("leaveGroup", 1, { groupId: "g", memberId }), "NONE");
  });
});

test("trap 6: both kinds of client are served: the oldest forms and the compact ones", async () => {
  await withHub({}, async ({ wire }) => {
    const told = await ranges(wire);
    /** The last non-flexible version that kafkajs, aiokafka and librdkafka < 2.3 use, and the first platformatic needs. */
    const both: Partial<Record<ApiName, readonly [number, number]>> = {
      produce: [7, 9],
      fetch: [11, 12],
      metadata: [6, 9],
      offsetCommit: [5, 8],
      offsetFetch: [4, 8],
      joinGroup: [5, 6],
      findCoordinator: [2, 4],
      heartbeat: [3, 4],
      leaveGroup: [3, 4],
      syncGroup: [3, 4],
      listOffsets: [3, 5],
      initProducerId: [1, 3],
      createTopics: [3, 5],
      describeConfigs: [2, 4],
    };
    for (const [name, [old, compact]] of Object.entries(both)) {
      const [min, max] = rangeOf(told, name as ApiName)!;
      assert.ok(min <= old && max >= compact, `${name} ${min}-${max}`);
    }
    assert.equal((await wire.call("metadata", 6, { topics: null })).brokers.length, 1);
    assert.equal((await wire.call("metadata", 9, { topics: null })).brokers.length, 1);
  });
});

test("trap 7: request header v2 and response header v1 from the flexible version on, ApiVersions excepted", async () => {
  await withHub({}, async ({ wire }) => {
    for (const version of [8, 9]) {
      wire.send(framed("metadata", version, 77, { topics: [] }));
      const frame = Buffer.from(await wire.frame());
      assert.equal(frame.readInt32BE(0), 77);
      // then a byte of tags in v1, then throttle time
      const body = frame.subarray(version >= 9 ? 5 : 4);
      if (version >= 9) assert.equal(frame.readUInt8(4), 0);
      assert.equal(body.readInt32BE(0), 0, "throttle time");
      const brokers = version >= 9 ? body.readUInt8(4) - 1 : body.readInt32BE(4);
      assert.equal(brokers, 1);
    }
    // tags that nobody knows are skipped, in header and body
    const plain = framed("metadata", 9, 78, { topics: [] });
    const header = 4 + 2 + 2 + 4 + 2 + 4;
    const tags = Buffer.from([1, 5, 2, 0xaa, 0xbb]);
    const tagged = Buffer.concat([plain.subarray(0, header), tags, plain.subarray(header + 1, -1), tags]);
    tagged.writeInt32BE(tagged.length - 4, 0);
    wire.send(tagged);
    assert.equal(peekResponse(await wire.frame()), 78);
  });
});

test("trap 8: topic ids are advertised, so metadata gives stable ones, and a topic made anew has another", async () => {
  await withHub({}, async ({ wire }) => {
    const told = await ranges(wire);
    const idsSince = { produce: 13, fetch: 13, offsetCommit: 10, offsetFetch: 10 } as const;
    for (const [name, since] of Object.entries(idsSince)) {
      assert.ok(rangeOf(told, name as ApiName)![1] >= since, name);
    }
    assert.ok(rangeOf(told, "metadata")![1] >= 12);
    const { topicId } = await makeTopic(wire, "t");
    assert.match(topicId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const named = await wire.call("metadata", 12, { topics: [{ name: "t" }] });
    assert.equal(named.topics[0]!.topicId, topicId);
    const topics = [{ topicId, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] }];
    const ask = { maxWaitMs: 0, minBytes: 1, topics };
    const partition = (reply: ReplyOf<"fetch">) => reply.responses[0]!.partitions[0]!;
    is(partition(await wire.call("fetch", 13, ask)), "NONE");
    await dropTopic(wire, "t");
    const { topicId: other } = await makeTopic(wire, "t");
    assert.notEqual(other, topicId);
    is(partition(await wire.call("fetch", 13, ask)), "UNKNOWN_TOPIC_ID");
    const gone = await wire.call("metadata", 12, { topics: [{ topicId, name: null }] });
    is(gone.topics[0]!, "UNKNOWN_TOPIC_ID");
  });
});

test("trap 9: features beyond versions are told by ApiVersions v3 and newer, and only levels that are in force", async () => {
  await withHub({}, async ({ wire }) => {
    for (const version of [0, 2]) {
      const reply = await wire.call("apiVersions", version, {});
      assert.deepEqual([reply.finalizedFeatures.length, reply.finalizedFeaturesEpoch], [0, -1]);
    }
    for (const version of [3, 4]) {
      const reply = await wire.call("apiVersions", version, software);
      assert.equal(reply.finalizedFeaturesEpoch >= 0, reply.finalizedFeatures.length > 0);
      for (const { name, maxVersionLevel } of reply.finalizedFeatures) {
        assert.ok(maxVersionLevel > 0, name);
        if (version === 3) continue;
        const supported = reply.supportedFeatures.find((one) => one.name === name)!;
        assert.ok(supported.minVersion <= maxVersionLevel && maxVersionLevel <= supported.maxVersion, name);
      }
    }
  });
});

test("trap 10: AddPartitionsToTxn is never offered in its broker-to-broker form", async () => {
  await withHub({}, async ({ wire }) => {
    const range = rangeOf(await ranges(wire), "addPartitionsToTxn");
    assert.ok(range === undefined || range[1] <= 3, `${range}`);
  });
});

test("trap 11: answers in the order of requests behind a long poll; acks=0 has none, and fails by closing", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    await makeTopic(wire, "t");
    const client = await dialWire(kafka);
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }];
    const parked = { maxWaitMs: 20_000, minBytes: 1, topics: [{ topic: "t", partitions }] };
    const unanswered = (name: string) => ({
      acks: 0,
      timeoutMs: 1000,
      topicData: [{ name, partitionData: [{ index: 0, records: batchOf(9) }] }],
    });
    client.send(
      Buffer.concat([
        framed("fetch", 12, 1, parked),
        framed("metadata", 12, 2, { topics: null }),
        framed("produce", 9, 3, unanswered("t")),
        framed("apiVersions", 3, 4, software),
      ]),
    );
    is(await produce(wire, "t", batchOf(1)), "NONE");
    const order: number[] = [];
    for (let i = 0; i < 3; i++) order.push(peekResponse(await client.frame()));
    assert.deepEqual(order, [1, 2, 4]);
    assert.ok((await fetch(wire, { topic: "t", offset: 1, maxWaitMs: 10_000 })).records!.length > 0, "it was appended");
    client.send(framed("produce", 9, 5, unanswered("none")));
    await client.closed;
  });
});

test("all of what is advertised is served at both ends of its range, and nothing else", async () => {
  await withHub({}, async ({ wire }) => {
    const told = await ranges(wire);
    const served = apiNames.filter((name) => apis[name].max >= 0 && !isBetweenHubs(name));
    assert.deepEqual([...told.keys()].sort(), served.map((name) => apis[name].key).sort());
    for (const name of served) assert.deepEqual(told.get(apis[name].key), [apis[name].advertisedMin, apis[name].max]);
  });
});
