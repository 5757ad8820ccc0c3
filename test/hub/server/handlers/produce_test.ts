// Produce and InitProducerId over the wire, each refusal by its code.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf, type ErrorName, HubError } from "../../../../hub/errors.ts";
import { encodeBatch } from "../../../../hub/record/builder.ts";
import { produceHandlers } from "../../../../hub/server/handlers/produce.ts";
import { loneView } from "../../../../hub/engine/cluster_view.ts";
import type { RequestContext } from "../../../../hub/server/services.ts";
import { apis, decodeResponse, encodeResponse } from "../../../../hub/wire/apis.ts";
import { zeroUuid } from "../../../../hub/wire/schema.ts";
import type { WireClient } from "../../../tools/wire_client.ts";
import { withHub } from "../../../tools/test_hub.ts";

const now = Date.now();
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function batch(
  values: readonly string[],
  options: { key?: string | null; timestamp?: number; producer?: object } = {},
): Uint8Array {
  const key = options.key === null ? null : text(options.key ?? "k");
  const timestamp = options.timestamp ?? now;
  return encodeBatch(
    values.map((value) => ({ key, value: text(value), headers: [], timestamp })),
    options.producer ?? {},
  );
}

async function topic(wire: WireClient, name: string, configs: Record<string, string> = {}): Promise<void> {
  const entries = Object.entries(configs).map(([key, value]) => ({ name: key, value }));
  const wanted = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: entries };
  const { topics } = await wire.call("createTopics", 7, { topics: [wanted] });
  assert.equal(topics[0]!.errorCode, 0, String(topics[0]!.errorMessage));
}

async function produce(
  wire: WireClient,
  name: string,
  records: Uint8Array | null,
  options: { acks?: number; version?: number; index?: number; topicId?: string } = {},
) {
  const { acks = -1, version = 9, index = 0, topicId = zeroUuid } = options;
  const topicData = [{ name, topicId, partitionData: [{ index, records }] }];
  const reply = await wire.call("produce", version, { acks, timeoutMs: 5000, topicData });
  return reply.responses[0]!.partitionResponses[0]!;
}

const is = (answer: { errorCode: number; errorMessage?: string | null }, name: ErrorName): void =>
  assert.equal(answer.errorCode, codeOf(name), `wanted ${name}, got ${answer.errorCode} ${answer.errorMessage}`);

test("offsets follow one another, for each acks and each version", async () => {
  await withHub({}, async ({ wire }) => {
    await topic(wire, "t");
    const { topics } = await wire.call("metadata", 13, { topics: [{ name: "t" }] });
    const { topicId } = topics[0]!;
    let offset = 0;
    for (let version = apis.produce.min; version <= apis.produce.max; version++) {
      for (const acks of [1, -1]) {
        const answer = await produce(wire, "t", batch(["a", "b"]), { acks, version, topicId });
        assert.deepEqual([answer.errorCode, answer.baseOffset], [0, offset]);
        offset += 2;
      }
    }
  });
});

test("v13: a topic made anew has another id, and the old one is UNKNOWN_TOPIC_ID", async () => {
  await withHub({}, async ({ wire }) => {
    await topic(wire, "t");
    const idOf = async () => (await wire.call("metadata", 13, { topics: [{ name: "t" }] })).topics[0]!.topicId;
    const old = await idOf();
    await wire.call("deleteTopics", 6, { topics: [{ topicId: old, name: null }], timeoutMs: 1000 });
    await topic(wire, "t");
    is(await produce(wire, "t", batch(["a"]), { version: 13, topicId: old }), "UNKNOWN_TOPIC_ID");
    const topicData = [{ topicId: await idOf(), partitionData: [{ index: 0, records: batch(["a"]) }] }];
    for (const acks of [-1, 9]) {
      const reply = await wire.call("produce", 13, { acks, timeoutMs: 1000, topicData });
      assert.equal(reply.responses[0]!.topicId, topicData[0]!.topicId, "refused or not, the answer bears the id");
      is(reply.responses[0]!.partitionResponses[0]!, acks === 9 ? "INVALID_REQUIRED_ACKS" : "NONE");
    }
  });
});

test("NOT_LEADER_OR_FOLLOWER says who leads, and where that is, from v10 on (KIP-951)", async () => {
  const partition = { replica: { leader: "3:d" }, epoch: 7, log: { logStart: 0 } };
  const refuse = () => {
    throw new HubError("NOT_LEADER_OR_FOLLOWER");
  };
  const partitions = { enter: () => null, must: () => partition, get: () => partition, append: refuse };
  const advertised = { host: "hub.lan", port: 9092 };
  const services = { hubId: 3, cluster: loneView(3, "d"), clock: { now: () => 0 }, advertised, partitions };
  const { produce: handler } = produceHandlers(services as never);
  const topicData = [{ name: "t", topicId: zeroUuid, partitionData: [{ index: 0, records: batch(["a"]) }] }];
  const request = { transactionalId: null, acks: -1, timeoutMs: 1000, topicData };
  for (const version of [9, 10, 12]) {
    const context = { version } as RequestContext;
    const answer = (await handler(request, context))!;
    const bytes = Buffer.concat(encodeResponse("produce", version, 1, answer)).subarray(4);
    const decoded = decodeResponse("produce", version, bytes);
    const one = decoded.responses[0]!.partitionResponses[0]!;
    is(one, "NOT_LEADER_OR_FOLLOWER");
    assert.deepEqual(
      one.currentLeader,
      version < 10 ? { leaderId: -1, leaderEpoch: -1 } : { leaderId: 3, leaderEpoch: 7 },
    );
    const hub = { nodeId: 3, host: "hub.lan", port: 9092, rack: null };
    assert.deepEqual(decoded.nodeEndpoints, version < 10 ? [] : [hub]);
  }
});

test("acks=0 has no answer, and the next request has its own", async () => {
  await withHub({}, async ({ wire }) => {
    await topic(wire, "t");
    const { encodeRequest } = await import("../../../../hub/wire/apis.ts");
    const topicData = [{ name: "t", partitionData: [{ index: 0, records: batch(["a"]) }] }];
    for (const part of encodeRequest("produce", 7, 99, "test", { acks: 0, timeoutMs: 1, topicData })) wire.send(part);
    const answer = await produce(wire, "t", batch(["b"]));
    assert.equal(answer.baseOffset, 1);
  });
});

test("each refusal has its code and leaves the other partitions alone", async () => {
  await withHub({}, async ({ wire }) => {
    await topic(wire, "t");
    await topic(wire, "small", { "max.message.bytes": "200" });
    await topic(wire, "keyed", { "cleanup.policy": "compact" });
    await topic(wire, "timely", {
      "message.timestamp.before.max.ms": "1000",
      "message.timestamp.after.max.ms": "1000",
    });
    await topic(wire, "two", { "min.insync.replicas": "2" });
    is(await produce(wire, "none", batch(["a"])), "UNKNOWN_TOPIC_OR_PARTITION");
    is(await produce(wire, "t", batch(["a"]), { index: 7 }), "UNKNOWN_TOPIC_OR_PARTITION");
    is(await produce(wire, "t", batch(["a"]), { acks: 2 }), "INVALID_REQUIRED_ACKS");
    is(await produce(wire, "__consumer_offsets", batch(["a"])), "INVALID_TOPIC_EXCEPTION");
    is(await produce(wire, "small", batch(["x".repeat(300)])), "MESSAGE_TOO_LARGE");
    is(await produce(wire, "two", batch(["a"])), "NOT_ENOUGH_REPLICAS");
    assert.equal((await produce(wire, "two", batch(["a"]), { acks: 1 })).errorCode, 0);
    is(await produce(wire, "timely", batch(["a"], { timestamp: now - 60_000 })), "INVALID_TIMESTAMP");
    is(await produce(wire, "timely", batch(["a"], { timestamp: now + 60_000 })), "INVALID_TIMESTAMP");
    const keyless = await produce(wire, "keyed", batch(["a", "b"], { key: null }));
    is(keyless, "INVALID_RECORD");
    assert.deepEqual(
      keyless.recordErrors.map((one) => one.batchIndex),
      [0, 1],
    );
    const flipped = batch(["a"]);
    flipped[flipped.length - 1]! ^= 1;
    is(await produce(wire, "t", flipped), "CORRUPT_MESSAGE");
    const control = batch(["a"]);
    control[22]! |= 0x20;
    is(await produce(wire, "t", control), "CORRUPT_MESSAGE");
    const old = batch(["a"]);
    old[16] = 1;
    is(await produce(wire, "t", old), "UNSUPPORTED_FOR_MESSAGE_FORMAT");
    const zstd = batch(["a"]);
    zstd[22]! |= 4;
    is(await produce(wire, "t", zstd, { version: 6 }), "UNSUPPORTED_COMPRESSION_TYPE");
    const reply = await wire.call("produce", 9, {
      acks: -1,
      timeoutMs: 5000,
      topicData: [
        {
          name: "t",
          partitionData: [
            { index: 9, records: batch(["a"]) },
            { index: 0, records: batch(["b"]) },
          ],
        },
      ],
    });
    assert.deepEqual(
      reply.responses[0]!.partitionResponses.map((one) => one.errorCode),
      [3, 0],
    );
  });
});

test("LogAppendTime stamps the batch with the hub's clock and says so", async () => {
  await withHub({}, async ({ wire }) => {
    await topic(wire, "stamped", { "message.timestamp.type": "LogAppendTime" });
    const answer = await produce(wire, "stamped", batch(["a"], { timestamp: 5 }));
    assert.ok(Math.abs(answer.logAppendTimeMs - Date.now()) < 10_000);
  });
});

test("an idempotent producer: duplicates get their first offset, gaps and old epochs are refused", async () => {
  await withHub({}, async ({ wire }) => {
    await topic(wire, "t");
    const { producerId, producerEpoch, errorCode } = await wire.call("initProducerId", 4, {
      transactionalId: null,
      transactionTimeoutMs: 1000,
    });
    assert.deepEqual([errorCode, producerEpoch], [0, 0]);
    assert.ok(producerId > 0 && Number.isSafeInteger(producerId));
    const send = (baseSequence: number, epoch = producerEpoch) =>
      produce(wire, "t", batch(["a", "b"], { producer: { producerId, producerEpoch: epoch, baseSequence } }));
    assert.equal((await send(0)).baseOffset, 0);
    assert.equal((await send(2)).baseOffset, 2);
    assert.equal((await send(0)).baseOffset, 0);
    assert.equal((await send(2)).baseOffset, 2);
    is(await send(6), "OUT_OF_ORDER_SEQUENCE_NUMBER");
    assert.equal((await send(0, 1)).baseOffset, 4);
    is(await send(4, 0), "INVALID_PRODUCER_EPOCH");
  });
});
