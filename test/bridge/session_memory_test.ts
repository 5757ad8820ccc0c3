// Sessions in memory: what a subscriber that was away gets, and the bounds of queues, sessions and retained messages.
import assert from "node:assert/strict";
import test from "node:test";
import { FilterTree } from "../../bridge/filter_tree.ts";
import { Qos2 } from "../../bridge/qos2.ts";
import { boundPersistence, type Persistence, type StoredPacket } from "../../bridge/session_memory.ts";
import { limits } from "../../hub/limits.ts";
import { openRecorder, withBridge } from "./harness.ts";
import { frame, publishFrame, RawClient, subscribeFrame, Type } from "./raw_client.ts";
import { openStandInHub } from "./stand_in_hub.ts";

const kept = { clean: false };

/** A persistence that only remembers what reaches it. */
function openPersistence(): Persistence & { queue: StoredPacket[]; retained: string[]; added: string[] } {
  const queue: StoredPacket[] = [];
  const retained: string[] = [];
  const added: string[] = [];
  return {
    queue,
    retained,
    added,
    subscriptionsByClient: async () => [],
    addSubscriptions: async (_, subscriptions) => void added.push(...subscriptions.map(({ topic }) => topic)),
    removeSubscriptions: async () => {},
    cleanSubscriptions: async () => {},
    storeRetained: async (packet) => void retained.push(packet.topic!),
    outgoingEnqueueCombi: async (subscriptions, packet) => void queue.push(...subscriptions.map(() => packet)),
    outgoingUpdate: () => Promise.reject(new Error("no such packet")),
    outgoingClearMessageId: async () => queue.shift(),
    outgoingStream: async function* () {
      yield* [...queue];
    },
    streamWill: () => [],
    incomingGetPacket: async (_, packet) => packet,
    incomingStorePacket: async () => {},
    incomingDelPacket: async () => {},
    cleanIncoming: async () => {},
  };
}

function bounded(): {
  store: ReturnType<typeof openPersistence>;
  tree: FilterTree;
  trace: ReturnType<typeof openRecorder>;
} {
  const store = openPersistence();
  const tree = new FilterTree();
  const trace = openRecorder();
  boundPersistence(store, tree, new Qos2(openStandInHub().store), trace);
  return { store, tree, trace };
}

const packet = (topic: string, size: number): StoredPacket => ({
  cmd: "publish",
  topic,
  payload: new Uint8Array(size),
});

test("a subscriber that was away gets QoS 1 messages when it comes back to its session", async () => {
  await withBridge({}, async ({ bridge }) => {
    const first = await RawClient.open(bridge.port, "sleeper", kept);
    assert.equal(first.packets[0]!.body[0], 0);
    first.send(subscribeFrame(1, "s/+/m", 1));
    await first.until(() => first.of(Type.Suback).length === 1);
    first.destroy();
    await first.untilClosed();
    const client = await RawClient.open(bridge.port, "pub");
    client.send(...[1, 2, 3].map((id) => publishFrame("s/d/m", `${id}`, { qos: 1, id })));
    await client.until(() => client.ids(Type.Puback).length === 3);
    const second = await RawClient.open(bridge.port, "sleeper", kept);
    await second.until(() => second.published().length === 3);
    assert.equal(second.packets[0]!.body[0], 1);
    assert.deepEqual(
      second.published().map(([, value]) => value),
      ["1", "2", "3"],
    );
    for (const { body } of second.of(Type.Publish)) {
      const end = 2 + body.readUInt16BE(0);
      second.send(frame(0x40, body.subarray(end, end + 2)));
    }
    await second.ping();
    second.destroy();
    await second.untilClosed();
    const third = await RawClient.open(bridge.port, "sleeper", kept);
    await third.ping();
    assert.deepEqual(third.published(), []);
    third.destroy();
    client.destroy();
  });
});

test("retained messages reach a later subscriber, are records too, and go with an empty payload", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const client = await RawClient.open(bridge.port, "pub");
    client.send(publishFrame("s/d/m", "old", { qos: 1, id: 1, retain: true }));
    client.send(publishFrame("s/d/m", "new", { qos: 1, id: 2, retain: true }));
    await client.until(() => client.ids(Type.Puback).length === 2);
    const late = await RawClient.open(bridge.port, "late");
    late.send(subscribeFrame(1, "s/#", 0));
    await late.until(() => late.published().length === 1);
    assert.deepEqual(late.published(), [["s/d/m", "new"]]);
    client.send(publishFrame("s/d/m", "", { qos: 1, id: 3, retain: true }));
    await client.until(() => client.ids(Type.Puback).length === 3);
    const later = await RawClient.open(bridge.port, "later");
    later.send(subscribeFrame(1, "s/#", 0));
    await later.ping();
    await later.ping();
    assert.deepEqual(later.published(), []);
    assert.deepEqual(
      hub.sent.map((record) => record.headers["mqtt.retain"]),
      ["1", "1", "1"],
    );
    for (const each of [client, late, later]) each.destroy();
  });
});

test("boundPersistence bounds each session's queue and all queues together, and counts what is dropped", async () => {
  const { store, trace } = bounded();
  const small = packet("t", 10);
  for (let n = 0; n < limits.mqttQueuedPerSessionMax + 5; n++)
    await store.outgoingEnqueueCombi([{ clientId: "a" }], small);
  assert.equal(store.queue.length, limits.mqttQueuedPerSessionMax);
  assert.equal(trace.counted("mqtt_queued_dropped_total"), 5);
  await store.outgoingClearMessageId({ id: "a" }, small);
  await store.outgoingEnqueueCombi([{ clientId: "a" }], small);
  assert.equal(store.queue.length, limits.mqttQueuedPerSessionMax);
  const large = packet("t", limits.mqttPacketBytesMax);
  for (let n = 0; n < 100; n++) await store.outgoingEnqueueCombi([{ clientId: `b${n}` }], large);
  const bytes = store.queue.reduce((sum, { payload }) => sum + payload!.length, 0);
  assert.ok(bytes <= limits.mqttQueuedBytesMax && bytes > limits.mqttQueuedBytesMax - 2 * limits.mqttPacketBytesMax);
  await store.outgoingUpdate({ id: "a" }, small);
});

test("boundPersistence bounds retained messages by number and bytes", async () => {
  const { store, trace } = bounded();
  for (let n = 0; n < limits.mqttRetainedMax + 3; n++) await store.storeRetained(packet(`t/${n}`, 1));
  assert.equal(store.retained.length, limits.mqttRetainedMax);
  await store.storeRetained(packet("t/0", 0));
  await store.storeRetained(packet("t/new", 1));
  assert.equal(store.retained.at(-1), "t/new");
  const other = bounded();
  for (let n = 0; n < 100; n++) await other.store.storeRetained(packet(`t/${n}`, limits.mqttPacketBytesMax));
  assert.equal(other.store.retained.length, Math.floor(limits.mqttRetainedBytesMax / limits.mqttPacketBytesMax));
  assert.equal(trace.counted("mqtt_retained_dropped_total"), 3);
});

test("boundPersistence keeps the tree in step with sessions, and refuses too many of them", async () => {
  const { store, tree } = bounded();
  const subscribe = (id: string, topics: string[]): Promise<void> =>
    store.addSubscriptions(
      { id },
      topics.map((topic) => ({ topic, qos: 1 })),
    );
  await subscribe("a", ["x/#", "y", "$share/g/z", "bad#"]);
  await subscribe("a", ["y"]);
  assert.deepEqual([tree.size, tree.matches("x/1"), store.added], [2, true, ["x/#", "y", "y"]]);
  await store.removeSubscriptions({ id: "a" }, ["x/#", "never"]);
  assert.deepEqual([tree.size, tree.matches("x/1")], [1, false]);
  await store.cleanSubscriptions({ id: "a" });
  assert.equal(tree.size, 0);
  for (let n = 0; n < 150; n++) await subscribe("b", [`t/${n}`]);
  assert.equal(tree.size, limits.mqttSubscriptionsPerClientMax);
  for (let n = 1; n < limits.mqttSessionsMax; n++) await subscribe(`c${n}`, ["t"]);
  await assert.rejects(subscribe("one more", ["t"]), /sessions/);
});
