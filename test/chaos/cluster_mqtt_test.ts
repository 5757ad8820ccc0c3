// MQTT over three hubs: a subscriber on one hears what is published on another; a device goes on at the next hub.
import assert from "node:assert/strict";
import test from "node:test";
import mqtt, { type MqttClient } from "mqtt";
import { WebSocket } from "ws";
import { type ChaosHub, ChaosStage } from "./cluster/stage.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function client(hubs: readonly ChaosHub[], clientId: string): MqttClient {
  const servers = hubs.map(({ host, ports }) => ({ host, port: ports.mqtt, protocol: "mqtt" as const }));
  const one = mqtt.connect({
    servers,
    clientId,
    protocolVersion: 4,
    reconnectPeriod: 200,
    connectTimeout: 3_000,
    keepalive: 5,
  });
  one.on("error", () => {}); // it goes on to the next address
  return one;
}

/** A browser's side of /ws: the values of a topic as they come. */
async function watch(hub: ChaosHub, topic: string, seen: string[]): Promise<WebSocket> {
  const socket = new WebSocket(`ws://${hub.host}:${hub.ports.http}/ws`);
  socket.on("message", (data) => {
    const { records = [] } = JSON.parse(String(data)) as { records?: unknown[][] };
    for (const record of records) seen.push(JSON.stringify(record));
  });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  socket.send(JSON.stringify({ type: "subscribe", id: 1, topic, from: "earliest", credit: 100_000 }));
  return socket;
}

async function reaches(heard: readonly string[], count: number): Promise<void> {
  for (const end = performance.now() + 40_000; new Set(heard).size < count; await pause(20)) {
    if (performance.now() > end) throw new Error(`only ${heard.length} of ${count}: ${heard.slice(-5).join(", ")}`);
  }
}

test("what is published on any hub is heard on any other, in order; a hub that dies loses no acknowledged message", async () => {
  const stage = await ChaosStage.open(3);
  const [first, second, third] = stage.hubs as [ChaosHub, ChaosHub, ChaosHub];
  const clients: MqttClient[] = [];
  try {
    const heard: string[] = [];
    const listener = client([second], "listener");
    clients.push(listener);
    listener.on("message", (_topic, payload) => void heard.push(payload.toString()));
    await listener.subscribeAsync("fields/+/moisture", { qos: 1 });

    const retained: string[] = [];
    const publish = async (device: MqttClient, from: number, count: number, qos: 0 | 1 | 2): Promise<void> => {
      for (let i = from; i < from + count; i++) {
        await device.publishAsync("fields/north/moisture", `${i}`, { qos, retain: i === 99 });
      }
    };
    const device = client([first, third, second], "north");
    clients.push(device);
    await publish(device, 0, 60, 1);
    await publish(device, 60, 40, 2);
    await reaches(heard, 100);
    assert.deepEqual(
      heard,
      Array.from({ length: 100 }, (_, i) => `${i}`),
      "once each, in order",
    );

    const late = client([first], "late");
    clients.push(late);
    late.on("message", (_topic, payload, { retain }) => void (retain && retained.push(payload.toString())));
    await late.subscribeAsync("fields/#", { qos: 0 });
    await reaches(retained, 1);
    const seen: string[] = [];
    const browser = await watch(third, "fields", seen);
    await reaches(seen, 100);
    browser.close();
    assert.deepEqual(retained, ["99"], "who comes later finds what is retained");

    await first.end("SIGKILL");
    await publish(device, 100, 60, 1);
    await reaches(heard, 160);
    const order = heard.map(Number).filter((value, i, all) => all.indexOf(value) === i);
    assert.deepEqual(
      order,
      Array.from({ length: 160 }, (_, i) => i),
      "nothing missing, first times in order",
    );
    // subscribed once more, so that it reads what the others lead from its present end
    const again = client([third], "again");
    clients.push(again);
    await again.subscribeAsync("fields/#", { qos: 1 });
    assert.equal(await third.end("SIGTERM"), 0, "nothing keeps a hub that stops");
    assert.equal(await second.end("SIGTERM"), 0);
  } catch (error) {
    const told = stage.hubs.map((hub) => `--- hub ${hub.id}:\n${hub.words.slice(-4000)}`).join("\n");
    throw new Error(`${String(error)}\n${told}`, { cause: error });
  } finally {
    for (const one of clients) one.end(true);
    await stage.close();
  }
});
