// Fetch, ListOffsets, OffsetForLeaderEpoch, DeleteRecords: what readers are told about a log and its ends.
import { zeroUuid } from "../../../hub/wire/schema.ts";
import type { WireClient } from "../../tools/wire_client.ts";
import { batch, began, type Scenario, type Stage } from "./stage.ts";

const unknownId = "11111111-2222-4333-8444-555555555555";
const quick = { maxWaitMs: 0, minBytes: 0, maxBytes: 1 << 20 };

/** Partition 0 holds ten records in five batches, the others nothing. */
async function filled(at: Stage, topic: string, partitions = 2): Promise<string> {
  const topicId = await at.topic(topic, partitions);
  for (let i = 0; i < 5; i++) await at.produce(`batch ${i}`, topic, batch([`a${i}`, `b${i}`]));
  return topicId;
}

async function fetching(at: Stage): Promise<void> {
  const topic = "fetch-plain";
  const topicId = await filled(at, topic);
  for (const offset of [0, 1, 2, 9, 10, 11, -1, -2]) await at.fetch(`from ${offset}`, topic, { offset });
  for (const version of [4, 5, 6, 7, 8, 9, 10, 11, 12]) {
    await at.fetch(`version ${version}`, topic, { version, offset: 8 });
    await at.fetch(`version ${version}, read committed`, topic, { version, offset: 8, isolationLevel: 1 });
    await at.fetch(`version ${version}, unknown topic`, "fetch-nowhere", { version });
  }
  await at.fetch("unknown partition", topic, { index: 7 });
  await at.fetch("negative partition", topic, { index: -1 });
  await at.fetch("an empty partition", topic, { index: 1 });
  await at.fetch("isolation level 2", topic, { isolationLevel: 2 });
  for (const epoch of [0, 1, -1, -5]) {
    await at.fetch(`current leader epoch ${epoch}`, topic, { currentLeaderEpoch: epoch, offset: 8 });
    await at.fetch(`last fetched epoch ${epoch}`, topic, { lastFetchedEpoch: epoch, offset: 8 });
  }
  await at.fetch("last fetched epoch, beyond the end", topic, { lastFetchedEpoch: 0, offset: 12 });
  for (const maxBytes of [0, 1, 100, 160, -1]) {
    await at.fetch(`max bytes ${maxBytes}`, topic, { maxBytes });
    await at.fetch(`partition max bytes ${maxBytes}`, topic, { partitionMaxBytes: maxBytes });
  }
  await at.fetch("waits for bytes that do not come", topic, { offset: 10, minBytes: 1, maxWaitMs: 50 });
  for (const version of [13, 14, 15, 16, 17, 18]) {
    const partitions = [{ partition: 0, fetchOffset: 8, partitionMaxBytes: 1 << 20 }];
    for (const [name, id] of Object.entries({ known: topicId, unknown: unknownId, zero: zeroUuid })) {
      const topics = [{ topicId: id, partitions }];
      await at.step(`version ${version}, ${name} id`, "fetch", version, { ...quick, topics });
    }
  }
  await at.step("no topics", "fetch", 12, { ...quick, topics: [] });
}

async function budgets(at: Stage): Promise<void> {
  const topic = "fetch-budget";
  await at.topic(topic, 3);
  for (const index of [0, 1, 2]) await at.produce(`fill ${index}`, topic, batch(["x".repeat(1000)]), { index });
  const ask = (maxBytes: number, partitionMaxBytes: number) => ({
    ...quick,
    maxBytes,
    topics: [{ topic, partitions: [0, 1, 2].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes })) }],
  });
  for (const [all, each] of [
    [1, 1],
    [1100, 10_000],
    [2200, 10_000],
    [10_000, 1],
    [10_000, 1100],
  ] as const) {
    await at.step(`${all} in all, ${each} each`, "fetch", 12, ask(all, each), (answer) =>
      answer.responses[0]!.partitions.map(({ errorCode, records, highWatermark }) => ({
        errorCode,
        highWatermark,
        whole: records !== null && records.length > 1000,
      })),
    );
  }
}

async function sessions(at: Stage): Promise<void> {
  const topic = "fetch-session";
  const topicId = await filled(at, topic);
  const wire = await at.connect();
  const part = (partition: number, fetchOffset: number) => ({ partition, fetchOffset, partitionMaxBytes: 1 << 20 });
  const ask = (name: string, sessionId: number, sessionEpoch: number, topics: Parameters<Stage["ask"]>[2] | object[]) =>
    at.step(name, "fetch", 12, { ...quick, sessionId, sessionEpoch, topics: topics as never });
  const { sessionId } = await ask("open", 0, 0, [{ topic, partitions: [part(0, 8), part(1, 0)] }]);
  await ask("nothing new but what was not moved", sessionId, 1, []);
  await ask("moved to the end", sessionId, 2, [{ topic, partitions: [part(0, 10)] }]);
  await ask("nothing new", sessionId, 3, []);
  await at.produce("more", topic, batch(["c"]));
  await ask("something new", sessionId, 4, []);
  await ask("an epoch again", sessionId, 4, []);
  await ask("an epoch skipped", sessionId, 9, []);
  await ask("an unknown session", sessionId + 1000, 1, []);
  await ask("a partition more, unknown", sessionId, 5, [{ topic, partitions: [part(9, 0)] }]);
  const forgotten = { ...quick, sessionId, sessionEpoch: 6, topics: [] };
  const forget = [{ topic, partitions: [0, 9] }];
  await at.step("forgotten partitions", "fetch", 12, { ...forgotten, forgottenTopicsData: forget });
  await ask("the rest is quiet", sessionId, 7, []);
  await ask("full again, as a new session", sessionId, 0, [{ topic, partitions: [part(0, 10)] }]);
  await ask("closed with its id", sessionId, -1, [{ topic, partitions: [part(0, 10)] }]);
  await ask("after it was closed", sessionId, 8, []);
  await ask("no session, epoch 5", 0, 5, []);
  await ask("negative epoch", 0, -7, []);
  await byIds(at, wire, topicId);
}

async function byIds(at: Stage, wire: WireClient, topicId: string): Promise<void> {
  const partitions = [{ partition: 0, fetchOffset: 10, partitionMaxBytes: 1 << 20 }];
  const open = { ...quick, sessionEpoch: 0, topics: [{ topicId, partitions }] };
  const { sessionId } = await at.ask("fetch", 13, open, [], wire);
  const go = { ...quick, sessionId };
  await at.step("a session by ids goes on", "fetch", 13, { ...go, sessionEpoch: 1, topics: [] });
  const unknown = [{ topicId: unknownId, partitions }];
  await at.step("an unknown id joins", "fetch", 13, { ...go, sessionEpoch: 2, topics: unknown });
  await at.step("and stays unknown", "fetch", 13, { ...go, sessionEpoch: 3, topics: [] });
  await at.step("names in a session by ids", "fetch", 12, { ...go, sessionEpoch: 4, topics: [] });
}

async function listing(at: Stage): Promise<void> {
  const topic = "offsets-list";
  await filled(at, topic);
  const late = batch(["late"]);
  await at.produce("one more", topic, late);
  const ask = (timestamp: number, more: object = {}) => ({
    replicaId: -1,
    topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp, ...more }] }],
  });
  for (const special of [-1, -2, -3, -4, -5, -6, -7]) {
    await at.step(`special ${special}`, "listOffsets", 11, ask(special));
    await at.step(`special ${special}, version 7`, "listOffsets", 7, ask(special));
    await at.step(`special ${special}, version 6`, "listOffsets", 6, ask(special));
  }
  for (const version of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) {
    for (const [name, time] of Object.entries({ first: began, second: began + 1, late: began + 2, zero: 0 })) {
      await at.step(`version ${version}, ${name}`, "listOffsets", version, ask(time));
    }
  }
  await at.step("read committed", "listOffsets", 7, { ...ask(-1), isolationLevel: 1 });
  await at.step("newer epoch", "listOffsets", 7, ask(-1, { currentLeaderEpoch: 1 }));
  await at.step("this epoch", "listOffsets", 7, ask(-1, { currentLeaderEpoch: 0 }));
  await at.step("a partition twice", "listOffsets", 7, {
    replicaId: -1,
    topics: [{ name: topic, partitions: [-1, -2].map((timestamp) => ({ partitionIndex: 1, timestamp })) }],
  });
  for (const timestamp of [-1, -2, -3, 0]) {
    const partitions = [{ partitionIndex: 1, timestamp }];
    await at.step(`an empty partition, ${timestamp}`, "listOffsets", 7, {
      replicaId: -1,
      topics: [{ name: topic, partitions }],
    });
  }
  const strangers = [
    { name: "offsets-nowhere", partitions: [{ partitionIndex: 0, timestamp: -1 }] },
    { name: topic, partitions: [{ partitionIndex: 9, timestamp: -1 }] },
  ];
  await at.step("strangers", "listOffsets", 7, { replicaId: -1, topics: strangers });
  for (const version of [2, 3, 4]) {
    for (const [leaderEpoch, currentLeaderEpoch] of [
      [0, -1],
      [0, 0],
      [0, 1],
      [5, -1],
      [-1, -1],
    ] as const) {
      const partitions = [{ partition: 0, leaderEpoch, currentLeaderEpoch }];
      const name = `version ${version}, epoch ${leaderEpoch}, current ${currentLeaderEpoch}`;
      const topics = [{ topic, partitions }];
      await at.step(`end of ${name}`, "offsetForLeaderEpoch", version, { replicaId: -1, topics });
    }
  }
  const partitions = [{ partition: 3, leaderEpoch: 0 }];
  await at.step("epochs of strangers", "offsetForLeaderEpoch", 4, {
    replicaId: -1,
    topics: [
      { topic, partitions },
      { topic: "offsets-nowhere", partitions },
    ],
  });
}

async function deleting(at: Stage): Promise<void> {
  const topic = "offsets-delete";
  await filled(at, topic);
  const remove = (name: string, offset: number, where = topic, partitionIndex = 0) =>
    at.step(name, "deleteRecords", 2, {
      timeoutMs: 5000,
      topics: [{ name: where, partitions: [{ partitionIndex, offset }] }],
    });
  await remove("inside a batch", 3);
  await at.fetch("below the start", topic, { offset: 2 });
  await at.fetch("from the start", topic, { offset: 3 });
  await remove("the same again", 3);
  await remove("below the start now", 1);
  await remove("beyond the end", 11);
  await remove("below -1", -2);
  await remove("unknown partition", 0, topic, 5);
  await remove("unknown topic", 0, "offsets-nowhere");
  await at.produce("a batch after it", topic, batch(["z"]));
  const times = { replicaId: -1, topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -2 }] }] };
  await at.step("the start now", "listOffsets", 7, times);
  const search = { replicaId: -1, topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: began }] }] };
  await at.step("a time from before the start", "listOffsets", 7, search);
  await remove("all of it", -1);
  await at.step("the start then", "listOffsets", 7, times);
  await at.fetch("an empty log", topic, { offset: 11 });
  await at.topic("offsets-compacted", 1, { "cleanup.policy": "compact" });
  await remove("of a compacted topic", 0, "offsets-compacted");
  await at.topic("offsets-both", 1, { "cleanup.policy": "compact,delete" });
  await remove("of a topic compacted and deleted", 0, "offsets-both");
  const epochs = [{ topic, partitions: [{ partition: 0, leaderEpoch: 0 }] }];
  await at.step("end of the epoch", "offsetForLeaderEpoch", 4, { replicaId: -1, topics: epochs });
}

export const fetchScenarios: readonly Scenario[] = [
  { name: "fetch", play: fetching },
  { name: "fetch, bytes", play: budgets },
  { name: "fetch, sessions", play: sessions },
  { name: "list offsets", play: listing },
  { name: "delete records", play: deleting },
];
