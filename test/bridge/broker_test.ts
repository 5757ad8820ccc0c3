// Connections: who is refused and how, bounds in front of the broker, malformed bytes, wills, takeover, keep-alive.
import assert from "node:assert/strict";
import test from "node:test";
import { seededRandom } from "../../devices/sensors.ts";
import { withBridge } from "./harness.ts";
import { connectFrame, frame, publishFrame, pubrelFrame, RawClient, subscribeFrame, Type } from "./raw_client.ts";

test("protocols and client ids that are not served get their own CONNACK", async () => {
  await withBridge({}, async ({ bridge }) => {
    const answer = async (bytes: Uint8Array): Promise<number[]> => {
      const client = new RawClient(bridge.port);
      client.send(bytes);
      await client.untilClosed();
      return client.packets.flatMap((packet) => [packet.type, ...packet.body]);
    };
    assert.deepEqual(await answer(connectFrame("c", { name: "MQIsdp", level: 3 })), [2, 0, 1]);
    assert.deepEqual(await answer(connectFrame("c", { level: 3 })), [2, 0, 1]);
    assert.deepEqual(await answer(connectFrame("c", { level: 6 })), [2, 0, 1]);
    assert.deepEqual(await answer(connectFrame("", { clean: false })), [2, 0, 2]);
    assert.deepEqual(await answer(connectFrame("x".repeat(1_025))), [2, 0, 2]);
    assert.deepEqual(await answer(Buffer.from("GET / HTTP/1.1\r\n\r\n")), []);
    assert.deepEqual(await answer(publishFrame("a", "b", {})), []);
    const unnamed = await RawClient.open(bridge.port, "");
    assert.deepEqual([...unnamed.packets[0]!.body], [0, 0]);
    unnamed.destroy();
  });
});

test("a client that access does not admit gets CONNACK 5, and topics it may not use are refused", async () => {
  const access = {
    connect: ({ clientId }: { clientId: string }) =>
      clientId === "stranger"
        ? { admitted: false as const, returnCode: 5 as const, reason: "not known" }
        : { admitted: true as const, principal: clientId },
    publish: (principal: string, topic: string) => topic.startsWith(`s/${principal}/`),
    subscribe: (principal: string, filter: string) => filter === `to/${principal}`,
  };
  await withBridge({ access, ackTimeoutMs: 100 }, async ({ bridge, hub, trace }) => {
    const stranger = await RawClient.open(bridge.port, "stranger");
    assert.deepEqual([...stranger.packets[0]!.body], [0, 5]);
    await stranger.untilClosed();
    const client = await RawClient.open(bridge.port, "dev");
    client.send(subscribeFrame(1, "#", 0), subscribeFrame(2, "to/dev", 1));
    await client.until(() => client.of(Type.Suback).length === 2);
    assert.deepEqual(
      client
        .of(Type.Suback)
        .map((packet) => packet.body[2])
        .toSorted(),
      [1, 128],
    );
    client.send(publishFrame("s/dev/m", "mine", { qos: 1, id: 1 }), publishFrame("s/x/m", "not", { qos: 1, id: 2 }));
    await client.untilClosed();
    assert.deepEqual([client.ids(Type.Puback), hub.sent.map((record) => record.value)], [[1], ["mine"]]);
    assert.equal(trace.counted("mqtt_publish_refused_total"), 1);
  });
});

test("a packet-size bomb is refused at its header, before its body is read", async () => {
  await withBridge({}, async ({ bridge, hub, trace }) => {
    const bomber = await RawClient.open(bridge.port, "bomber");
    const block = Buffer.alloc(64 * 1024, 0x61);
    bomber.send(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 0x61));
    const pump = (): void => {
      while (!bomber.socket.destroyed && bomber.socket.write(block));
    };
    bomber.socket.on("drain", pump);
    pump();
    await bomber.untilClosed();
    assert.ok(bomber.socket.bytesWritten < 32 * 1024 * 1024, `${bomber.socket.bytesWritten} bytes were taken`);
    const event = trace.events.find((entry) => entry.event === "mqtt_connection_refused");
    assert.match(String(event?.fields.reason), /packet-too-large.*268435460/);
    assert.deepEqual(hub.sent, []);
  });
});

test("malformed bytes end their own connection and disturb nobody", async () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = seededRandom(seed);
  const good = [
    connectFrame("evil", { will: { topic: "w/x", payload: "gone", qos: 1 } }),
    publishFrame("s/d/m", "hello", { qos: 1, id: 1 }),
    publishFrame("s/d/m", "hello", { qos: 2, id: 2 }),
    pubrelFrame(2),
    subscribeFrame(3, "a/+/#", 1),
    frame(0xa2, Buffer.from([0, 4, 0, 1, 0x61])),
    frame(0xc0),
    frame(0xe0),
  ];
  await withBridge({}, async ({ bridge, hub }) => {
    const steady = await RawClient.open(bridge.port, "steady");
    let sent = 0;
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.concat(good.slice(0, 1 + Math.floor(random() * good.length)));
      const from = random() < 0.3 ? 0 : good[0]!.length;
      for (let flips = 1 + Math.floor(random() * 4); flips > 0; flips--) {
        bytes[Math.min(bytes.length - 1, from + Math.floor(random() * (bytes.length - from)))] = Math.floor(
          random() * 256,
        );
      }
      const evil = new RawClient(bridge.port);
      evil.send(random() < 0.2 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes);
      evil.socket.end();
      await evil.untilClosed();
      if (round % 10 > 0) continue;
      sent++;
      steady.send(publishFrame("s/steady/m", `${sent}`, { qos: 1, id: sent }));
      await steady.until(() => steady.ids(Type.Puback).length === sent);
    }
    const values = hub.sent.filter((record) => record.key === "steady").map((record) => Number(record.value));
    assert.deepEqual(
      values,
      Array.from({ length: sent }, (_, at) => at + 1),
      `seed ${seed}`,
    );
    await steady.ping();
    while (bridge.stats().connections > 1) await steady.ping();
    steady.destroy();
  });
});

test("topics that cannot be published to end the connection, those with levels beyond the bound too", async () => {
  await withBridge({ ackTimeoutMs: 100 }, async ({ bridge, hub }) => {
    for (const topic of ["", "a/#", "a/+", "$SYS/x", "/".repeat(120), "a\0b", "x".repeat(2_000)]) {
      const client = await RawClient.open(bridge.port, "c");
      client.send(publishFrame(topic, "x", { qos: 1, id: 1 }));
      await client.untilClosed();
      assert.deepEqual(client.ids(Type.Puback), [], JSON.stringify(topic));
    }
    assert.deepEqual(hub.sent, []);
  });
});

test("filters that are not served get 0x80, and subscriptions per client are bounded", async () => {
  await withBridge({}, async ({ bridge }) => {
    const client = await RawClient.open(bridge.port, "c");
    let id = 1;
    const granted = async (filter: string): Promise<number> => {
      const at = client.of(Type.Suback).length;
      client.send(subscribeFrame(id++, filter, 1));
      await client.until(() => client.of(Type.Suback).length > at);
      return client.of(Type.Suback)[at]!.body[2]!;
    };
    assert.equal(await granted("x".repeat(2_000)), 128);
    for (let n = 0; n < 100; n++) assert.equal(await granted(`a/${n}`), 1);
    assert.equal(await granted("one/more"), 128);
    assert.equal(await granted("a/5"), 1);
    assert.equal(bridge.stats().subscriptions, 100);
    client.destroy();
    while (bridge.stats().subscriptions > 0) await new Promise((resolve) => setImmediate(resolve));
  });
});

test("connections are bounded, must say CONNECT in time, and are closed when they fall silent", async () => {
  await withBridge({ connectionsMax: 2, connectMsMax: 100 }, async ({ bridge }) => {
    const first = await RawClient.open(bridge.port, "a", { keepalive: 1 });
    const mute = new RawClient(bridge.port);
    await new Promise((resolve) => mute.socket.once("connect", resolve));
    while (bridge.stats().connections < 2) await first.ping();
    const began = performance.now();
    const third = new RawClient(bridge.port);
    await third.untilClosed();
    await mute.untilClosed();
    await first.untilClosed();
    assert.ok(performance.now() - began > 1_000);
  });
});

test("a second connection with the same client id takes over", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const first = await RawClient.open(bridge.port, "same");
    hub.hold = true;
    first.send(publishFrame("s/d/m", "1", { qos: 1, id: 1 }));
    await hub.arrived(1);
    const second = await RawClient.open(bridge.port, "same");
    await first.untilClosed();
    hub.hold = false;
    hub.release();
    second.send(publishFrame("s/d/m", "2", { qos: 1, id: 1 }));
    await second.until(() => second.ids(Type.Puback).length === 1);
    assert.deepEqual([first.ids(Type.Puback), bridge.stats().connections], [[], 1]);
    second.destroy();
  });
});

test("a will is stored and delivered when its client vanishes, not when it says goodbye", async () => {
  await withBridge({}, async ({ bridge, hub }) => {
    const watcher = await RawClient.open(bridge.port, "watcher");
    watcher.send(subscribeFrame(1, "w/#", 0));
    await watcher.until(() => watcher.of(Type.Suback).length === 1);
    for (const qos of [0, 1, 2]) {
      const client = await RawClient.open(bridge.port, "c", { will: { topic: "w/c/x", payload: `q${qos}`, qos } });
      client.destroy();
      await watcher.until(() => watcher.published().length === qos + 1);
    }
    const polite = await RawClient.open(bridge.port, "c", { will: { topic: "w/c/x", payload: "no", qos: 1 } });
    polite.send(frame(0xe0));
    await polite.untilClosed();
    await watcher.ping();
    assert.deepEqual(
      hub.sent.map((record) => record.value),
      ["q0", "q1", "q2"],
    );
    assert.deepEqual(
      watcher.published().map(([, value]) => value),
      ["q0", "q1", "q2"],
    );
    watcher.destroy();
  });
});

test("a subscriber that does not read holds back no publisher and no other subscriber", async () => {
  await withBridge({}, async ({ bridge, hub, trace }) => {
    hub.forget = true;
    const frozen = await RawClient.open(bridge.port, "frozen");
    const lively = await RawClient.open(bridge.port, "lively");
    for (const client of [frozen, lively]) {
      client.send(subscribeFrame(1, "s/#", 0));
      await client.until(() => client.of(Type.Suback).length === 1);
    }
    frozen.socket.pause();
    const client = await RawClient.open(bridge.port, "pub");
    const payload = "x".repeat(20_000);
    const count = 1_000;
    for (let id = 1; id <= count; id++) client.send(publishFrame("s/d/m", payload, { qos: 1, id }));
    await client.until(() => client.ids(Type.Puback).length === count);
    await lively.until(() => lively.of(Type.Publish).length === count);
    frozen.destroy();
    while (bridge.stats().connections > 2) await lively.ping();
    assert.ok(trace.counted("mqtt_deliveries_skipped_total") > 0);
    for (const each of [client, lively, frozen]) each.destroy();
  });
});
