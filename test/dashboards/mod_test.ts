// The dashboard over a real hub: history, live, resume after a restart, topics and groups.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import test from "node:test";
import { type Dashboard, startDashboard } from "../../dashboards/mod.ts";
import { silentTrace } from "../../hub/mod.ts";
import { openReal, type RealHub, withReal } from "./real_hub.ts";
import { TestSocket } from "./socket.ts";

async function serveReal(real: RealHub, port = 0): Promise<Dashboard> {
  const dashboard = await startDashboard({
    host: "127.0.0.1",
    port,
    trace: silentTrace,
    health: () => real.hub.health(),
    metrics: async () => "",
    upgrades: new Map(),
  });
  dashboard.attach(real.hub.client("dashboard"));
  return dashboard;
}

const partitions = 4;

/** Offsets received, by partition; fails when one came twice or out of order. */
function collected(socket: TestSocket, id: number): number {
  let count = 0;
  for (let partition = 0; partition < partitions; partition++) {
    const offsets = socket.offsets(id, partition);
    for (let i = 1; i < offsets.length; i++) assert.equal(offsets[i], offsets[i - 1]! + 1, `partition ${partition}`);
    count += offsets.length;
  }
  return count;
}

test("history then live over a real hub: every record once, in order", () =>
  withReal(async (real) => {
    const dashboard = await serveReal(real);
    const socket = await TestSocket.open(dashboard.port);
    try {
      socket.send({
        type: "subscribe",
        id: 1,
        topic: "sensors",
        from: "earliest",
        credit: 50_000,
        headers: ["mqtt.topic"],
      });
      await socket.until(({ type }) => type === "waiting");
      await real.client.admin().createTopic("sensors", { partitions });
      await socket.until(({ type }) => type === "live");
      for (let round = 0; round < 20; round++) {
        await Promise.all(Array.from({ length: 100 }, (_, n) => real.reading(`dev-${n}`, "temperature", n)));
      }
      socket.send({ type: "subscribe", id: 2, topic: "sensors", from: "earliest", credit: 50_000 });
      await Promise.all(Array.from({ length: 100 }, (_, n) => real.reading(`dev-${n}`, "temperature", n)));
      for (const id of [1, 2]) {
        await socket.until(
          () => collected(socket, id) === 2100,
          `2100 records of ${id}, ${collected(socket, id)} came`,
        );
      }
      const [, , key, value, kind, topic] = socket.frames(1)[0]!.records![0]!;
      assert.deepEqual(
        [(value as { u: string }).u, kind, topic],
        ["\u00b0C", 0, `sensors/${key as string}/temperature`],
      );
    } finally {
      await socket.close();
      await dashboard.close();
    }
  }));

test("after a restart of the hub a browser resumes from its offsets and misses nothing", async () => {
  let real = await openReal();
  let dashboard = await serveReal(real);
  const { folder } = real;
  let socket = await TestSocket.open(dashboard.port);
  try {
    await real.client.admin().createTopic("sensors", { partitions });
    for (let n = 0; n < 200; n++) await real.reading(`dev-${n % 7}`, "a", n);
    socket.send({ type: "subscribe", id: 1, topic: "sensors", from: "earliest", credit: 50_000 });
    await socket.until(() => collected(socket, 1) === 200);
    const { topicId } = await socket.until(({ type }) => type === "subscribed");
    const next: Record<string, number> = {};
    for (const frame of socket.frames(1)) next[frame.partition!] = frame.next!;
    await dashboard.close();
    await socket.close();
    for (let n = 0; n < 100; n++) await real.reading(`dev-${n % 7}`, "a", n);
    await real.stop();
    real = await openReal(folder);
    dashboard = await serveReal(real);
    socket = await TestSocket.open(dashboard.port);
    socket.send({ type: "subscribe", id: 1, topic: "sensors", topicId, from: { offsets: next }, credit: 50_000 });
    await socket.until(() => collected(socket, 1) === 100);
    for (let n = 0; n < 50; n++) await real.reading(`dev-${n % 7}`, "a", n);
    await socket.until(() => collected(socket, 1) === 150);
    assert.ok(!socket.messages.some(({ type }) => type === "gap"));
  } finally {
    await socket.close();
    await dashboard.close();
    await real.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

test("groups of a real hub: members, lag in records and in seconds; topics: records and retention", () =>
  withReal(async (real) => {
    await real.client.admin().createTopic("sensors", { partitions: 1 });
    const old = Date.now() - 20_000;
    for (let n = 0; n < 30; n++) await real.reading("dev-1", "a", n, old + n * 500);
    const reader = real.client.consumer({ group: "ml", clientId: "ml-1", from: "earliest" });
    const dashboard = await serveReal(real);
    const socket = await TestSocket.open(dashboard.port);
    try {
      await reader.subscribe(["sensors"]);
      while ((await reader.poll(500)).length === 0);
      await reader.commit([{ topic: "sensors", partition: 0, offset: 10 }]);
      socket.send({ type: "watch", what: "groups" });
      socket.send({ type: "watch", what: "topics" });
      const { groups, time } = await socket.until(({ type }) => type === "groups");
      const [group] = groups as { group: string; state: string; lag: number; seconds: number; memberCount: number }[];
      assert.deepEqual([group!.group, group!.state, group!.lag, group!.memberCount], ["ml", "Stable", 20, 1]);
      const age = ((time as number) - (old + 10 * 500)) / 1000;
      assert.ok(Math.abs(group!.seconds - age) < 1, `${group!.seconds} s behind`);
      const { topics } = await socket.until(({ type }) => type === "topics");
      const row = (topics as Record<string, unknown>[]).find(({ topic }) => topic === "sensors")!;
      assert.deepEqual([row["records"], row["retentionMs"], row["cleanup"]], [30, 604_800_000, "delete"]);
    } finally {
      await reader.close();
      await socket.close();
      await dashboard.close();
    }
  }));
