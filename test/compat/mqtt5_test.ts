// MQTT 5 by other people's clients: mosquitto_pub and mosquitto_sub, and mqtt.js in both versions, through a kill -9.
import assert from "node:assert/strict";
import test from "node:test";
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from "mqtt";
import { type HubProcess, run, scratch, startHub } from "../tools/hub_process.ts";

type Version = 4 | 5;

async function withHub(body: (hub: HubProcess, folder: string) => Promise<HubProcess | undefined>): Promise<void> {
  const { folder, remove } = scratch();
  let hub = await startHub({ data: folder });
  try {
    hub = (await body(hub, folder)) ?? hub;
  } finally {
    await hub.end("SIGKILL");
    remove();
  }
}

const mosquitto = (hub: HubProcess, tool: "pub" | "sub", args: readonly string[]): Promise<string> =>
  run(`mosquitto_${tool}`, ["-h", "127.0.0.1", "-p", String(hub.mqtt), "-V", "5", ...args]);

const open = (hub: HubProcess, protocolVersion: Version, options: IClientOptions = {}): Promise<MqttClient> =>
  mqtt.connectAsync({ host: "127.0.0.1", port: hub.mqtt, protocolVersion, reconnectPeriod: 0, ...options });

/** The next `count` messages of a client. */
function next(client: MqttClient, count: number): Promise<IPublishPacket[]> {
  const got: IPublishPacket[] = [];
  return new Promise((resolve) => {
    const take = (topic: string, _payload: Buffer, packet: IPublishPacket): void => {
      got.push({ ...packet, topic }); // where an alias stands for it, the packet has none
      if (got.length < count) return;
      client.off("message", take);
      resolve(got);
    };
    client.on("message", take);
  });
}

const said = (packets: readonly IPublishPacket[]): string[] =>
  packets.map(({ topic, payload, qos, retain }) => `${topic} ${payload} q${qos}${retain ? " retained" : ""}`);

test("mosquitto in version 5: properties reach the log as headers and subscribers as they were", async () => {
  await withHub(async (hub) => {
    const properties = ["content-type text/plain", "response-topic answers/1", "correlation-data abc"];
    const given = [...properties, "user-property traceparent 00-1-2-01"].flatMap((one) => [
      "-D",
      "publish",
      ...one.split(" "),
    ]);
    await mosquitto(hub, "pub", ["-t", "sensors/d/v", "-q", "2", "-i", "pub", "-r", "-m", "7", ...given]);
    const seen = await mosquitto(hub, "sub", ["-t", "sensors/#", "-C", "1", "-F", "%t %p %r %C %R %D %P"]);
    assert.equal(seen.trim(), "sensors/d/v 7 1 text/plain answers/1 abc traceparent:00-1-2-01");
    const kcat = [
      "-C",
      "-b",
      `127.0.0.1:${hub.kafka}`,
      "-t",
      "sensors",
      "-c",
      "1",
      "-o",
      "beginning",
      "-q",
      "-f",
      "%h",
    ];
    const headers = new Map((await run("kcat", kcat)).split(",").map((one) => one.split("=") as [string, string]));
    assert.equal(headers.get("mqtt.content-type"), "text/plain");
    assert.equal(headers.get("mqtt.response-topic"), "answers/1");
    assert.equal(headers.get("mqtt.correlation-data"), "abc");
    assert.equal(headers.get("traceparent"), "00-1-2-01");
    return undefined;
  });
});

test("mosquitto in version 5: a session that was away gets what it missed, though the hub was killed", async () => {
  await withHub(async (hub, folder) => {
    const sleeper = ["-i", "sleeper", "-c", "-x", "600", "-q", "1", "-t", "sensors/#"];
    await mosquitto(hub, "sub", [...sleeper, "-E"]); // leaves after its SUBACK
    for (const n of ["1", "2", "3"]) await mosquitto(hub, "pub", ["-t", "sensors/d/v", "-q", "1", "-m", n]);
    await hub.end("SIGKILL");
    const again = await startHub({ data: folder });
    const seen = await mosquitto(again, "sub", [...sleeper, "-C", "3", "-F", "%p"]);
    assert.deepEqual(seen.trim().split("\n"), ["1", "2", "3"]);
    return again;
  });
});

for (const version of [4, 5] as const) {
  test(`mqtt.js in version ${version}: every QoS, retained messages and wills`, async () => {
    await withHub(async (hub) => {
      const will = { topic: "sensors/w/state", payload: Buffer.from("gone"), qos: 1 as const, retain: false };
      const watcher = await open(hub, version, { clientId: "watcher" });
      await watcher.subscribeAsync("sensors/#", { qos: 2 });
      const client = await open(hub, version, { clientId: "client", will });
      const live = next(watcher, 4);
      for (const qos of [0, 1, 2] as const)
        await client.publishAsync("sensors/d/v", `${qos}`, { qos, retain: qos === 1 });
      client.stream.destroy();
      assert.deepEqual(said(await live).toSorted(), [
        "sensors/d/v 0 q0",
        "sensors/d/v 1 q1",
        "sensors/d/v 2 q2",
        "sensors/w/state gone q1",
      ]);
      const late = await open(hub, version, { clientId: "late" });
      const retained = next(late, 1);
      await late.subscribeAsync("sensors/d/+", { qos: 0 });
      assert.deepEqual(said(await retained), ["sensors/d/v 1 q0 retained"]);
      for (const each of [watcher, late]) await each.endAsync();
      return undefined;
    });
  });

  test(`mqtt.js in version ${version}: a session outlives its connection and a kill -9`, async () => {
    await withHub(async (hub, folder) => {
      const lasting: IClientOptions = {
        clientId: "sleeper",
        clean: false,
        ...(version === 5 ? { properties: { sessionExpiryInterval: 600 } } : {}),
      };
      const first = await open(hub, version, lasting);
      await first.subscribeAsync("sensors/#", { qos: 2 });
      await first.endAsync();
      const publisher = await open(hub, version, { clientId: "publisher" });
      for (let n = 0; n < 50; n++)
        await publisher.publishAsync("sensors/d/v", `${n}`, { qos: (n % 2) + 1 === 1 ? 1 : 2 });
      await publisher.endAsync();
      await hub.end("SIGKILL");
      const again = await startHub({ data: folder });
      const second = mqtt.connect({ host: "127.0.0.1", port: again.mqtt, protocolVersion: version, ...lasting });
      const missed = next(second, 50);
      const present = new Promise<boolean>((resolve) => second.once("connect", (ack) => resolve(ack.sessionPresent)));
      assert.equal(await present, true);
      // mqtt.js shows QoS 2 when its PUBREL came: each QoS is in order
      for (const qos of [1, 2]) {
        const numbers = (await missed).filter((one) => one.qos === qos).map(({ payload }) => Number(payload));
        assert.deepEqual(
          numbers,
          Array.from({ length: 25 }, (_, n) => 2 * n + qos - 1),
        );
      }
      await second.endAsync();
      return again;
    });
  });
}

test("mqtt.js in version 5: aliases, identifiers, no local, shared subscriptions, reason codes", async () => {
  await withHub(async (hub) => {
    const properties = { topicAliasMaximum: 10, receiveMaximum: 3 };
    const client = await open(hub, 5, {
      clientId: "c",
      properties,
      autoUseTopicAlias: true,
      autoAssignTopicAlias: true,
    });
    await client.subscribeAsync("sensors/#", { qos: 1, properties: { subscriptionIdentifier: 7 } });
    await client.subscribeAsync("others/#", { qos: 1, nl: true });
    const got = next(client, 20);
    for (let n = 0; n < 20; n++) {
      await client.publishAsync("others/x/y", "not for me", { qos: 1 });
      await client.publishAsync("sensors/d/v", `${n}`, { qos: 1 });
    }
    const packets = await got;
    assert.deepEqual(
      said(packets),
      packets.map((_, n) => `sensors/d/v ${n} q1`),
    );
    assert.ok(packets.every((packet) => packet.properties?.subscriptionIdentifier === 7));
    await assert.rejects(client.publishAsync("$SYS/broker/uptime", "mine", { qos: 1 }), /Not authorized/i);
    const members = await Promise.all(["m1", "m2"].map((clientId) => open(hub, 5, { clientId })));
    const shares: string[] = [];
    const all = new Promise<void>((resolve) => {
      for (const member of members) {
        member.on("message", (_topic, payload) => {
          shares.push(payload.toString());
          if (shares.length === 30) resolve();
        });
      }
    });
    for (const member of members) await member.subscribeAsync("$share/g/jobs/#", { qos: 1 });
    for (let n = 0; n < 30; n++) await client.publishAsync(`jobs/${n}/run`, `${n}`, { qos: 1 });
    await all;
    assert.deepEqual(
      shares.toSorted((a, b) => Number(a) - Number(b)),
      Array.from({ length: 30 }, (_, n) => `${n}`),
    );
    for (const each of [client, ...members]) await each.endAsync();
    return undefined;
  });
});
