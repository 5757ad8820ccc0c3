// The browsers' protocol over real sockets: history then live, credits, resume, conflation, refusals.
import assert from "node:assert/strict";
import test from "node:test";
import type { Dashboard } from "../../dashboards/mod.ts";
import { limits } from "../../hub/limits.ts";
import { serve } from "./browser.ts";
import { TestSocket } from "./socket.ts";
import { StandIn } from "./stand_in.ts";

async function within(work: (hub: StandIn, socket: TestSocket, dashboard: Dashboard) => Promise<void>): Promise<void> {
  const hub = new StandIn();
  hub.createTopic("sensors", 1);
  const dashboard = await serve(hub);
  const socket = await TestSocket.open(dashboard.port);
  try {
    await work(hub, socket, dashboard);
  } finally {
    await socket.close();
    await dashboard.close();
  }
}

const put = (hub: StandIn, count: number, key = "dev-1"): void => {
  for (let n = 0; n < count; n++) hub.append("sensors", 0, { key, value: `${n}`, mqttTopic: `sensors/${key}/n` });
};

const sequence = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, n) => from + n);

test("history and live come on one subscription, each offset once and in order", () =>
  within(async (hub, socket) => {
    put(hub, 1000);
    socket.send({ type: "subscribe", id: 1, topic: "sensors", from: "earliest", credit: 50_000 });
    await socket.reaches(1, 0, 200);
    for (let n = 0; n < 20; n++) {
      put(hub, 50);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await socket.reaches(1, 0, 2000);
    await socket.until((message) => message.type === "live");
    assert.deepEqual(socket.offsets(1), sequence(0, 2000));
    let at = 0;
    for (const frame of socket.frames(1)) {
      assert.equal(frame.first, at);
      at = frame.next!;
    }
    assert.ok(socket.frames(1).length < 400, "many records per frame");
    assert.deepEqual(socket.messages.find(({ type }) => type === "subscribed")!["partitions"], [
      { partition: 0, from: 0, start: 0, end: 1000 },
    ]);
  }));

test("every way to begin", () =>
  within(async (hub, socket) => {
    const now = Date.now();
    for (let n = 0; n < 100; n++) hub.append("sensors", 0, { key: "k", value: "1", timestamp: now - (100 - n) * 1000 });
    const cases: [unknown, number][] = [
      ["earliest", 0],
      ["latest", 100],
      [{ offset: 42 }, 42],
      [{ offset: 4200 }, 100],
      [{ last: 7 }, 93],
      [{ last: "10s" }, 90],
      [{ time: now - 50_000 }, 50],
      [{ time: now + 50_000 }, 100],
      [{ offsets: { 0: 61 } }, 61],
      [{ offsets: { 3: 61 } }, 0],
    ];
    for (const [id, [from]] of cases.entries()) {
      socket.send({ type: "subscribe", id, topic: "sensors", from, credit: 1000 });
      const { partitions } = await socket.until((each) => each.type === "subscribed" && each.id === id);
      const [{ from: at }] = partitions as [{ from: number }];
      // half a second of slack: the hub's clock went on
      assert.ok(Math.abs(at - cases[id]![1]) <= (JSON.stringify(from).includes("10s") ? 1 : 0), JSON.stringify(from));
      await socket.until((each) => each.type === "live" && each.id === id);
      assert.deepEqual(socket.offsets(id), sequence(at, 100), JSON.stringify(from));
    }
  }));

test("no more records than were granted, also from history", () =>
  within(async (hub, socket) => {
    put(hub, 3000);
    socket.send({ type: "subscribe", id: 1, topic: "sensors", from: "earliest", credit: 70 });
    await socket.reaches(1, 0, 70);
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.equal(socket.offsets(1).length, 70);
    socket.send({ type: "credit", id: 1, n: 30 });
    await socket.reaches(1, 0, 100);
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.deepEqual(socket.offsets(1), sequence(0, 100));
  }));

test("a browser without credit gets the newest of each series and is told how many were replaced", () =>
  within(async (hub, socket) => {
    socket.send({ type: "subscribe", id: 1, topic: "sensors", from: "latest", credit: 0 });
    await socket.until((each) => each.type === "live");
    const rounds = 3000;
    for (let n = 0; n < rounds; n++) {
      hub.append("sensors", 0, { key: `dev-${n % 5}`, value: `${n}` });
      if (n % 200 === 0) await new Promise((resolve) => setTimeout(resolve, 45));
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(socket.offsets(1).length, 0);
    socket.send({ type: "credit", id: 1, n: 5000 });
    await socket.reaches(1, 0, rounds);
    const frames = socket.frames(1);
    const received = socket.offsets(1).length;
    const conflated = frames.reduce((sum, frame) => sum + (frame.conflated ?? 0), 0);
    assert.equal(received + conflated, rounds);
    assert.ok(conflated > 0 && received < 2 * limits.browserHeldRecordsMax, `${received} received`);
    assert.ok(frames.some((frame) => frame.slow === true));
    const last = new Map(frames.flatMap((frame) => frame.records!.map(([offset, , key]) => [key, offset])));
    for (let n = 0; n < 5; n++) assert.equal(last.get(`dev-${n}`), rounds - 5 + n);
  }));

test("`every` sends the newest of each series per period and counts the others", () =>
  within(async (hub, socket) => {
    socket.send({ type: "subscribe", id: 1, topic: "sensors", from: "latest", every: 100, credit: 5000 });
    await socket.until((each) => each.type === "live");
    put(hub, 400, "a");
    put(hub, 400, "b");
    await socket.reaches(1, 0, 800);
    const conflated = socket.frames(1).reduce((sum, frame) => sum + (frame.conflated ?? 0), 0);
    assert.equal(conflated + socket.offsets(1).length, 800);
    assert.ok(socket.offsets(1).length <= 20);
    assert.ok(socket.offsets(1).includes(399) && socket.offsets(1).includes(799), "the newest of both");
    assert.ok(!socket.frames(1).some((frame) => frame.slow === true), "the browser was not slow");
  }));

test("a browser that comes back with its offsets gets what came in between, once", () =>
  within(async (hub, socket, dashboard) => {
    put(hub, 100);
    socket.send({ type: "subscribe", id: 1, topic: "sensors", from: { last: 50 }, credit: 5000 });
    await socket.reaches(1, 0, 100);
    await socket.close();
    put(hub, 300);
    const again = await TestSocket.open(dashboard.port);
    try {
      again.send({ type: "subscribe", id: 1, topic: "sensors", from: { offsets: { 0: 100 } }, credit: 5000 });
      await again.reaches(1, 0, 400);
      put(hub, 10);
      await again.reaches(1, 0, 410);
      assert.deepEqual(again.offsets(1), sequence(100, 410));
    } finally {
      await again.close();
    }
  }));

test("what retention has removed meanwhile is said", () =>
  within(async (hub, socket) => {
    put(hub, 100);
    hub.trim("sensors", 0, 60);
    socket.send({ type: "subscribe", id: 1, topic: "sensors", from: { offsets: { 0: 10 } }, credit: 5000 });
    const gap = await socket.until((each) => each.type === "gap");
    assert.deepEqual([gap["partition"], gap["wanted"], gap["got"]], [0, 10, 60]);
    await socket.reaches(1, 0, 100);
    assert.deepEqual(socket.offsets(1), sequence(60, 100));
  }));

test("keys filter in the hub, and the offset moves on", () =>
  within(async (hub, socket) => {
    for (let n = 0; n < 300; n++) hub.append("sensors", 0, { key: `dev-${n % 3}`, value: `${n}` });
    socket.send({ type: "subscribe", id: 1, topic: "sensors", from: "earliest", keys: ["dev-2"], credit: 5000 });
    await socket.reaches(1, 0, 300);
    assert.deepEqual(
      socket.offsets(1),
      sequence(0, 300).filter((n) => n % 3 === 2),
    );
    hub.append("sensors", 0, { key: "dev-1", value: "1" });
    hub.append("sensors", 0, { key: "dev-2", value: "2" });
    await socket.reaches(1, 0, 302);
    assert.equal(socket.offsets(1).at(-1), 301);
  }));

test("lines carry headers as asked, and payloads of every kind", () =>
  within(async (hub, socket) => {
    hub.append("sensors", 0, { key: "d", value: '{"v":1.50,"__proto__":{"x":1}}', mqttTopic: "sensors/d/temp" });
    hub.append("sensors", 0, { key: null, value: "21,5" });
    hub.append("sensors", 0, { key: "d", value: new Uint8Array([0xff, 0xfe]) });
    hub.append("sensors", 0, { key: "d", value: null });
    hub.append("sensors", 0, { key: "d", value: "x".repeat(limits.browserValueBytesMax + 1) });
    const headers = ["mqtt.topic", "none"];
    socket.send({ type: "subscribe", id: 1, topic: "sensors", from: "earliest", credit: 50, headers });
    await socket.reaches(1, 0, 5);
    const lines = socket.frames(1).flatMap((frame) => frame.records!.map((line) => line.slice(2)));
    assert.equal(JSON.stringify(lines[0]), '["d",{"v":1.5,"__proto__":{"x":1}},0,"sensors/d/temp",null]');
    assert.deepEqual(lines[1], [null, "21,5", 1, null, null]);
    assert.deepEqual(lines[2]!.slice(0, 3), ["d", "//4=", 2]);
    assert.deepEqual(lines[3]!.slice(0, 3), ["d", null, 5]);
    const [, [text, whole], kind] = lines[4] as [string, [string, number], number];
    assert.deepEqual([text.length, whole, kind], [limits.browserValueBytesMax, limits.browserValueBytesMax + 1, 3]);
  }));

test("a topic that does not exist yet is waited for, and a topic made anew is said", () =>
  within(async (hub, socket) => {
    socket.send({ type: "subscribe", id: 1, topic: "later", from: "earliest", credit: 50 });
    await socket.until((each) => each.type === "waiting");
    hub.createTopic("later", 2);
    hub.append("later", 1, { key: "k", value: "1" });
    const { topicId } = await socket.until((each) => each.type === "subscribed");
    await socket.reaches(1, 1, 1);
    const resume = { type: "subscribe", topic: "later", from: { offsets: { 0: 0, 1: 1 } }, credit: 50 };
    socket.send({ ...resume, id: 2, topicId });
    await socket.until((each) => each.type === "live" && each.id === 2);
    assert.deepEqual(socket.offsets(2, 1), []);
    socket.send({ ...resume, id: 3, topicId: "another" });
    const anew = await socket.until((each) => each.type === "subscribed" && each.id === 3);
    assert.equal(anew["anew"], true);
    await socket.reaches(3, 1, 1);
    assert.deepEqual(socket.offsets(3, 1), [0]);
  }));

test("what breaks the protocol is answered with what is wrong", () =>
  within(async (_, socket) => {
    const bad: unknown[] = [
      1,
      [],
      {},
      { type: "subscribe" },
      { type: "subscribe", id: 1 },
      { type: "subscribe", id: 1, topic: "../etc" },
      { type: "subscribe", id: 1, topic: "sensors", from: "yesterday" },
      { type: "subscribe", id: 1, topic: "sensors", credit: -1 },
      { type: "subscribe", id: 1, topic: "sensors", keys: Array.from({ length: 1001 }, () => "k") },
      { type: "subscribe", id: 1, topic: "sensors", from: { offsets: { __proto__: 1, "-1": 3 } } },
      { type: "credit", id: 1, n: 1e9 },
      { type: "watch", what: "secrets" },
    ];
    for (const message of bad) socket.send(message as object);
    socket.socket.send("{");
    await socket.until(() => socket.messages.filter(({ type }) => type === "error").length > bad.length);
    socket.send({ type: "subscribe", id: 1, topic: "sensors" });
    await socket.until((each) => each.type === "live");
    for (let id = 2; id <= limits.browserSubscriptionsMax + 1; id++)
      socket.send({ type: "subscribe", id, topic: "sensors" });
    await socket.until((each) => each.type === "error" && each.id === limits.browserSubscriptionsMax + 1);
    socket.send({ type: "subscribe", id: 1, topic: "sensors" });
    await socket.until((each) => each.type === "error" && String(each["message"]).includes("exists already"));
  }));

test("a browser that stops reading is bounded: it is not sent more than its buffer, others go on", () =>
  within(async (hub, socket, dashboard) => {
    const slow = await TestSocket.open(dashboard.port);
    try {
      const wanted = { type: "subscribe", id: 1, topic: "sensors", from: "latest", credit: 100_000 };
      slow.send(wanted);
      socket.send(wanted);
      await slow.until((each) => each.type === "live");
      await socket.until((each) => each.type === "live");
      slow.socket.pause();
      const pad = "y".repeat(4000);
      const rounds = 4000;
      for (let n = 0; n < rounds; n++) {
        hub.append("sensors", 0, { key: `dev-${n % 10}`, value: JSON.stringify({ n, pad }) });
        if (n % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await socket.reaches(1, 0, rounds);
      assert.equal(socket.offsets(1).length, rounds, "the other browser got everything");
      slow.socket.resume();
      await slow.reaches(1, 0, rounds);
      const conflated = slow.frames(1).reduce((sum, frame) => sum + (frame.conflated ?? 0) + (frame.dropped ?? 0), 0);
      assert.ok(conflated > 0, "16 MB do not fit into its buffer");
      assert.equal(conflated + slow.offsets(1).length, rounds);
    } finally {
      await slow.close();
    }
  }));
