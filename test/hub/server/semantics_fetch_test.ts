// What consumers rely on when they wait, when much is asked for at once, and when topics or clients go away.
import assert from "node:assert/strict";
import test from "node:test";
import type { Hub } from "../../../hub/hub.ts";
import { silentTrace } from "../../../hub/mod.ts";
import { type CallOf, encodeRequest, type ReplyOf } from "../../../hub/wire/apis.ts";
import { type TestHub, withHub } from "../../tools/test_hub.ts";
import { dialWire, type WireClient } from "../../tools/wire_client.ts";
import { batchOf, dropTopic, fetch, fetchAll, is, makeTopic, produce } from "../../tools/wire_calls.ts";

/** A hub, and how many fetches are parked in it. */
async function withParked(use: (opened: TestHub, parked: () => number) => Promise<void>): Promise<void> {
  const gauges = new Map<string, number>();
  const trace = { ...silentTrace, gauge: (name: string, value: number) => void gauges.set(name, value) };
  await withHub({ trace }, async (opened) => {
    await use(opened, () => {
      opened.hub.measure();
      return gauges.get("fetches_parked")!;
    });
  });
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + 10_000; !holds(); ) {
    assert.ok(performance.now() < end, what);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function fill(wire: WireClient, topic: string, partitions: number, size: number): Promise<void> {
  const partitionData = Array.from({ length: partitions }, (_, index) => ({ index, records: batchOf(size) }));
  const topicData = [{ name: topic, partitionData }];
  const { responses } = await wire.call("produce", 9, { acks: -1, timeoutMs: 10_000, topicData });
  for (const answer of responses[0]!.partitionResponses) assert.equal(answer.errorCode, 0);
}

test("the same request over and over serves every partition, though one fills it alone", async () => {
  await withHub({}, async ({ wire }) => {
    const count = 10;
    const partitions = Array.from({ length: count }, (_, i) => i);
    await makeTopic(wire, "t", count);
    await fill(wire, "t", count, 5000);
    const served = new Set<number>();
    for (let i = 0; i < 3 * count; i++) {
      // a client that rotates its own order meets the same, hence each second round from another start
      const order = i % 2 === 0 ? partitions : [...partitions.slice(i % count), ...partitions.slice(0, i % count)];
      const { responses } = await fetchAll(wire, { topic: "t", partitions: order, maxBytes: 5000 });
      const answers = responses[0]!.partitions;
      assert.deepEqual(
        answers.map((one) => one.partitionIndex),
        order,
        "answers keep the order of the request",
      );
      const full = answers.filter((one) => one.records!.length > 0);
      assert.equal(full.length, 1);
      served.add(full[0]!.partitionIndex);
    }
    assert.equal(served.size, count);
  });
});

test("max bytes bounds the whole answer over many partitions, the first batch excepted", async () => {
  await withHub({}, async ({ wire }) => {
    const partitions = Array.from({ length: 50 }, (_, i) => i);
    await makeTopic(wire, "t", 50);
    await fill(wire, "t", 50, 1000);
    for (const maxBytes of [0, 1, 5000, 20_000, 1 << 20]) {
      const { responses } = await fetchAll(wire, { topic: "t", partitions, maxBytes });
      const sizes = responses[0]!.partitions.map((one) => one.records!.length);
      const total = sizes.reduce((sum, size) => sum + size, 0);
      assert.ok(total > 0 && total <= Math.max(maxBytes, 1100), `${total} of ${maxBytes}`);
      if (maxBytes === 1 << 20) assert.ok(sizes.every((size) => size > 0));
    }
  });
});

test("isolation: read_committed gets an empty list of aborted transactions, read_uncommitted gets null", async () => {
  await withHub({}, async ({ wire }) => {
    await makeTopic(wire, "t");
    await produce(wire, "t", batchOf(10));
    const [uncommitted, committed] = [
      await fetch(wire, { topic: "t", isolationLevel: 0 }),
      await fetch(wire, { topic: "t", isolationLevel: 1 }),
    ];
    assert.equal(uncommitted.abortedTransactions, null);
    assert.deepEqual(committed.abortedTransactions, []);
    for (const one of [uncommitted, committed]) {
      assert.deepEqual([one.highWatermark, one.lastStableOffset, one.logStartOffset], [1, 1, 0]);
    }
    for (const isolationLevel of [0, 1]) {
      const partitions = [{ partitionIndex: 0, timestamp: -1 }];
      const { topics } = await wire.call("listOffsets", 7, {
        replicaId: -1,
        isolationLevel,
        topics: [{ name: "t", partitions }],
      });
      assert.deepEqual([topics[0]!.partitions[0]!.offset, topics[0]!.partitions[0]!.leaderEpoch], [1, 0]);
    }
  });
});

async function inSession(wire: WireClient, ask: Partial<CallOf<"fetch">>, version = 12) {
  return await wire.call("fetch", version, { maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 20, topics: [], ...ask });
}

const told = (reply: ReplyOf<"fetch">): number[] =>
  reply.responses.flatMap(({ partitions }) => partitions.map(({ partitionIndex }) => partitionIndex));

test("a fetch session: each poll names and brings what changed, and nothing of it is lost", async () => {
  await withHub({}, async ({ wire }) => {
    const { topicId } = await makeTopic(wire, "t", 3);
    for (const version of [7, 12, 13, 18]) {
      const at = (partition: number, fetchOffset: number) => ({ partition, fetchOffset, partitionMaxBytes: 1 << 20 });
      const topics = (...partitions: ReturnType<typeof at>[]) => [{ topic: "t", topicId, partitions }];
      const { topics: ends } = await wire.call("listOffsets", 7, {
        replicaId: -1,
        topics: [{ name: "t", partitions: [0, 1, 2].map((partitionIndex) => ({ partitionIndex, timestamp: -1 })) }],
      });
      const end = ends[0]!.partitions.map(({ offset }) => offset);
      const first = { sessionEpoch: 0, topics: topics(at(0, end[0]!), at(1, end[1]!), at(2, end[2]!)) };
      const opened = await inSession(wire, first, version);
      const { sessionId } = opened;
      assert.ok(sessionId > 0, `v${version}`);
      assert.deepEqual(told(opened), [0, 1, 2]);
      assert.deepEqual(told(await inSession(wire, { sessionId, sessionEpoch: 1 }, version)), []);
      is(await produce(wire, "t", batchOf(10), { index: 1 }), "NONE");
      const news = await inSession(wire, { sessionId, sessionEpoch: 2 }, version);
      assert.deepEqual([told(news), news.sessionId], [[1], sessionId]);
      assert.ok(news.responses[0]!.partitions[0]!.records!.length > 0);
      // not taken yet: it comes again until the client moves its place
      assert.deepEqual(told(await inSession(wire, { sessionId, sessionEpoch: 3 }, version)), [1]);
      const moved = { sessionId, sessionEpoch: 4, topics: topics(at(1, end[1]! + 1)) };
      assert.deepEqual(told(await inSession(wire, moved, version)), []);
      const late = { sessionId, sessionEpoch: 4 };
      is(await inSession(wire, late, version), "INVALID_FETCH_SESSION_EPOCH");
      const forgottenTopicsData = [{ topic: "t", topicId, partitions: [0] }];
      assert.deepEqual(told(await inSession(wire, { sessionId, sessionEpoch: 5, forgottenTopicsData }, version)), []);
      is(await produce(wire, "t", batchOf(10), { index: 0 }), "NONE");
      assert.deepEqual(told(await inSession(wire, { sessionId, sessionEpoch: 6 }, version)), []);
      if (version >= 12) {
        const other = version === 12 ? 13 : 12;
        is(await inSession(wire, { sessionId, sessionEpoch: 7 }, other), "FETCH_SESSION_TOPIC_ID_ERROR");
      }
      is(await inSession(wire, { sessionId, sessionEpoch: -1 }, version), "NONE");
      is(await inSession(wire, { sessionId, sessionEpoch: 7 }, version), "FETCH_SESSION_ID_NOT_FOUND");
    }
  });
});

test("a fetch session: an error is told at every poll, and a topic made anew under its id is another", async () => {
  await withHub({}, async ({ wire }) => {
    const { topicId } = await makeTopic(wire, "t");
    const topics = [{ topicId, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] }];
    const { sessionId } = await inSession(wire, { sessionEpoch: 0, topics }, 13);
    await dropTopic(wire, "t");
    await makeTopic(wire, "t");
    for (const sessionEpoch of [1, 2]) {
      const { responses } = await inSession(wire, { sessionId, sessionEpoch }, 13);
      is(responses[0]!.partitions[0]!, "UNKNOWN_TOPIC_ID");
      assert.equal(responses[0]!.topicId, topicId);
    }
  });
});

test("a parked fetch of a session wakes with its news; with no slots every fetch is a full one", async () => {
  const slots = "max.incremental.fetch.session.cache.slots";
  await withHub({ settings: { [slots]: 1 } }, async ({ wire, kafka }) => {
    await makeTopic(wire, "t", 2);
    const reader = await dialWire(kafka);
    const partitions = [0, 1].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 1000 }));
    const topics = [{ topic: "t", partitions }];
    const { sessionId } = await inSession(reader, { sessionEpoch: 0, topics });
    const waiting = inSession(reader, { sessionId, sessionEpoch: 1, maxWaitMs: 60_000 });
    is(await produce(wire, "t", batchOf(10), { index: 1 }), "NONE");
    assert.deepEqual(told(await waiting), [1]);
    assert.equal((await inSession(wire, { sessionEpoch: 0, topics })).sessionId, 0, "the one slot is in use");
    reader.close();
  });
});

test("a topic deleted while a fetch is parked: the fetch is told at once, and a new one starts at 0", async () => {
  await withParked(async ({ wire, kafka }, parked) => {
    await makeTopic(wire, "t");
    for (let i = 0; i < 3; i++) await produce(wire, "t", batchOf(10));
    const reader = await dialWire(kafka);
    const waiting = fetch(reader, { topic: "t", offset: 3, maxWaitMs: 60_000 });
    await until(() => parked() === 1, "parked");
    is(await dropTopic(wire, "t"), "NONE");
    is(await waiting, "UNKNOWN_TOPIC_OR_PARTITION");
    assert.equal(parked(), 0);
    await makeTopic(wire, "t");
    is(await fetch(reader, { topic: "t", offset: 3 }), "OFFSET_OUT_OF_RANGE");
    is(await fetch(reader, { topic: "t", offset: 0 }), "NONE");
    reader.close();
  });
});

test("a parked fetch is gone with its client", async () => {
  await withParked(async ({ wire, kafka }, parked) => {
    await makeTopic(wire, "t");
    const reader = await dialWire(kafka);
    const waiting = fetch(reader, { topic: "t", maxWaitMs: 600_000 });
    await until(() => parked() === 1, "parked");
    reader.close();
    await assert.rejects(waiting);
    await until(() => parked() === 0, "gone");
  });
});

async function parkMany(clients: readonly WireClient[], parked: () => number): Promise<Promise<unknown>[]> {
  const waiting = clients.map((client) => fetch(client, { topic: "t", maxWaitMs: 600_000 }));
  await until(() => parked() === clients.length, `${parked()} of ${clients.length} are parked`);
  return waiting;
}

test("1,000 parked fetches: what they cost, and what it costs to wake them", async () => {
  await withParked(async ({ wire, kafka }, parked) => {
    await makeTopic(wire, "t");
    const clients = await Promise.all(Array.from({ length: 1000 }, () => dialWire(kafka)));
    const memory = (): number => process.memoryUsage().rss;
    const before = memory();
    const waiting = await parkMany(clients, parked);
    const grown = (memory() - before) / 1000 / 1024;
    const idle = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const idleMs = Object.values(process.cpuUsage(idle)).reduce((a, b) => a + b, 0) / 1000;
    const began = performance.now();
    const used = process.cpuUsage();
    assert.equal((await produce(wire, "t", batchOf(200))).errorCode, 0);
    await Promise.all(waiting);
    const cpuMs = Object.values(process.cpuUsage(used)).reduce((a, b) => a + b, 0) / 1000;
    const tookMs = performance.now() - began;
    console.log(
      `1,000 parked fetches: ${grown.toFixed(1)} KiB each (both ends), ${idleMs.toFixed(0)} ms CPU in 200 ms; ` +
        `woken and read in ${tookMs.toFixed(0)} ms, ${cpuMs.toFixed(0)} ms CPU`,
    );
    assert.equal(parked(), 0);
    assert.ok(tookMs < 5000);
    for (const client of clients) client.close();
  });
});

test("a hub that stops answers what is parked and does not wait for its time", async () => {
  let hub: Hub | null = null;
  let began = 0;
  await withParked(async (opened, parked) => {
    hub = opened.hub;
    await makeTopic(opened.wire, "t");
    const reader = await dialWire(opened.kafka);
    const waiting = fetch(reader, { topic: "t", maxWaitMs: 600_000 });
    await until(() => parked() === 1, "parked");
    // pipelined behind it: not begun, so the connection may end without an answer
    for (const part of encodeRequest("metadata", 9, 77, "test", { topics: null })) reader.send(part);
    began = performance.now();
    await opened.hub.stop();
    is((await waiting) as { errorCode: number }, "NONE");
    await reader.closed;
  });
  assert.ok(hub !== null && performance.now() - began < 3000);
});
