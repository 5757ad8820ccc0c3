// What admins and clients rely on while topics come, grow and go: names, ids, races, and many partitions.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { codeOf } from "../../../hub/errors.ts";
import { scratch } from "../../tools/hub_process.ts";
import { openTestHub, withHub } from "../../tools/test_hub.ts";
import { dialWire, type WireClient } from "../../tools/wire_client.ts";
import { batchOf, dropTopic, fetch, is, makeTopic, produce } from "../../tools/wire_calls.ts";

const zeroUuid = "00000000-0000-0000-0000-000000000000";

async function describe(wire: WireClient, name: string | null, topicId = zeroUuid) {
  const { topics } = await wire.call("metadata", 12, { topics: [{ name, topicId }], allowAutoTopicCreation: false });
  return topics[0]!;
}

test("names that are not legal get INVALID_TOPIC_EXCEPTION in every version and are not made", async () => {
  await withHub({}, async ({ wire }) => {
    const names = [".", "..", "", "a b", "a/b", "ü", "x".repeat(250)];
    for (let version = 0; version <= 12; version++) {
      const asked = names.map((name) => ({ name }));
      const { topics } = await wire.call("metadata", version, { topics: asked, allowAutoTopicCreation: true });
      assert.deepEqual(
        topics.map(({ name, errorCode }) => [name, errorCode]),
        names.map((name) => [name, 17]),
      );
    }
    for (const name of names) is(await makeTopic(wire, name), "INVALID_TOPIC_EXCEPTION");
    const longest = "x".repeat(249);
    is(await makeTopic(wire, longest), "NONE");
    // internal names are nobody's to make by asking for them
    const internal = await wire.call("metadata", 12, { topics: [{ name: "__mine" }], allowAutoTopicCreation: true });
    is(internal.topics[0]!, "UNKNOWN_TOPIC_OR_PARTITION");
    const all = await wire.call("metadata", 12, { topics: null });
    assert.deepEqual(
      all.topics.map((topic) => topic.name),
      [longest],
    );
  });
});

test("metadata says the same every time: cluster, controller, leader and its epoch, also after a restart", async () => {
  const { folder, remove } = scratch();
  try {
    const said: unknown[] = [];
    for (let i = 0; i < 2; i++) {
      const opened = await openTestHub({ folder });
      if (i === 0) await makeTopic(opened.wire, "t", 3);
      for (let k = 0; k < 2; k++) {
        const { brokers, ...rest } = await opened.wire.call("metadata", 10, { topics: null });
        said.push({ ids: brokers.map((one) => one.nodeId), ...rest });
      }
      await opened.close();
    }
    for (const one of said) assert.deepEqual(one, said[0]);
  } finally {
    remove();
  }
});

test("an id leads to its topic only while that topic lives", async () => {
  await withHub({}, async ({ wire }) => {
    const first = await makeTopic(wire, "t");
    assert.match(first.topicId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    is(await dropTopic(wire, "t"), "NONE");
    const second = await makeTopic(wire, "t");
    assert.notEqual(second.topicId, first.topicId);
    is(await describe(wire, null, first.topicId), "UNKNOWN_TOPIC_ID");
    assert.equal((await describe(wire, null, second.topicId)).name, "t");
    const topics = [{ name: null, topicId: first.topicId }];
    const gone = await wire.call("deleteTopics", 6, { topics, timeoutMs: 1000 });
    assert.equal(gone.responses[0]!.errorCode, codeOf("UNKNOWN_TOPIC_ID"));
    assert.equal((await describe(wire, "t")).topicId, second.topicId);
  });
});

test("made by ten clients at once, a topic is made once; grown by ten at once, it grows once", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    const clients = await Promise.all(Array.from({ length: 10 }, () => dialWire(kafka)));
    const made = await Promise.all(clients.map((client) => makeTopic(client, "t", 5)));
    assert.deepEqual(made.map((one) => one.errorCode).sort(), [0, ...Array.from({ length: 9 }, () => 36)]);
    const grow = { topics: [{ name: "t", count: 25, assignments: null }], timeoutMs: 1000, validateOnly: false };
    const grown = await Promise.all(clients.map((client) => client.call("createPartitions", 3, grow)));
    const codes = grown.map((one) => one.results[0]!.errorCode).sort();
    assert.deepEqual(codes, [0, ...Array.from({ length: 9 }, () => codeOf("INVALID_PARTITIONS"))]);
    const { partitions } = await describe(wire, "t");
    assert.deepEqual(
      partitions.map((one) => [one.partitionIndex, one.errorCode]),
      Array.from({ length: 25 }, (_, i) => [i, 0]),
    );
    for (let index = 0; index < 25; index++) {
      assert.equal((await produce(wire, "t", batchOf(1), { index })).baseOffset, 0);
    }
    for (const client of clients) client.close();
  });
});

test("deleted while it is being made or grown, a topic is gone whole, and a new one begins empty", async () => {
  await withHub({}, async ({ wire, kafka, folder }) => {
    const other = await dialWire(kafka);
    for (let round = 0; round < 5; round++) {
      const making = makeTopic(wire, "t", 20);
      await new Promise((resolve) => setTimeout(resolve, round));
      const growing =
        round % 2 === 0
          ? null
          : other.call("createPartitions", 3, {
              topics: [{ name: "t", count: 40, assignments: null }],
              timeoutMs: 1000,
              validateOnly: false,
            });
      const dropping = dropTopic(other, "t");
      await Promise.all([making, growing]);
      const dropped = await dropping;
      // the deletion may have come before the topic was known
      if (dropped.errorCode !== 0) is(await dropTopic(other, "t"), "NONE");
      is(await describe(wire, "t"), "UNKNOWN_TOPIC_OR_PARTITION");
      for (const index of [0, 19, 39])
        is(await produce(wire, "t", batchOf(1), { index }), "UNKNOWN_TOPIC_OR_PARTITION");
      assert.deepEqual(readdirSync(path.join(folder, "topics")), []);
      const anew = await makeTopic(wire, "t", 1);
      assert.deepEqual([anew.errorCode, (await produce(wire, "t", batchOf(1))).baseOffset], [0, 0]);
      is(await produce(wire, "t", batchOf(1), { index: 1 }), "UNKNOWN_TOPIC_OR_PARTITION");
      is(await dropTopic(wire, "t"), "NONE");
    }
    other.close();
  });
});

test("created, deleted and created under load: the topic that lives holds what it acknowledged", async () => {
  const { folder, remove } = scratch();
  try {
    const opened = await openTestHub({ folder });
    const writers = await Promise.all(Array.from({ length: 4 }, () => dialWire(opened.kafka)));
    let running = true;
    let last = zeroUuid;
    const held = new Map<string, Set<number>>();
    const write = async (wire: WireClient): Promise<void> => {
      while (running) {
        const before = (await describe(wire, "t")).topicId;
        const { errorCode, baseOffset } = await produce(wire, "t", batchOf(100));
        assert.ok([0, 3].includes(errorCode), `code ${errorCode}`);
        // an answer belongs to a topic for sure when the id is the same before and after
        if (errorCode !== 0 || before !== (await describe(wire, "t")).topicId) continue;
        const offsets = held.get(before) ?? new Set();
        assert.ok(!offsets.has(baseOffset), "an offset is given once");
        held.set(before, offsets.add(baseOffset));
      }
    };
    const writing = Promise.all(writers.map(write));
    for (let round = 0; round < 12; round++) {
      const made = await makeTopic(opened.wire, "t");
      is(made, "NONE");
      last = made.topicId;
      await new Promise((resolve) => setTimeout(resolve, 30));
      if (round < 11) is(await dropTopic(opened.wire, "t"), "NONE");
    }
    running = false;
    await writing;
    const acknowledged = held.get(last)!;
    assert.ok(acknowledged.size > 0);
    const { highWatermark } = await fetch(opened.wire, { topic: "t" });
    for (const offset of acknowledged) assert.ok(offset < highWatermark);
    await opened.close();
    assert.deepEqual(readdirSync(path.join(folder, "topics")), [`${last}-0`]);
    const again = await openTestHub({ folder });
    assert.deepEqual([(await describe(again.wire, "t")).topicId], [last]);
    assert.equal((await fetch(again.wire, { topic: "t" })).highWatermark, highWatermark);
    await again.close();
  } finally {
    remove();
  }
});

test("2,000 partitions: made, written, listed, fetched and found again after a restart", async () => {
  const { folder, remove } = scratch();
  try {
    let opened = await openTestHub({ folder });
    const before = process.memoryUsage().rss;
    let began = performance.now();
    const lap = (): string => {
      const ms = performance.now() - began;
      began = performance.now();
      return `${ms.toFixed(0)} ms`;
    };
    for (const name of ["a", "b"]) is(await makeTopic(opened.wire, name, 1000), "NONE");
    const made = lap();
    const topicData = ["a", "b"].map((name) => ({
      name,
      partitionData: Array.from({ length: 1000 }, (_, index) => ({ index, records: batchOf(100) })),
    }));
    const written = await opened.wire.call("produce", 9, { acks: -1, timeoutMs: 30_000, topicData });
    const failed = written.responses.flatMap((one) => one.partitionResponses).filter((one) => one.errorCode !== 0);
    assert.equal(failed.length, 0);
    const wrote = lap();
    const partitions = Array.from({ length: 1000 }, (_, partition) => ({
      partition,
      fetchOffset: 0,
      partitionMaxBytes: 1 << 20,
    }));
    const topics = ["a", "b"].map((topic) => ({ topic, partitions }));
    const all = { maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 25, topics };
    const read = await opened.wire.call("fetch", 12, all);
    for (const { partitions: answers } of read.responses) {
      for (const { errorCode, records } of answers) assert.ok(errorCode === 0 && records!.length > 100);
    }
    const fetched = lap();
    const listing = await opened.wire.call("metadata", 12, { topics: null });
    assert.equal(
      listing.topics.reduce((sum, topic) => sum + topic.partitions.length, 0),
      2000,
    );
    const listed = lap();
    const rss = (process.memoryUsage().rss - before) / 1024 / 2000;
    await opened.close();
    const stopped = lap();
    opened = await openTestHub({ folder });
    const started = lap();
    assert.equal((await fetch(opened.wire, { topic: "b" })).highWatermark, 1);
    console.log(
      `2,000 partitions: made ${made}, one batch each written ${wrote}, fetched ${fetched}, metadata ${listed}, ` +
        `stop ${stopped}, start ${started}, ${rss.toFixed(0)} KiB each`,
    );
    await opened.close();
  } finally {
    remove();
  }
});
