// The hub as a whole, inside this process: starts, stops, its own clients, QoS 2's store, and what refuses to start.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import test from "node:test";
import { parseAddress } from "../../hub/hub_parts.ts";
import { scratch } from "../tools/hub_process.ts";
import { openTestHub, withHub } from "../tools/test_hub.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function readAll(
  opened: Awaited<ReturnType<typeof openTestHub>>,
  topic: string,
  count: number,
): Promise<string[]> {
  const client = opened.hub.client("reader");
  const consumer = client.consumer();
  await consumer.assign([{ topic, from: "earliest" }]);
  const values: string[] = [];
  while (values.length < count) {
    for (const batch of await consumer.poll(1000)) {
      values.push(...batch.records.map((record) => new TextDecoder().decode(record.value!)));
    }
  }
  await client.close();
  return values;
}

test("records of the hub's own clients survive a clean stop and a start", async () => {
  const { folder, remove } = scratch();
  try {
    let opened = await openTestHub({ folder, settings: { "num.partitions": 1 } });
    const client = opened.hub.client("writer");
    const producer = client.producer();
    const sent = ["a", "b", "c"].map((text) => producer.publish("t", { key: null, value: bytes(text) }));
    assert.deepEqual(
      (await Promise.all(sent)).map(({ offset }) => offset),
      [0, 1, 2],
    );
    await client.close();
    await opened.close();
    opened = await openTestHub({ folder, settings: { "num.partitions": 1 } });
    assert.deepEqual(await readAll(opened, "t", 3), ["a", "b", "c"]);
    await opened.close();
  } finally {
    remove();
  }
});

test("a record and the note beside it are stored together, in topics that are made on the way", async () => {
  const { folder, remove } = scratch();
  try {
    let opened = await openTestHub({ folder, settings: { "num.partitions": 1 } });
    const note = (value: string) => ({ topic: "notes", record: { key: bytes("n"), value: bytes(value) } });
    const values = ["1", "2", "3"];
    const stored = values.map((value) =>
      opened.hub.storeTogether("q", { key: null, value: bytes(value) }, note(value)),
    );
    assert.deepEqual(
      await Promise.all(stored),
      [0, 1, 2].map((offset) => ({ partition: 0, offset, noteOffset: offset })),
    );
    await assert.rejects(opened.hub.storeTogether("no name", { key: null, value: null }, note("4")), {
      kind: "INVALID_TOPIC_EXCEPTION",
    });
    await opened.close();
    opened = await openTestHub({ folder });
    for (const topic of ["q", "notes"]) assert.deepEqual(await readAll(opened, topic, 3), values);
    await opened.close();
  } finally {
    remove();
  }
});

test("health goes from starting to ready to draining, and metrics count partitions", async () => {
  const opened = await openTestHub();
  assert.ok(["ready", "degraded"].includes(opened.hub.health().status));
  await opened.hub.ensureTopic("t");
  await opened.hub.ensureTopic("t");
  opened.hub.measure();
  await opened.close();
  assert.equal(opened.hub.health().status, "draining");
});

test("a data folder whose identity cannot be read is not touched", async () => {
  const { folder, remove } = scratch();
  try {
    const opened = await openTestHub({ folder });
    await opened.close();
    writeFileSync(`${folder}/meta/hub.meta`, "garbage");
    await assert.rejects(openTestHub({ folder }), /hub\.meta/);
  } finally {
    remove();
  }
});

test("addresses", () => {
  assert.deepEqual(parseAddress("hub.local:9093", 9092), { host: "hub.local", port: 9093 });
  assert.deepEqual(parseAddress("hub.local", 9092), { host: "hub.local", port: 9092 });
  assert.deepEqual(parseAddress("[::1]:9093", 9092), { host: "::1", port: 9093 });
  assert.throws(() => parseAddress("a:b:c", 9092), /host:port/);
});

test("deleting a topic that is not there is told at once, not after retries", async () => {
  await withHub({}, async ({ hub }) => {
    const began = performance.now();
    const client = hub.client("operator");
    await assert.rejects(client.admin().deleteTopic("none"), { kind: "UNKNOWN_TOPIC_OR_PARTITION" });
    assert.ok(performance.now() - began < 1000, "it was retried");
    await client.close();
  });
});

test("a client of this process that still polls does not keep the hub from stopping", async () => {
  const opened = await openTestHub();
  await opened.hub.ensureTopic("t");
  const consumer = opened.hub.client("tail").consumer();
  await consumer.assign([{ topic: "t", from: "latest" }]);
  const polled = consumer.poll(60_000).catch(() => []);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await opened.close();
  await consumer.close();
  await polled;
});
