// Sessions over three hubs: a client goes on at another hub, takes itself over, and is looked after when its hub dies.
import assert from "node:assert/strict";
import test from "node:test";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { connectFrame, publishFrame, pubrelFrame, RawClient, Type } from "../bridge/raw_client.ts";
import { type ChaosHub, ChaosStage } from "./cluster/stage.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 30_000; !holds(); await pause(20)) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
  }
}

interface Peer {
  readonly client: MqttClient;
  readonly heard: string[];
  readonly isPresent: boolean;
  isClosed: boolean;
}

/** One connection, without a second try. */
async function enter(hub: ChaosHub, clientId: string, options: IClientOptions = {}): Promise<Peer> {
  const client = mqtt.connect({
    host: hub.host,
    port: hub.ports.mqtt,
    clientId,
    clean: false,
    protocolVersion: 5,
    properties: { sessionExpiryInterval: 3_600 },
    reconnectPeriod: 0,
    connectTimeout: 10_000,
    keepalive: 30,
    ...options,
  });
  const heard: string[] = [];
  client.on("message", (topic, payload) => void heard.push(`${topic}=${payload.toString()}`));
  const isPresent = await new Promise<boolean>((resolve, reject) => {
    client.once("connect", ({ sessionPresent }) => resolve(sessionPresent));
    client.once("error", reject);
    client.once("close", () => reject(new Error(`hub ${hub.id} closed the connection of ${clientId}`)));
  });
  const peer = { client, heard, isPresent, isClosed: false };
  client.on("error", () => {});
  client.on("close", () => {
    peer.isClosed = true;
  });
  return peer;
}

test("a session goes on at any hub with what it missed; a hub that dies leaves its wills and its sessions", async () => {
  const stage = await ChaosStage.open(3);
  const [first, second, third] = stage.hubs as [ChaosHub, ChaosHub, ChaosHub];
  const clients: MqttClient[] = [];
  const at = async (...args: Parameters<typeof enter>): Promise<Peer> => {
    const peer = await enter(...args);
    clients.push(peer.client);
    return peer;
  };
  try {
    const device = await at(first, "device");
    let pump = await at(first, "pump");
    assert.equal(pump.isPresent, false);
    await pump.client.subscribeAsync("commands/pump/+", { qos: 1 });
    await device.client.publishAsync("commands/pump/rate", "1", { qos: 1 });
    await until("the first command", () => pump.heard.length === 1);
    await pump.client.endAsync();

    // what is acknowledged at one hub is retained at every other at once
    for (let count = 0; count < 20; count++) {
      await device.client.publishAsync("state/pump", `${count}`, { qos: 1, retain: true });
      const late = await at(count % 2 === 0 ? second : third, `late-${count}`, { clean: true });
      await late.client.subscribeAsync("state/#", { qos: 1 });
      await until("the retained message", () => late.heard.length > 0);
      assert.equal(late.heard[0], `state/pump=${count}`);
      await late.client.endAsync();
    }

    // it comes to another hub, which has what it missed
    await device.client.publishAsync("commands/pump/rate", "2", { qos: 1 });
    pump = await at(second, "pump");
    assert.equal(pump.isPresent, true);
    await until("what it missed", () => pump.heard.includes("commands/pump/rate=2"));
    assert.deepEqual(pump.heard, ["commands/pump/rate=2"], "and nothing twice");

    // and to a third one while it is still at the second
    const before = pump;
    const began = performance.now();
    pump = await at(third, "pump", {
      will: { topic: "wills/pump", payload: Buffer.from("dead"), qos: 1, retain: false },
    });
    assert.ok(performance.now() - began < 3_000, `a takeover took ${performance.now() - began} ms`);
    assert.equal(pump.isPresent, true);
    await until("the second hub closes it", () => before.isClosed);
    await device.client.publishAsync("commands/pump/rate", "3", { qos: 1 });
    await until("a command at the third hub", () => pump.heard.includes("commands/pump/rate=3"));

    // QoS 2: stored at one hub, sent again and released at another
    const raw = await RawClient.open(second.ports.mqtt, "exact", { clean: false }, second.host);
    raw.send(publishFrame("exact/a", "once", { qos: 2, id: 7 }));
    await raw.until(() => raw.ids(Type.Pubrec).length === 1);
    raw.destroy();
    const again = await RawClient.open(first.ports.mqtt, "exact", { clean: false }, first.host);
    again.send(publishFrame("exact/a", "once", { qos: 2, id: 7, dup: true }));
    await again.until(() => again.ids(Type.Pubrec).length === 1);
    again.send(pubrelFrame(7));
    await again.until(() => again.ids(Type.Pubcomp).length === 1);
    again.destroy();
    const reader = await at(first, "reader");
    await reader.client.subscribeAsync("wills/#", { qos: 1 });

    // its hub dies: its will is published, and its session is there
    await third.end("SIGKILL");
    await until("the will", () => reader.heard.includes("wills/pump=dead"));
    await device.client.publishAsync("commands/pump/rate", "4", { qos: 1 });
    pump = await at(second, "pump");
    assert.equal(pump.isPresent, true);
    await until("the command after its hub died", () => pump.heard.includes("commands/pump/rate=4"));
    await pause(500);
    assert.equal(reader.heard.filter((one) => one.startsWith("wills/")).length, 1, "the will came once");
  } catch (error) {
    const told = stage.hubs.map((hub) => `--- hub ${hub.id}:\n${hub.words.slice(-3000)}`).join("\n");
    throw new Error(`${String(error)}\n${told}`, { cause: error });
  } finally {
    for (const one of clients) one.end(true);
    await stage.close();
  }
});

test("hubs that are all stopped and started one after the other have the sessions again", async () => {
  const stage = await ChaosStage.open(3);
  const [first, second, third] = stage.hubs as [ChaosHub, ChaosHub, ChaosHub];
  const clients: MqttClient[] = [];
  try {
    for (const [at, hub] of stage.hubs.entries()) {
      const { client } = await enter(hub, `sleeper-${at}`);
      clients.push(client);
      await client.subscribeAsync("a/#", { qos: 1 });
      await client.endAsync();
    }
    for (const hub of [third, second, first]) assert.equal(await hub.end("SIGTERM"), 0, `hub ${hub.id} stops in order`);
    const began = performance.now();
    await first.start(); // alone: it serves, so that the others find it
    assert.ok(performance.now() - began < 30_000, `it took ${performance.now() - began} ms`);
    const early = enter(first, "sleeper-2", { connectTimeout: 60_000 });
    await Promise.all([second.start(), third.start()]);
    const peer = await early;
    clients.push(peer.client);
    assert.equal(peer.isPresent, true, "a CONNECT that came before there was a quorum is answered when there is");
    for (const [at, hub] of [second, third].entries()) {
      const { client, isPresent } = await enter(hub, `sleeper-${at}`);
      clients.push(client);
      assert.equal(isPresent, true);
    }
  } catch (error) {
    const told = stage.hubs.map((hub) => `--- hub ${hub.id}:\n${hub.words.slice(-3000)}`).join("\n");
    throw new Error(`${String(error)}\n${told}`, { cause: error });
  } finally {
    for (const one of clients) one.end(true);
    await stage.close();
  }
});
