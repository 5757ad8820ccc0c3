// Fetch over the wire: long poll, limits, offsets, epochs.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../../hub/errors.ts";
import { readBatchHeader } from "../../../../hub/record/batch.ts";
import { encodeBatch } from "../../../../hub/record/builder.ts";
import { apis } from "../../../../hub/wire/apis.ts";
import { zeroUuid } from "../../../../hub/wire/schema.ts";
import type { WireClient } from "../../../tools/wire_client.ts";
import { dialWire } from "../../../tools/wire_client.ts";
import { withHub } from "../../../tools/test_hub.ts";

const batch = (size: number): Uint8Array =>
  encodeBatch([{ key: null, value: new Uint8Array(size), headers: [], timestamp: Date.now() }]);

async function setUp(wire: WireClient, partitions = 1): Promise<void> {
  const wanted = { name: "t", numPartitions: partitions, replicationFactor: 1, assignments: [], configs: [] };
  await wire.call("createTopics", 7, { topics: [wanted] });
}

async function append(wire: WireClient, size: number, index = 0): Promise<void> {
  const topicData = [{ name: "t", partitionData: [{ index, records: batch(size) }] }];
  const { responses } = await wire.call("produce", 9, { acks: -1, timeoutMs: 5000, topicData });
  assert.equal(responses[0]!.partitionResponses[0]!.errorCode, 0);
}

interface Ask {
  readonly offset?: number;
  readonly offsets?: readonly number[];
  readonly partitionMaxBytes?: number;
  readonly maxBytes?: number;
  readonly minBytes?: number;
  readonly maxWaitMs?: number;
  readonly epoch?: number;
  readonly version?: number;
  readonly topic?: string;
  readonly replicaId?: number;
  readonly topicId?: string;
  readonly lastFetchedEpoch?: number;
}

async function fetch(wire: WireClient, ask: Ask = {}) {
  const { maxBytes = 1 << 20, minBytes = 1, maxWaitMs = 0, partitionMaxBytes = 1 << 20, epoch = -1 } = ask;
  const partitions = (ask.offsets ?? [ask.offset ?? 0]).map((fetchOffset, partition) => ({
    partition,
    fetchOffset,
    partitionMaxBytes,
    currentLeaderEpoch: epoch,
    lastFetchedEpoch: ask.lastFetchedEpoch ?? -1,
  }));
  const topics = [{ topic: ask.topic ?? "t", topicId: ask.topicId ?? zeroUuid, partitions }];
  const replicaState = { replicaId: ask.replicaId ?? -1, replicaEpoch: -1 };
  const request = { replicaId: ask.replicaId ?? -1, replicaState, maxWaitMs, minBytes, maxBytes, topics };
  const reply = await wire.call("fetch", ask.version ?? 12, { isolationLevel: 0, ...request } as never);
  return reply.responses[0]!.partitions;
}

test("every version gives the batch with its offset", async () => {
  await withHub({}, async ({ wire }) => {
    await setUp(wire);
    await append(wire, 10);
    await append(wire, 10);
    const { topics } = await wire.call("metadata", 12, { topics: [{ name: "t" }] });
    const { topicId } = topics[0]!;
    for (let version = apis.fetch.min; version <= apis.fetch.max; version++) {
      const [answer] = await fetch(wire, { version, offset: 1, topicId });
      assert.equal(answer!.errorCode, 0);
      assert.equal(answer!.highWatermark, 2);
      assert.equal(readBatchHeader(answer!.records!).baseOffset, 1, `v${version}`);
    }
  });
});

test("a long poll ends with the append, or with its time", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    await setUp(wire);
    const other = await dialWire(kafka);
    const began = performance.now();
    const waiting = fetch(other, { maxWaitMs: 20_000 });
    await append(wire, 10);
    const [answer] = await waiting;
    assert.ok(answer!.records!.length > 0);
    assert.ok(performance.now() - began < 10_000);
    const [empty] = await fetch(other, { offset: 1, maxWaitMs: 30 });
    assert.deepEqual([empty!.errorCode, empty!.records!.length], [0, 0]);
    other.close();
  });
});

test("min bytes holds a fetch back until there is enough", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    await setUp(wire);
    const other = await dialWire(kafka);
    let done = false;
    const waiting = fetch(other, { minBytes: 2500, maxWaitMs: 20_000 }).finally(() => (done = true));
    await append(wire, 1000);
    await append(wire, 1000);
    assert.equal(done, false);
    await append(wire, 1000);
    const [answer] = await waiting;
    assert.ok(answer!.records!.length >= 2500);
    other.close();
  });
});

test("the first batch comes whole however small the limit, the next partitions wait", async () => {
  await withHub({}, async ({ wire }) => {
    await setUp(wire, 2);
    await append(wire, 5000, 0);
    await append(wire, 5000, 0);
    await append(wire, 5000, 1);
    const [first, second] = await fetch(wire, { offsets: [0, 0], maxBytes: 100, partitionMaxBytes: 100 });
    assert.ok(first!.records!.length > 5000 && first!.records!.length < 10_000);
    assert.equal(second!.records!.length, 0);
    const [both] = await fetch(wire, { offsets: [0, 0], partitionMaxBytes: 6000 });
    assert.ok(both!.records!.length < 10_000);
  });
});

test("each refusal has its code", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    await setUp(wire);
    await append(wire, 10);
    const code = async (ask: Ask): Promise<number> => (await fetch(wire, ask))[0]!.errorCode;
    assert.equal(await code({ offset: 2 }), codeOf("OFFSET_OUT_OF_RANGE"));
    assert.equal(await code({ offset: -1 }), codeOf("OFFSET_OUT_OF_RANGE"));
    assert.equal((await fetch(wire, { offset: 99 }))[0]!.highWatermark, -1);
    assert.equal(await code({ topic: "none" }), codeOf("UNKNOWN_TOPIC_OR_PARTITION"));
    assert.equal(await code({ epoch: 5 }), codeOf("UNKNOWN_LEADER_EPOCH"));
    assert.equal(await code({ offset: 1 }), 0);
    for (const version of [13, 18]) {
      assert.equal(await code({ version }), codeOf("UNKNOWN_TOPIC_ID"), "an id of no topic");
    }
    for (const version of [12, 18]) {
      const forger = await dialWire(kafka);
      await assert.rejects(fetch(forger, { replicaId: 2, version }));
      await forger.closed;
    }
  });
});

test("an old epoch is told who leads now, and from v16 on where that is (KIP-951)", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    await setUp(wire);
    const { topics } = await wire.call("metadata", 12, { topics: [{ name: "t" }] });
    const { topicId } = topics[0]!;
    for (const version of [11, 12, 15, 16, 18]) {
      const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000, currentLeaderEpoch: -2 }];
      const request = { maxWaitMs: 0, minBytes: 1, topics: [{ topic: "t", topicId, partitions }] };
      const { responses, nodeEndpoints } = await wire.call("fetch", version, request);
      const { errorCode, currentLeader } = responses[0]!.partitions[0]!;
      assert.equal(errorCode, codeOf("FENCED_LEADER_EPOCH"));
      assert.deepEqual(
        currentLeader,
        version >= 12 ? { leaderId: 1, leaderEpoch: 0 } : { leaderId: -1, leaderEpoch: -1 },
      );
      const here = { nodeId: 1, host: "127.0.0.1", port: kafka, rack: null };
      assert.deepEqual(nodeEndpoints, version >= 16 ? [here] : []);
    }
  });
});

test("a reader that says which epoch it read last is told where the logs part (KIP-595)", async () => {
  await withHub({}, async ({ wire }) => {
    await setUp(wire);
    await append(wire, 10);
    const [same] = await fetch(wire, { offset: 1, lastFetchedEpoch: 0 });
    assert.deepEqual([same!.errorCode, same!.divergingEpoch], [0, { epoch: -1, endOffset: -1 }]);
    const [beyond] = await fetch(wire, { offset: 5, lastFetchedEpoch: 0 });
    assert.deepEqual([beyond!.errorCode, beyond!.divergingEpoch], [0, { epoch: 0, endOffset: 1 }]);
    const [newer] = await fetch(wire, { offset: 1, lastFetchedEpoch: 3 });
    // an epoch that is yet to come: the log it was read from is lost
    assert.deepEqual([newer!.errorCode, newer!.records!.length], [codeOf("OFFSET_OUT_OF_RANGE"), 0]);
  });
});

test("a fetch inside a batch gives the whole batch", async () => {
  await withHub({}, async ({ wire }) => {
    await setUp(wire);
    const records = encodeBatch(
      [1, 2, 3].map((value) => ({ key: null, value: Uint8Array.of(value), headers: [], timestamp: 1 })),
    );
    await wire.call("produce", 9, {
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name: "t", partitionData: [{ index: 0, records }] }],
    });
    const [answer] = await fetch(wire, { offset: 1 });
    assert.equal(readBatchHeader(answer!.records!).baseOffset, 0);
  });
});

test("a hundred parked fetches cost no wake-up of the others, and end with their connections", async () => {
  await withHub({}, async ({ hub, wire, kafka }) => {
    await setUp(wire);
    const clients = await Promise.all(Array.from({ length: 100 }, () => dialWire(kafka)));
    const waiting = clients.map((client) => fetch(client, { maxWaitMs: 30_000 }));
    await append(wire, 10);
    for (const [answer] of await Promise.all(waiting)) assert.ok(answer!.records!.length > 0);
    for (const client of clients) client.close();
    assert.equal(hub.health().status === "ready" || hub.health().status === "degraded", true);
  });
});
