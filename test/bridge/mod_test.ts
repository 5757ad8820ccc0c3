// The door: real clients over TCP and WebSocket, several hosts, a taken port, a polite close.
import assert from "node:assert/strict";
import { createServer as createHttp } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import test from "node:test";
import { connectAsync } from "mqtt";
import { createWebSocketStream, WebSocketServer } from "ws";
import { startBridge } from "../../bridge/mod.ts";
import { Device } from "../../devices/mod.ts";
import { silentTrace } from "../../hub/trace.ts";
import { withBridge } from "./harness.ts";
import { publishFrame, RawClient, Type } from "./raw_client.ts";
import { openStandInHub, testClock } from "./stand_in_hub.ts";

test("a client library publishes with every QoS and a subscriber gets each message once", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const url = `mqtt://127.0.0.1:${bridge.port}`;
    const watcher = await connectAsync(url, { clientId: "watcher" });
    const got: string[] = [];
    const all = new Promise<void>((resolve) => {
      watcher.on("message", (topic, payload) => {
        got.push(`${topic}=${payload}`);
        if (got.length === 30) resolve();
      });
    });
    await watcher.subscribeAsync("sensors/#", { qos: 2 });
    const client = await connectAsync(url, { clientId: "pub" });
    for (let n = 0; n < 30; n++) {
      await client.publishAsync(`sensors/dev/q${n % 3}`, `${n}`, { qos: (n % 3) as 0 | 1 | 2 });
    }
    await all;
    const expected = Array.from({ length: 30 }, (_, n) => `sensors/dev/q${n % 3}=${n}`);
    assert.deepEqual(got.toSorted(), expected.toSorted());
    assert.deepEqual(
      hub.sent.map((record) => Number(record.value)),
      Array.from({ length: 30 }, (_, n) => n),
    );
    await Promise.all([client.endAsync(), watcher.endAsync()]);
  });
});

test("a Device of this project gets its readings in, in order, through a restart of the bridge", async () => {
  const port = await freePort();
  const device = new Device({ host: "127.0.0.1", port, name: "dev-1", reconnectMs: 20, reconnectMsMax: 50 });
  const values: string[] = [];
  try {
    device.start();
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 20; n++) device.publish("m", { t: 1, v: round * 20 + n, u: "" });
      await withBridge({ port }, async ({ hub }) => {
        await device.whenIdle();
        values.push(...hub.sent.map((record) => record.value));
      });
    }
  } finally {
    await device.stop();
  }
  const numbers = values.map((value) => (JSON.parse(value) as { v: number }).v);
  assert.deepEqual(
    [...new Set(numbers)],
    Array.from({ length: 60 }, (_, n) => n),
  );
});

test("accept serves MQTT over WebSocket", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const http = createHttp();
    const sockets = new WebSocketServer({ server: http, path: "/mqtt", handleProtocols: () => "mqtt" });
    sockets.on("connection", (socket) => bridge.accept(createWebSocketStream(socket)));
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    try {
      const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/mqtt`;
      const client = await connectAsync(url, { clientId: "browser" });
      await client.subscribeAsync("s/#");
      const message = new Promise<string>((resolve) => client.on("message", (_, payload) => resolve(String(payload))));
      await client.publishAsync("s/dev/m", "x".repeat(100_000), { qos: 1 });
      assert.equal((await message).length, 100_000);
      assert.equal(hub.sent[0]!.value.length, 100_000);
      await client.endAsync();
    } finally {
      sockets.close();
      http.close();
    }
  });
});

test("startBridge says in one sentence that a port is taken, and leaves nothing open", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  const hub = openStandInHub();
  const base = { client: hub.client, hub: hub.face, rooms: hub.rooms(), trace: silentTrace, clock: testClock };
  try {
    await assert.rejects(
      startBridge({ ...base, host: "127.0.0.1", port }),
      new RegExp(`^Error: MQTT port ${port} on 127\\.0\\.0\\.1 is taken by another program: .*\\.$`),
    );
    const routes = [{ match: "a/#/b", topic: "t" }];
    await assert.rejects(startBridge({ ...base, host: "127.0.0.1", port: 0, routes }), /^RouteError: route 1/);
  } finally {
    other.close();
  }
});

test("testRoute tells what would happen and stores nothing", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const routed = bridge.testRoute("sensors/dev-7/temperature");
    assert.ok(routed.kind === "store" && routed.topic === "sensors" && routed.key === "dev-7");
    assert.equal(bridge.testRoute("a/#").kind, "refused");
    assert.deepEqual(hub.sent, []);
  });
});

test("close waits for what is in flight and sends its PUBACKs", async () => {
  const hub = openStandInHub();
  hub.hold = true;
  const base = { client: hub.client, hub: hub.face, rooms: hub.rooms(), trace: silentTrace, clock: testClock };
  const bridge = await startBridge({ ...base, host: "127.0.0.1", port: 0 });
  const client = await RawClient.open(bridge.port, "c");
  client.send(publishFrame("s/d/m", "x", { qos: 1, id: 3 }));
  await hub.arrived(1);
  const closed = bridge.close();
  client.send(publishFrame("s/d/m", "too late", { qos: 1, id: 4 }));
  hub.release();
  await closed;
  await client.untilClosed();
  assert.deepEqual([client.ids(Type.Puback), hub.count], [[3], 1]);
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
